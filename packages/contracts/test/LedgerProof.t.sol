// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {LedgerProof} from "../solidity/LedgerProof.sol";
import {ISettlement} from "../solidity/interfaces/ISettlement.sol";
import {Ledger} from "./base/Ledger.sol";
import {Test} from "./base/Test.sol";

contract LedgerProofTest is Test {
    /// @dev A run, empty slots included, is proven in its own slots and at its own depth, and nowhere else.
    function testFuzz_verify_onlyWhereItIs(
        uint256 seed,
        uint32 slot,
        uint32 count,
        uint32 claimed,
        bool oneMore
    ) public {
        uint8 depth = oneMore ? 4 : 3;
        Ledger ledger = new Ledger(depth, false);
        for (uint32 i = 0; i < 8; i++) {
            uint256 random = uint256(keccak256(abi.encode(seed, i)));
            if (random % 3 == 0) continue;
            ledger.set(
                i,
                ISettlement.Entry(
                    address(uint160(random >> 8)), uint128(random >> 140), bytes32(random)
                )
            );
        }
        (bytes32 root, uint128 total) = ledger.root();
        uint32 slots = uint32(1) << depth;
        slot = uint32(bound(slot, 0, slots - 1));
        count = uint32(bound(count, 1, slots - slot));
        ISettlement.Redemption memory run = ledger.redemption(slot, count);
        assertTrue(this.verify(run, depth, root, total), "there");
        assertTrue(!this.verify(run, depth + 1, root, total), "deeper");
        assertTrue(!this.verify(run, depth - 1, root, total), "less deep");

        // Two subtrees of empty slots cannot be told apart, and hold nothing.
        bool empty = true;
        for (uint256 i = 0; i < count; i++) {
            if (run.entries[i].device != address(0)) empty = false;
        }
        // Half of the time in the ledger, or just behind it.
        run.slot = seed % 2 == 0 ? claimed : uint32(bound(claimed, 0, slots));
        if (empty || run.slot == slot) return;
        assertTrue(!this.verify(run, depth, root, total), "elsewhere");
    }

    function verify(
        ISettlement.Redemption calldata redemption,
        uint256 depth,
        bytes32 root,
        uint128 total
    ) external pure returns (bool) {
        return LedgerProof.verify(redemption, depth, root, total);
    }
}
