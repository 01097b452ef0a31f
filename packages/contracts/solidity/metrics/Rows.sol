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
    /// @return ok Whether the bytes are the canonical encoding of `header.count` rows that add up to `header.span`. If
    /// not, the arrays mean nothing.
    /// @return times Of each row, Unix milliseconds.
    /// @return values `frame.fields` of each row, one row after the other.
    function decode(
        bytes calldata rows,
        IMetric.Header calldata header,
        IMetric.Frame calldata frame
    ) internal pure returns (bool ok, uint256[] memory times, int256[] memory values) {
        uint256 count = header.count;
        uint256 fields = frame.fields;
        uint256 tickMs = frame.tickMs;
        // The sums of uint64 below cannot overflow 256 bits, and the indexes are below rows.length.
        unchecked {
            uint256 time = header.start;
            uint256 last = time + header.span;
            // A row has at least one byte for its head and one per item: memory is bounded by rows.length.
            if (
                last >= LIMIT || fields == 0 || fields > MAX_FIELDS || count == 0
                    || count > rows.length / (fields + 2)
            ) {
                return (false, times, values);
            }
            times = new uint256[](count);
            values = new int256[](count * fields);
            uint256 at;
            uint256 end;
            assembly ("memory-safe") {
                at := rows.offset
                end := add(at, rows.length)
            }
            (at, ok) = _isHead(at, count);
            if (!ok) return (false, times, values);
            uint256 head = 0x81 + fields;
            uint256 index;
            for (uint256 i; i < count; ++i) {
                // Bytes beyond the end read as whatever follows, so one look at the end per row is enough.
                if (at >= end || _byteAt(at) != head) return (false, times, values);
                int256 item;
                (at, item) = _readItem(at + 1);
                // Also catches null and FAIL, which are negative. At most 2^53 × 2^32.
                if (item < 0 || (item == 0 && i != 0)) return (false, times, values);
                time += uint256(item) * tickMs;
                times[i] = time;
                for (uint256 stop = index + fields; index < stop; ++index) {
                    (at, item) = _readItem(at);
                    if (item == FAIL) return (false, times, values);
                    values[index] = item;
                }
            }
            ok = at == end && time == last;
        }
    }

    /// @dev What an item that is not canonical reads as.
    int256 private constant FAIL = type(int256).min + 1;

    function _byteAt(uint256 at) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := byte(0, calldataload(at))
        }
    }

    /// @dev Whether there is the shortest head of an array of `count` items, and where it ends.
    function _isHead(uint256 at, uint256 count) private pure returns (uint256 next, bool ok) {
        uint256 word;
        assembly ("memory-safe") {
            word := calldataload(at)
        }
        unchecked {
            if (count < 24) return (at + 1, word >> 248 == 0x80 + count);
            if (count < 1 << 8) return (at + 2, word >> 240 == (0x98 << 8) + count);
            if (count < 1 << 16) return (at + 3, word >> 232 == (0x99 << 16) + count);
            if (count < 1 << 32) return (at + 5, word >> 216 == (0x9a << 32) + count);
            return (at + 9, word >> 184 == (0x9b << 64) + count);
        }
    }

    /// @dev One integer or null. In assembly, with one calldataload: this is half of the gas of an answer.
    function _readItem(uint256 at) private pure returns (uint256 next, int256 item) {
        assembly ("memory-safe") {
            let word := calldataload(at)
            let head := byte(0, word)
            next := add(at, 1)
            switch lt(head, 24)
            case 1 { item := head }
            default {
                switch head
                case 0xf6 { item := shl(255, 1) }
                default {
                    let argument := and(head, 31)
                    // Majors 0 and 1 are below 0x40; 28 … 31 are no lengths.
                    let ok := and(lt(head, 0x40), lt(argument, 28))
                    if gt(argument, 23) {
                        let size := shl(sub(argument, 24), 1) // 1, 2, 4 or 8 bytes
                        next := add(next, size)
                        argument := shr(sub(256, shl(3, size)), shl(8, word))
                        // The least that needs so many: 24, 2^8, 2^16, 2^32.
                        let least := shl(shl(2, size), 1)
                        if eq(size, 1) { least := 24 }
                        ok := and(ok, iszero(lt(argument, least)))
                    }
                    switch lt(head, 0x20)
                    case 1 {
                        ok := and(ok, lt(argument, 0x20000000000000)) // 2^53
                        item := argument
                    }
                    default {
                        ok := and(ok, lt(argument, 0x1fffffffffffff)) // -1 - argument > -2^53
                        item := not(argument)
                    }
                    if iszero(ok) { item := add(shl(255, 1), 1) }
                }
            }
        }
    }
}
