// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {P256Verifier} from "./P256Verifier.sol";

/// @title {P256Verifier} behind an address
/// @notice For contracts without 3 KB to spare, and for `eth_call`.
/// @dev Call it in a way that reverts when this call runs out of gas: a failed call is no verdict.
contract DeployedP256Verifier {
    /// @notice See {P256Verifier-verify}.
    function verify(bytes32 digest, bytes32 r, bytes32 s, bytes32 x, bytes32 y)
        external
        view
        returns (bool)
    {
        return P256Verifier.verify(digest, r, s, x, y);
    }
}
