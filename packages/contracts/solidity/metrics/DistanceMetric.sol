// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IMetric} from "../interfaces/IMetric.sol";
import {Metric} from "./Metric.sol";
import {Rows} from "./Rows.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title Way between the fixes of a track, in whole metres, without jumps faster than a speed
/// @notice Params: `abi.encode(uint256 latitude, uint256 longitude, uint256 maxSpeed)`: two fields whose values are
/// degrees × 10^7, and mm/s. Words: `uint256 units, uint256 hasFix, int256 lat, int256 lon, uint256 time` of the last fix.
/// @dev A unit is 10^-7 degree of a great circle / 256, taken as 43,436 nm. Integers only: the TypeScript twin gives the
/// same to the bit. Within 0.1 % of haversine for segments up to 100 km below 80 degrees of latitude; not for the poles.
contract DistanceMetric is Metric {
    /// @dev Where the track was last, and how long it is.
    struct Track {
        uint256 units;
        uint256 hasFix;
        int256 lat;
        int256 lon;
        uint256 time;
    }

    struct Params {
        uint256 latitude;
        uint256 longitude;
        uint256 maxSpeed;
    }

    uint256 private constant NM_PER_UNIT = 43_436;
    uint256 private constant NM_PER_METRE = 1_000_000_000;
    /// @dev 90 and 180 degrees.
    int256 private constant MAX_LATITUDE = 900_000_000;
    int256 private constant MAX_LONGITUDE = 1_800_000_000;
    uint256 private constant HALF_TURN = 1_800_000_000;
    /// @dev 1 with 22 binary places.
    uint256 private constant ONE = 1 << 22;

    /// @inheritdoc IMetric
    function checkParams(bytes calldata params, uint8 fields) external pure {
        _checkLength(params, 96);
        Params memory p = abi.decode(params, (Params));
        _checkField(p.latitude, fields);
        _checkField(p.longitude, fields);
        if (p.latitude == p.longitude || p.maxSpeed == 0 || p.maxSpeed >= LIMIT) {
            revert InvalidMetricParams();
        }
    }

    function _wordCount() internal pure override returns (uint256) {
        return 5;
    }

    function _fold(bytes calldata words, bytes calldata params, Batch memory batch)
        internal
        pure
        override
        returns (bytes memory)
    {
        Track memory track = abi.decode(words, (Track));
        Params memory p = abi.decode(params, (Params));
        // Indexes below values.length, which is rows × fields: the parameters were checked for this many.
        unchecked {
            uint256 end = batch.to * batch.fields;
            uint256 row = batch.from;
            for (uint256 i = row * batch.fields; i < end; i += batch.fields) {
                _step(
                    track,
                    Rows.valueAt(batch.values, i + p.latitude),
                    Rows.valueAt(batch.values, i + p.longitude),
                    Rows.timeAt(batch.times, row++),
                    p.maxSpeed
                );
            }
        }
        return abi.encode(track);
    }

    function _finish(bytes calldata words, bytes calldata, Frame calldata)
        internal
        pure
        override
        returns (int256)
    {
        uint256 units = abi.decode(words, (Track)).units;
        return int256(units * NM_PER_UNIT / NM_PER_METRE);
    }

    /// @dev Goes on to a fix. A row without one (null is far below any latitude) is passed over; a segment faster than
    /// maxSpeed counts nothing, and the next one begins at its end.
    function _step(Track memory track, int256 lat, int256 lon, uint256 time, uint256 maxSpeed)
        private
        pure
    {
        if (lat < -MAX_LATITUDE || lat > MAX_LATITUDE) return;
        if (lon < -MAX_LONGITUDE || lon > MAX_LONGITUDE) return;
        // A segment is below 2^39 units; speed and time are below 2^53; mm/s × ms × 1000 = nm.
        unchecked {
            if (track.hasFix != 0) {
                uint256 units = _segment(track.lat, track.lon, lat, lon);
                if (units * NM_PER_UNIT <= maxSpeed * (time - track.time) * 1000) {
                    track.units += units;
                }
            }
        }
        track.hasFix = 1;
        track.lat = lat;
        track.lon = lon;
        track.time = time;
    }

    /// @dev Units between two fixes: Pythagoras with the longitudes shortened by the cosine of the mean latitude, and
    /// the short way around the antimeridian. Unchecked: for fixes within their bounds, all is below 2^80.
    function _segment(int256 lat1, int256 lon1, int256 lat2, int256 lon2)
        private
        pure
        returns (uint256)
    {
        unchecked {
            uint256 dLon = _abs(lon2 - lon1);
            if (dLon > HALF_TURN) dLon = 2 * HALF_TURN - dLon;
            uint256 x = (dLon * _cosine(_abs(lat1 + lat2)) + 8192) >> 14;
            uint256 y = _abs(lat2 - lat1) << 8;
            return Math.sqrt(x * x + y * y);
        }
    }

    /// @dev Of the mean of two latitudes, from the absolute sum of both (at most 180 degrees), with 22 binary places: a
    /// polynomial in the square of mean / 90 degrees, that is exactly zero at the pole. Unchecked: each subtrahend is
    /// smaller, each product below 2^54.
    function _cosine(uint256 sum) private pure returns (uint256) {
        unchecked {
            uint256 q = (sum << 22) / HALF_TURN;
            uint256 z = (q * q) >> 22;
            uint256 p = ONE - ((z * (980_186 - ((z * (83_630 - ((z * 3550) >> 22))) >> 22))) >> 22);
            return ((ONE - z) * p) >> 22;
        }
    }

    function _abs(int256 value) private pure returns (uint256) {
        unchecked {
            return uint256(value < 0 ? -value : value);
        }
    }
}
