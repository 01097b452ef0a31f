// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @dev Many calls in one eth_call: what makes ten thousand cases cheap.
contract Many {
    /// @notice What each call returned; nothing if it reverted.
    function all(address target, bytes[] calldata calls)
        external
        view
        returns (bytes[] memory results)
    {
        results = new bytes[](calls.length);
        for (uint256 i = 0; i < calls.length; i++) {
            (bool ok, bytes memory result) = target.staticcall(calls[i]);
            if (ok) results[i] = result;
        }
    }
}
