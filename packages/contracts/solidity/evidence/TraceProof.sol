// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Proofs that a step is in a trace
/// @notice leaf = keccak(00 ‖ uint64 seq ‖ batch id ‖ keccak(state)), node = keccak(01 ‖ l ‖ r); the leaves are padded
/// with zero hashes to 2^⌈log2 steps⌉.
library TraceProof {
    /// @notice The leaf of a step.
    function leaf(uint64 seq, bytes32 id, bytes32 stateHash) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(bytes1(0), seq, id, stateHash));
    }

    /// @notice Whether a leaf is that of step `index` in the trace of so many steps with this root.
    /// @dev The length of the proof is checked: with another depth, a node would pass for a leaf's sibling and an index
    /// for another.
    function verify(
        bytes32 hash,
        uint32 index,
        uint32 steps,
        bytes32[] calldata proof,
        bytes32 root
    ) internal pure returns (bool) {
        uint256 depth = proof.length;
        // Fewer steps than 2^(depth - 1) + 1 would have a shorter path.
        if (index >= steps || depth > 32 || steps > 1 << depth) return false;
        if (depth > 0 && steps <= 1 << (depth - 1)) return false;
        uint256 position = index;
        for (uint256 i = 0; i < depth; i++) {
            hash = position & 1 == 0 ? _join(hash, proof[i]) : _join(proof[i], hash);
            position >>= 1;
        }
        return hash == root;
    }

    function _join(bytes32 left, bytes32 right) private pure returns (bytes32) {
        return keccak256(abi.encodePacked(bytes1(0x01), left, right));
    }
}
