// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Metric} from "./Metric.sol";

/// @title Share of the window's intervals that have a row with any value, in millionths: uptime
/// @notice Params: `abi.encode(uint256 intervalMs)`. Intervals are counted from the start of the window; the last may be
/// shorter. Words: `uint256 lastInterval + 1, uint256 filled`.
contract CoverageMetric is Metric {
    function start() external pure returns (bytes memory) {
        return abi.encode(uint64(0), uint64(0), uint256(0), uint256(0));
    }

    function fold(
        bytes calldata state,
        Header calldata header,
        bytes calldata rows,
        bytes calldata params,
        Frame calldata frame
    ) external pure returns (bytes memory) {
        (bool ok,, uint256[] memory times, int256[] memory values) =
            _read(state, header, rows, frame);
        if (!ok) return state;
        (uint256 next, uint256 filled) = abi.decode(state[64:], (uint256, uint256));
        uint256 intervalMs = abi.decode(params, (uint256));
        // Not before the window's start, and one per row.
        unchecked {
            for (uint256 i; i < times.length; ++i) {
                uint256 time = times[i];
                if (!_inWindow(time, frame) || !_hasValue(values, i, frame.fields)) continue;
                uint256 interval = (time - frame.start) / intervalMs;
                // Time only goes forward, so an interval is new if it is not the last one.
                if (interval < next) continue;
                next = interval + 1;
                ++filled;
            }
        }
        (uint64 nextSeq, uint64 lastTime) = _after(header);
        return abi.encode(nextSeq, lastTime, next, filled);
    }

    function finish(bytes calldata state, bytes calldata params, Frame calldata frame)
        external
        pure
        returns (int256)
    {
        (, uint256 filled) = abi.decode(state[64:], (uint256, uint256));
        uint256 intervalMs = abi.decode(params, (uint256));
        uint256 intervals = (frame.end - frame.start + intervalMs - 1) / intervalMs;
        return int256(filled * 1_000_000 / intervals);
    }

    function checkParams(bytes calldata params, uint8) external pure {
        _checkLength(params, 32);
        uint256 intervalMs = abi.decode(params, (uint256));
        if (intervalMs == 0 || intervalMs >= LIMIT) revert InvalidMetricParams();
    }
}
