// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {DeployedP256Verifier} from "../crypto/DeployedP256Verifier.sol";
import {IDisputes} from "../interfaces/IDisputes.sol";
import {Cbor} from "./Cbor.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";

/// @title What an operator's log key signed about its log, rebuilt from its parts
library CheckpointProof {
    /// @notice No checkpoint has this size or time.
    error InvalidCheckpoint(uint64 size, uint64 time);

    /// @notice SHA-256 of the Sig_structure of RFC 9052 §4.4 of a checkpoint. Reverts with `InvalidCheckpoint` where the
    /// size is not below 2^53, or the time in milliseconds is not.
    function digest(IDisputes.CheckpointEvidence calldata checkpoint, bytes32 networkId)
        internal
        pure
        returns (bytes32)
    {
        (uint64 size, uint64 time) = (checkpoint.size, checkpoint.time);
        if (size >= Cbor.LIMIT || uint256(time) * 1000 >= Cbor.LIMIT) {
            revert InvalidCheckpoint(size, time);
        }
        bytes memory header = abi.encodePacked(
            hex"a701260454", // 1: ES256, 4:
            keyAddress(checkpoint),
            hex"19018b010fa201782a", // 395: RFC9162_SHA256, 15: {1: text of 42
            Strings.toHexString(checkpoint.operator), // in lower case
            hex"06",
            Cbor.encodeUint(time),
            hex"3a000100005820", // -65537:
            networkId,
            hex"3a00010001", // -65538:
            Cbor.encodeUint(checkpoint.shard),
            hex"3a00010002", // -65539:
            Cbor.encodeUint(size)
        );
        return sha256(
            abi.encodePacked(
                hex"846a", // array of 4, text of 10
                "Signature1",
                hex"58", // the header has 129 to 149 bytes
                uint8(header.length),
                header,
                hex"405820", // no external data; the payload
                checkpoint.root
            )
        );
    }

    /// @notice Whether the key is the operator's log key and signed the checkpoint. Either form of s will do.
    /// @dev A call of the verifier that fails reverts: it is no verdict.
    function isSigned(
        IDisputes.CheckpointEvidence calldata checkpoint,
        address logKey,
        bytes32 networkId,
        DeployedP256Verifier verifier
    ) internal view returns (bool) {
        if (keyAddress(checkpoint) != logKey) return false;
        return verifier.verify(
            digest(checkpoint, networkId), checkpoint.r, checkpoint.s, checkpoint.x, checkpoint.y
        );
    }

    /// @notice Address of the key that is said to have signed.
    function keyAddress(IDisputes.CheckpointEvidence calldata checkpoint)
        internal
        pure
        returns (address)
    {
        return address(uint160(uint256(keccak256(abi.encodePacked(checkpoint.x, checkpoint.y)))));
    }
}
