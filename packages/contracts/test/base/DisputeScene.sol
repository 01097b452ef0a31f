// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {BatchProof} from "../../solidity/evidence/BatchProof.sol";
import {CheckpointProof} from "../../solidity/evidence/CheckpointProof.sol";
import {IDeviceRegistry} from "../../solidity/interfaces/IDeviceRegistry.sol";
import {IDisputes} from "../../solidity/interfaces/IDisputes.sol";
import {IMetric} from "../../solidity/interfaces/IMetric.sol";
import {IRewardPolicy} from "../../solidity/interfaces/IRewardPolicy.sol";
import {ISettlement} from "../../solidity/interfaces/ISettlement.sol";
import {LogTree} from "../evidence/LogTree.sol";
import {Ledger} from "./Ledger.sol";
import {Scene} from "./Scene.sol";

/// @dev A network with devices that send batches and an operator that logs them, builds epochs from them
/// by the words of docs/protocol/claims.md, and has all evidence at hand. A test can lie between
/// `prepare` and `submit`. Devices are keys; the device of key k is in slot k - 1.
abstract contract DisputeScene is Scene {
    /// @dev A batch in the log.
    struct Batch {
        address device;
        bytes32 id;
        uint32 shard;
        uint64 index;
        bytes rows;
        IDisputes.BatchEvidence evidence;
    }

    /// @dev A trace, leaf by leaf.
    struct Trace {
        uint256[] batches;
        bytes[] states;
        bytes32[] leaves;
    }

    uint32 internal constant SHARDS = 2;
    address internal immutable challenger = address(0xc4a1);
    address internal immutable helper = address(0x4e19);

    // Structs with arrays in them are kept encoded: the legacy pipeline cannot copy them to storage.
    bytes[] private _batches;
    bytes32[][SHARDS] private _logs;
    uint32 private _memberCount;
    mapping(uint32 window => mapping(uint32 slot => bytes)) private _entries;
    mapping(uint32 window => mapping(uint32 slot => bytes)) private _traces;
    mapping(uint32 window => bytes) private _epochs;
    mapping(uint32 window => Ledger) internal ledgerOf;
    mapping(uint32 window => uint256[SHARDS]) private _sizes;
    mapping(uint32 window => bytes) private _configs;
    bytes private _expected;

    function setUpDisputes() internal {
        setUpScene();
        settlement.listOperator(standby, true);
        bond(standby, 2, 10 ether);
        vm.deal(challenger, 100 ether);
        vm.deal(helper, 100 ether);
    }

    // Challenges by `challenger` and answers by `helper`, on the latest attempt

    /// @dev The next of them reverts so.
    function expectError(bytes memory data) internal {
        _expected = data;
    }

    function _as(address who) private {
        if (_expected.length > 0) vm.expectRevert(_expected);
        delete _expected;
        vm.prank(who);
    }

    function openStep(uint32 window, uint32 slot, uint32 step) internal returns (bytes32) {
        uint32 attempt = attemptOf(window);
        _as(challenger);
        return
            disputes.challengeStep{value: CHALLENGE_BOND}(window, attempt, slot, step, address(0));
    }

    function openCarry(uint32 window, uint32 slot, address device) internal returns (bytes32) {
        uint32 attempt = attemptOf(window);
        _as(challenger);
        return disputes.challengeCarry{value: CHALLENGE_BOND}(window, attempt, slot, device);
    }

    function openOmission(uint32 window, Batch memory batch) internal returns (bytes32) {
        return openOmission(window, batch, inclusionEvidence(window, batch));
    }

    function openOmission(
        uint32 window,
        Batch memory batch,
        IDisputes.InclusionEvidence memory inclusion
    ) internal returns (bytes32) {
        uint32 attempt = attemptOf(window);
        _as(challenger);
        return disputes.challengeOmission{value: CHALLENGE_BOND}(
            window, attempt, epochEvidence(window), batch.evidence, inclusion
        );
    }

    function openConsistency(uint32 window, uint32 earlierWindow, uint32 shard)
        internal
        returns (bytes32)
    {
        uint32 attempt = attemptOf(window);
        _as(challenger);
        return disputes.challengeConsistency{value: CHALLENGE_BOND}(
            window, attempt, earlierWindow, epochEvidence(earlierWindow), shard
        );
    }

    function openCheckpoint(uint32 window, IDisputes.CheckpointEvidence memory c)
        internal
        returns (bytes32)
    {
        uint32 attempt = attemptOf(window);
        _as(challenger);
        return disputes.challengeCheckpoint{value: CHALLENGE_BOND}(
            window, attempt, epochEvidence(window), c
        );
    }

    function openReveal(uint32 window, uint8 height, uint32 index) internal returns (bytes32) {
        uint32 attempt = attemptOf(window);
        _as(challenger);
        return disputes.challengeReveal{value: CHALLENGE_BOND}(window, attempt, height, index);
    }

    function answerEntry(
        uint32 window,
        uint32 slot,
        uint32 step,
        IDisputes.EntryEvidence memory entry
    ) internal {
        uint32 attempt = attemptOf(window);
        _as(helper);
        disputes.answerEntry(window, attempt, slot, step, epochEvidence(window), entry);
    }

    function answerStep(
        uint32 window,
        uint32 slot,
        uint32 step,
        IDisputes.StepEvidence memory evidence
    ) internal {
        uint32 attempt = attemptOf(window);
        IDisputes.EntryEvidence memory entry = entryEvidence(window, slot);
        _as(helper);
        disputes.answerStep(window, attempt, slot, step, epochEvidence(window), entry, evidence);
    }

    function answerCarry(
        uint32 window,
        uint32 slot,
        address device,
        IDisputes.EntryEvidence memory entry,
        IDisputes.EntryEvidence memory before
    ) internal {
        uint32 attempt = attemptOf(window);
        IDisputes.EpochEvidence memory epoch = epochEvidence(window);
        _as(helper);
        disputes.answerCarry(window, attempt, slot, device, epoch, entry, before);
    }

    function answerOmission(
        uint32 window,
        uint32 slot,
        Batch memory missed,
        IDisputes.OmissionEvidence memory evidence
    ) internal {
        uint32 attempt = attemptOf(window);
        IDisputes.EpochEvidence memory epoch = epochEvidence(window);
        IDisputes.EntryEvidence memory entry = entryEvidence(window, slot);
        _as(helper);
        disputes.answerOmission(window, attempt, pointOf(missed), epoch, entry, evidence);
    }

    function answerConsistency(
        uint32 window,
        uint32 shard,
        uint64 size,
        bytes32 root,
        bytes32[] memory proof
    ) internal {
        uint32 attempt = attemptOf(window);
        IDisputes.EpochEvidence memory epoch = epochEvidence(window);
        _as(helper);
        disputes.answerConsistency(window, attempt, shard, size, root, epoch, proof);
    }

    function answerReveal(uint32 window, uint8 height, uint32 index) internal {
        bytes memory nodes = ledgerOf[window].nodes(height, index);
        answerReveal(window, height, index, nodes, ledgerOf[window].siblings(height, index));
    }

    function answerReveal(
        uint32 window,
        uint8 height,
        uint32 index,
        bytes memory nodes,
        bytes memory siblings
    ) internal {
        uint32 attempt = attemptOf(window);
        _as(helper);
        disputes.answerReveal(window, attempt, height, index, nodes, siblings);
    }

    function attemptOf(uint32 window) internal view returns (uint32) {
        return settlement.epoch(window).attempt;
    }

    // Devices

    /// @dev Keys from 1 on, in that order.
    function join(uint256 key) internal {
        addDevices(key, 1, owner);
        _memberCount++;
        require(_memberCount == key, "keys in order");
    }

    // Batches

    /// @dev Rows of one value, `tick` seconds apart; the first at the start.
    function encodeRows(uint256 count, uint256 tick, uint256 value)
        internal
        pure
        returns (bytes memory rows)
    {
        rows = count < 24
            ? abi.encodePacked(uint8(0x80 + count))
            : count < 256
                ? abi.encodePacked(hex"98", uint8(count))
                : abi.encodePacked(hex"99", uint16(count));
        for (uint256 i = 0; i < count; i++) {
            rows = bytes.concat(rows, hex"82", encodeUint(i == 0 ? 0 : tick), encodeUint(value));
        }
    }

    function encodeUint(uint256 n) internal pure returns (bytes memory) {
        if (n < 24) return abi.encodePacked(uint8(n));
        if (n < 256) return abi.encodePacked(hex"18", uint8(n));
        return abi.encodePacked(hex"19", uint16(n));
    }

    /// @dev A signed batch of three rows of 100, one a minute, in the middle of a window.
    function signedBatch(uint256 key, uint64 seq, uint32 window)
        internal
        view
        returns (Batch memory batch)
    {
        batch.rows = encodeRows(3, 60, 100);
        batch.evidence.header = IDisputes.BatchHeader({
            schema: 1,
            seq: seq,
            start: uint64(startOf(window) + 1 hours + seq * 10 minutes) * 1000,
            span: 120_000,
            count: 3,
            recordsHash: sha256(batch.rows),
            commitment: ""
        });
        sign(batch, key);
    }

    /// @dev Signs with P-256.
    function sign(Batch memory batch, uint256 key) internal view {
        IDisputes.BatchEvidence memory evidence = batch.evidence;
        (uint256 x, uint256 y) = vm.publicKeyP256(key);
        (evidence.x, evidence.y) = (bytes32(x), bytes32(y));
        batch.device = deviceOf(key);
        batch.id = this.idOf(evidence, batch.device, settlement.networkId());
        (evidence.r, evidence.s) = vm.signP256(key, batch.id);
    }

    /// @dev Appends to a shard of the log; returns the number of the batch.
    function append(Batch memory batch, uint32 shard) internal returns (uint256) {
        (batch.shard, batch.index) = (shard, uint64(_logs[shard].length));
        _logs[shard].push(batch.id);
        _batches.push(abi.encode(batch));
        return _batches.length - 1;
    }

    /// @dev A log of random entries before.
    function fillLog(uint32 shard, uint256 count) internal {
        for (uint256 i = 0; i < count; i++) {
            _logs[shard].push(keccak256(abi.encode(shard, i)));
        }
    }

    function idOf(IDisputes.BatchEvidence calldata batch, address device, bytes32 networkId)
        external
        pure
        returns (bytes32)
    {
        return BatchProof.idOf(batch, device, networkId);
    }

    function batchAt(uint256 number) internal view returns (Batch memory) {
        return abi.decode(_batches[number], (Batch));
    }

    // Epochs

    /// @dev Computes the honest entries of a window from the log as it is, under the configuration.
    function prepare(uint32 window, ISettlement.Config memory c) internal {
        _configs[window] = abi.encode(c);
        for (uint32 shard = 0; shard < SHARDS; shard++) {
            _sizes[window][shard] = _logs[shard].length;
        }
        for (uint32 slot = 0; slot < _memberCount; slot++) {
            address device = deviceOf(slot + 1);
            IDisputes.EntryEvidence memory entry = entryOf(window - 1, slot);
            uint64 start = uint64(startOf(window));
            (entry.value, entry.steps, entry.traceRoot) = (0, 0, 0);
            if (membership.isPaid(device, start, start + DAY)) {
                Trace memory trace = _buildTrace(window, device, c);
                entry.device = device;
                entry.value = _valueOf(window, trace, c);
                entry.cumulative += IRewardPolicy(c.policy).reward(entry.value, c.policyParams);
                setTrace(window, slot, entry, trace);
            }
            setEntry(window, slot, entry);
        }
    }

    /// @dev Posts what was prepared.
    function submit(uint32 window, address poster) internal {
        Ledger ledger = new Ledger(_depth(), false);
        for (uint32 slot = 0; slot < _memberCount; slot++) {
            IDisputes.EntryEvidence memory entry = entryOf(window, slot);
            if (entry.device == address(0)) continue;
            bytes32 detail = keccak256(abi.encode(entry.value, entry.steps, entry.traceRoot));
            ledger.set(slot, ISettlement.Entry(entry.device, entry.cumulative, detail));
        }
        ledgerOf[window] = ledger;
        ISettlement.Posting memory p = posting(window, ledger);
        p.logs = postedLogs(window);
        ISettlement.Version memory version = settlement.versionAt(window);
        uint256 from = startOf(window + 1) + version.grace
            + (poster == version.operator ? 0 : version.takeoverDelay);
        if (block.timestamp < from) vm.warp(from);
        _epochs[window] = abi.encode(
            IDisputes.EpochEvidence({
                parentHash: p.parentHash,
                memberCount: membership.memberCount(),
                config: _configs[window],
                logs: p.logs
            })
        );
        vm.prank(poster);
        settlement.postEpoch(p);
    }

    function postHonest(uint32 window) internal {
        prepare(window, config());
        submit(window, operator);
    }

    /// @dev The heads of both shards; an empty one is absent.
    function postedLogs(uint32 window) internal view returns (ISettlement.Log[] memory result) {
        uint256 count;
        ISettlement.Log[] memory all = new ISettlement.Log[](SHARDS);
        for (uint32 shard = 0; shard < SHARDS; shard++) {
            uint256 size = _sizes[window][shard];
            if (size == 0) continue;
            all[count++] = ISettlement.Log(shard, uint64(size), LogTree.root(_logs[shard], 0, size));
        }
        result = new ISettlement.Log[](count);
        for (uint256 i = 0; i < count; i++) {
            result[i] = all[i];
        }
    }

    function _depth() private view returns (uint8 depth) {
        while (1 << depth < _memberCount) depth++;
    }

    // Claims

    /// @dev In order of seq; of several with one seq the lowest (shard, index).
    function _buildTrace(uint32 window, address device, ISettlement.Config memory c)
        private
        view
        returns (Trace memory trace)
    {
        uint256[] memory numbers = new uint256[](_batches.length);
        uint256 count;
        for (uint256 i = 0; i < _batches.length; i++) {
            Batch memory batch = batchAt(i);
            if (batch.device != device || !_counts(window, batch, c)) continue;
            uint256 place = count++;
            for (; place > 0 && _isBefore(batch, batchAt(numbers[place - 1])); place--) {
                numbers[place] = numbers[place - 1];
            }
            numbers[place] = i;
        }
        uint256 steps;
        for (uint256 i = 0; i < count; i++) {
            if (i == 0 || _seqOf(numbers[i]) != _seqOf(numbers[steps - 1])) {
                numbers[steps++] = numbers[i];
            }
        }
        assembly ("memory-safe") {
            mstore(numbers, steps)
        }
        return foldTrace(window, numbers, c);
    }

    function _seqOf(uint256 number) private view returns (uint64) {
        return batchAt(number).evidence.header.seq;
    }

    function _counts(uint32 window, Batch memory batch, ISettlement.Config memory c)
        private
        view
        returns (bool)
    {
        IDisputes.BatchHeader memory header = batch.evidence.header;
        uint256 start = startOf(window) * 1000;
        return batch.index < _sizes[window][batch.shard] && header.schema == c.schema
            && header.start < start + uint256(DAY) * 1000 && header.start + header.span >= start;
    }

    function _isBefore(Batch memory a, Batch memory b) private pure returns (bool) {
        (uint64 seqA, uint64 seqB) = (a.evidence.header.seq, b.evidence.header.seq);
        if (seqA != seqB) return seqA < seqB;
        return a.shard != b.shard ? a.shard < b.shard : a.index < b.index;
    }

    function foldTrace(uint32 window, uint256[] memory numbers, ISettlement.Config memory c)
        internal
        view
        returns (Trace memory trace)
    {
        trace.batches = numbers;
        trace.states = new bytes[](numbers.length);
        trace.leaves = new bytes32[](numbers.length);
        bytes memory state = IMetric(c.metric).start();
        for (uint256 i = 0; i < numbers.length; i++) {
            Batch memory batch = batchAt(numbers[i]);
            state = foldBatch(window, state, batch, c);
            trace.states[i] = state;
            trace.leaves[i] = leafOf(batch.evidence.header.seq, batch.id, keccak256(state));
        }
    }

    function foldBatch(
        uint32 window,
        bytes memory state,
        Batch memory batch,
        ISettlement.Config memory c
    ) internal pure returns (bytes memory) {
        IDisputes.BatchHeader memory h = batch.evidence.header;
        return IMetric(c.metric)
            .fold(
                state,
                IMetric.Header(h.schema, h.seq, h.start, h.span, h.count),
                batch.rows,
                c.metricParams,
                _frame(window, c)
            );
    }

    function leafOf(uint64 seq, bytes32 id, bytes32 stateHash) internal pure returns (bytes32) {
        return keccak256(bytes.concat(hex"00", bytes8(seq), id, stateHash));
    }

    function _valueOf(uint32 window, Trace memory trace, ISettlement.Config memory c)
        private
        pure
        returns (int256)
    {
        uint256 steps = trace.states.length;
        bytes memory state = steps == 0 ? IMetric(c.metric).start() : trace.states[steps - 1];
        return IMetric(c.metric).finish(state, c.metricParams, _frame(window, c));
    }

    function _frame(uint32 window, ISettlement.Config memory c)
        private
        pure
        returns (IMetric.Frame memory)
    {
        uint64 start = uint64(startOf(window)) * 1000;
        return IMetric.Frame(c.schema, c.fields, c.tickMs, start, start + uint64(DAY) * 1000);
    }

    // Lies

    function setEntry(uint32 window, uint32 slot, IDisputes.EntryEvidence memory entry) internal {
        _entries[window][slot] = abi.encode(entry);
    }

    /// @dev Sets the trace, and steps and root of an entry that the caller stores.
    function setTrace(
        uint32 window,
        uint32 slot,
        IDisputes.EntryEvidence memory entry,
        Trace memory trace
    ) internal {
        _traces[window][slot] = abi.encode(trace);
        entry.steps = uint32(trace.leaves.length);
        entry.traceRoot = _traceRoot(trace.leaves);
    }

    /// @dev Sizes of the shards to be posted, below what was prepared.
    function setSize(uint32 window, uint32 shard, uint256 size) internal {
        _sizes[window][shard] = size;
    }

    /// @dev Puts another id at a place of the log.
    function rewriteLog(uint32 shard, uint256 index, bytes32 id) internal {
        _logs[shard][index] = id;
    }

    // Evidence

    function epochEvidence(uint32 window) internal view returns (IDisputes.EpochEvidence memory) {
        return abi.decode(_epochs[window], (IDisputes.EpochEvidence));
    }

    /// @dev The entry without a path; empty if there is none.
    function entryOf(uint32 window, uint32 slot)
        internal
        view
        returns (IDisputes.EntryEvidence memory entry)
    {
        bytes storage stored = _entries[window][slot];
        if (stored.length > 0) return abi.decode(stored, (IDisputes.EntryEvidence));
    }

    function traceOf(uint32 window, uint32 slot) internal view returns (Trace memory trace) {
        bytes storage stored = _traces[window][slot];
        if (stored.length > 0) return abi.decode(stored, (Trace));
    }

    function entryEvidence(uint32 window, uint32 slot)
        internal
        view
        returns (IDisputes.EntryEvidence memory entry)
    {
        entry = entryOf(window, slot);
        Ledger ledger = ledgerOf[window];
        // No such epoch, or no such slot in it.
        if (address(ledger) == address(0) || slot >> ledger.depth() != 0) return entry;
        entry.siblings = ledger.redemption(slot, 1).siblings;
    }

    function inclusionEvidence(uint32 window, Batch memory batch)
        internal
        view
        returns (IDisputes.InclusionEvidence memory)
    {
        return IDisputes.InclusionEvidence(
            batch.shard,
            batch.index,
            LogTree.path(_logs[batch.shard], batch.index, 0, _sizes[window][batch.shard])
        );
    }

    function stepEvidence(uint32 window, uint32 slot, uint32 step)
        internal
        view
        returns (IDisputes.StepEvidence memory evidence)
    {
        Trace memory trace = traceOf(window, slot);
        if (step > 0) {
            Batch memory last = batchAt(trace.batches[step - 1]);
            evidence.before = IDisputes.LeafEvidence(
                last.evidence.header.seq,
                last.id,
                trace.states[step - 1],
                tracePath(trace.leaves, step - 1)
            );
        }
        Batch memory batch = batchAt(trace.batches[step]);
        evidence.batch = batch.evidence;
        evidence.rows = batch.rows;
        evidence.inclusion = inclusionEvidence(window, batch);
        evidence.proof = tracePath(trace.leaves, step);
    }

    function pointOf(Batch memory batch) internal pure returns (IDisputes.OmissionPoint memory) {
        return IDisputes.OmissionPoint(
            batch.device, batch.evidence.header.seq, batch.id, batch.shard, batch.index
        );
    }

    function omissionEvidence(uint32 window, uint32 slot, Batch memory missed)
        internal
        view
        returns (IDisputes.OmissionEvidence memory evidence)
    {
        Trace memory trace = traceOf(window, slot);
        uint64 seq = missed.evidence.header.seq;
        for (uint32 step = 0; step < trace.batches.length; step++) {
            Batch memory batch = batchAt(trace.batches[step]);
            if (batch.evidence.header.seq != seq) continue;
            evidence.step = step;
            evidence.batchId = batch.id;
            evidence.stateHash = keccak256(trace.states[step]);
            evidence.proof = tracePath(trace.leaves, step);
            if (batch.id != missed.id) evidence.earlier = inclusionEvidence(window, batch);
            return evidence;
        }
    }

    /// @dev From a size to the one posted for a window.
    function consistencyProof(uint32 window, uint32 shard, uint64 size)
        internal
        view
        returns (bytes32[] memory)
    {
        uint256 posted = _sizes[window][shard];
        if (size == posted) return new bytes32[](0);
        return LogTree.consistency(_firstOf(shard, posted), size);
    }

    function rootOf(uint32 shard, uint256 size) internal view returns (bytes32) {
        return LogTree.root(_logs[shard], 0, size);
    }

    function _firstOf(uint32 shard, uint256 count) private view returns (bytes32[] memory ids) {
        ids = new bytes32[](count);
        for (uint256 i = 0; i < count; i++) {
            ids[i] = _logs[shard][i];
        }
    }

    /// @dev Signed by the log key of the operator, which is key 1, or of the standby, key 2.
    function checkpoint(address signer, uint256 time, uint32 shard, uint64 size, bytes32 root)
        internal
        view
        returns (IDisputes.CheckpointEvidence memory result)
    {
        return checkpoint(signer, signer == operator ? 1 : 2, time, shard, size, root);
    }

    /// @dev Signed by another key.
    function checkpoint(
        address signer,
        uint256 key,
        uint256 time,
        uint32 shard,
        uint64 size,
        bytes32 root
    ) internal view returns (IDisputes.CheckpointEvidence memory result) {
        (uint256 x, uint256 y) = vm.publicKeyP256(key);
        result.operator = signer;
        result.time = uint64(time);
        (result.shard, result.size, result.root) = (shard, size, root);
        (result.x, result.y) = (bytes32(x), bytes32(y));
        (result.r, result.s) = vm.signP256(key, this.digestOf(result, settlement.networkId()));
    }

    function digestOf(IDisputes.CheckpointEvidence calldata c, bytes32 networkId)
        external
        pure
        returns (bytes32)
    {
        return CheckpointProof.digest(c, networkId);
    }

    function _traceRoot(bytes32[] memory leaves) private pure returns (bytes32) {
        if (leaves.length == 0) return 0;
        bytes32[] memory level = _padded(leaves);
        while (level.length > 1) level = _parents(level);
        return level[0];
    }

    function tracePath(bytes32[] memory leaves, uint256 index)
        internal
        pure
        returns (bytes32[] memory path)
    {
        bytes32[] memory level = _padded(leaves);
        uint256 depth;
        while (1 << depth < level.length) depth++;
        path = new bytes32[](depth);
        for (uint256 i = 0; i < depth; i++) {
            path[i] = level[index ^ 1];
            level = _parents(level);
            index /= 2;
        }
    }

    function _padded(bytes32[] memory leaves) private pure returns (bytes32[] memory level) {
        uint256 size = 1;
        while (size < leaves.length) size *= 2;
        level = new bytes32[](size);
        for (uint256 i = 0; i < leaves.length; i++) {
            level[i] = leaves[i];
        }
    }

    function _parents(bytes32[] memory level) private pure returns (bytes32[] memory parents) {
        parents = new bytes32[](level.length / 2);
        for (uint256 i = 0; i < parents.length; i++) {
            parents[i] = keccak256(bytes.concat(hex"01", level[2 * i], level[2 * i + 1]));
        }
    }
}
