// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRewardPolicy} from "../interfaces/IRewardPolicy.sol";

/// @title Pays by the unit, from a threshold up to a cap
/// @notice Params: `abi.encode(int256 threshold, uint256 rate, uint256 cap)`, cap < 2^128.
/// Reward = value < threshold ? 0 : min(value × rate, cap), and 0 for negative values.
contract ThresholdPolicy is IRewardPolicy {
    function reward(int256 value, bytes calldata params) external pure returns (uint128) {
        (int256 threshold, uint256 rate, uint256 cap) =
            abi.decode(params, (int256, uint256, uint256));
        if (value < threshold || value <= 0 || rate == 0) return 0;
        // value × rate > cap, without the product: it may not fit.
        return uint128(uint256(value) > cap / rate ? cap : uint256(value) * rate);
    }

    function checkParams(bytes calldata params) external pure {
        if (params.length != 96) revert InvalidPolicyParams();
        (,, uint256 cap) = abi.decode(params, (int256, uint256, uint256));
        if (cap > type(uint128).max) revert InvalidPolicyParams();
    }
}
