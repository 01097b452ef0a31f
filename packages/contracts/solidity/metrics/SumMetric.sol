// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Metric} from "./Metric.sol";

/// @title Sum of one field
/// @notice Params: `abi.encode(uint256 field, int256 min, int256 max)`; a value outside the bounds, or null, counts 0.
/// Words: `int256 sum`.
contract SumMetric is Metric {
    function start() external pure returns (bytes memory) {
        return abi.encode(uint64(0), uint64(0), int256(0));
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
        int256 sum = abi.decode(state[64:], (int256));
        (uint256 field, int256 min, int256 max) = abi.decode(params, (uint256, int256, int256));
        uint256 fields = frame.fields;
        // A window's worth of values below 2^53 cannot overflow, and a state that no fold made may wrap.
        unchecked {
            for (uint256 i; i < times.length; ++i) {
                if (!_inWindow(times[i], frame)) continue;
                int256 value = values[i * fields + field];
                if (value >= min && value <= max) sum += value;
            }
        }
        (uint64 nextSeq, uint64 lastTime) = _after(header);
        return abi.encode(nextSeq, lastTime, sum);
    }

    function finish(bytes calldata state, bytes calldata, Frame calldata)
        external
        pure
        returns (int256)
    {
        return abi.decode(state[64:], (int256));
    }

    function checkParams(bytes calldata params, uint8 fields) external pure {
        _checkLength(params, 96);
        (uint256 field, int256 min, int256 max) = abi.decode(params, (uint256, int256, int256));
        _checkField(field, fields);
        if (min > max || min <= -int256(LIMIT) || max >= int256(LIMIT)) {
            revert InvalidMetricParams();
        }
    }
}
