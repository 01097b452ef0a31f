// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Metric} from "./Metric.sol";

/// @title Number of rows with any value
/// @notice No params. Words: `uint256 rows`.
contract CountMetric is Metric {
    function start() external pure returns (bytes memory) {
        return abi.encode(uint64(0), uint64(0), uint256(0));
    }

    function fold(
        bytes calldata state,
        Header calldata header,
        bytes calldata rows,
        bytes calldata,
        Frame calldata frame
    ) external pure returns (bytes memory) {
        (bool ok,, uint256[] memory times, int256[] memory values) =
            _read(state, header, rows, frame);
        if (!ok) return state;
        uint256 count = abi.decode(state[64:], (uint256));
        // One per row.
        unchecked {
            for (uint256 i; i < times.length; ++i) {
                if (_inWindow(times[i], frame) && _hasValue(values, i, frame.fields)) ++count;
            }
        }
        (uint64 nextSeq, uint64 lastTime) = _after(header);
        return abi.encode(nextSeq, lastTime, count);
    }

    function finish(bytes calldata state, bytes calldata, Frame calldata)
        external
        pure
        returns (int256)
    {
        return abi.decode(state[64:], (int256));
    }

    function checkParams(bytes calldata params, uint8) external pure {
        _checkLength(params, 0);
    }
}
