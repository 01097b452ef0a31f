// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {P256} from "@openzeppelin/contracts/utils/cryptography/P256.sol";

/// @title ECDSA over P-256 (secp256r1) by whatever the chain offers
/// @notice Three steps: the precompile at 0x100 (EIP-7951, RIP-7212), else IoTeX's at 0x8001, else
/// Solidity. Either form of s is accepted.
/// @dev All three are asked through one rule: only a precompile's own "yes" is a yes, and only a
/// "no" of a precompile that has just shown that it is there is a no. An address without a
/// precompile answers every call with success and nothing, and a call that ran out of its 63/64 of
/// the gas answers nothing either: neither is a verdict, so both fall through to the next step. If
/// the gas ends in the Solidity step, the whole call reverts. (The probe runs after the question
/// and therefore with less gas: if the probe had enough, the question had.)
/// The library is inlined where it is used and costs about 3 KB of code. A contract that has no room
/// (or wants no copy) calls {DeployedP256Verifier} by address instead.
library P256Verifier {
    /// @notice Whether (r, s) is a signature of `digest` by the key (x, y).
    /// @dev False on anything malformed: r or s zero or not below the order, a point off the curve.
    function verify(bytes32 digest, bytes32 r, bytes32 s, bytes32 x, bytes32 y)
        internal
        view
        returns (bool)
    {
        if (
            uint256(r) == 0 || uint256(r) >= P256.N || uint256(s) == 0 || uint256(s) >= P256.N
                || !P256.isValidPublicKey(x, y)
        ) return false;
        if (_eip7951(digest, r, s, x, y)) return true;
        // A valid signature with small r and s (Wycheproof, ecdsa_secp256r1_sha256_p1363, tcId 120):
        // whoever answers yes to it is a verifier, and its other answer was a no.
        if (_eip7951(PROBE_DIGEST, PROBE_R, PROBE_S, PROBE_X, PROBE_Y)) return false;
        (bool answered, bool valid) = _iotex(digest, r, s, x, y);
        if (answered && valid) return true;
        if (answered) {
            (answered, valid) = _iotex(PROBE_DIGEST, PROBE_R, PROBE_S, PROBE_X, PROBE_Y);
            if (answered && valid) return false;
        }
        if (uint256(s) > HALF_N) s = bytes32(P256.N - uint256(s)); // OpenZeppelin takes low s only
        return P256.verifySolidity(digest, r, s, x, y);
    }

    uint256 private constant HALF_N =
        0x7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8;

    bytes32 private constant PROBE_DIGEST =
        0xbb5a52f42f9c9261ed4361f59422a1e30036e7c32b270c8807a419feca605023;
    bytes32 private constant PROBE_R = bytes32(uint256(5));
    bytes32 private constant PROBE_S = bytes32(uint256(1));
    bytes32 private constant PROBE_X =
        0xa71af64de5126a4a4e02b7922d66ce9415ce88a4c9d25514d91082c8725ac957;
    bytes32 private constant PROBE_Y =
        0x5d47723c8fbe580bb369fec9c2665d8e30a435b9932645482e7c9f11e872296b;

    /// @dev 160 bytes in; 32 bytes with the value 1 back if valid, else nothing.
    function _eip7951(bytes32 digest, bytes32 r, bytes32 s, bytes32 x, bytes32 y)
        private
        view
        returns (bool valid)
    {
        assembly ("memory-safe") {
            let input := mload(0x40)
            mstore(input, digest)
            mstore(add(input, 0x20), r)
            mstore(add(input, 0x40), s)
            mstore(add(input, 0x60), x)
            mstore(add(input, 0x80), y)
            mstore(0, 0)
            let success := staticcall(gas(), 0x100, input, 0xa0, 0, 0x20)
            valid := and(and(success, eq(returndatasize(), 0x20)), eq(mload(0), 1))
        }
    }

    /// @dev 161 bytes in, digest‖r‖s‖04‖x‖y; one byte back, 01 or 00; the call fails on malformed input.
    function _iotex(bytes32 digest, bytes32 r, bytes32 s, bytes32 x, bytes32 y)
        private
        view
        returns (bool answered, bool valid)
    {
        assembly ("memory-safe") {
            let input := mload(0x40)
            mstore(input, digest)
            mstore(add(input, 0x20), r)
            mstore(add(input, 0x40), s)
            mstore8(add(input, 0x60), 4)
            mstore(add(input, 0x61), x)
            mstore(add(input, 0x81), y)
            mstore(0, 0)
            let success := staticcall(gas(), 0x8001, input, 0xa1, 0, 0x20)
            answered := and(success, eq(returndatasize(), 1))
            valid := and(answered, eq(byte(0, mload(0)), 1))
        }
    }
}
