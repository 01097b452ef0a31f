// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IMetric} from "../../solidity/interfaces/IMetric.sol";
import {DistanceMetric} from "../../solidity/metrics/DistanceMetric.sol";
import {Test} from "../base/Test.sol";

/// @dev What the formula comes to, and its bounds. That it agrees with TypeScript on any bytes is tested there.
contract DistanceMetricTest is Test {
    uint64 private constant START = 86_400_000;
    uint256 private constant FASTEST = (1 << 53) - 1;
    int256 private constant NULL = type(int256).min;

    struct Track {
        uint256 units;
        uint256 hasFix;
        int256 lat;
        int256 lon;
        uint256 time;
    }

    DistanceMetric private _metric;

    function setUp() public {
        _metric = new DistanceMetric();
    }

    /// @dev Units by an independent implementation in TypeScript.
    function test_segment_values() public view {
        _checkSegment(0, 0, 0, 0, 0);
        _checkSegment(0, 0, 0, 1, 256);
        _checkSegment(1, 1, 2, 2, 362);
        _checkSegment(0, 0, 0, 10_000_000, 2_560_000_000);
        _checkSegment(520_000_000, 130_000_000, 520_001_234, 130_005_678, 949_025);
        _checkSegment(600_000_000, 0, 609_000_000, 9_000_000, 2_568_964_758);
        _checkSegment(-337_654_321, 1_511_234_567, -337_654_000, 1_511_235_000, 123_468);
        // Over the antimeridian, beside the pole, and from the one to the other.
        _checkSegment(0, -1_799_999_990, 0, 1_799_999_990, 5120);
        _checkSegment(899_999_999, 0, 899_999_999, 1_800_000_000, 109_863);
        _checkSegment(-900_000_000, -1_800_000_000, 900_000_000, 1_800_000_000, 460_800_000_000);
    }

    /// @dev A degree of the equator is 111.2 km; metres are cut off once, at the end.
    function test_finish_metres() public view {
        assertEq(uint256(_finish(2_560_000_000)), 111_196, "a degree");
        assertEq(uint256(_finish(23_022)), 0, "below a metre");
        assertEq(uint256(_finish(23_023)), 1, "a metre");
    }

    /// @dev 32,000 units, 1,389,952,000 nm, in 1 ms: exactly as fast as allowed, or slightly faster.
    function test_maxSpeed() public view {
        int256[4] memory there = [int256(0), 0, 125, 0];
        assertEq(_fold(_start(), there, 1_389_952).units, 32_000, "as fast as allowed");
        Track memory track = _fold(_start(), there, 1_389_951);
        assertEq(track.units, 0, "faster");
        // A jump counts nothing, and the next segment begins at its end.
        assertEq(uint256(track.lat), 125, "last fix");
        assertEq(track.time, START + 1, "its time");
    }

    function test_rowsWithoutFix() public view {
        int256[2][6] memory none = [
            [NULL, int256(5)],
            [int256(5), NULL],
            [int256(900_000_001), 5],
            [int256(-900_000_001), 5],
            [int256(5), 1_800_000_001],
            [int256(5), -1_800_000_001]
        ];
        for (uint256 i = 0; i < 6; i++) {
            int256 lat = none[i][0];
            int256 lon = none[i][1];
            Track memory track = _fold(_start(), [int256(5), 5, lat, lon], FASTEST);
            assertEq(track.units, 0, "nowhere");
            assertEq(track.time, START, "the one before");
            track = _fold(_start(), [lat, lon, int256(5), 5], FASTEST);
            assertEq(track.units, 0, "from nowhere");
            assertEq(track.time, START + 1, "the one after");
            track = _fold(_start(), [lat, lon, lat, lon], FASTEST);
            assertEq(track.hasFix, 0, "none at all");
        }
    }

    /// @dev A track goes on from batch to batch.
    function test_batches() public view {
        bytes memory state = _foldState(_start(), [int256(0), 0, 0, 1], FASTEST, 0);
        state = _foldState(state, [int256(0), 2, 0, 3], FASTEST, 1);
        assertEq(_track(state).units, 3 * 256, "three steps");
    }

    function test_checkParams() public {
        _metric.checkParams(abi.encode(0, 1, 1), 2);
        _metric.checkParams(abi.encode(21, 3, FASTEST), 22);
        bytes[7] memory wrong = [
            abi.encode(0, 1, 0),
            abi.encode(0, 1, FASTEST + 1),
            abi.encode(1, 1, 5),
            abi.encode(0, 2, 5),
            abi.encode(2, 0, 5),
            abi.encode(0, 1),
            abi.encode(0, 1, 5, 0)
        ];
        for (uint256 i = 0; i < 7; i++) {
            vm.expectRevert(err(IMetric.InvalidMetricParams.selector));
            _metric.checkParams(wrong[i], 2);
        }
    }

    function _checkSegment(int256 lat1, int256 lon1, int256 lat2, int256 lon2, uint256 units)
        private
        view
    {
        assertEq(_fold(_start(), [lat1, lon1, lat2, lon2], FASTEST).units, units, "there");
        assertEq(_fold(_start(), [lat2, lon2, lat1, lon1], FASTEST).units, units, "and back");
        assertEq(_fold(_start(), [-lat1, lon1, -lat2, lon2], FASTEST).units, units, "south");
    }

    function _finish(uint256 units) private view returns (int256) {
        IMetric.Frame memory frame = IMetric.Frame(1, 2, 1, START, 2 * START);
        return _metric.finish(
            bytes.concat(abi.encode(1, START), abi.encode(units, 1, 0, 0, 0)),
            abi.encode(0, 1, 1),
            frame
        );
    }

    function _start() private view returns (bytes memory) {
        return _metric.start();
    }

    function _fold(bytes memory state, int256[4] memory fixes, uint256 maxSpeed)
        private
        view
        returns (Track memory)
    {
        return _track(_foldState(state, fixes, maxSpeed, 0));
    }

    /// @dev Two rows, 1 ms apart: (lat, lon) and (lat, lon).
    function _foldState(bytes memory state, int256[4] memory fixes, uint256 maxSpeed, uint64 seq)
        private
        view
        returns (bytes memory)
    {
        IMetric.Header memory header = IMetric.Header(1, seq, START + 2 * seq, 1, 2);
        bytes memory rows = bytes.concat(
            hex"828300",
            _item(fixes[0]),
            _item(fixes[1]),
            hex"8301",
            _item(fixes[2]),
            _item(fixes[3])
        );
        bytes memory next = _metric.fold(
            state,
            header,
            rows,
            abi.encode(0, 1, maxSpeed),
            IMetric.Frame(1, 2, 1, START, 2 * START)
        );
        assertTrue(keccak256(next) != keccak256(state), "folded");
        return next;
    }

    function _track(bytes memory state) private pure returns (Track memory track) {
        (,, track) = abi.decode(state, (uint64, uint64, Track));
    }

    function _item(int256 value) private pure returns (bytes memory) {
        if (value == NULL) return hex"f6";
        bytes1 major = value < 0 ? bytes1(0x20) : bytes1(0);
        uint256 argument = uint256(value < 0 ? -1 - value : value);
        if (argument < 24) return abi.encodePacked(major | bytes1(uint8(argument)));
        if (argument < 1 << 8) return abi.encodePacked(major | 0x18, uint8(argument));
        if (argument < 1 << 16) return abi.encodePacked(major | 0x19, uint16(argument));
        return abi.encodePacked(major | 0x1a, uint32(argument));
    }
}
