// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IDisputes} from "../solidity/interfaces/IDisputes.sol";
import {ISettlement} from "../solidity/interfaces/ISettlement.sol";
import {DisputeScene} from "./base/DisputeScene.sol";

/// @dev An operator that shows nothing but what it is asked for, each time in the last second. Whatever an answer
/// shows can still be challenged: an auditor that loses no time is never out of time.
contract LateAnswersTest is DisputeScene {
    uint32 private constant HOURS = 24;
    uint32 private window;

    function setUp() public {
        setUpDisputes();
        settlement.setConfig(_everyStepCounts());
        for (uint256 key = 1; key <= 3; key++) {
            join(key);
        }
        window = firstWindow;
        vm.warp(startOf(window) + 5);
        append(signedBatch(2, 0, window), 0);
        // An ordinary day.
        for (uint64 i = 0; i < HOURS; i++) {
            append(signedBatch(1, i, window), 0);
        }
    }

    function _everyStepCounts() private view returns (ISettlement.Config memory c) {
        c = config();
        c.policyParams = abi.encode(int256(1), uint256(1), uint256(100_000));
    }

    /// @dev One state among many is a lie, and the auditor has seen nothing: it asks for all of them at once.
    function test_lieInsideATrace() public {
        ISettlement.Config memory c = _everyStepCounts();
        prepare(window, c);
        Trace memory trace = traceOf(window, 0);
        (uint64 seq, uint64 time, int256 sum) =
            abi.decode(trace.states[20], (uint64, uint64, int256));
        trace.states[20] = abi.encode(seq, time, sum + 300);
        _postTold(trace, 20, c);
        vm.warp(settlement.epoch(window).challengeEndsAt - 1);
        openReveal(window, 2, 0);
        _waitLong();
        answerReveal(window, 2, 0);
        _waitABlock();
        openCarry(window, 0, deviceOf(1));
        _waitLong();
        IDisputes.EntryEvidence memory none;
        answerCarry(window, 0, deviceOf(1), entryEvidence(window, 0), none);
        _waitABlock();
        bytes32[] memory ids = new bytes32[](HOURS);
        for (uint32 i = 0; i < HOURS; i++) {
            ids[i] = openStep(window, 0, i);
        }
        _waitLong();
        for (uint32 i = 0; i < HOURS; i++) {
            if (i != 20) answerStep(window, 0, i, stepEvidence(window, 0, i));
        }
        _expectWrongLeaf(20);
        _uphold(ids[20]);
    }

    /// @dev The answer to one step shows another that is a lie.
    function test_lieBesideAStep() public {
        ISettlement.Config memory c = _everyStepCounts();
        prepare(window, c);
        Trace memory trace = traceOf(window, 0);
        (uint64 seq, uint64 time,) = abi.decode(trace.states[0], (uint64, uint64, int256));
        trace.states[0] = abi.encode(seq, time, int256(5000));
        _postTold(trace, 0, c);
        vm.warp(settlement.epoch(window).challengeEndsAt - 1);
        openStep(window, 0, 1);
        _waitLong();
        answerStep(window, 0, 1, stepEvidence(window, 0, 1));
        _waitABlock();
        bytes32 id = openStep(window, 0, 0);
        _waitLong();
        _expectWrongLeaf(0);
        _uphold(id);
    }

    /// @dev A batch is left out, and a leaf with its seq has an earlier batch of somebody else.
    function test_lieBesideAnOmission() public {
        ISettlement.Config memory c = _everyStepCounts();
        prepare(window, c);
        Trace memory trace = traceOf(window, 0);
        uint256 missed = trace.batches[1];
        trace.batches[1] = 0;
        trace.states[1] = trace.states[0];
        _postTold(trace, 1, c);
        vm.warp(settlement.epoch(window).challengeEndsAt - 1);
        openOmission(window, batchAt(missed));
        _waitLong();
        IDisputes.OmissionEvidence memory evidence;
        evidence.step = 1;
        evidence.batchId = batchAt(0).id;
        evidence.stateHash = keccak256(trace.states[1]);
        evidence.proof = tracePath(trace.leaves, 1);
        evidence.earlier = inclusionEvidence(window, batchAt(0));
        answerOmission(window, 0, batchAt(missed), evidence);
        _waitABlock();
        bytes32 id = openStep(window, 0, 1);
        _waitLong();
        expectError(
            abi.encodeWithSelector(
                IDisputes.InvalidBatchSignature.selector, _idUnder(batchAt(0), deviceOf(1))
            )
        );
        answerStep(window, 0, 1, stepEvidence(window, 0, 1));
        _uphold(id);
    }

    // The liar

    /// @dev Folds on from the state of a step, and posts what comes of it.
    function _postTold(Trace memory trace, uint256 step, ISettlement.Config memory c) private {
        for (uint256 i = step; i < HOURS; i++) {
            Batch memory batch = batchAt(trace.batches[i]);
            if (i > step) trace.states[i] = foldBatch(window, trace.states[i - 1], batch, c);
            trace.leaves[i] = leafOf(uint64(i), batch.id, keccak256(trace.states[i]));
        }
        IDisputes.EntryEvidence memory entry = entryOf(window, 0);
        int256 before = entry.value;
        (,, entry.value) = abi.decode(trace.states[HOURS - 1], (uint64, uint64, int256));
        entry.cumulative =
            uint128(uint256(int256(uint256(entry.cumulative)) + entry.value - before));
        setTrace(window, 0, entry, trace);
        setEntry(window, 0, entry);
        submit(window, operator);
    }

    function _waitLong() private {
        vm.warp(block.timestamp + RESPONSE - 1);
    }

    function _waitABlock() private {
        vm.warp(block.timestamp + 12);
    }

    function _expectWrongLeaf(uint32 step) private {
        expectError(abi.encodeWithSelector(IDisputes.WrongLeaf.selector, step));
        answerStep(window, 0, step, stepEvidence(window, 0, step));
    }

    function _idUnder(Batch memory batch, address device) private view returns (bytes32) {
        return this.idOf(batch.evidence, device, settlement.networkId());
    }

    function _uphold(bytes32 id) private {
        vm.warp(disputes.challenge(id).deadline + 1);
        disputes.uphold(id);
        assertEq(settlement.operator(operator).bond, 0, "bond");
        assertEq(settlement.nextWindow(), window, "void");
    }
}
