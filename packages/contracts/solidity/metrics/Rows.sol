// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IMetric} from "../interfaces/IMetric.sol";

/// @title Strict reader of a batch's rows
/// @notice Rows are a CBOR array of `[dt, v1 … vn]`: shortest integers, definite lengths, |v| < 2^53 or null, dt in
/// ticks since the row before (the first: since the start), at least 1 after the first row.
library Rows {
    /// @notice The value that stands for null.
    int256 internal constant NULL = type(int256).min;

    /// @notice Most fields a schema can have: with 22, the head of a row is always one byte.
    uint256 internal constant MAX_FIELDS = 22;

    uint256 private constant LIMIT = 1 << 53;

    /// @notice Reads the rows of a batch. Never reverts, whatever the bytes are.
    /// @return ok Whether the bytes are the canonical encoding of `header.count` rows that add up to
    /// `header.span`. If not, the arrays mean nothing.
    /// @return times Of each row, Unix milliseconds.
    /// @return values `frame.fields` of each row, one row after the other.
    function decode(
        bytes calldata rows,
        IMetric.Header calldata header,
        IMetric.Frame calldata frame
    ) internal pure returns (bool ok, uint256[] memory times, int256[] memory values) {
        uint256 count = header.count;
        uint256 fields = frame.fields;
        // Sums of uint64 in 256 bits.
        unchecked {
            uint256 last = uint256(header.start) + header.span;
            // A row has at least one byte for its head and one per item: this bounds the memory.
            if (
                last >= LIMIT || fields == 0 || fields > MAX_FIELDS || count == 0
                    || count > rows.length / (fields + 2)
            ) return (false, times, values);
            times = new uint256[](count);
            values = new int256[](count * fields);
            uint256 time;
            (time, ok) = _readRows(rows, times, values, header.start, frame.tickMs);
            ok = ok && time == last;
        }
    }

    /// @notice The value at an index that is known to be below the length: saves 70 gas a row.
    function valueAt(int256[] memory values, uint256 index) internal pure returns (int256 value) {
        assembly ("memory-safe") {
            value := mload(add(add(values, 0x20), shl(5, index)))
        }
    }

    /// @dev The time at an index that is known to be below the length.
    function timeAt(uint256[] memory times, uint256 index) internal pure returns (uint256 time) {
        assembly ("memory-safe") {
            time := mload(add(add(times, 0x20), shl(5, index)))
        }
    }

    /// @dev Fills both arrays. In assembly, with one calldataload per item and no check of the bounds:
    /// 600 gas a row less, of the 1,500 that a row costs without, and reading rows is half of an
    /// answer. What keeps it within bounds: as many words are written as the arrays have; the cursor
    /// only moves forward, bytes behind the end read as whatever follows, and it is at the end only if
    /// all was read within. An item that is not canonical sends it far beyond.
    function _readRows(
        bytes calldata rows,
        uint256[] memory times,
        int256[] memory values,
        uint256 time,
        uint256 tickMs
    ) private pure returns (uint256 timeOfLast, bool ok) {
        assembly ("memory-safe") {
            // An item is an integer of 0, 1, 2, 4 or 8 bytes, of either sign, or null. What is longer than needed,
            // out of range or anything else sends the cursor far beyond the end.
            function readItem(cursor) -> next, item {
                let word := calldataload(cursor)
                let head := byte(0, word)
                // Nearly all items are integers of one byte, two or five.
                if lt(head, 24) {
                    next := add(cursor, 1)
                    item := head
                    leave
                }
                if eq(head, 0x18) {
                    item := byte(1, word)
                    next := add(cursor, 2)
                    if lt(item, 24) { next := shl(255, 1) }
                    leave
                }
                // Without the bit that makes an integer negative.
                switch and(head, 0xdf)
                case 0x1a {
                    item := and(shr(216, word), 0xffffffff)
                    next := add(cursor, 5)
                    if lt(item, 0x10000) { next := shl(255, 1) }
                }
                case 0x19 {
                    item := and(shr(232, word), 0xffff)
                    next := add(cursor, 3)
                    if lt(item, 0x100) { next := shl(255, 1) }
                }
                case 0x18 {
                    item := byte(1, word)
                    next := add(cursor, 2)
                    if lt(item, 24) { next := shl(255, 1) }
                }
                case 0x1b {
                    item := and(shr(184, word), 0xffffffffffffffff)
                    next := add(cursor, 9)
                    // |v| < 2^53.
                    if or(lt(item, 0x100000000), gt(item, sub(0x1fffffffffffff, gt(head, 0x1f)))) {
                        next := shl(255, 1)
                    }
                }
                default {
                    if eq(head, 0xf6) {
                        next := add(cursor, 1)
                        item := shl(255, 1)
                        leave
                    }
                    item := and(head, 0x1f)
                    next := add(cursor, 1)
                    // Neither integer, nor within its head.
                    if or(gt(head, 0x37), lt(head, 0x20)) { next := shl(255, 1) }
                }
                if and(head, 0x20) { item := not(item) }
            }

            let count := mload(times)
            let cursor := rows.offset
            let end := add(cursor, rows.length)

            // The shortest head of an array of as many items.
            let word := calldataload(cursor)
            let headSize := 1
            let head := add(0x80, count)
            if gt(count, 23) {
                headSize := 2
                head := add(0x9800, count)
            }
            if gt(count, 0xff) {
                headSize := 3
                head := add(0x990000, count)
            }
            if gt(count, 0xffff) {
                // More rows than 2^32 do not fit into a transaction.
                headSize := 5
                head := add(0x9a00000000, count)
            }
            ok := eq(shr(sub(256, shl(3, headSize)), word), head)
            cursor := add(cursor, headSize)

            // 0x80, one for dt, and the fields.
            head := add(0x81, div(mload(values), count))
            let rowSize := shl(5, sub(head, 0x81))
            let firstTime := add(times, 0x20)
            let lastTime := add(firstTime, shl(5, count))
            let value := add(values, 0x20)
            let item
            for { let slot := firstTime } lt(slot, lastTime) { slot := add(slot, 0x20) } {
                ok := and(ok, and(lt(cursor, end), eq(byte(0, calldataload(cursor)), head)))
                if iszero(ok) { break }
                cursor, item := readItem(add(cursor, 1))
                // dt is an integer, and not 0 after the first row. Null is negative.
                ok := iszero(or(slt(item, 0), and(iszero(item), gt(slot, firstTime))))
                // At most 2^53 × 2^32 for each row.
                time := add(time, mul(item, tickMs))
                mstore(slot, time)
                for { let rowEnd := add(value, rowSize) } lt(value, rowEnd) {
                    value := add(value, 0x20)
                } {
                    cursor, item := readItem(cursor)
                    mstore(value, item)
                }
            }
            ok := and(ok, eq(cursor, end))
            timeOfLast := time
        }
    }
}
