// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Proofs of a log (RFC 9162 with SHA-256): an entry is in it, one log is the beginning of another
/// @notice leaf = SHA-256(00 ‖ id), node = SHA-256(01 ‖ l ‖ r). Whatever the arguments are, the answer is yes or no.
/// @dev Nodes are hashed in one buffer in free memory that is not kept: 20 levels cost 12,400 gas, and with
/// `sha256(abi.encodePacked(…))` 17,000 to 20,000. Loops end: every turn halves `last`, and a hash too many is refused.
library LogProof {
    /// @dev SHA-256 of nothing: the root of the log without entries.
    bytes32 private constant EMPTY_ROOT =
        0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855;

    /// @notice Whether an entry is at an index of the log with this size and root (RFC 9162 §2.1.3.2).
    function verifyInclusion(
        bytes32 id,
        uint64 index,
        uint64 size,
        bytes32[] calldata proof,
        bytes32 root
    ) internal view returns (bool) {
        if (index >= size) return false;
        uint256 position = index;
        uint256 last = size - 1;
        bytes32 hash = sha256(abi.encodePacked(bytes1(0), id));
        uint256 buffer = _buffer();
        for (uint256 i = 0; i < proof.length; i++) {
            if (last == 0) return false;
            bytes32 sibling = proof[i];
            if (position & 1 == 1 || position == last) {
                hash = _join(buffer, sibling, hash);
                (position, last) = _rise(position, last);
            } else {
                hash = _join(buffer, hash, sibling);
            }
            position >>= 1;
            last >>= 1;
        }
        return last == 0 && hash == root;
    }

    /// @notice Whether the log of `from` entries is the beginning of the log of `to` entries (RFC 9162 §2.1.4.2).
    /// Every log begins with the empty one, and with itself: both have an empty proof.
    function verifyConsistency(
        uint64 from,
        uint64 to,
        bytes32 fromRoot,
        bytes32 toRoot,
        bytes32[] calldata proof
    ) internal view returns (bool) {
        if (from > to) return false;
        if (from == to) return proof.length == 0 && fromRoot == toRoot;
        if (from == 0) return proof.length == 0 && fromRoot == EMPTY_ROOT;
        if (proof.length == 0) return false;
        uint256 position = from - 1;
        uint256 last = to - 1;
        while (position & 1 == 1) {
            position >>= 1;
            last >>= 1;
        }
        // A power of two is one complete subtree: its root, and so the first hash, is `fromRoot`.
        uint256 i = position == 0 ? 0 : 1;
        bytes32 oldHash = i == 0 ? fromRoot : proof[0];
        bytes32 newHash = oldHash;
        uint256 buffer = _buffer();
        for (; i < proof.length; i++) {
            if (last == 0) return false;
            bytes32 sibling = proof[i];
            if (position & 1 == 1 || position == last) {
                oldHash = _join(buffer, sibling, oldHash);
                newHash = _join(buffer, sibling, newHash);
                (position, last) = _rise(position, last);
            } else {
                newHash = _join(buffer, newHash, sibling);
            }
            position >>= 1;
            last >>= 1;
        }
        return last == 0 && oldHash == fromRoot && newHash == toRoot;
    }

    /// @dev A lone last node rises without siblings.
    function _rise(uint256 position, uint256 last) private pure returns (uint256, uint256) {
        while (position & 1 == 0 && position != 0) {
            position >>= 1;
            last >>= 1;
        }
        return (position, last);
    }

    /// @dev Where nodes are hashed; nothing may be allocated until the last one is.
    function _buffer() private pure returns (uint256 buffer) {
        assembly ("memory-safe") {
            buffer := mload(0x40)
            mstore8(buffer, 1)
        }
    }

    /// @dev The precompile can only fail for want of gas, which is no verdict.
    function _join(uint256 buffer, bytes32 left, bytes32 right)
        private
        view
        returns (bytes32 hash)
    {
        assembly ("memory-safe") {
            mstore(add(buffer, 1), left)
            mstore(add(buffer, 33), right)
            if iszero(staticcall(gas(), 2, buffer, 65, 0, 32)) { revert(0, 0) }
            hash := mload(0)
        }
    }
}
