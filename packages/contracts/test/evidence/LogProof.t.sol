// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {LogProof} from "../../solidity/evidence/LogProof.sol";
import {Test} from "../base/Test.sol";
import {LogTree} from "./LogTree.sol";

contract LogProofTest is Test {
    /// @dev docs/protocol/log.md
    bytes32 private constant ENTRY_2 =
        0xdbc1b4c900ffe48d575b5da5c638040125f65db0fe3e24494b76ea986457d986;
    bytes32 private constant ROOT_3 =
        0xd1f13800048f5909d4043fc0c152f6643280cba608b672715e56ce159a20629f;
    bytes32 private constant ROOT_7 =
        0xbee2275db16667589a4515f63e0d053a2fa602c1d9f9703e98920a5bdad59baf;

    function test_example() public view {
        bytes32[] memory path = new bytes32[](3);
        path[0] = 0x36e4970e7c84e559ed7290304c3c0672289a6918e7746d48397b0e122db7748f;
        path[1] = 0x604d540f09268b91672ab011394d5266ccd7d4484d0d109411a55848126a1b2c;
        path[2] = 0x8da0dadfa0aaea7d9f4cd621d80cfbda617c8d13798abb8c3854351059e33be0;
        assertTrue(this.verifyInclusion(ENTRY_2, 2, 7, path, ROOT_7), "inclusion");
        bytes32[] memory proof = new bytes32[](4);
        proof[0] = 0x27d02c8f713c90ea0c37901129db86ac03186ee22a1f6f13da67e6b5bcee2044;
        for (uint256 i = 0; i < 3; i++) {
            proof[i + 1] = path[i];
        }
        assertTrue(this.verifyConsistency(3, 7, ROOT_3, ROOT_7, proof), "consistency");
    }

    function testFuzz_inclusion_onlyWhereItIs(
        uint256 seed,
        uint64 size,
        uint64 index,
        uint64 claimed
    ) public view {
        bytes32[] memory ids = _ids(seed, size = uint64(bound(size, 1, 40)));
        index = uint64(bound(index, 0, size - 1));
        bytes32 root = LogTree.root(ids, 0, size);
        bytes32[] memory proof = LogTree.path(ids, index, 0, size);
        assertTrue(this.verifyInclusion(ids[index], index, size, proof, root), "there");
        assertTrue(!this.verifyInclusion(bytes32(seed), index, size, proof, root), "another id");
        assertTrue(!this.verifyInclusion(ids[index], index, size, proof, bytes32(seed)), "root");
        claimed = uint64(bound(claimed, 0, 2 * size));
        if (claimed != index) {
            assertTrue(!this.verifyInclusion(ids[index], claimed, size, proof, root), "elsewhere");
        }
        assertTrue(
            !this.verifyInclusion(ids[index], index, size, _resize(proof, 1), root), "longer"
        );
        if (proof.length == 0) return;
        assertTrue(
            !this.verifyInclusion(ids[index], index, size, _resize(proof, -1), root), "shorter"
        );
        proof[seed % proof.length] ^= bytes32(uint256(1) << (seed % 256));
        assertTrue(!this.verifyInclusion(ids[index], index, size, proof, root), "changed");
    }

    function testFuzz_consistency_onlyOfBeginnings(uint256 seed, uint64 from, uint64 to)
        public
        view
    {
        bytes32[] memory ids = _ids(seed, to = uint64(bound(to, 2, 40)));
        from = uint64(bound(from, 1, to - 1));
        bytes32 fromRoot = LogTree.root(ids, 0, from);
        bytes32 toRoot = LogTree.root(ids, 0, to);
        bytes32[] memory proof = LogTree.consistency(ids, from);
        assertTrue(this.verifyConsistency(from, to, fromRoot, toRoot, proof), "beginning");
        assertTrue(!this.verifyConsistency(from, to, bytes32(seed), toRoot, proof), "from root");
        assertTrue(!this.verifyConsistency(from, to, fromRoot, bytes32(seed), proof), "to root");
        assertTrue(!this.verifyConsistency(to, from, toRoot, fromRoot, proof), "backwards");
        assertTrue(!this.verifyConsistency(from, to, fromRoot, toRoot, _resize(proof, 1)), "longer");
        assertTrue(
            !this.verifyConsistency(from, to, fromRoot, toRoot, _resize(proof, -1)), "shorter"
        );
        // A log that was written anew, from an entry below `from` on.
        ids[seed % from] = bytes32(seed);
        bytes32 other = LogTree.root(ids, 0, to);
        bytes32[] memory otherProof = LogTree.consistency(ids, from);
        assertTrue(!this.verifyConsistency(from, to, fromRoot, other, proof), "rewritten");
        assertTrue(!this.verifyConsistency(from, to, fromRoot, other, otherProof), "its proof");
        proof[seed % proof.length] ^= bytes32(uint256(1) << (seed % 256));
        assertTrue(!this.verifyConsistency(from, to, fromRoot, toRoot, proof), "changed");
    }

    function testFuzz_consistency_emptyAndSame(uint64 size, bytes32 root) public view {
        bytes32[] memory none = new bytes32[](0);
        bytes32[] memory some = new bytes32[](1);
        bytes32 empty = sha256("");
        assertTrue(this.verifyConsistency(0, size, empty, size == 0 ? empty : root, none), "empty");
        assertTrue(this.verifyConsistency(size, size, root, root, none), "same");
        assertTrue(!this.verifyConsistency(size, size, root, root, some), "same, longer");
        assertTrue(!this.verifyConsistency(size, size, root, ~root, none), "same, forked");
        if (size == 0) return;
        assertTrue(!this.verifyConsistency(0, size, ~empty, root, none), "not the empty log");
        assertTrue(!this.verifyConsistency(0, size, empty, root, some), "empty, longer");
    }

    /// @dev Whatever the numbers are: an answer, with as little gas as the longest honest proof takes.
    function testFuzz_isTotal(uint64 a, uint64 b, bytes32[] calldata proof, bytes32 root)
        public
        view
    {
        assertTrue(!this.verifyInclusion{gas: 200_000}(root, a, b, proof, root), "inclusion");
        if (a != b) {
            assertTrue(
                !this.verifyConsistency{gas: 200_000}(a, b, root, root, proof), "consistency"
            );
        }
    }

    /// @dev The largest trees there can be: the last entry of 2^63 + 1 has one sibling, that before it 64.
    function test_inclusion_largest(bytes32 id, bytes32 sibling) public view {
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = sibling;
        bytes32 leaf = sha256(bytes.concat(hex"00", id));
        bytes32 root = sha256(bytes.concat(hex"01", sibling, leaf));
        uint64 size = (1 << 63) + 1;
        assertTrue(this.verifyInclusion(id, size - 1, size, proof, root), "last");
        proof = new bytes32[](64);
        bytes32 hash = leaf;
        for (uint256 i = 0; i < 64; i++) {
            proof[i] = sibling;
            hash = i < 63
                ? sha256(bytes.concat(hex"01", sibling, hash))
                : sha256(bytes.concat(hex"01", hash, sibling));
        }
        assertTrue(this.verifyInclusion(id, size - 2, size, proof, hash), "before");
        assertTrue(!this.verifyInclusion(id, size, size, proof, hash), "behind");
    }

    /// @dev A call that cannot pay for its hashes is no verdict.
    function test_outOfGas_reverts() public view {
        bytes32[] memory ids = _ids(1, 32);
        bytes32[] memory proof = LogTree.path(ids, 5, 0, 32);
        bytes32 root = LogTree.root(ids, 0, 32);
        uint256 verdicts;
        for (uint256 limit = 100; limit < 8000; limit += 37) {
            try this.verifyInclusion{gas: limit}(ids[5], 5, 32, proof, root) returns (bool ok) {
                assertTrue(ok, "a verdict for want of gas");
                verdicts++;
            } catch {}
        }
        assertTrue(verdicts > 10, "some had enough");
    }

    function verifyInclusion(
        bytes32 id,
        uint64 index,
        uint64 size,
        bytes32[] calldata proof,
        bytes32 root
    ) external view returns (bool) {
        return LogProof.verifyInclusion(id, index, size, proof, root);
    }

    function verifyConsistency(
        uint64 from,
        uint64 to,
        bytes32 fromRoot,
        bytes32 toRoot,
        bytes32[] calldata proof
    ) external view returns (bool) {
        return LogProof.verifyConsistency(from, to, fromRoot, toRoot, proof);
    }

    function _ids(uint256 seed, uint64 size) private pure returns (bytes32[] memory ids) {
        ids = new bytes32[](size);
        for (uint256 i = 0; i < size; i++) {
            ids[i] = keccak256(abi.encode(seed, i));
        }
    }

    function _resize(bytes32[] memory proof, int256 by)
        private
        pure
        returns (bytes32[] memory other)
    {
        other = new bytes32[](uint256(int256(proof.length) + by));
        for (uint256 i = 0; i < other.length && i < proof.length; i++) {
            other[i] = proof[i];
        }
    }
}
