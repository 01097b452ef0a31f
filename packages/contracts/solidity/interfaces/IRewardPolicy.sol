// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title What a device earns in a window for the value of its claim
interface IRewardPolicy {
    error InvalidPolicyParams();

    /// @notice The reward for a value, in units of the network's token.
    function reward(int256 value, bytes calldata params) external pure returns (uint128);

    /// @notice Reverts with `InvalidPolicyParams` unless `reward` can be computed with the parameters for every value.
    function checkParams(bytes calldata params) external pure;
}
