// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IMetric} from "../interfaces/IMetric.sol";
import {Metric} from "./Metric.sol";
import {Rows} from "./Rows.sol";

/// @title Sum of one field
/// @notice Params: `abi.encode(uint256 field, int256 min, int256 max)`; a value outside the bounds, or
/// null, counts 0. Words: `int256 sum`.
contract SumMetric is Metric {
    /// @inheritdoc IMetric
    function checkParams(bytes calldata params, uint8 fields) external pure {
        _checkLength(params, 96);
        (uint256 field, int256 min, int256 max) = abi.decode(params, (uint256, int256, int256));
        _checkField(field, fields);
        if (min > max || min <= -int256(LIMIT) || max >= int256(LIMIT)) {
            revert InvalidMetricParams();
        }
    }

    function _wordCount() internal pure override returns (uint256) {
        return 1;
    }

    function _fold(bytes calldata words, bytes calldata params, Batch memory batch)
        internal
        pure
        override
        returns (bytes memory)
    {
        int256 sum = abi.decode(words, (int256));
        (uint256 field, int256 min, int256 max) = abi.decode(params, (uint256, int256, int256));
        uint256 fields = batch.fields;
        // A window's values below 2^53 cannot overflow; a state that no fold has made may wrap.
        unchecked {
            uint256 end = batch.to * fields;
            for (uint256 i = batch.from * fields + field; i < end; i += fields) {
                // Null is below every bound.
                int256 value = Rows.valueAt(batch.values, i);
                if (value >= min && value <= max) sum += value;
            }
        }
        return abi.encode(sum);
    }

    function _finish(bytes calldata words, bytes calldata, Frame calldata)
        internal
        pure
        override
        returns (int256)
    {
        return abi.decode(words, (int256));
    }
}
