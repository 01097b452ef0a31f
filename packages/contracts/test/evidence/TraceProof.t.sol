// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {TraceProof} from "../../solidity/evidence/TraceProof.sol";
import {Test} from "../base/Test.sol";

contract TraceProofTest is Test {
    /// @dev docs/protocol/claims.md: one step, whose leaf is the root.
    function test_example() public view {
        bytes32 hash = this.leaf(
            7,
            0x0921604c8373c5debd6437899512c6c1f74eef3f7a3a68051675327a99d84320,
            keccak256(abi.encode(uint64(8), uint64(1_700_000_120_000), int256(312)))
        );
        bytes32 root = 0x14504cb5a923bdbf298cb781eccb8923609a20c6447f7a50dd30bb2ef1e0815a;
        assertEq(hash, root, "leaf");
        assertTrue(this.verify(hash, 0, 1, new bytes32[](0), root), "proof");
    }

    function testFuzz_verify_onlyWhereItIs(
        uint256 seed,
        uint32 index,
        uint32 steps,
        uint32 claimed,
        uint32 claimedSteps
    ) public view {
        steps = uint32(bound(steps, 1, 40));
        index = uint32(bound(index, 0, steps - 1));
        (bytes32 root, bytes32[] memory proof) = _build(seed, index, steps);
        bytes32 hash = _leaf(seed, index);
        assertTrue(this.verify(hash, index, steps, proof, root), "there");
        assertTrue(!this.verify(bytes32(seed), index, steps, proof, root), "another leaf");
        assertTrue(!this.verify(hash, index, steps, proof, bytes32(seed)), "another root");
        // Half of the time near by.
        if (seed % 2 == 0) claimed = uint32(bound(claimed, 0, 2 * steps));
        if (claimed != index) {
            assertTrue(!this.verify(hash, claimed, steps, proof, root), "elsewhere");
        }
        claimedSteps = uint32(bound(claimedSteps, 0, 4 * steps));
        assertTrue(
            this.verify(hash, index, claimedSteps, proof, root)
                == (claimedSteps > index && _depth(claimedSteps) == proof.length),
            "depth"
        );
        if (proof.length == 0) return;
        proof[seed % proof.length] ^= bytes32(uint256(1) << (seed % 256));
        assertTrue(!this.verify(hash, index, steps, proof, root), "changed");
    }

    /// @dev Padding is not a step, and a node is not a leaf.
    function test_verify_paddingAndNodes() public view {
        (bytes32 root, bytes32[] memory proof) = _build(1, 3, 3);
        assertTrue(!this.verify(bytes32(0), 3, 3, proof, root), "padding");
        bytes32 right = keccak256(bytes.concat(hex"01", _leaf(1, 2), bytes32(0)));
        bytes32[] memory shorter = new bytes32[](1);
        shorter[0] = proof[1];
        assertTrue(this.verify(right, 1, 2, shorter, root), "a node of a smaller tree");
        assertTrue(!this.verify(right, 1, 3, shorter, root), "but not of this");
    }

    function testFuzz_isTotal(uint32 index, uint32 steps, bytes32[] calldata proof, bytes32 root)
        public
        view
    {
        assertTrue(
            !this.verify(root, index, steps, proof, root) || (steps == 1 && proof.length == 0),
            "any numbers"
        );
        // The last of the most steps there can be: a left child, below right ones only.
        bytes32[] memory longest = new bytes32[](32);
        bytes32 hash = keccak256(bytes.concat(hex"01", root, bytes32(0)));
        for (uint256 i = 1; i < 32; i++) {
            hash = keccak256(bytes.concat(hex"01", bytes32(0), hash));
        }
        uint32 most = type(uint32).max;
        assertTrue(this.verify(root, most - 1, most, longest, hash), "the last");
        assertTrue(!this.verify(root, most, most, longest, hash), "behind the last");
        assertTrue(!this.verify(root, 0, most, new bytes32[](33), hash), "33 levels");
        assertTrue(!this.verify(root, 0, 0, new bytes32[](0), root), "no steps");
    }

    function leaf(uint64 seq, bytes32 id, bytes32 stateHash) external pure returns (bytes32) {
        return TraceProof.leaf(seq, id, stateHash);
    }

    function verify(
        bytes32 hash,
        uint32 index,
        uint32 steps,
        bytes32[] calldata proof,
        bytes32 root
    ) external pure returns (bool) {
        return TraceProof.verify(hash, index, steps, proof, root);
    }

    function _leaf(uint256 seed, uint32 i) private pure returns (bytes32) {
        return keccak256(abi.encode(seed, i));
    }

    function _depth(uint256 steps) private pure returns (uint256 depth) {
        while (2 ** depth < steps) depth++;
    }

    /// @dev The padded tree, level by level, and the path from a place in it.
    function _build(uint256 seed, uint32 index, uint32 steps)
        private
        pure
        returns (bytes32 root, bytes32[] memory proof)
    {
        uint256 depth = _depth(steps);
        bytes32[] memory level = new bytes32[](2 ** depth);
        for (uint32 i = 0; i < steps; i++) {
            level[i] = _leaf(seed, i);
        }
        proof = new bytes32[](depth);
        for (uint256 l = 0; l < depth; l++) {
            proof[l] = level[index ^ 1];
            index /= 2;
            for (uint256 i = 0; i < level.length >> (l + 1); i++) {
                level[i] = keccak256(bytes.concat(hex"01", level[2 * i], level[2 * i + 1]));
            }
        }
        root = level[0];
    }
}
