// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IMetric} from "../solidity/interfaces/IMetric.sol";
import {AverageMetric} from "../solidity/metrics/AverageMetric.sol";
import {CountMetric} from "../solidity/metrics/CountMetric.sol";
import {CoverageMetric} from "../solidity/metrics/CoverageMetric.sol";
import {SumMetric} from "../solidity/metrics/SumMetric.sol";
import {Test} from "./base/Test.sol";

/// @dev What a header can say and TypeScript cannot: numbers of 2^53 and more. That the folds agree on all
/// else is tested against TypeScript.
contract MetricsTest is Test {
    uint64 private constant LIMIT = 1 << 53;
    uint64 private constant START = 86_400_000;

    IMetric[4] private _metrics;
    bytes[4] private _params;

    function setUp() public {
        _metrics[0] = new SumMetric();
        _metrics[1] = new CountMetric();
        _metrics[2] = new AverageMetric();
        _metrics[3] = new CoverageMetric();
        _params[0] = abi.encode(uint256(0), -int256(5), int256(900));
        _params[2] = abi.encode(uint256(0));
        _params[3] = abi.encode(uint256(60_000));
    }

    /// @dev Nothing reverts, and a state stays as it was unless the batch can be read.
    function testFuzz_fold_isTotal(uint256 seed, bytes calldata noise, uint8 fields) public view {
        IMetric.Frame memory frame = IMetric.Frame(1, 1, 1000, START, 2 * START);
        // Two rows of one value.
        bytes memory rows = hex"8282000582013903e7";
        IMetric.Header memory header;
        header.schema = 1;
        header.seq = _pick(seed, 0, 7);
        header.start = _pick(seed, 1, START + 5);
        header.span = _pick(seed, 2, 1000);
        header.count = _pick(seed, 3, 2);
        uint256 kind = seed % 4;
        if (kind == 1) frame.fields = fields;
        else if (kind == 2) rows = noise;
        else if (kind == 3) rows[(seed >> 8) % rows.length] = bytes1(fields);
        for (uint256 i = 0; i < 4; i++) {
            _check(i, header, rows, frame, kind == 0);
        }
    }

    function _check(
        uint256 i,
        IMetric.Header memory header,
        bytes memory rows,
        IMetric.Frame memory frame,
        bool untouched
    ) private view {
        bytes memory state = _metrics[i].start();
        bytes memory next = _fold(i, state, header, rows, frame);
        assertEq(next.length, state.length, "length");
        bool changed = keccak256(next) != keccak256(state);
        bool readable = untouched && header.seq < LIMIT && header.start < LIMIT - 1000
            && header.span == 1000 && header.count == 2;
        assertTrue(!readable || changed, "read");
        bool tooLarge = header.seq >= LIMIT || header.start >= LIMIT || header.span >= LIMIT
            || header.count > rows.length;
        assertTrue(!tooLarge || !changed, "ignored");
        _metrics[i].finish(next, _params[i], frame);
        // Once more: it begins before the last one ended.
        if (!changed) return;
        state = _fold(i, next, header, rows, frame);
        assertEq(keccak256(state), keccak256(next), "not twice");
    }

    function _fold(
        uint256 i,
        bytes memory state,
        IMetric.Header memory header,
        bytes memory rows,
        IMetric.Frame memory frame
    ) private view returns (bytes memory) {
        return _metrics[i].fold(state, header, rows, _params[i], frame);
    }

    /// @dev Mostly what fits, else what is at a border or beyond.
    function _pick(uint256 seed, uint256 index, uint64 fits) private pure returns (uint64) {
        uint256 random = uint256(keccak256(abi.encode(seed, index)));
        uint64[6] memory borders =
            [0, LIMIT - 1, LIMIT, type(uint32).max, type(uint64).max, type(uint64).max - 1000];
        return random % 3 > 0 ? fits : borders[(random >> 8) % 6];
    }
}
