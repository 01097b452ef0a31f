// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {DeployedP256Verifier} from "../crypto/DeployedP256Verifier.sol";
import {IDeviceRegistry} from "../interfaces/IDeviceRegistry.sol";
import {IDisputes} from "../interfaces/IDisputes.sol";
import {Cbor} from "./Cbor.sol";

/// @title What a device signed, rebuilt from its parts
/// @notice A batch's bytes follow from its header, algorithm, device and network, so evidence brings only these: what is
/// not in the one encoding cannot be shown, and was never accepted by a node.
library BatchProof {
    /// @notice No reader of the wire format accepts a header with these numbers, or with a commitment of this length.
    error InvalidHeader(uint64 seq);

    /// @notice The most bytes the records of a batch can have in the wire format.
    uint256 internal constant MAX_RECORDS_BYTES = 65_535;

    /// @notice The batch's entry in the log, SHA-256 of the Sig_structure of RFC 9052 §4.4, which is also what its device
    /// signed. Reverts with `InvalidHeader` on a header that no reader of the wire format accepts.
    function idOf(IDisputes.BatchEvidence calldata batch, address device, bytes32 networkId)
        internal
        pure
        returns (bytes32)
    {
        bytes memory header = encodeHeader(batch.header);
        // Array of 4, text of 10, then {1: alg, 4: kid} in a byte string of 25 or 26 bytes.
        bytes memory head = batch.algorithm == IDeviceRegistry.Algorithm.ES256
            ? bytes(hex"846a5369676e6174757265315819a201260454")
            : bytes(hex"846a5369676e617475726531581aa201382e0454");
        return sha256(
            abi.encodePacked(
                head,
                device,
                hex"5820",
                networkId,
                hex"58", // a header has 42 to 115 bytes
                uint8(header.length),
                header
            )
        );
    }

    /// @notice The canonical bytes of a header. Reverts with `InvalidHeader` where they would not be one.
    function encodeHeader(IDisputes.BatchHeader calldata header)
        internal
        pure
        returns (bytes memory)
    {
        if (
            header.schema >= Cbor.LIMIT || header.seq >= Cbor.LIMIT || header.count >= Cbor.LIMIT
                || header.count == 0 || uint256(header.start) + header.span >= Cbor.LIMIT
                || (header.commitment.length != 0 && header.commitment.length != 32)
        ) revert InvalidHeader(header.seq);
        bytes memory numbers = bytes.concat(
            Cbor.encodeUint(header.schema),
            Cbor.encodeUint(header.seq),
            Cbor.encodeUint(header.start),
            Cbor.encodeUint(header.span),
            Cbor.encodeUint(header.count)
        );
        // Array of 8, version 1; null, or a byte string of 32.
        bytes memory commitment = header.commitment.length == 0
            ? bytes(hex"f6")
            : bytes.concat(hex"5820", header.commitment);
        return bytes.concat(hex"8801", numbers, hex"5820", header.recordsHash, commitment);
    }

    /// @notice Whether these are the records of a header: what it hashes, and not more than a batch can have.
    function hasRecords(IDisputes.BatchHeader calldata header, bytes calldata records)
        internal
        pure
        returns (bool)
    {
        return records.length <= MAX_RECORDS_BYTES && sha256(records) == header.recordsHash;
    }

    /// @notice Whether the key is the device's and signed the batch with this id. Either form of s will do.
    /// @dev A call of the verifier that fails reverts: it is no verdict.
    function isSigned(
        IDisputes.BatchEvidence calldata batch,
        address device,
        bytes32 id,
        DeployedP256Verifier verifier
    ) internal view returns (bool) {
        (bytes32 x, bytes32 y, bytes32 r, bytes32 s) = (batch.x, batch.y, batch.r, batch.s);
        if (address(uint160(uint256(keccak256(abi.encodePacked(x, y))))) != device) return false;
        if (batch.algorithm == IDeviceRegistry.Algorithm.ES256) {
            return verifier.verify(id, r, s, x, y);
        }
        // 64-byte signatures carry no v. What is recovered is the hash of the key that signed, as the device is, and
        // zero on failure, which no device is.
        if (device == address(0)) return false;
        return ecrecover(id, 27, r, s) == device || ecrecover(id, 28, r, s) == device;
    }
}
