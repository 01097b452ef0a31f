// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ISettlement} from "./interfaces/ISettlement.sol";

/// @title Proofs that entries are in adjacent slots of a ledger
/// @notice A ledger is a Merkle sum tree: leaf = keccak(00 ‖ device ‖ uint128 cumulative ‖ detail) with
/// the sum cumulative, or (0, 0) for an empty slot; node = keccak(01 ‖ l ‖ uint128 lSum ‖ r ‖ uint128 rSum).
library LedgerProof {
    /// @dev Bytes of a sibling: hash ‖ uint128 sum.
    uint256 private constant SIBLING = 48;

    /// @dev The nodes `first` to `last` of one level, kept from index 1 on: there is room for a sibling
    /// on either side. `taken` bytes of the siblings are used up.
    struct Run {
        bytes32[] hashes;
        uint256[] sums;
        uint256 first;
        uint256 last;
        uint256 taken;
    }

    /// @notice Whether these entries are in these slots of the ledger with this depth, root and total.
    /// @dev Sums are added in 256 bits and hashed in 128: none can be larger than the one at the root,
    /// and that one is compared with the total.
    function verify(
        ISettlement.Redemption calldata redemption,
        uint256 depth,
        bytes32 root,
        uint128 total
    ) internal pure returns (bool) {
        uint256 count = redemption.entries.length;
        if (count == 0) return false;
        Run memory run = _leaves(redemption.entries);
        run.first = redemption.slot;
        run.last = run.first + count - 1;
        if (run.last >> depth != 0) return false;
        for (; depth > 0; depth--) {
            _climb(run, redemption.siblings);
        }
        return
            run.taken == redemption.siblings.length && run.hashes[1] == root && run.sums[1] == total;
    }

    /// @dev Folds a run into the level above, in place.
    function _climb(Run memory run, bytes calldata siblings) private pure {
        (bytes32[] memory hashes, uint256[] memory sums) = (run.hashes, run.sums);
        uint256 child = 1;
        if (run.first & 1 == 1) _take(run, child = 0, siblings);
        if (run.last & 1 == 0) _take(run, run.last - run.first + 2, siblings);
        run.first >>= 1;
        run.last >>= 1;
        uint256 parents = run.last - run.first + 1;
        for (uint256 parent = 1; parent <= parents; parent++) {
            hashes[parent] = _node(hashes[child], sums[child], hashes[child + 1], sums[child + 1]);
            sums[parent] = sums[child] + sums[child + 1];
            child += 2;
        }
    }

    /// @dev Puts the next sibling at an index. If there is none, `verify` sees that too many were taken.
    function _take(Run memory run, uint256 index, bytes calldata siblings) private pure {
        uint256 from = run.taken;
        run.taken = from + SIBLING;
        if (run.taken > siblings.length) return;
        run.hashes[index] = bytes32(siblings[from:]);
        run.sums[index] = uint128(bytes16(siblings[from + 32:]));
    }

    function _leaves(ISettlement.Entry[] calldata entries) private pure returns (Run memory run) {
        run.hashes = new bytes32[](entries.length + 2);
        run.sums = new uint256[](entries.length + 2);
        for (uint256 i = 0; i < entries.length; i++) {
            ISettlement.Entry calldata entry = entries[i];
            if (entry.device == address(0)) continue;
            run.hashes[i + 1] =
                keccak256(abi.encodePacked(hex"00", entry.device, entry.cumulative, entry.detail));
            run.sums[i + 1] = entry.cumulative;
        }
    }

    /// @dev In free memory that is not kept: abi.encodePacked costs 300 gas more on each of up to 32 levels.
    function _node(bytes32 left, uint256 leftSum, bytes32 right, uint256 rightSum)
        private
        pure
        returns (bytes32 hash)
    {
        assembly ("memory-safe") {
            let preimage := mload(0x40)
            mstore8(preimage, 1)
            mstore(add(preimage, 1), left)
            mstore(add(preimage, 33), shl(128, leftSum))
            mstore(add(preimage, 49), right)
            mstore(add(preimage, 81), shl(128, rightSum))
            hash := keccak256(preimage, 97)
        }
    }
}
