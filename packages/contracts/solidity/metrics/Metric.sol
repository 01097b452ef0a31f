// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IMetric} from "../interfaces/IMetric.sol";
import {Rows} from "./Rows.sol";

/// @title What all metrics share: which batches count, and where their rows lie
abstract contract Metric is IMetric {
    /// @dev Parameters are integers that TypeScript keeps in a number.
    uint256 internal constant LIMIT = 1 << 53;

    /// @dev The rows of a batch that counts; `ok` is false if the batch folds to itself. `nextSeq` is that of the state
    /// before, zero if this is the first batch that counts.
    function _read(
        bytes calldata state,
        Header calldata header,
        bytes calldata rows,
        Frame calldata frame
    )
        internal
        pure
        returns (bool ok, uint256 nextSeq, uint256[] memory times, int256[] memory values)
    {
        uint256 lastTime;
        (nextSeq, lastTime) = abi.decode(state[:64], (uint64, uint64));
        if (header.schema == frame.schema && header.seq < LIMIT) {
            if (nextSeq == 0 || (header.seq >= nextSeq && header.start > lastTime)) {
                (ok, times, values) = Rows.decode(rows, header, frame);
            }
        }
    }

    /// @dev The two words every state begins with, after a batch.
    function _after(Header calldata header)
        internal
        pure
        returns (uint64 nextSeq, uint64 lastTime)
    {
        // Both below 2^53, or the batch would not have counted.
        unchecked {
            return (header.seq + 1, header.start + header.span);
        }
    }

    function _inWindow(uint256 time, Frame calldata frame) internal pure returns (bool) {
        return time >= frame.start && time < frame.end;
    }

    /// @dev Whether any of the values of a row is not null.
    function _hasValue(int256[] memory values, uint256 row, uint256 fields)
        internal
        pure
        returns (bool)
    {
        // The index is below values.length, which is rows × fields.
        unchecked {
            uint256 stop = (row + 1) * fields;
            for (uint256 i = row * fields; i < stop; ++i) {
                if (values[i] != Rows.NULL) return true;
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
}
