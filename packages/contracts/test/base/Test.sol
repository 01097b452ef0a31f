// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Vm} from "./Vm.sol";

/// @dev forge-std is not on npm; this is what the tests need of it.
abstract contract Test {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    error NotEqual(uint256 actual, uint256 expected, string what);
    error NotTrue(string what);

    function assertEq(uint256 actual, uint256 expected, string memory what) internal pure {
        if (actual != expected) revert NotEqual(actual, expected, what);
    }

    function assertEq(address actual, address expected, string memory what) internal pure {
        assertEq(uint160(actual), uint160(expected), what);
    }

    function assertEq(bytes32 actual, bytes32 expected, string memory what) internal pure {
        assertEq(uint256(actual), uint256(expected), what);
    }

    function assertEq(string memory actual, string memory expected, string memory what)
        internal
        pure
    {
        assertEq(keccak256(bytes(actual)), keccak256(bytes(expected)), what);
    }

    function assertTrue(bool condition, string memory what) internal pure {
        if (!condition) revert NotTrue(what);
    }

    /// @dev A value in [least, most], both included.
    function bound(uint256 value, uint256 least, uint256 most) internal pure returns (uint256) {
        return most - least == type(uint256).max ? value : least + value % (most - least + 1);
    }

    /// @dev The bytes of an error without arguments, or with encoded ones.
    function err(bytes4 selector) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(selector);
    }
}
