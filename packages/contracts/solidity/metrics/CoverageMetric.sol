// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IMetric} from "../interfaces/IMetric.sol";
import {Metric} from "./Metric.sol";
import {Rows} from "./Rows.sol";

/// @title Share of the window's intervals that have a row with any value, in millionths: uptime
/// @notice Params: `abi.encode(uint256 intervalMs)`. Intervals are counted from the start of the window;
/// the last may be cut short by its end. Words: `uint256 lastInterval + 1, uint256 filled`.
contract CoverageMetric is Metric {
    /// @inheritdoc IMetric
    function checkParams(bytes calldata params, uint8) external pure {
        _checkLength(params, 32);
        uint256 intervalMs = abi.decode(params, (uint256));
        if (intervalMs == 0 || intervalMs >= LIMIT) revert InvalidMetricParams();
    }

    function _wordCount() internal pure override returns (uint256) {
        return 2;
    }

    function _fold(bytes calldata words, bytes calldata params, Batch memory batch)
        internal
        pure
        override
        returns (bytes memory)
    {
        (uint256 next, uint256 filled) = abi.decode(words, (uint256, uint256));
        uint256 intervalMs = abi.decode(params, (uint256));
        // Not before the window's start, and at most one per row.
        unchecked {
            for (uint256 row = batch.from; row < batch.to; ++row) {
                uint256 interval = (Rows.timeAt(batch.times, row) - batch.windowStart) / intervalMs;
                // Time only goes forward, so an interval is new if it is not the last one.
                if (interval < next || !_hasValue(batch, row)) continue;
                next = interval + 1;
                ++filled;
            }
        }
        return abi.encode(next, filled);
    }

    function _finish(bytes calldata words, bytes calldata params, Frame calldata frame)
        internal
        pure
        override
        returns (int256)
    {
        (, uint256 filled) = abi.decode(words, (uint256, uint256));
        uint256 intervalMs = abi.decode(params, (uint256));
        uint256 intervals = (frame.end - frame.start + intervalMs - 1) / intervalMs;
        return int256(filled * 1_000_000 / intervals);
    }
}
