// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IMetric} from "../interfaces/IMetric.sol";
import {Metric} from "./Metric.sol";

/// @title Number of rows with any value
/// @notice No params. Words: `uint256 rows`.
contract CountMetric is Metric {
    /// @inheritdoc IMetric
    function checkParams(bytes calldata params, uint8) external pure {
        _checkLength(params, 0);
    }

    function _wordCount() internal pure override returns (uint256) {
        return 1;
    }

    function _fold(bytes calldata words, bytes calldata, Batch memory batch)
        internal
        pure
        override
        returns (bytes memory)
    {
        uint256 count = abi.decode(words, (uint256));
        // One per row.
        unchecked {
            for (uint256 row = batch.from; row < batch.to; ++row) {
                if (_hasValue(batch, row)) ++count;
            }
        }
        return abi.encode(count);
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
