// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {LedgerProof} from "../../solidity/LedgerProof.sol";
import {DeployedP256Verifier} from "../../solidity/crypto/DeployedP256Verifier.sol";
import {BatchProof} from "../../solidity/evidence/BatchProof.sol";
import {CheckpointProof} from "../../solidity/evidence/CheckpointProof.sol";
import {LogProof} from "../../solidity/evidence/LogProof.sol";
import {TraceProof} from "../../solidity/evidence/TraceProof.sol";
import {IDisputes} from "../../solidity/interfaces/IDisputes.sol";
import {IMetric} from "../../solidity/interfaces/IMetric.sol";
import {Rows} from "../../solidity/metrics/Rows.sol";

/// @dev What disputes are decided with, each by itself, to be compared with TypeScript.
contract EvidenceHarness {
    DeployedP256Verifier private immutable _verifier = new DeployedP256Verifier();

    function encodeHeader(IDisputes.BatchHeader calldata header)
        external
        pure
        returns (bytes memory)
    {
        return BatchProof.encodeHeader(header);
    }

    function idOf(IDisputes.BatchEvidence calldata batch, address device, bytes32 networkId)
        external
        pure
        returns (bytes32)
    {
        return BatchProof.idOf(batch, device, networkId);
    }

    function isSignedBatch(
        IDisputes.BatchEvidence calldata batch,
        address device,
        bytes32 networkId
    ) external view returns (bool) {
        bytes32 id = BatchProof.idOf(batch, device, networkId);
        return BatchProof.isSigned(batch, device, id, _verifier);
    }

    function hasRecords(IDisputes.BatchHeader calldata header, bytes calldata records)
        external
        pure
        returns (bool)
    {
        return BatchProof.hasRecords(header, records);
    }

    function decodeRows(
        bytes calldata rows,
        IMetric.Header calldata header,
        IMetric.Frame calldata frame
    ) external pure returns (bool ok, uint256[] memory times, int256[] memory values) {
        (ok, times, values) = Rows.decode(rows, header, frame);
        if (!ok) return (false, new uint256[](0), new int256[](0));
    }

    function checkpointDigest(IDisputes.CheckpointEvidence calldata checkpoint, bytes32 networkId)
        external
        pure
        returns (bytes32)
    {
        return CheckpointProof.digest(checkpoint, networkId);
    }

    function isSignedCheckpoint(
        IDisputes.CheckpointEvidence calldata checkpoint,
        address logKey,
        bytes32 networkId
    ) external view returns (bool) {
        return CheckpointProof.isSigned(checkpoint, logKey, networkId, _verifier);
    }

    function verifyInclusion(
        bytes32 id,
        uint64 index,
        uint64 size,
        bytes32[] calldata proof,
        bytes32 root
    ) external view returns (bool) {
        return LogProof.verifyInclusion(id, index, size, proof, root);
    }

    function verifyConsistency(
        uint64 from,
        uint64 to,
        bytes32 fromRoot,
        bytes32 toRoot,
        bytes32[] calldata proof
    ) external view returns (bool) {
        return LogProof.verifyConsistency(from, to, fromRoot, toRoot, proof);
    }

    function verifyTrace(
        uint64 seq,
        bytes32 id,
        bytes calldata state,
        uint32 index,
        uint32 steps,
        bytes32[] calldata proof,
        bytes32 root
    ) external pure returns (bool) {
        bytes32 leaf = TraceProof.leaf(seq, id, keccak256(state));
        return TraceProof.verify(leaf, index, steps, proof, root);
    }

    function verifyEntry(
        IDisputes.EntryEvidence calldata entry,
        uint32 slot,
        uint256 depth,
        bytes32 root,
        uint128 total
    ) external pure returns (bool) {
        return LedgerProof.verifyEntry(entry, slot, depth, root, total);
    }

    function verifyNodes(
        bytes calldata nodes,
        uint8 height,
        uint32 index,
        bytes calldata siblings,
        uint256 depth,
        bytes32 root,
        uint128 total
    ) external pure returns (bool) {
        return LedgerProof.verifyNodes(nodes, height, index, siblings, depth, root, total);
    }
}
