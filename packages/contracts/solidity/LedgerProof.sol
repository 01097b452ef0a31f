// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IDisputes} from "./interfaces/IDisputes.sol";
import {ISettlement} from "./interfaces/ISettlement.sol";

/// @title Proofs that entries are in adjacent slots of a ledger
/// @notice A ledger is a Merkle sum tree: leaf = keccak(00 ‖ device ‖ uint128 cumulative ‖ detail) with
/// the sum cumulative, or (0, 0) for an empty slot; node = keccak(01 ‖ l ‖ uint128 lSum ‖ r ‖ uint128 rSum).
/// @dev Sums are added in 256 bits and hashed in 128: none can be larger than the one at the root, and
/// that one is compared with the total. Nodes are kept as 64 bytes of memory (hash, sum) and named by
/// their address. With abi.encodePacked and checked arrays, 20 levels would cost 45,000 gas more.
library LedgerProof {
    /// @dev Bytes of a node in memory.
    uint256 private constant NODE = 64;
    /// @dev Bytes of a node in calldata: hash ‖ uint128 sum.
    uint256 private constant SIBLING = 48;
    /// @dev How far below a node the nodes are that a reveal shows.
    uint256 private constant REVEALED_LEVELS = 5;

    /// @notice Whether these entries are in these slots of the ledger with this depth, root and total.
    function verify(
        ISettlement.Redemption calldata redemption,
        uint256 depth,
        bytes32 root,
        uint128 total
    ) internal pure returns (bool) {
        uint256 first = redemption.slot;
        uint256 count = redemption.entries.length;
        if (count == 0 || first + count > 1 << depth) return false;
        uint256 leaves = _leaves(redemption.entries);
        (uint256 sibling, uint256 end) = _bounds(redemption.siblings);
        // Level by level until one node is left, which then climbs alone. Siblings are read without a
        // look at their number; that there were exactly as many is seen at the end.
        for (; count > 1; depth--) {
            (first, count, sibling) = _fold(leaves, first, count, sibling);
        }
        if (sibling + SIBLING * depth != end) return false;
        (bytes32 hash, uint256 sum) = _climb(leaves, first, depth, sibling);
        return hash == root && sum == total;
    }

    /// @notice Whether this entry is in this slot of the ledger with this depth, root and total. An empty slot has the
    /// device zero and nothing else.
    function verifyEntry(
        IDisputes.EntryEvidence calldata entry,
        uint32 slot,
        uint256 depth,
        bytes32 root,
        uint128 total
    ) internal pure returns (bool) {
        if (slot >= 1 << depth || entry.siblings.length != SIBLING * depth) {
            return false;
        }
        uint256 leaf = _allocate(1);
        if (entry.device != address(0)) {
            bytes32 detail = keccak256(abi.encode(entry.value, entry.steps, entry.traceRoot));
            _writeLeaf(leaf, entry.device, entry.cumulative, detail);
        } else if (
            entry.cumulative != 0 || entry.value != 0 || entry.steps != 0 || entry.traceRoot != 0
        ) {
            return false;
        }
        (uint256 sibling,) = _bounds(entry.siblings);
        (bytes32 hash, uint256 sum) = _climb(leaf, slot, depth, sibling);
        return hash == root && sum == total;
    }

    /// @notice Whether these are the nodes min(5, height) levels below the node `index` at a height (leaves have 0) of the
    /// ledger with this depth, root and total.
    /// @param nodes 48 bytes each (hash ‖ uint128 sum), from left to right.
    /// @param siblings Of the node above them, 48 bytes each, up to the root.
    function verifyNodes(
        bytes calldata nodes,
        uint8 height,
        uint32 index,
        bytes calldata siblings,
        uint256 depth,
        bytes32 root,
        uint128 total
    ) internal pure returns (bool) {
        if (height > depth || index >= 1 << (depth - height)) return false;
        uint256 count = 1 << (height < REVEALED_LEVELS ? height : REVEALED_LEVELS);
        if (nodes.length != SIBLING * count) return false;
        if (siblings.length != SIBLING * (depth - height)) return false;
        (uint256 sibling,) = _bounds(nodes);
        uint256 list = _allocate(count);
        for (uint256 i = 0; i < count; i++) {
            _read(sibling + SIBLING * i, list + NODE * i);
        }
        // All below one node: there is nothing beside them on any level.
        for (uint256 first = 0; count > 1;) {
            (first, count,) = _fold(list, first, count, 0);
        }
        (sibling,) = _bounds(siblings);
        (bytes32 hash, uint256 sum) = _climb(list, index, depth - height, sibling);
        return hash == root && sum == total;
    }

    /// @dev Room for so many nodes, and for one more on either side; all empty.
    function _allocate(uint256 count) private pure returns (uint256 nodes) {
        bytes memory list = new bytes((count + 2) * NODE);
        assembly ("memory-safe") {
            nodes := add(list, add(32, NODE))
        }
    }

    function _writeLeaf(uint256 leaf, address device, uint256 sum, bytes32 detail) private pure {
        assembly ("memory-safe") {
            let preimage := mload(0x40)
            mstore8(preimage, 0)
            mstore(add(preimage, 1), shl(96, device))
            mstore(add(preimage, 21), shl(128, sum))
            mstore(add(preimage, 37), detail)
            mstore(leaf, keccak256(preimage, 69))
            mstore(add(leaf, 32), sum)
        }
    }

    /// @dev Hashes the entries into a list of nodes that has room for one more on either side.
    function _leaves(ISettlement.Entry[] calldata entries) private pure returns (uint256 leaves) {
        leaves = _allocate(entries.length);
        uint256 leaf = leaves;
        for (uint256 i = 0; i < entries.length; i++) {
            ISettlement.Entry calldata entry = entries[i];
            // An empty slot stays (0, 0).
            if (entry.device != address(0)) {
                _writeLeaf(leaf, entry.device, entry.cumulative, entry.detail);
            }
            // An address in memory.
            unchecked {
                leaf += NODE;
            }
        }
    }

    /// @dev Where siblings begin and end in calldata.
    function _bounds(bytes calldata siblings) private pure returns (uint256 sibling, uint256 end) {
        assembly ("memory-safe") {
            sibling := siblings.offset
            end := add(sibling, siblings.length)
        }
    }

    /// @dev Turns the nodes of a level into those of the level above, in place. A run that begins with a
    /// right child, or ends with a left one, takes a sibling to that side. Unchecked: `count` is at most
    /// 2^depth, so that nothing goes beyond the list with its two spare places.
    function _fold(uint256 nodes, uint256 first, uint256 count, uint256 sibling)
        private
        pure
        returns (uint256, uint256, uint256)
    {
        unchecked {
            uint256 child = nodes;
            uint256 last = first + count - 1;
            if (first & 1 == 1) {
                child -= NODE;
                _read(sibling, child);
                sibling += SIBLING;
            }
            if (last & 1 == 0) {
                _read(sibling, nodes + count * NODE);
                sibling += SIBLING;
            }
            first >>= 1;
            count = (last >> 1) - first + 1;
            uint256 end = nodes + count * NODE;
            for (uint256 parent = nodes; parent < end; parent += NODE) {
                _join(child, parent);
                child += 2 * NODE;
            }
            return (first, count, sibling);
        }
    }

    /// @dev Copies a sibling to a node.
    function _read(uint256 sibling, uint256 node) private pure {
        assembly ("memory-safe") {
            mstore(node, calldataload(sibling))
            mstore(add(node, 32), shr(128, calldataload(add(sibling, 32))))
        }
    }

    /// @dev Writes the parent of two neighbours. The preimage is in free memory and is not kept.
    function _join(uint256 children, uint256 parent) private pure {
        assembly ("memory-safe") {
            let preimage := mload(0x40)
            let leftSum := mload(add(children, 32))
            let rightSum := mload(add(children, 96))
            mstore8(preimage, 1)
            mstore(add(preimage, 1), mload(children))
            mstore(add(preimage, 33), shl(128, leftSum))
            mstore(add(preimage, 49), mload(add(children, 64)))
            mstore(add(preimage, 81), shl(128, rightSum))
            mstore(parent, keccak256(preimage, 97))
            mstore(add(parent, 32), add(leftSum, rightSum))
        }
    }

    /// @dev Climbs from a node to the root, past one sibling a level, which lie in calldata as they are
    /// hashed. The preimage is in free memory and is not kept.
    function _climb(uint256 node, uint256 index, uint256 depth, uint256 sibling)
        private
        pure
        returns (bytes32 hash, uint256 sum)
    {
        assembly ("memory-safe") {
            hash := mload(node)
            sum := mload(add(node, 32))
            let preimage := mload(0x40)
            mstore8(preimage, 1)
            for {} depth { depth := sub(depth, 1) } {
                switch and(index, 1)
                case 0 {
                    mstore(add(preimage, 1), hash)
                    mstore(add(preimage, 33), shl(128, sum))
                    calldatacopy(add(preimage, 49), sibling, SIBLING)
                }
                default {
                    calldatacopy(add(preimage, 1), sibling, SIBLING)
                    mstore(add(preimage, 49), hash)
                    mstore(add(preimage, 81), shl(128, sum))
                }
                hash := keccak256(preimage, 97)
                sum := add(sum, shr(128, calldataload(add(sibling, 32))))
                index := shr(1, index)
                sibling := add(sibling, SIBLING)
            }
        }
    }
}
