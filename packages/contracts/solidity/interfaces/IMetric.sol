// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title A deterministic fold over a device's batches in a window
/// @notice A state is `abi.encode(uint64 nextSeq, uint64 lastTime, words…)`, all zero at the start. `fold` is total:
/// a batch of another schema, with a seq below nextSeq, that starts at or before lastTime (both unless it is the
/// first), or with malformed rows leaves every bit of the state as it was.
interface IMetric {
    /// @notice The fields of a signed header that a fold needs. Times in Unix milliseconds.
    struct Header {
        uint64 schema;
        uint64 seq;
        uint64 start;
        uint64 span;
        uint64 count;
    }

    /// @notice What is the same for all batches of a claim.
    /// @param schema The schema the network's configuration names.
    /// @param fields How many values a row has.
    /// @param tickMs Length of the schema's tick, in milliseconds.
    /// @param start Of the window, in Unix milliseconds, included.
    /// @param end Of the window, in Unix milliseconds, not included.
    struct Frame {
        uint64 schema;
        uint8 fields;
        uint32 tickMs;
        uint64 start;
        uint64 end;
    }

    error InvalidMetricParams();

    /// @notice The state before the first batch.
    function start() external pure returns (bytes memory state);

    /// @notice The state after one more batch.
    /// @param rows The records bytes, whose SHA-256 the device signed.
    function fold(
        bytes calldata state,
        Header calldata header,
        bytes calldata rows,
        bytes calldata params,
        Frame calldata frame
    ) external pure returns (bytes memory newState);

    /// @notice The value of the claim, once all batches are folded.
    function finish(bytes calldata state, bytes calldata params, Frame calldata frame)
        external
        pure
        returns (int256 value);

    /// @notice Reverts with `InvalidMetricParams` unless the parameters fit a schema of that many fields.
    function checkParams(bytes calldata params, uint8 fields) external pure;
}
