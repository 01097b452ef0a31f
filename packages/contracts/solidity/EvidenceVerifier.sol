// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {LedgerProof} from "./LedgerProof.sol";
import {DeployedP256Verifier} from "./crypto/DeployedP256Verifier.sol";
import {BatchProof} from "./evidence/BatchProof.sol";
import {CheckpointProof} from "./evidence/CheckpointProof.sol";
import {LogProof} from "./evidence/LogProof.sol";
import {TraceProof} from "./evidence/TraceProof.sol";
import {IDisputes} from "./interfaces/IDisputes.sol";
import {IMetric} from "./interfaces/IMetric.sol";
import {IRewardPolicy} from "./interfaces/IRewardPolicy.sol";
import {ISettlement} from "./interfaces/ISettlement.sol";

/// @title What is true of a posted epoch
/// @notice Without state, so that disputes have to know only who, when and how much. Whether an epoch is
/// the posted one, and what a membership says, is the caller's to know. Every function reverts with an
/// error of {IDisputes} unless all was shown.
/// @dev Call it plainly: a call of a verifier, a metric or a policy that fails is no verdict.
contract EvidenceVerifier {
    /// @notice An epoch.
    struct Target {
        bytes32 networkId;
        uint32 windowSeconds;
        uint32 window;
        ISettlement.Epoch posted;
    }

    DeployedP256Verifier private immutable _p256Verifier = new DeployedP256Verifier();

    // Claims

    /// @notice Checks that the trace of an entry has no such step; and without steps, the value.
    /// @param paid Whether the window pays the device of the entry.
    function checkEntry(
        Target calldata target,
        uint32 slot,
        uint32 step,
        IDisputes.EpochEvidence calldata epoch,
        IDisputes.EntryEvidence calldata entry,
        bool paid
    ) external pure {
        checkEpoch(target, epoch);
        _checkSlot(target, slot, entry);
        if (step < entry.steps) revert IDisputes.StepExists(step, entry.steps);
        // With steps there is one to challenge; without, nothing else shows the value.
        if (entry.device == address(0) || entry.steps > 0) return;
        if (entry.traceRoot != 0) revert IDisputes.WrongTraceRoot(entry.traceRoot);
        int256 value = 0;
        if (paid) {
            ISettlement.Config memory config = _config(epoch);
            IMetric metric = IMetric(config.metric);
            value = metric.finish(metric.start(), config.metricParams, _frame(target, config));
        }
        if (entry.value != value) revert IDisputes.WrongValue(entry.value, value);
    }

    /// @notice Checks one step of the trace of an entry; returns what its leaf has beside the seq.
    function checkStep(
        Target calldata target,
        uint32 slot,
        uint32 step,
        IDisputes.EpochEvidence calldata epoch,
        IDisputes.EntryEvidence calldata entry,
        IDisputes.StepEvidence calldata evidence
    ) external view returns (bytes32 batchId, bytes32 stateHash) {
        checkEpoch(target, epoch);
        _checkSlot(target, slot, entry);
        if (step >= entry.steps) revert IDisputes.NoSuchStep(step, entry.steps);
        ISettlement.Config memory config = _config(epoch);
        IMetric.Frame memory frame = _frame(target, config);
        batchId = checkBatch(target.networkId, evidence.batch, entry.device);
        IDisputes.BatchHeader calldata header = evidence.batch.header;
        _checkCounts(target, frame, header);
        _checkInclusion(epoch, evidence.inclusion, batchId);
        if (!BatchProof.hasRecords(header, evidence.rows)) {
            revert IDisputes.WrongRows(header.recordsHash);
        }
        bytes memory state = IMetric(config.metric)
            .fold(
                _stateBefore(config, entry, step, evidence),
                IMetric.Header(header.schema, header.seq, header.start, header.span, header.count),
                evidence.rows,
                config.metricParams,
                frame
            );
        stateHash = keccak256(state);
        bytes32 leaf = TraceProof.leaf(header.seq, batchId, stateHash);
        _checkLeaf(entry, step, leaf, evidence.proof);
        if (step == entry.steps - 1) {
            int256 value = IMetric(config.metric).finish(state, config.metricParams, frame);
            if (entry.value != value) revert IDisputes.WrongValue(entry.value, value);
        }
    }

    /// @notice Checks an entry against the one before: that of the parent, or an empty slot.
    /// @param parent Attempt 0 if the network has no epoch before.
    /// @param paid Whether the window pays `device`, the slot's member.
    function checkCarry(
        Target calldata target,
        ISettlement.Epoch calldata parent,
        uint32 slot,
        address device,
        IDisputes.EpochEvidence calldata epoch,
        IDisputes.EntryEvidence calldata entry,
        IDisputes.EntryEvidence calldata before,
        bool paid
    ) external pure {
        checkEpoch(target, epoch);
        _checkSlot(target, slot, entry);
        (address deviceBefore, uint128 cumulativeBefore) = _entryBefore(parent, slot, before);
        if (!paid) {
            // Whatever was there before: an operator need not answer for a parent that is final.
            if (
                entry.device != deviceBefore || entry.cumulative != cumulativeBefore
                    || entry.value != 0 || entry.steps != 0 || entry.traceRoot != 0
            ) revert IDisputes.NotCarried(slot);
            return;
        }
        if (entry.device != device) revert IDisputes.WrongDevice(entry.device, device);
        ISettlement.Config memory config = _config(epoch);
        uint256 cumulative = uint256(cumulativeBefore)
            + IRewardPolicy(config.policy).reward(entry.value, config.policyParams);
        if (entry.cumulative != cumulative) {
            revert IDisputes.WrongCumulative(entry.cumulative, cumulative);
        }
    }

    /// @notice Checks that the trace of a device's entry has a batch, or one with its seq that is earlier.
    function checkTraced(
        Target calldata target,
        uint32 slot,
        IDisputes.OmissionPoint calldata point,
        IDisputes.EpochEvidence calldata epoch,
        IDisputes.EntryEvidence calldata entry,
        IDisputes.OmissionEvidence calldata evidence
    ) external view {
        checkEpoch(target, epoch);
        _checkSlot(target, slot, entry);
        if (entry.device != point.device) {
            revert IDisputes.WrongDevice(entry.device, point.device);
        }
        bytes32 leaf = TraceProof.leaf(point.seq, evidence.batchId, evidence.stateHash);
        _checkLeaf(entry, evidence.step, leaf, evidence.proof);
        if (evidence.batchId == point.batchId) return;
        (uint32 shard, uint64 index) = (evidence.earlier.shard, evidence.earlier.index);
        if (shard > point.shard || (shard == point.shard && index >= point.index)) {
            revert IDisputes.NotEarlier(shard, index);
        }
        _checkInclusion(epoch, evidence.earlier, evidence.batchId);
    }

    /// @notice Checks nodes below a node of the ledger.
    function checkNodes(
        ISettlement.Epoch calldata posted,
        uint8 height,
        uint32 index,
        bytes calldata nodes,
        bytes calldata siblings
    ) external pure {
        if (!LedgerProof.verifyNodes(
                nodes, height, index, siblings, posted.depth, posted.ledgerRoot, posted.ledgerTotal
            )) revert IDisputes.WrongNodes(height, index);
    }

    // Logs

    /// @notice Checks that a batch is its device's, in the log, and by its header one that counts.
    function checkLoggedBatch(
        Target calldata target,
        IDisputes.EpochEvidence calldata epoch,
        IDisputes.BatchEvidence calldata batch,
        IDisputes.InclusionEvidence calldata inclusion,
        address device
    ) external view returns (bytes32 batchId) {
        checkEpoch(target, epoch);
        batchId = checkBatch(target.networkId, batch, device);
        _checkCounts(target, _frame(target, _config(epoch)), batch.header);
        _checkInclusion(epoch, inclusion, batchId);
    }

    /// @notice Checks that a shard begins with another log.
    function checkConsistency(
        Target calldata target,
        uint32 shard,
        uint64 size,
        bytes32 root,
        IDisputes.EpochEvidence calldata epoch,
        bytes32[] calldata proof
    ) external view {
        (uint64 postedSize, bytes32 postedRoot) = headOf(target, epoch, shard);
        if (!LogProof.verifyConsistency(size, postedSize, root, postedRoot, proof)) {
            revert IDisputes.Inconsistent(shard, size);
        }
    }

    /// @notice Size and root of a shard; an absent one has size 0.
    function headOf(Target calldata target, IDisputes.EpochEvidence calldata epoch, uint32 shard)
        public
        pure
        returns (uint64 size, bytes32 root)
    {
        checkEpoch(target, epoch);
        return _head(epoch, shard);
    }

    // Signatures

    /// @notice Checks a batch's signature.
    function checkBatch(bytes32 networkId, IDisputes.BatchEvidence calldata batch, address device)
        public
        view
        returns (bytes32 batchId)
    {
        batchId = BatchProof.idOf(batch, device, networkId);
        if (!BatchProof.isSigned(batch, device, batchId, _p256Verifier)) {
            revert IDisputes.InvalidBatchSignature(batchId);
        }
    }

    /// @notice Checks the signature of a checkpoint by a log key that its operator answers for.
    function checkCheckpoint(
        bytes32 networkId,
        ISettlement settlement,
        IDisputes.CheckpointEvidence calldata checkpoint
    ) external view {
        address logKey = CheckpointProof.keyAddress(checkpoint);
        if (
            !settlement.isLogKey(checkpoint.operator, logKey, checkpoint.time)
                || !CheckpointProof.isSigned(checkpoint, logKey, networkId, _p256Verifier)
        ) {
            revert IDisputes.InvalidCheckpointSignature(checkpoint.operator);
        }
    }

    // Epochs

    /// @notice Checks what the hash of an epoch is made of.
    function checkEpoch(Target calldata target, IDisputes.EpochEvidence calldata epoch)
        public
        pure
    {
        bytes32 epochHash = keccak256(
            abi.encode(
                target.networkId,
                target.windowSeconds,
                target.window,
                target.posted.attempt,
                epoch.parentHash,
                keccak256(epoch.config),
                epoch.memberCount,
                keccak256(abi.encode(epoch.logs)),
                target.posted.ledgerRoot,
                target.posted.ledgerTotal
            )
        );
        if (epochHash != target.posted.epochHash) {
            revert IDisputes.WrongEpoch(epochHash, target.posted.epochHash);
        }
    }

    function _checkSlot(Target calldata target, uint32 slot, IDisputes.EntryEvidence calldata entry)
        private
        pure
    {
        ISettlement.Epoch calldata posted = target.posted;
        if (!LedgerProof.verifyEntry(
                entry, slot, posted.depth, posted.ledgerRoot, posted.ledgerTotal
            )) revert IDisputes.WrongEntry(slot);
    }

    /// @dev The entry of a slot in the parent; nothing where that has no such slot.
    function _entryBefore(
        ISettlement.Epoch calldata parent,
        uint32 slot,
        IDisputes.EntryEvidence calldata before
    ) private pure returns (address device, uint128 cumulative) {
        if (parent.attempt == 0 || uint256(slot) >> parent.depth != 0) return (address(0), 0);
        if (!LedgerProof.verifyEntry(
                before, slot, parent.depth, parent.ledgerRoot, parent.ledgerTotal
            )) revert IDisputes.WrongParentEntry(slot);
        return (before.device, before.cumulative);
    }

    function _checkLeaf(
        IDisputes.EntryEvidence calldata entry,
        uint32 step,
        bytes32 leaf,
        bytes32[] calldata proof
    ) private pure {
        if (!TraceProof.verify(leaf, step, entry.steps, proof, entry.traceRoot)) {
            revert IDisputes.WrongLeaf(step);
        }
    }

    /// @dev The state that a step begins with.
    function _stateBefore(
        ISettlement.Config memory config,
        IDisputes.EntryEvidence calldata entry,
        uint32 step,
        IDisputes.StepEvidence calldata evidence
    ) private pure returns (bytes memory) {
        if (step == 0) return IMetric(config.metric).start();
        IDisputes.LeafEvidence calldata before = evidence.before;
        bytes32 leaf = TraceProof.leaf(before.seq, before.batchId, keccak256(before.state));
        _checkLeaf(entry, step - 1, leaf, before.proof);
        uint64 seq = evidence.batch.header.seq;
        if (seq <= before.seq) revert IDisputes.SeqNotAfter(seq, before.seq);
        return before.state;
    }

    /// @dev By its header, a batch is of the schema and overlaps the window.
    function _checkCounts(
        Target calldata target,
        IMetric.Frame memory frame,
        IDisputes.BatchHeader calldata header
    ) private pure {
        if (header.schema != frame.schema) {
            revert IDisputes.WrongSchema(header.schema, frame.schema);
        }
        if (header.start >= frame.end || uint256(header.start) + header.span < frame.start) {
            revert IDisputes.OutsideWindow(header.start, header.span, target.window);
        }
    }

    function _checkInclusion(
        IDisputes.EpochEvidence calldata epoch,
        IDisputes.InclusionEvidence calldata inclusion,
        bytes32 batchId
    ) private view {
        (uint64 size, bytes32 root) = _head(epoch, inclusion.shard);
        if (!LogProof.verifyInclusion(batchId, inclusion.index, size, inclusion.proof, root)) {
            revert IDisputes.NotInLog(batchId, inclusion.shard, inclusion.index);
        }
    }

    function _head(IDisputes.EpochEvidence calldata epoch, uint32 shard)
        private
        pure
        returns (uint64 size, bytes32 root)
    {
        // At most 8, as the settlement saw to.
        for (uint256 i = 0; i < epoch.logs.length; i++) {
            ISettlement.Log calldata log = epoch.logs[i];
            if (log.shard == shard) return (log.size, log.root);
        }
    }

    function _config(IDisputes.EpochEvidence calldata epoch)
        private
        pure
        returns (ISettlement.Config memory)
    {
        return abi.decode(epoch.config, (ISettlement.Config));
    }

    function _frame(Target calldata target, ISettlement.Config memory config)
        private
        pure
        returns (IMetric.Frame memory)
    {
        uint64 lengthMs = uint64(target.windowSeconds) * 1000;
        return IMetric.Frame({
            schema: config.schema,
            fields: config.fields,
            tickMs: config.tickMs,
            start: target.window * lengthMs,
            end: (uint64(target.window) + 1) * lengthMs
        });
    }
}
