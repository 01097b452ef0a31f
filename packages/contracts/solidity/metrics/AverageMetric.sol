// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IMetric} from "../interfaces/IMetric.sol";
import {Metric} from "./Metric.sol";
import {Rows} from "./Rows.sol";

/// @title Average of one field, toward zero
/// @notice Params: `abi.encode(uint256 field)`. Words: `int256 sum, uint256 n, uint256 gap`. Leaving
/// data out could raise an average, so a gap in seq between the batches that count voids it: the value
/// is then 0, as it is without values.
contract AverageMetric is Metric {
    /// @inheritdoc IMetric
    function checkParams(bytes calldata params, uint8 fields) external pure {
        _checkLength(params, 32);
        _checkField(abi.decode(params, (uint256)), fields);
    }

    function _wordCount() internal pure override returns (uint256) {
        return 3;
    }

    function _fold(bytes calldata words, bytes calldata params, Batch memory batch)
        internal
        pure
        override
        returns (bytes memory)
    {
        (int256 sum, uint256 n, uint256 gap) = abi.decode(words, (int256, uint256, uint256));
        uint256 fields = batch.fields;
        if (batch.gap) gap = 1;
        // A window's values below 2^53 cannot overflow; a state that no fold has made may wrap.
        unchecked {
            uint256 end = batch.to * fields;
            uint256 i = batch.from * fields + abi.decode(params, (uint256));
            for (; i < end; i += fields) {
                int256 value = Rows.valueAt(batch.values, i);
                if (value == Rows.NULL) continue;
                sum += value;
                ++n;
            }
        }
        return abi.encode(sum, n, gap);
    }

    function _finish(bytes calldata words, bytes calldata, Frame calldata)
        internal
        pure
        override
        returns (int256)
    {
        (int256 sum, uint256 n, uint256 gap) = abi.decode(words, (int256, uint256, uint256));
        return n == 0 || gap != 0 ? int256(0) : sum / int256(n);
    }
}
