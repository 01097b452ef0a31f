// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title The integers of the wire format (RFC 8949 §4.2.1)
library Cbor {
    /// @notice The most that the wire format allows, and one more.
    uint256 internal constant LIMIT = 1 << 53;

    /// @notice An unsigned integer in its shortest form.
    function encodeUint(uint64 value) internal pure returns (bytes memory) {
        if (value < 24) return abi.encodePacked(uint8(value));
        if (value < 1 << 8) return abi.encodePacked(bytes1(0x18), uint8(value));
        if (value < 1 << 16) return abi.encodePacked(bytes1(0x19), uint16(value));
        if (value < 1 << 32) return abi.encodePacked(bytes1(0x1a), uint32(value));
        return abi.encodePacked(bytes1(0x1b), value);
    }
}
