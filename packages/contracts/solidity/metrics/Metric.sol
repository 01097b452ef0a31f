// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IMetric} from "../interfaces/IMetric.sol";
import {Rows} from "./Rows.sol";

/// @title What all metrics share: which batches count, and which of their rows
abstract contract Metric is IMetric {
    /// @dev A batch that counts.
    /// @param times Of each row, Unix milliseconds, rising.
    /// @param values `fields` of each row, one row after the other.
    /// @param from The first row in the window.
    /// @param to The row after the last one in the window.
    /// @param windowStart Unix milliseconds.
    /// @param gap Whether seq was skipped since the batch before.
    struct Batch {
        uint256[] times;
        int256[] values;
        uint256 fields;
        uint256 from;
        uint256 to;
        uint256 windowStart;
        bool gap;
    }

    /// @dev Parameters are integers that TypeScript keeps in a number.
    uint256 internal constant LIMIT = 1 << 53;

    /// @dev Bytes of (nextSeq, lastTime), before the metric's words.
    uint256 private constant HEAD = 64;

    /// @inheritdoc IMetric
    function start() external pure returns (bytes memory) {
        return new bytes(HEAD + 32 * _wordCount());
    }

    /// @inheritdoc IMetric
    function fold(
        bytes calldata state,
        Header calldata header,
        bytes calldata rows,
        bytes calldata params,
        Frame calldata frame
    ) external pure returns (bytes memory) {
        (uint256 nextSeq, uint256 lastTime) = abi.decode(state[:HEAD], (uint64, uint64));
        bool first = nextSeq == 0;
        if (header.schema != frame.schema || header.seq >= LIMIT) return state;
        if (!first && (header.seq < nextSeq || header.start <= lastTime)) return state;
        Batch memory batch;
        bool ok;
        (ok, batch.times, batch.values) = Rows.decode(rows, header, frame);
        if (!ok) return state;
        batch.fields = frame.fields;
        batch.from = _firstFrom(batch.times, frame.start);
        batch.to = _firstFrom(batch.times, frame.end);
        batch.windowStart = frame.start;
        batch.gap = !first && header.seq != nextSeq;
        return bytes.concat(
            abi.encode(header.seq + 1, header.start + header.span),
            _fold(state[HEAD:], params, batch)
        );
    }

    /// @inheritdoc IMetric
    function finish(bytes calldata state, bytes calldata params, Frame calldata frame)
        external
        pure
        returns (int256)
    {
        return _finish(state[HEAD:], params, frame);
    }

    /// @dev How many words of state the metric has.
    function _wordCount() internal pure virtual returns (uint256);

    /// @dev The words after a batch.
    function _fold(bytes calldata words, bytes calldata params, Batch memory batch)
        internal
        pure
        virtual
        returns (bytes memory);

    /// @dev The value of the words after the last batch.
    function _finish(bytes calldata words, bytes calldata params, Frame calldata frame)
        internal
        pure
        virtual
        returns (int256);

    /// @dev Whether a row has any value that is not null.
    function _hasValue(Batch memory batch, uint256 row) internal pure returns (bool) {
        // Indexes below values.length, which is rows × fields.
        unchecked {
            uint256 end = (row + 1) * batch.fields;
            for (uint256 i = end - batch.fields; i < end; ++i) {
                if (Rows.valueAt(batch.values, i) != Rows.NULL) return true;
            }
        }
        return false;
    }

    function _checkField(uint256 field, uint8 fields) internal pure {
        if (field >= fields) revert InvalidMetricParams();
    }

    function _checkLength(bytes calldata params, uint256 length) internal pure {
        if (params.length != length) revert InvalidMetricParams();
    }

    /// @dev Index of the first row at or after a time.
    function _firstFrom(uint256[] memory times, uint256 time) private pure returns (uint256 low) {
        // There is at least one row, and indexes are below their number.
        unchecked {
            uint256 high = times.length;
            // Nearly all batches lie in one window.
            if (Rows.timeAt(times, 0) >= time) return 0;
            if (Rows.timeAt(times, high - 1) < time) return high;
            while (low < high) {
                uint256 middle = (low + high) >> 1;
                if (Rows.timeAt(times, middle) < time) low = middle + 1;
                else high = middle;
            }
        }
    }
}
