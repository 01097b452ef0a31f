// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Metric} from "./Metric.sol";
import {Rows} from "./Rows.sol";

/// @title Average of one field, toward zero
/// @notice Params: `abi.encode(uint256 field)`. Words: `int256 sum, uint256 n, uint256 gap`. Leaving data out could
/// raise an average, so a gap in seq between the batches that count voids it: the value is then 0, as without values.
contract AverageMetric is Metric {
    function start() external pure returns (bytes memory) {
        return abi.encode(uint64(0), uint64(0), int256(0), uint256(0), uint256(0));
    }

    function fold(
        bytes calldata state,
        Header calldata header,
        bytes calldata rows,
        bytes calldata params,
        Frame calldata frame
    ) external pure returns (bytes memory) {
        (bool ok, uint256 seq, uint256[] memory times, int256[] memory values) =
            _read(state, header, rows, frame);
        if (!ok) return state;
        (int256 sum, uint256 n, uint256 gap) = abi.decode(state[64:], (int256, uint256, uint256));
        if (seq != 0 && header.seq != seq) gap = 1;
        uint256 field = abi.decode(params, (uint256));
        uint256 fields = frame.fields;
        // A window's worth of values below 2^53 cannot overflow, and a state that no fold made may wrap.
        unchecked {
            for (uint256 i; i < times.length; ++i) {
                if (!_inWindow(times[i], frame)) continue;
                int256 value = values[i * fields + field];
                if (value == Rows.NULL) continue;
                sum += value;
                ++n;
            }
        }
        (uint64 nextSeq, uint64 lastTime) = _after(header);
        return abi.encode(nextSeq, lastTime, sum, n, gap);
    }

    function finish(bytes calldata state, bytes calldata, Frame calldata)
        external
        pure
        returns (int256)
    {
        (int256 sum, uint256 n, uint256 gap) = abi.decode(state[64:], (int256, uint256, uint256));
        return n == 0 || gap != 0 ? int256(0) : sum / int256(n);
    }

    function checkParams(bytes calldata params, uint8 fields) external pure {
        _checkLength(params, 32);
        _checkField(abi.decode(params, (uint256)), fields);
    }
}
