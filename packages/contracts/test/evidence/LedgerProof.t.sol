// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {LedgerProof} from "../../solidity/LedgerProof.sol";
import {IDisputes} from "../../solidity/interfaces/IDisputes.sol";
import {Test} from "../base/Test.sol";

/// @dev Single entries and nodes, against ledgers built by the words of docs/protocol/claims.md with none of the
/// contract's code.
contract LedgerEvidenceTest is Test {
    struct Node {
        bytes32 hash;
        uint256 sum;
    }

    struct Built {
        uint8 depth;
        bytes32 root;
        uint128 total;
        IDisputes.EntryEvidence[] entries;
        Node[][] levels;
    }

    /// @dev docs/protocol/claims.md
    function test_example() public view {
        IDisputes.EntryEvidence memory entry;
        entry.device = 0xa0E0162b1a12Ed06d63DD1BF0CD5b0d1e6614B3c;
        entry.cumulative = 1 ether + 0x04547258d1ec0000;
        entry.value = 312;
        entry.steps = 1;
        entry.traceRoot = 0x14504cb5a923bdbf298cb781eccb8923609a20c6447f7a50dd30bb2ef1e0815a;
        entry.siblings = bytes.concat(
            new bytes(48),
            hex"3a38b219226fc93cb25f156727daec8bd76f4d12270d70b24880ac935216905c",
            bytes16(uint128(5))
        );
        bytes32 root = 0xc956f1b8e9724df615cba325bac3d686215c52f6a635d5cd83734a39180c72a3;
        assertTrue(this.verifyEntry(entry, 1, 2, root, 0x1235290c79500005), "entry");
    }

    function testFuzz_verifyEntry_onlyWhereItIs(
        uint256 seed,
        uint32 slot,
        uint32 claimed,
        uint128 by,
        uint8 part
    ) public view {
        Built memory ledger = _build(seed, uint8(seed % 6));
        slot = uint32(bound(slot, 0, 2 ** ledger.depth - 1));
        IDisputes.EntryEvidence memory entry = _entry(ledger, slot);
        (bytes32 root, uint128 total) = (ledger.root, ledger.total);
        assertTrue(this.verifyEntry(entry, slot, ledger.depth, root, total), "there");
        assertTrue(!this.verifyEntry(entry, slot, ledger.depth + 1, root, total), "deeper");
        assertTrue(!this.verifyEntry(entry, slot, ledger.depth, ~root, total), "root");
        assertTrue(!this.verifyEntry(entry, slot, ledger.depth, root, total ^ 1), "total");
        if (seed % 2 == 0) claimed = uint32(bound(claimed, 0, 2 ** (ledger.depth + 1)));
        // Two subtrees of empty slots cannot be told apart, and hold nothing.
        if (claimed != slot && entry.device != address(0)) {
            assertTrue(!this.verifyEntry(entry, claimed, ledger.depth, root, total), "elsewhere");
        }
        if (claimed >= 2 ** ledger.depth) {
            assertTrue(!this.verifyEntry(entry, claimed, ledger.depth, root, total), "outside");
        }
        by = uint128(bound(by, 1, type(uint128).max));
        part %= 6;
        unchecked {
            if (part == 0) {
                entry.device = address(uint160(entry.device) ^ uint160(by));
            } else if (part == 1) {
                entry.cumulative += by;
            } else if (part == 2) {
                entry.value += int256(uint256(by));
            } else if (part == 3) {
                entry.steps += uint32(by % type(uint32).max + 1);
            } else if (part == 4) {
                entry.traceRoot ^= bytes32(uint256(by));
            } else if (entry.siblings.length == 0 || by % 3 == 0) {
                entry.siblings = new bytes(by % 4097 + 1);
            } else {
                entry.siblings[by % entry.siblings.length] ^= bytes1(uint8(1 << (by % 8)));
            }
        }
        bool sameLength = part < 5 || entry.siblings.length == 48 * uint256(ledger.depth);
        // The one thing that may be given by chance: a path of zeros where it is one.
        if (
            part == 5 && sameLength
                && keccak256(entry.siblings) == keccak256(_entry(ledger, slot).siblings)
        ) return;
        assertTrue(!this.verifyEntry(entry, slot, ledger.depth, root, total), "altered");
    }

    /// @dev An empty slot is nothing but empty.
    function test_verifyEntry_emptyIsEmpty() public view {
        IDisputes.EntryEvidence memory entry;
        assertTrue(this.verifyEntry(entry, 0, 0, 0, 0), "the ledger of none");
        assertTrue(!this.verifyEntry(entry, 1, 0, 0, 0), "has one slot");
        entry.value = 1;
        assertTrue(!this.verifyEntry(entry, 0, 0, 0, 0), "value");
        (entry.value, entry.steps) = (0, 1);
        assertTrue(!this.verifyEntry(entry, 0, 0, 0, 0), "steps");
        (entry.steps, entry.traceRoot) = (0, bytes32(uint256(1)));
        assertTrue(!this.verifyEntry(entry, 0, 0, 0, 0), "trace root");
        (entry.traceRoot, entry.cumulative) = (0, 5);
        assertTrue(!this.verifyEntry(entry, 0, 0, 0, 0), "cumulative");
        assertTrue(!this.verifyEntry(entry, 0, 0, 0, 5), "cumulative, with the total");
    }

    /// @dev Sums that wrap around 2^128 are not the sum.
    function test_verifyEntry_overflow() public view {
        IDisputes.EntryEvidence memory entry;
        (entry.device, entry.cumulative) = (address(1), type(uint128).max);
        bytes32 detail = keccak256(abi.encode(int256(0), uint32(0), bytes32(0)));
        bytes32 leaf = keccak256(
            bytes.concat(hex"00", bytes20(address(1)), bytes16(entry.cumulative), detail)
        );
        entry.siblings = bytes.concat(leaf, bytes16(entry.cumulative));
        bytes32 root = keccak256(bytes.concat(hex"01", entry.siblings, entry.siblings));
        assertTrue(!this.verifyEntry(entry, 0, 1, root, type(uint128).max - 1), "wrapped");
        assertTrue(
            !this.verifyNodes(
                bytes.concat(entry.siblings, entry.siblings),
                1,
                0,
                "",
                1,
                root,
                type(uint128).max - 1
            ),
            "nodes"
        );
    }

    function testFuzz_verifyNodes_onlyWhereTheyAre(
        uint256 seed,
        uint8 height,
        uint32 index,
        uint32 claimed,
        uint256 place
    ) public view {
        Built memory ledger = _build(seed, uint8(1 + seed % 7));
        height = uint8(bound(height, 1, ledger.depth));
        index = uint32(bound(index, 0, 2 ** (ledger.depth - height) - 1));
        (bytes memory nodes, bytes memory siblings) = _reveal(ledger, height, index);
        assertTrue(_verifyNodes(ledger, nodes, height, index, siblings), "there");
        assertTrue(!_verifyNodes(ledger, nodes, height + 1, index, siblings), "higher");
        assertTrue(!_verifyNodes(ledger, nodes, height - 1, index, siblings), "lower");
        assertTrue(!_verifyNodes(ledger, nodes, 0, index, siblings), "a leaf");
        uint32 outside = uint32(2 ** (ledger.depth - height));
        assertTrue(!_verifyNodes(ledger, nodes, height, index + outside, siblings), "outside");
        claimed = uint32(bound(claimed, 0, outside - 1));
        if (ledger.levels[height][claimed].hash != ledger.levels[height][index].hash) {
            assertTrue(!_verifyNodes(ledger, nodes, height, claimed, siblings), "elsewhere");
        }
        assertTrue(
            !_verifyNodes(ledger, bytes.concat(nodes, new bytes(48)), height, index, siblings),
            "one more"
        );
        assertTrue(
            !_verifyNodes(ledger, nodes, height, index, bytes.concat(siblings, new bytes(48))),
            "longer path"
        );
        bytes1 bit = bytes1(uint8(1 << (seed % 8)));
        place %= nodes.length + siblings.length;
        if (place < nodes.length) nodes[place] ^= bit;
        else siblings[place - nodes.length] ^= bit;
        assertTrue(!_verifyNodes(ledger, nodes, height, index, siblings), "altered");
    }

    function testFuzz_isTotal(
        IDisputes.EntryEvidence calldata entry,
        uint32 slot,
        uint8 depth,
        bytes calldata nodes,
        uint8 height,
        bytes32 root,
        uint128 total
    ) public view {
        // The empty ledger's root is 0.
        if (root == 0) return;
        assertTrue(!this.verifyEntry(entry, slot, depth, root, total), "entry");
        assertTrue(!this.verifyNodes(nodes, height, slot, nodes, depth, root, total), "nodes");
    }

    function verifyEntry(
        IDisputes.EntryEvidence calldata entry,
        uint32 slot,
        uint256 depth,
        bytes32 root,
        uint128 total
    ) external pure returns (bool) {
        return LedgerProof.verifyEntry(entry, slot, depth, root, total);
    }

    function verifyNodes(
        bytes calldata nodes,
        uint8 height,
        uint32 index,
        bytes calldata siblings,
        uint256 depth,
        bytes32 root,
        uint128 total
    ) external pure returns (bool) {
        return LedgerProof.verifyNodes(nodes, height, index, siblings, depth, root, total);
    }

    function _verifyNodes(
        Built memory ledger,
        bytes memory nodes,
        uint8 height,
        uint32 index,
        bytes memory siblings
    ) private view returns (bool) {
        return this.verifyNodes(
            nodes, height, index, siblings, ledger.depth, ledger.root, ledger.total
        );
    }

    /// @dev Some slots are empty.
    function _build(uint256 seed, uint8 depth) private pure returns (Built memory ledger) {
        ledger.depth = depth;
        ledger.entries = new IDisputes.EntryEvidence[](2 ** depth);
        ledger.levels = new Node[][](depth + 1);
        ledger.levels[0] = new Node[](2 ** depth);
        for (uint256 i = 0; i < 2 ** depth; i++) {
            uint256 random = uint256(keccak256(abi.encode(seed, i)));
            if (random % 4 == 0) continue;
            IDisputes.EntryEvidence memory entry = ledger.entries[i];
            entry.device = address(uint160(random >> 8));
            entry.cumulative = uint128(random >> 140);
            entry.value = int256(random);
            entry.steps = uint32(random >> 3);
            entry.traceRoot = keccak256(abi.encode(random));
            bytes32 detail = keccak256(abi.encode(entry.value, entry.steps, entry.traceRoot));
            ledger.levels[0][i] = Node(
                keccak256(
                    bytes.concat(hex"00", bytes20(entry.device), bytes16(entry.cumulative), detail)
                ),
                entry.cumulative
            );
        }
        for (uint256 l = 1; l <= depth; l++) {
            ledger.levels[l] = new Node[](2 ** (depth - l));
            for (uint256 i = 0; i < ledger.levels[l].length; i++) {
                (Node memory a, Node memory b) =
                    (ledger.levels[l - 1][2 * i], ledger.levels[l - 1][2 * i + 1]);
                ledger.levels[l][i] =
                    Node(keccak256(bytes.concat(hex"01", _bytes(a), _bytes(b))), a.sum + b.sum);
            }
        }
        ledger.root = ledger.levels[depth][0].hash;
        ledger.total = uint128(ledger.levels[depth][0].sum);
    }

    function _entry(Built memory ledger, uint32 slot)
        private
        pure
        returns (IDisputes.EntryEvidence memory entry)
    {
        IDisputes.EntryEvidence memory found = ledger.entries[slot];
        entry.device = found.device;
        entry.cumulative = found.cumulative;
        entry.value = found.value;
        entry.steps = found.steps;
        entry.traceRoot = found.traceRoot;
        entry.siblings = _siblings(ledger, 0, slot);
    }

    function _reveal(Built memory ledger, uint8 height, uint32 index)
        private
        pure
        returns (bytes memory nodes, bytes memory siblings)
    {
        uint256 levels = height < 5 ? height : 5;
        for (uint256 i = 0; i < 2 ** levels; i++) {
            nodes = bytes.concat(
                nodes, _bytes(ledger.levels[height - levels][index * 2 ** levels + i])
            );
        }
        siblings = _siblings(ledger, height, index);
    }

    function _siblings(Built memory ledger, uint256 height, uint256 index)
        private
        pure
        returns (bytes memory siblings)
    {
        for (uint256 l = height; l < ledger.depth; l++) {
            siblings = bytes.concat(siblings, _bytes(ledger.levels[l][index ^ 1]));
            index /= 2;
        }
    }

    function _bytes(Node memory node) private pure returns (bytes memory) {
        return bytes.concat(node.hash, bytes16(uint128(node.sum)));
    }
}
