// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Disputes} from "../solidity/Disputes.sol";
import {BatchProof} from "../solidity/evidence/BatchProof.sol";
import {IDeviceRegistry} from "../solidity/interfaces/IDeviceRegistry.sol";
import {IDisputes} from "../solidity/interfaces/IDisputes.sol";
import {IMembership} from "../solidity/interfaces/IMembership.sol";
import {ISettlement} from "../solidity/interfaces/ISettlement.sol";
import {Metric} from "../solidity/metrics/Metric.sol";
import {DisputeScene} from "./base/DisputeScene.sol";
import {Vm} from "./base/Vm.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @dev Refuses money, and calls back where it can.
contract Refuser {
    Disputes private immutable _disputes;
    bool public isGreedy;

    constructor(Disputes disputes) payable {
        _disputes = disputes;
    }

    receive() external payable {
        require(isGreedy, "refused");
        _disputes.withdraw();
    }

    function setGreedy() external {
        isGreedy = true;
    }

    function open(uint32 window, uint32 slot) external returns (bytes32) {
        return _disputes.challengeStep{value: 0.1 ether}(window, 1, slot, 0, address(0));
    }

    function withdraw() external {
        _disputes.withdraw();
    }
}

/// @dev A metric that is 1 without any batch.
contract StartsWithOne is Metric {
    function checkParams(bytes calldata, uint8) external pure {}

    function _wordCount() internal pure override returns (uint256) {
        return 1;
    }

    function _fold(bytes calldata words, bytes calldata, Batch memory)
        internal
        pure
        override
        returns (bytes memory)
    {
        return words;
    }

    function _finish(bytes calldata, bytes calldata, Frame calldata)
        internal
        pure
        override
        returns (int256)
    {
        return 1;
    }
}

/// @dev Who pays whom, when. What is shown in an answer is the entry of a slot that has no such step.
contract DisputesMoneyTest is DisputeScene {
    uint32 private constant NO_STEP = type(uint32).max;
    uint32 private window;

    function setUp() public {
        setUpDisputes();
        for (uint256 key = 1; key <= 3; key++) {
            join(key);
        }
        window = firstWindow + 1;
        vm.warp(startOf(window));
        append(signedBatch(1, 0, window), 0);
        postHonest(firstWindow);
        postHonest(window);
    }

    // Opening

    function test_challenge() public {
        uint64 deadline = uint64(block.timestamp) + RESPONSE;
        bytes memory point = abi.encode(uint32(2), uint32(7));
        bytes32 id = keccak256(abi.encode(IDisputes.Kind.Step, window, uint32(1), point));
        vm.expectEmit(address(disputes));
        emit IDisputes.Challenged(
            id, window, 1, IDisputes.Kind.Step, challenger, 3 ether, deadline, point
        );
        vm.expectEmit(address(settlement));
        emit ISettlement.ChallengeOpened(window, 1, 1);
        vm.prank(challenger);
        assertEq(disputes.challengeStep{value: 3 ether}(window, 1, 2, 7, address(0)), id, "id");
        IDisputes.Challenge memory stored = disputes.challenge(id);
        assertEq(stored.challenger, challenger, "challenger");
        assertEq(stored.bond, 3 ether, "bond");
        assertEq(stored.window, window, "window");
        assertEq(stored.attempt, 1, "attempt");
        assertEq(stored.deadline, deadline, "deadline");
        assertTrue(stored.kind == IDisputes.Kind.Step, "kind");
        _assertStatus(id, IDisputes.Status.Open);
        assertEq(address(disputes).balance, 3 ether, "balance");
        assertEq(settlement.epoch(window).openChallenges, 1, "openChallenges");
    }

    function test_error_BondTooSmall() public {
        vm.expectRevert(
            abi.encodeWithSelector(
                IDisputes.BondTooSmall.selector, CHALLENGE_BOND - 1, CHALLENGE_BOND
            )
        );
        vm.prank(challenger);
        disputes.challengeStep{value: CHALLENGE_BOND - 1}(window, 1, 0, 0, address(0));
    }

    /// @dev The bond covers the dearest answer at the base fee of now several times.
    function test_challengeBond_followsTheBaseFee() public {
        assertEq(disputes.challengeBond(window), CHALLENGE_BOND, "no fee");
        vm.fee(100 gwei);
        uint256 answerGas = disputes.ANSWER_GAS() + disputes.ANSWER_GAS_PER_BYTE() * 4096;
        uint256 bond = 4 * answerGas * 100 gwei;
        assertTrue(bond > CHALLENGE_BOND, "the fee counts");
        assertEq(disputes.challengeBond(window), bond, "bond");
        vm.expectRevert(abi.encodeWithSelector(IDisputes.BondTooSmall.selector, bond - 1, bond));
        vm.prank(challenger);
        disputes.challengeReveal{value: bond - 1}(window, 1, 1, 0);
        vm.prank(challenger);
        disputes.challengeReveal{value: bond}(window, 1, 1, 0);
    }

    function test_error_bondOfMoreThanThereIs() public {
        uint256 bond = uint256(type(uint96).max) + 1;
        vm.deal(challenger, bond);
        vm.expectRevert(
            abi.encodeWithSelector(SafeCast.SafeCastOverflowedUintDowncast.selector, 96, bond)
        );
        vm.prank(challenger);
        disputes.challengeStep{value: bond}(window, 1, 0, 0, address(0));
    }

    function test_error_AlreadyChallenged() public {
        bytes32 id = openStep(window, 2, NO_STEP);
        _expectAlreadyChallenged(id, IDisputes.Status.Open);
        _answer();
        _expectAlreadyChallenged(id, IDisputes.Status.Answered);
        // Another kind, another epoch and another point are other challenges.
        openStep(window, 2, NO_STEP - 1);
        openStep(firstWindow, 2, NO_STEP);
        openReveal(window, 2, 0);
    }

    function test_error_challenge_notPending() public {
        _expectNotStanding(window, 0);
        _expectNotStanding(window, 2);
        _expectNotStanding(window + 1, 1);
        _expectNotStanding(window - 2, 0);
        vm.warp(block.timestamp + CHALLENGE);
        settlement.finalize(1);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NotPending.selector, firstWindow, 1));
        disputes.challengeStep{value: 1 ether}(firstWindow, 1, 0, 0, address(0));
    }

    function test_challenge_untilTheChallengeTimeIsOver() public {
        uint256 endsAt = settlement.epoch(window).challengeEndsAt;
        vm.warp(endsAt - 1);
        openStep(window, 2, 0);
        vm.warp(endsAt);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.ChallengeTimeOver.selector, endsAt));
        disputes.challengeStep{value: 1 ether}(window, 1, 2, 1, address(0));
    }

    function test_error_SlotOutOfBounds() public {
        vm.expectRevert(abi.encodeWithSelector(IDisputes.SlotOutOfBounds.selector, 4, 2));
        disputes.challengeStep{value: 1 ether}(window, 1, 4, 0, address(0));
        vm.expectRevert(
            abi.encodeWithSelector(IDisputes.SlotOutOfBounds.selector, type(uint32).max, 2)
        );
        disputes.challengeCarry{value: 1 ether}(window, 1, type(uint32).max, address(0));
        openStep(window, 3, 0);
    }

    // Answering

    function test_answer_money() public {
        vm.prank(challenger);
        bytes32 id = disputes.challengeStep{value: 1 ether + 1}(window, 1, 2, NO_STEP, address(0));
        uint256 burned = address(0).balance;
        vm.expectEmit(address(disputes));
        emit IDisputes.Answered(id, window, 1, helper, 0.5 ether + 1, 0.5 ether);
        vm.expectEmit(address(settlement));
        emit ISettlement.ChallengeClosed(window, 1, 0);
        _answer();
        _assertStatus(id, IDisputes.Status.Answered);
        assertEq(address(0).balance - burned, 0.5 ether + 1, "burned");
        assertEq(disputes.credit(helper), 0.5 ether, "credit");
        assertEq(disputes.credit(challenger), 0, "lost");
        assertEq(address(disputes).balance, 0.5 ether, "balance");
        uint256 before = helper.balance;
        vm.expectEmit(address(disputes));
        emit IDisputes.Withdrawn(helper, 0.5 ether);
        vm.prank(helper);
        disputes.withdraw();
        assertEq(helper.balance - before, 0.5 ether, "withdrawn");
        assertEq(address(disputes).balance, 0, "empty");
    }

    /// @dev Whoever challenges itself loses half of the bond, so that nobody blocks a window for nothing.
    function test_answer_selfChallengeCosts() public {
        vm.deal(operator, 1 ether);
        vm.startPrank(operator);
        disputes.challengeStep{value: 1 ether}(window, 1, 2, NO_STEP, address(0));
        IDisputes.EntryEvidence memory entry = entryEvidence(window, 2);
        disputes.answerEntry(window, 1, 2, NO_STEP, epochEvidence(window), entry);
        disputes.withdraw();
        vm.stopPrank();
        assertEq(operator.balance, 0.5 ether, "half is gone");
    }

    /// @dev Strictly before the deadline, to the second.
    function test_answer_deadline() public {
        bytes32 id = openStep(window, 2, NO_STEP);
        uint64 deadline = disputes.challenge(id).deadline;
        vm.warp(deadline);
        expectError(abi.encodeWithSelector(IDisputes.DeadlineOver.selector, deadline));
        _answer();
        vm.expectRevert(abi.encodeWithSelector(IDisputes.DeadlineNotOver.selector, deadline));
        disputes.uphold(id);
        vm.warp(deadline - 1);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.DeadlineNotOver.selector, deadline));
        disputes.uphold(id);
        _answer();
    }

    function test_error_NotOpen() public {
        bytes memory point = abi.encode(uint32(2), NO_STEP);
        bytes32 id = keccak256(abi.encode(IDisputes.Kind.Step, window, uint32(1), point));
        _expectNotOpen(id, IDisputes.Status.None);
        openStep(window, 2, NO_STEP);
        _answer();
        _expectNotOpen(id, IDisputes.Status.Answered);
    }

    // Ends

    /// @dev Window 0 is final, 1 and 2 fall, another operator goes on from window 0.
    function test_uphold() public {
        postHonest(window + 1);
        vm.prank(operator);
        settlement.requestWithdrawal(3 ether);
        bytes32 id = openStep(window + 1, 0, 0);
        bytes32 other = openReveal(window, 1, 0);
        vm.warp(disputes.challenge(id).deadline + 1);
        assertEq(settlement.nextFinalWindow(), window, "one is final");
        uint256 burned = address(0).balance;
        vm.expectEmit(address(settlement));
        emit ISettlement.Slashed(operator, 5 ether, 5 ether);
        vm.expectEmit(address(settlement));
        emit ISettlement.EpochsVoided(window, window + 1);
        vm.expectEmit(address(disputes));
        emit IDisputes.Upheld(id, operator, challenger, 5 ether);
        vm.prank(address(0xabc)); // anyone
        disputes.uphold(id);
        _assertStatus(id, IDisputes.Status.Upheld);
        assertEq(address(0).balance - burned, 5 ether, "burned");
        assertEq(disputes.credit(challenger), 5 ether + CHALLENGE_BOND, "reward and bond");
        assertEq(address(disputes).balance, 5 ether + 2 * CHALLENGE_BOND, "balance");

        // Nothing can be done with an epoch that is void, but to be refunded.
        _expectNotOpen(id, IDisputes.Status.Upheld);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.NotStanding.selector, window, 1));
        disputes.uphold(other);
        _expectNotStanding(window, 1);
        vm.expectEmit(address(disputes));
        emit IDisputes.Refunded(other, challenger, CHALLENGE_BOND);
        disputes.refund(other);
        _assertStatus(other, IDisputes.Status.Refunded);
        assertEq(disputes.credit(challenger), 5 ether + 2 * CHALLENGE_BOND, "all");
        vm.prank(challenger);
        disputes.withdraw();
        assertEq(challenger.balance, 105 ether, "challenger");
        assertEq(address(disputes).balance, 0, "empty");

        // What was final stays, and a listed operator goes on from there.
        assertTrue(settlement.statusOf(firstWindow, 1) == ISettlement.Status.Final, "final");
        prepare(window, config());
        submit(window, standby);
        assertEq(settlement.epoch(window).attempt, 2, "attempt");
        assertEq(epochEvidence(window).parentHash, settlement.epoch(firstWindow).epochHash, "on");
        openStep(window, 2, NO_STEP);
        answerEntry(window, 2, NO_STEP, entryEvidence(window, 2));
        vm.warp(block.timestamp + CHALLENGE);
        assertEq(settlement.nextFinalWindow(), window + 1, "final again");
    }

    /// @dev After the epoch was posted again, too.
    function test_refund_afterAnotherAttempt() public {
        bytes32 id = openStep(window, 0, 0);
        bytes32 other = openStep(window, 0, 1);
        vm.warp(disputes.challenge(id).deadline + 1);
        disputes.uphold(id);
        prepare(window, config());
        submit(window, standby);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.NotStanding.selector, window, 1));
        disputes.uphold(other);
        disputes.refund(other);
        _expectNotOpen(other, IDisputes.Status.Refunded);
        vm.expectRevert(
            abi.encodeWithSelector(
                IDisputes.NotOpen.selector, other, uint256(IDisputes.Status.Refunded)
            )
        );
        disputes.refund(other);
        // The same point of the new attempt is a new one.
        openStep(window, 0, 1);
    }

    function test_error_NotVoid() public {
        bytes32 id = openStep(window, 0, 0);
        bytes memory data = abi.encodeWithSelector(IDisputes.NotVoid.selector, window, 1);
        vm.expectRevert(data);
        disputes.refund(id);
        vm.warp(block.timestamp + 100 days);
        vm.expectRevert(data);
        disputes.refund(id);
        vm.expectRevert(
            abi.encodeWithSelector(
                IDisputes.NotOpen.selector, bytes32(0), uint256(IDisputes.Status.None)
            )
        );
        disputes.refund(0);
    }

    /// @dev Where more windows are ready to be final than a slash looks at, they are made final first.
    function test_uphold_afterFinalize() public {
        vm.warp(startOf(window + 300) + GRACE);
        for (uint32 w = window + 1; w < window + 260; w++) {
            postHonest(w);
        }
        bytes32 id = openStep(window + 259, 0, 0);
        vm.warp(block.timestamp + CHALLENGE);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NotFinalized.selector, window + 257));
        disputes.uphold(id);
        settlement.finalize(100);
        disputes.uphold(id);
        assertEq(settlement.nextWindow(), window + 259, "the last one falls");
        assertEq(disputes.credit(challenger), 5 ether + CHALLENGE_BOND, "credit");
    }

    // Pull payments

    /// @dev Whoever cannot be paid stops nobody.
    function test_withdraw_refusedByReceiver() public {
        Refuser refuser = new Refuser{value: 1 ether}(disputes);
        bytes32 id = refuser.open(window, 0);
        vm.warp(disputes.challenge(id).deadline + 1);
        disputes.uphold(id);
        assertEq(disputes.credit(address(refuser)), 5 ether + 0.1 ether, "credit");
        vm.expectRevert("refused");
        refuser.withdraw();
        // Calling back gets it nothing either.
        refuser.setGreedy();
        vm.expectRevert(err(IDisputes.NothingToWithdraw.selector));
        refuser.withdraw();
        assertEq(disputes.credit(address(refuser)), 5 ether + 0.1 ether, "kept");
    }

    function test_error_NothingToWithdraw() public {
        vm.expectRevert(err(IDisputes.NothingToWithdraw.selector));
        disputes.withdraw();
    }

    function test_error_NotSettlement() public {
        vm.prank(challenger);
        (bool sent, bytes memory data) = address(disputes).call{value: 1}("");
        assertTrue(!sent, "refused");
        bytes memory expected = abi.encodeWithSelector(IDisputes.NotSettlement.selector, challenger);
        assertEq(keccak256(data), keccak256(expected), "error");
    }

    /// @dev The implementation has no network and keeps no money.
    function test_error_NotAClone() public {
        bytes memory data = err(IDisputes.NotAClone.selector);
        vm.expectRevert(data);
        disputesImplementation.challengeStep{value: 1 ether}(window, 1, 0, 0, address(0));
        vm.expectRevert(data);
        disputesImplementation.challengeBond(window);
        vm.expectRevert(data);
        disputesImplementation.settlement();
        (bool sent,) = address(disputesImplementation).call{value: 1}("");
        assertTrue(!sent, "refused");
        assertEq(address(disputes.settlement()), address(settlement), "the clone has one");
    }

    function _answer() private {
        answerEntry(window, 2, NO_STEP, entryEvidence(window, 2));
    }

    function _assertStatus(bytes32 id, IDisputes.Status expected) private view {
        assertEq(uint256(disputes.challenge(id).status), uint256(expected), "status");
    }

    function _expectAlreadyChallenged(bytes32 id, IDisputes.Status status) private {
        vm.expectRevert(
            abi.encodeWithSelector(IDisputes.AlreadyChallenged.selector, id, uint256(status))
        );
        disputes.challengeStep{value: 1 ether}(window, 1, 2, NO_STEP, address(0));
    }

    function _expectNotOpen(bytes32 id, IDisputes.Status status) private {
        bytes memory data = abi.encodeWithSelector(IDisputes.NotOpen.selector, id, uint256(status));
        if (status == IDisputes.Status.None || status == IDisputes.Status.Answered) {
            IDisputes.EntryEvidence memory entry = entryEvidence(window, 2);
            vm.expectRevert(data);
            disputes.answerEntry(window, 1, 2, NO_STEP, epochEvidence(window), entry);
        }
        vm.expectRevert(data);
        disputes.uphold(id);
    }

    function _expectNotStanding(uint32 window_, uint32 attempt) private {
        bytes memory data = abi.encodeWithSelector(IDisputes.NotStanding.selector, window_, attempt);
        vm.expectRevert(data);
        disputes.challengeStep{value: 1 ether}(window_, attempt, 0, 0, address(0));
        vm.expectRevert(data);
        disputes.challengeReveal{value: 1 ether}(window_, attempt, 1, 0);
    }
}

/// @dev Steps of a trace. Device 1 has three batches, device 2 one, device 3 none, slot 3 no device.
contract DisputesStepTest is DisputeScene {
    uint32 private window;

    function setUp() public {
        setUpDisputes();
        for (uint256 key = 1; key <= 3; key++) {
            join(key);
        }
        window = firstWindow;
        vm.warp(startOf(window));
        fillLog(0, 5);
        append(signedBatch(1, 0, window), 0);
        append(signedBatch(1, 1, window), 1);
        append(signedBatch(2, 0, window), 1);
        append(signedBatch(1, 2, window), 0);
        fillLog(1, 3);
    }

    // What an honest operator answers

    function test_answerStep() public {
        postHonest(window);
        for (uint32 step = 0; step < 3; step++) {
            bytes32 id = openStep(window, 0, step);
            IDisputes.EntryEvidence memory e = entryEvidence(window, 0);
            vm.expectEmit(address(disputes));
            emit IDisputes.EntryShown(
                window, 1, 0, e.device, e.cumulative, e.value, e.steps, e.traceRoot
            );
            IDisputes.StepEvidence memory evidence = stepEvidence(window, 0, step);
            _expectLeaf(window, 0, step, batchAt(traceOf(window, 0).batches[step]));
            answerStep(window, 0, step, evidence);
            assertTrue(disputes.challenge(id).status == IDisputes.Status.Answered, "answered");
        }
        assertEq(uint256(entryOf(window, 0).value), 900, "value");
        openStep(window, 1, 0);
        answerStep(window, 1, 0, stepEvidence(window, 1, 0));
    }

    function _expectLeaf(uint32 w, uint32 slot, uint32 step, Batch memory batch) private {
        bytes32 stateHash = keccak256(traceOf(w, slot).states[step]);
        vm.expectEmit(address(disputes));
        emit IDisputes.LeafShown(w, 1, slot, step, batch.evidence.header.seq, batch.id, stateHash);
    }

    function test_answerStep_anyBatch() public {
        // Straddles the end of the window: only some rows count.
        Batch memory batch = signedBatch(2, 7, window);
        batch.evidence.header.start = uint64(startOf(window + 1) - 60) * 1000;
        sign(batch, 2);
        append(batch, 0);
        // Rows that nobody can read, and more than a node takes: in the trace, and ignored.
        batch = signedBatch(2, 9, window);
        batch.rows = new bytes(65_535);
        batch.evidence.header.recordsHash = sha256(batch.rows);
        batch.evidence.header.commitment = abi.encode(7);
        sign(batch, 2);
        append(batch, 1);
        // Starts before the one before ended.
        batch = signedBatch(2, 10, window);
        batch.evidence.header.start = uint64(startOf(window)) * 1000;
        sign(batch, 2);
        // High s.
        uint256 order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551;
        batch.evidence.s = bytes32(order - uint256(batch.evidence.s));
        append(batch, 1);
        postHonest(window);
        assertEq(uint256(entryOf(window, 1).value), 400, "value");
        for (uint32 step = 0; step < 4; step++) {
            openStep(window, 1, step);
            answerStep(window, 1, step, stepEvidence(window, 1, step));
        }
    }

    /// @dev A device with a key of the other curve.
    function test_answerStep_secp256k1() public {
        Vm.Wallet memory wallet = vm.createWallet(77);
        Batch memory batch = signedBatch(3, 0, window);
        IDisputes.BatchEvidence memory e = batch.evidence;
        e.algorithm = IDeviceRegistry.Algorithm.ES256K;
        (e.x, e.y) = (bytes32(wallet.publicKeyX), bytes32(wallet.publicKeyY));
        batch.device = wallet.addr;
        batch.id = this.idOf(e, batch.device, settlement.networkId());
        (, e.r, e.s) = vm.sign(77, batch.id);
        uint256[] memory numbers = new uint256[](1);
        numbers[0] = append(batch, 0);
        prepare(window, config());
        IDisputes.EntryEvidence memory entry = entryOf(window, 2);
        (entry.device, entry.value) = (batch.device, 300);
        setTrace(window, 2, entry, foldTrace(window, numbers, config()));
        setEntry(window, 2, entry);
        submit(window, operator);
        openStep(window, 2, 0);
        IDisputes.StepEvidence memory evidence = stepEvidence(window, 2, 0);
        evidence.batch.algorithm = IDeviceRegistry.Algorithm.ES256;
        bytes32 id = this.idOf(evidence.batch, batch.device, settlement.networkId());
        expectError(abi.encodeWithSelector(IDisputes.InvalidBatchSignature.selector, id));
        answerStep(window, 2, 0, evidence);
        answerStep(window, 2, 0, stepEvidence(window, 2, 0));
    }

    function test_answerEntry() public {
        postHonest(window);
        // Beyond the last step; without steps; an empty slot.
        uint32[4] memory steps = [3, type(uint32).max, 0, 0];
        uint32[4] memory slots = [uint32(0), 0, 2, 3];
        for (uint256 i = 0; i < 4; i++) {
            openStep(window, slots[i], steps[i]);
            answerEntry(window, slots[i], steps[i], entryEvidence(window, slots[i]));
        }
    }

    /// @dev The value of a member that is not paid is 0, whatever the metric starts with.
    function test_answerEntry_notPaid() public {
        prepare(window, config());
        submit(window, operator);
        address[] memory devices = new address[](1);
        devices[0] = deviceOf(1);
        vm.warp(startOf(window + 2) - 1);
        membership.suspend(devices);
        postHonest(window + 1);
        openStep(window + 1, 0, 0);
        answerEntry(window + 1, 0, 0, entryEvidence(window + 1, 0));
        openStep(window, 0, 0);
        answerStep(window, 0, 0, stepEvidence(window, 0, 0));
    }

    /// @dev Once more by whom it was not opened, a day later, in the last second.
    function test_answerStep_byAnyone() public {
        postHonest(window);
        bytes32 id = openStep(window, 0, 1);
        vm.warp(disputes.challenge(id).deadline - 1);
        IDisputes.EntryEvidence memory entry = entryEvidence(window, 0);
        IDisputes.StepEvidence memory step = stepEvidence(window, 0, 1);
        vm.prank(challenger);
        disputes.answerStep(window, 1, 0, 1, epochEvidence(window), entry, step);
        assertEq(disputes.credit(challenger), CHALLENGE_BOND / 2, "half back");
    }

    /// @dev A config change after the posting changes nothing.
    function test_answerStep_afterNewRules() public {
        postHonest(window);
        ISettlement.Config memory changed = config();
        (changed.schema, changed.fields, changed.maxRowsBytes) = (2, 3, 1);
        changed.policyParams = abi.encode(int256(1), uint256(2), uint256(3));
        settlement.setConfig(changed);
        openStep(window, 0, 1);
        answerStep(window, 0, 1, stepEvidence(window, 0, 1));
        openCarry(window, 0, deviceOf(1));
        IDisputes.EntryEvidence memory none;
        answerCarry(window, 0, deviceOf(1), entryEvidence(window, 0), none);
    }

    /// @dev EIP-150: an answer that runs out of gas is no verdict, and can be given again.
    function test_answerStep_withTooLittleGas() public {
        postHonest(window);
        openStep(window, 0, 1);
        bytes memory call = abi.encodeCall(
            IDisputes.answerStep,
            (
                window,
                1,
                0,
                1,
                epochEvidence(window),
                entryEvidence(window, 0),
                stepEvidence(window, 0, 1)
            )
        );
        uint256 least;
        for (uint256 limit = 30_000; least == 0; limit += 7919) {
            vm.prank(helper);
            (bool answered,) = address(disputes).call{gas: limit}(call);
            if (answered) least = limit;
            assertEq(disputes.credit(helper), answered ? CHALLENGE_BOND / 2 : 0, "credit");
        }
        assertTrue(least > 300_000, "tried with less");
    }

    // What is refused

    function test_error_WrongEpoch() public {
        postHonest(window);
        openStep(window, 0, 0);
        bytes32 posted = settlement.epoch(window).epochHash;
        IDisputes.EntryEvidence memory entry = entryEvidence(window, 0);
        IDisputes.StepEvidence memory step = stepEvidence(window, 0, 0);
        for (uint256 i = 0; i < 5; i++) {
            IDisputes.EpochEvidence memory epoch = epochEvidence(window);
            if (i == 0) epoch.parentHash = keccak256("parent");
            else if (i == 1) epoch.memberCount++;
            else if (i == 2) epoch.config[31] ^= 0x01;
            else if (i == 3) epoch.logs[0].size++;
            else epoch.logs = new ISettlement.Log[](0);
            bytes32 epochHash = keccak256(
                abi.encode(
                    settlement.networkId(),
                    DAY,
                    window,
                    1,
                    epoch.parentHash,
                    keccak256(epoch.config),
                    epoch.memberCount,
                    keccak256(abi.encode(epoch.logs)),
                    settlement.epoch(window).ledgerRoot,
                    settlement.epoch(window).ledgerTotal
                )
            );
            bytes memory data =
                abi.encodeWithSelector(IDisputes.WrongEpoch.selector, epochHash, posted);
            vm.expectRevert(data);
            disputes.answerStep(window, 1, 0, 0, epoch, entry, step);
            vm.expectRevert(data);
            disputes.answerEntry(window, 1, 0, 0, epoch, entry);
        }
    }

    function test_error_WrongEntry() public {
        postHonest(window);
        openStep(window, 0, 7);
        for (uint256 i = 0; i < 7; i++) {
            IDisputes.EntryEvidence memory entry = entryEvidence(window, 0);
            if (i == 0) entry.device = deviceOf(2);
            else if (i == 1) entry.cumulative++;
            else if (i == 2) entry.value++;
            else if (i == 3) entry.steps--;
            else if (i == 4) entry.traceRoot ^= bytes32(uint256(1));
            else if (i == 5) entry.siblings[20] ^= 0x01;
            else entry = entryEvidence(window, 3);
            expectError(abi.encodeWithSelector(IDisputes.WrongEntry.selector, 0));
            answerEntry(window, 0, 7, entry);
        }
        answerEntry(window, 0, 7, entryEvidence(window, 0));
    }

    function test_error_StepExists() public {
        postHonest(window);
        openStep(window, 0, 2);
        expectError(abi.encodeWithSelector(IDisputes.StepExists.selector, 2, 3));
        answerEntry(window, 0, 2, entryEvidence(window, 0));
    }

    function test_error_NoSuchStep() public {
        postHonest(window);
        openStep(window, 0, 3);
        expectError(abi.encodeWithSelector(IDisputes.NoSuchStep.selector, 3, 3));
        answerStep(window, 0, 3, stepEvidence(window, 0, 2));
        openStep(window, 3, 0);
        expectError(abi.encodeWithSelector(IDisputes.NoSuchStep.selector, 0, 0));
        answerStep(window, 3, 0, stepEvidence(window, 0, 2));
    }

    /// @dev A value out of nothing.
    function test_lie_valueWithoutSteps() public {
        prepare(window, config());
        IDisputes.EntryEvidence memory entry = entryOf(window, 2);
        (entry.value, entry.cumulative) = (20_000, 20_000);
        setEntry(window, 2, entry);
        submit(window, operator);
        openStep(window, 2, 0);
        expectError(abi.encodeWithSelector(IDisputes.WrongValue.selector, 20_000, 0));
        answerEntry(window, 2, 0, entryEvidence(window, 2));
    }

    function test_lie_traceRootWithoutSteps() public {
        prepare(window, config());
        IDisputes.EntryEvidence memory entry = entryOf(window, 2);
        entry.traceRoot = keccak256("root");
        setEntry(window, 2, entry);
        submit(window, operator);
        openStep(window, 2, 0);
        expectError(abi.encodeWithSelector(IDisputes.WrongTraceRoot.selector, entry.traceRoot));
        answerEntry(window, 2, 0, entryEvidence(window, 2));
    }

    /// @dev A value without steps for a device that is no member.
    function test_lie_valueOfAStranger() public {
        prepare(window, config());
        IDisputes.EntryEvidence memory entry = entryOf(window, 2);
        (entry.device, entry.value) = (address(0xbad), 5);
        setEntry(window, 2, entry);
        submit(window, operator);
        openStep(window, 2, 0);
        expectError(abi.encodeWithSelector(IDisputes.WrongValue.selector, 5, 0));
        answerEntry(window, 2, 0, entryEvidence(window, 2));
    }

    function test_lie_inflatedValue() public {
        prepare(window, config());
        IDisputes.EntryEvidence memory entry = entryOf(window, 0);
        entry.value = 901;
        setEntry(window, 0, entry);
        submit(window, operator);
        openStep(window, 0, 2);
        expectError(abi.encodeWithSelector(IDisputes.WrongValue.selector, 901, 900));
        answerStep(window, 0, 2, stepEvidence(window, 0, 2));
        // The steps before it are as they should be.
        openStep(window, 0, 1);
        answerStep(window, 0, 1, stepEvidence(window, 0, 1));
    }

    /// @dev Whatever state is committed, the leaf has to be what the fold gives.
    function test_lie_wrongFold() public {
        prepare(window, config());
        Trace memory trace = traceOf(window, 0);
        trace.states[1] = abi.encode(uint64(2), uint64(1), int256(5000));
        Batch memory batch = batchAt(trace.batches[1]);
        trace.leaves[1] = leafOf(1, batch.id, keccak256(trace.states[1]));
        Batch memory last = batchAt(trace.batches[2]);
        trace.states[2] = foldBatch(window, trace.states[1], last, config());
        trace.leaves[2] = leafOf(2, last.id, keccak256(trace.states[2]));
        IDisputes.EntryEvidence memory entry = entryOf(window, 0);
        setTrace(window, 0, entry, trace);
        entry.value = 5300;
        setEntry(window, 0, entry);
        submit(window, operator);
        openStep(window, 0, 1);
        expectError(abi.encodeWithSelector(IDisputes.WrongLeaf.selector, 1));
        answerStep(window, 0, 1, stepEvidence(window, 0, 1));
        openStep(window, 0, 2);
        answerStep(window, 0, 2, stepEvidence(window, 0, 2));
        // Another state before it does not help either.
        IDisputes.StepEvidence memory evidence = stepEvidence(window, 0, 1);
        evidence.before.state = abi.encode(uint64(1), uint64(1), int256(4700));
        expectError(abi.encodeWithSelector(IDisputes.WrongLeaf.selector, 0));
        answerStep(window, 0, 1, evidence);
    }

    function test_lie_forgedSignature() public {
        // By another device, in the place of device 1.
        Batch memory batch = signedBatch(2, 5, window);
        batch.device = deviceOf(1);
        uint256 number = append(batch, 0);
        _postWith(number);
        openStep(window, 0, 3);
        IDisputes.StepEvidence memory evidence = stepEvidence(window, 0, 3);
        bytes32 id = this.idOf(evidence.batch, deviceOf(1), settlement.networkId());
        expectError(abi.encodeWithSelector(IDisputes.InvalidBatchSignature.selector, id));
        answerStep(window, 0, 3, evidence);
        // With the key of device 1 and a signature by nobody.
        (evidence.batch.x, evidence.batch.y) = _key(1);
        expectError(abi.encodeWithSelector(IDisputes.InvalidBatchSignature.selector, id));
        answerStep(window, 0, 3, evidence);
    }

    function test_lie_unloggedBatch() public {
        uint256 number = append(signedBatch(1, 5, window), 0);
        rewriteLog(0, 7, keccak256("another"));
        _postWith(number);
        openStep(window, 0, 3);
        _expectStepError(
            3, abi.encodeWithSelector(IDisputes.NotInLog.selector, batchAt(number).id, 0, 7)
        );
    }

    /// @dev In the log, but only after what was posted; or in a shard that was not.
    function test_lie_batchAfterTheCut() public {
        uint256 number = append(signedBatch(1, 5, window), 0);
        prepare(window, config());
        setSize(window, 0, 7);
        submit(window, operator);
        openStep(window, 0, 3);
        IDisputes.StepEvidence memory evidence = stepEvidence(window, 0, 2);
        evidence.batch = batchAt(number).evidence;
        evidence.inclusion.index = 7;
        bytes memory data =
            abi.encodeWithSelector(IDisputes.NotInLog.selector, batchAt(number).id, 0, 7);
        expectError(data);
        answerStep(window, 0, 3, evidence);
        evidence.inclusion.shard = 2;
        expectError(abi.encodeWithSelector(IDisputes.NotInLog.selector, batchAt(number).id, 2, 7));
        answerStep(window, 0, 3, evidence);
    }

    function test_lie_otherSchema() public {
        Batch memory batch = signedBatch(1, 5, window);
        batch.evidence.header.schema = 2;
        sign(batch, 1);
        _postWith(append(batch, 0));
        openStep(window, 0, 3);
        _expectStepError(3, abi.encodeWithSelector(IDisputes.WrongSchema.selector, 2, 1));
    }

    /// @dev A batch that ends just before the window, and one that begins with its end.
    function test_lie_otherWindow() public {
        uint64[2] memory starts =
            [uint64(startOf(window)) * 1000 - 120_001, uint64(startOf(window + 1)) * 1000];
        for (uint64 i = 0; i < 2; i++) {
            Batch memory batch = signedBatch(1, 5 + i, window);
            batch.evidence.header.start = starts[i];
            sign(batch, 1);
            append(batch, 0);
        }
        // And those that just overlap, which are in an honest trace.
        for (uint64 i = 0; i < 2; i++) {
            Batch memory batch = signedBatch(2, 5 + i, window);
            batch.evidence.header.start = i == 0 ? starts[0] + 1 : starts[1] - 1;
            sign(batch, 2);
            append(batch, 0);
        }
        uint256[] memory numbers = new uint256[](2);
        (numbers[0], numbers[1]) = (4, 5);
        prepare(window, config());
        _setTrace(0, numbers);
        submit(window, operator);
        for (uint32 step = 0; step < 2; step++) {
            openStep(window, 0, step);
            _expectStepError(
                step,
                abi.encodeWithSelector(
                    IDisputes.OutsideWindow.selector, starts[step], 120_000, window
                )
            );
            openStep(window, 1, 1 + step);
            answerStep(window, 1, 1 + step, stepEvidence(window, 1, 1 + step));
        }
    }

    /// @dev One batch twice, or two with one seq: only one can count.
    function test_lie_doubleCount() public {
        uint256[] memory numbers = new uint256[](2);
        (numbers[0], numbers[1]) = (1, 0);
        prepare(window, config());
        _setTrace(0, numbers);
        submit(window, operator);
        openStep(window, 0, 1);
        _expectStepError(1, abi.encodeWithSelector(IDisputes.SeqNotAfter.selector, 0, 1));
    }

    function test_lie_sameSeqTwice() public {
        uint256[] memory numbers = new uint256[](2);
        (numbers[0], numbers[1]) = (0, 0);
        prepare(window, config());
        _setTrace(0, numbers);
        submit(window, operator);
        openStep(window, 0, 1);
        _expectStepError(1, abi.encodeWithSelector(IDisputes.SeqNotAfter.selector, 0, 0));
    }

    function test_error_WrongRows() public {
        postHonest(window);
        openStep(window, 0, 1);
        IDisputes.StepEvidence memory evidence = stepEvidence(window, 0, 1);
        bytes memory data =
            abi.encodeWithSelector(IDisputes.WrongRows.selector, evidence.batch.header.recordsHash);
        evidence.rows = encodeRows(3, 60, 101);
        expectError(data);
        answerStep(window, 0, 1, evidence);
        evidence.rows = "";
        expectError(data);
        answerStep(window, 0, 1, evidence);
    }

    /// @dev More rows than the wire format has room for: no node takes that in.
    function test_lie_tooManyRows() public {
        Batch memory batch = signedBatch(1, 5, window);
        batch.rows = new bytes(65_536);
        batch.evidence.header.recordsHash = sha256(batch.rows);
        sign(batch, 1);
        _postWith(append(batch, 0));
        openStep(window, 0, 3);
        _expectStepError(
            3,
            abi.encodeWithSelector(IDisputes.WrongRows.selector, batch.evidence.header.recordsHash)
        );
    }

    function test_error_InvalidHeader() public {
        postHonest(window);
        openStep(window, 0, 1);
        IDisputes.StepEvidence memory evidence = stepEvidence(window, 0, 1);
        evidence.batch.header.count = 0;
        expectError(abi.encodeWithSelector(BatchProof.InvalidHeader.selector, 1));
        answerStep(window, 0, 1, evidence);
    }

    function test_error_WrongLeaf() public {
        postHonest(window);
        openStep(window, 0, 1);
        for (uint256 i = 0; i < 5; i++) {
            IDisputes.StepEvidence memory evidence = stepEvidence(window, 0, 1);
            if (i == 0) evidence.before.seq = 9;
            else if (i == 1) evidence.before.batchId = bytes32(uint256(9));
            else if (i == 2) evidence.before.state[95] ^= 0x01;
            else if (i == 3) evidence.before.proof[0] ^= bytes32(uint256(1));
            else evidence.proof = new bytes32[](3);
            expectError(abi.encodeWithSelector(IDisputes.WrongLeaf.selector, i < 4 ? 0 : 1));
            answerStep(window, 0, 1, evidence);
        }
    }

    /// @dev Any bit of any answer.
    function testFuzz_answerStep_altered(uint256 seed) public {
        postHonest(window);
        openStep(window, 0, 1);
        bytes memory call = abi.encodeCall(
            IDisputes.answerStep,
            (
                window,
                1,
                0,
                1,
                epochEvidence(window),
                entryEvidence(window, 0),
                stepEvidence(window, 0, 1)
            )
        );
        call[4 + seed % (call.length - 4)] ^= bytes1(uint8(1 << ((seed >> 32) % 8)));
        (bool answered,) = address(disputes).call(call);
        // Some bits are padding, which nobody reads; what they do not change is accepted.
        if (answered) {
            assertTrue(_isUnread(call, 4 + seed % (call.length - 4)), "accepted");
        }
    }

    function _isUnread(bytes memory call, uint256 index) private view returns (bool) {
        // The bytes after the end of `config`, `siblings`, `commitment`, `state` and `rows` in their last words, and the
        // word of the offset of nothing: decoding the altered call and encoding it again must give the honest one.
        bytes memory arguments = new bytes(call.length - 4);
        for (uint256 i = 0; i < arguments.length; i++) {
            arguments[i] = call[4 + i];
        }
        return this.reencode(arguments) == _honest() && index > 0;
    }

    function reencode(bytes calldata arguments) external pure returns (bytes32) {
        (
            uint32 w,
            uint32 a,
            uint32 slot,
            uint32 step,
            IDisputes.EpochEvidence memory epoch,
            IDisputes.EntryEvidence memory entry,
            IDisputes.StepEvidence memory evidence
        ) = abi.decode(
            arguments,
            (
                uint32,
                uint32,
                uint32,
                uint32,
                IDisputes.EpochEvidence,
                IDisputes.EntryEvidence,
                IDisputes.StepEvidence
            )
        );
        return keccak256(abi.encode(w, a, slot, step, epoch, entry, evidence));
    }

    function _honest() private view returns (bytes32) {
        return keccak256(
            abi.encode(
                window,
                uint32(1),
                uint32(0),
                uint32(1),
                epochEvidence(window),
                entryEvidence(window, 0),
                stepEvidence(window, 0, 1)
            )
        );
    }

    /// @dev An epoch where the trace of device 1 ends with a batch that should not be there.
    function _postWith(uint256 number) private {
        uint256[] memory numbers = new uint256[](4);
        (numbers[1], numbers[2], numbers[3]) = (1, 3, number);
        prepare(window, config());
        _setTrace(0, numbers);
        submit(window, operator);
    }

    function _setTrace(uint32 slot, uint256[] memory numbers) private {
        IDisputes.EntryEvidence memory entry = entryOf(window, slot);
        setTrace(window, slot, entry, foldTrace(window, numbers, config()));
        setEntry(window, slot, entry);
    }

    function _expectStepError(uint32 step, bytes memory data) private {
        IDisputes.StepEvidence memory evidence = stepEvidence(window, 0, step);
        expectError(data);
        answerStep(window, 0, step, evidence);
    }

    function _key(uint256 key) private pure returns (bytes32, bytes32) {
        (uint256 x, uint256 y) = vm.publicKeyP256(key);
        return (bytes32(x), bytes32(y));
    }
}

/// @dev What an epoch makes of the entries before. Devices 1 to 3 are paid from the first window on, device 4
/// joins within the second.
contract DisputesCarryTest is DisputeScene {
    uint32 private window;

    function setUp() public {
        setUpDisputes();
        for (uint256 key = 1; key <= 3; key++) {
            join(key);
        }
        window = firstWindow + 1;
        append(_earning(1, 0, firstWindow), 0);
        append(_earning(2, 0, firstWindow), 1);
        vm.warp(startOf(window) + 5);
        join(4);
        append(_earning(1, 1, window), 0);
        append(_earning(4, 0, window), 0);
    }

    function test_answerCarry() public {
        for (uint32 w = firstWindow; w <= window + 1; w++) {
            postHonest(w);
            for (uint32 slot = 0; slot < 4; slot++) {
                _openAndAnswer(w, slot, deviceOf(slot + 1));
            }
        }
        assertEq(entryOf(window, 0).cumulative, 24_000, "earned twice");
        assertEq(entryOf(window, 1).cumulative, 12_000, "earned once");
        assertEq(entryOf(window, 3).device, address(0), "not paid yet");
        assertEq(entryOf(window + 1, 3).device, deviceOf(4), "paid");
    }

    /// @dev A slot without a member, in ledgers of any depth.
    function test_answerCarry_nobody() public {
        _postFirst();
        postHonest(window);
        join(5);
        postHonest(window + 1);
        assertEq(settlement.epoch(window).depth, 2, "depth");
        assertEq(settlement.epoch(window + 1).depth, 3, "deeper than its parent");
        for (uint32 slot = 5; slot < 8; slot++) {
            _openAndAnswer(window + 1, slot, address(0));
        }
        // Who joined after the posting has a slot now, and had none then.
        join(6);
        _openAndAnswer(window + 1, 5, deviceOf(6));
        _openAndAnswer(window + 1, 4, deviceOf(5));
    }

    /// @dev A challenge of a slot without a member is answered even if one came since.
    function test_answerCarry_joinedSince() public {
        _postFirst();
        postHonest(window);
        join(5);
        postHonest(window + 1);
        openCarry(window + 1, 6, address(0));
        join(6);
        join(7);
        _answer(window + 1, 6, address(0));
    }

    function test_answerCarry_suspended() public {
        _postFirst();
        address[] memory devices = new address[](2);
        (devices[0], devices[1]) = (deviceOf(1), deviceOf(3));
        membership.suspend(devices);
        postHonest(window);
        assertEq(entryOf(window, 0).cumulative, 12_000, "carried");
        assertEq(entryOf(window, 0).steps, 0, "no steps");
        for (uint32 slot = 0; slot < 4; slot++) {
            _openAndAnswer(window, slot, deviceOf(slot + 1));
            openStep(window, slot, 0);
            answerEntry(window, slot, 0, entryEvidence(window, slot));
        }
    }

    /// @dev Another operator answers for the carry from the epoch of the one before.
    function test_answerCarry_handOver() public {
        _postFirst();
        prepare(window, config());
        submit(window, standby);
        _openAndAnswer(window, 0, deviceOf(1));
        _openAndAnswer(window, 1, deviceOf(2));
    }

    /// @dev Who finds nonsense in what is final need not answer for it: it is carried as it was, and a member
    /// has its slot.
    function test_answerCarry_afterNonsenseThatIsFinal() public {
        prepare(firstWindow, config());
        IDisputes.EntryEvidence memory entry;
        (entry.device, entry.cumulative) = (address(0xbad), 77);
        setEntry(firstWindow, 2, entry);
        setEntry(firstWindow, 3, entry);
        submit(firstWindow, operator);
        vm.warp(block.timestamp + CHALLENGE);
        prepare(window, config());
        assertEq(entryOf(window, 2).device, deviceOf(3), "the member");
        submit(window, standby);
        assertEq(entryOf(window, 3).device, address(0xbad), "carried");
        for (uint32 slot = 0; slot < 4; slot++) {
            _openAndAnswer(window, slot, deviceOf(slot + 1));
        }
    }

    /// @dev Nor is a member paid in the slot of another, whatever a metric starts with.
    function test_answerEntry_ofAGhost() public {
        ISettlement.Config memory c = config();
        (c.metric, c.metricParams) = (address(new StartsWithOne()), "");
        settlement.setConfig(c); // from the third window on
        prepare(firstWindow, config());
        IDisputes.EntryEvidence memory ghost;
        (ghost.device, ghost.cumulative) = (deviceOf(1), 77);
        setEntry(firstWindow, 3, ghost);
        submit(firstWindow, operator);
        address[] memory devices = new address[](1);
        devices[0] = deviceOf(4);
        membership.suspend(devices);
        vm.warp(block.timestamp + CHALLENGE); // nobody challenged it
        postHonest(window);
        prepare(window + 1, c);
        submit(window + 1, operator);
        assertEq(entryOf(window + 1, 3).device, deviceOf(1), "carried");
        assertEq(uint256(entryOf(window + 1, 3).value), 0, "not paid");
        assertEq(uint256(entryOf(window + 1, 2).value), 1, "paid, without a step");
        for (uint32 slot = 2; slot <= 3; slot++) {
            openStep(window + 1, slot, 0);
            answerEntry(window + 1, slot, 0, entryEvidence(window + 1, slot));
            _openAndAnswer(window + 1, slot, deviceOf(slot + 1));
        }
    }

    function test_error_NotMemberOfSlot() public {
        _postFirst();
        address[4] memory devices = [address(0), deviceOf(2), deviceOf(9), address(0)];
        uint32[4] memory slots = [uint32(0), 0, 0, 3];
        for (uint256 i = 0; i < 4; i++) {
            vm.expectRevert(
                abi.encodeWithSelector(IDisputes.NotMemberOfSlot.selector, slots[i], devices[i])
            );
            disputes.challengeCarry{value: 1 ether}(firstWindow, 1, slots[i], devices[i]);
        }
    }

    function test_error_WrongParentEntry() public {
        _postFirst();
        postHonest(window);
        openCarry(window, 0, deviceOf(1));
        IDisputes.EntryEvidence memory entry = entryEvidence(window, 0);
        for (uint256 i = 0; i < 3; i++) {
            IDisputes.EntryEvidence memory before = entryEvidence(firstWindow, 0);
            if (i == 0) before.cumulative--;
            else if (i == 1) before = entryEvidence(firstWindow, 1);
            else before = entryEvidence(window, 0);
            expectError(abi.encodeWithSelector(IDisputes.WrongParentEntry.selector, 0));
            answerCarry(window, 0, deviceOf(1), entry, before);
        }
        expectError(abi.encodeWithSelector(IDisputes.WrongEntry.selector, 0));
        answerCarry(window, 0, deviceOf(1), entryEvidence(window, 1), entry);
    }

    // Lies

    function test_lie_wrongReward() public {
        _lie(0, 1);
        _expectCarryError(
            0, abi.encodeWithSelector(IDisputes.WrongCumulative.selector, 24_001, 24_000)
        );
    }

    /// @dev What one device loses another can gain without a change of the total.
    function test_lie_moved() public {
        _postFirst();
        prepare(window, config());
        IDisputes.EntryEvidence memory entry = entryOf(window, 0);
        entry.cumulative -= 100;
        setEntry(window, 0, entry);
        entry = entryOf(window, 1);
        entry.cumulative += 100;
        setEntry(window, 1, entry);
        submit(window, operator);
        _expectCarryError(
            0, abi.encodeWithSelector(IDisputes.WrongCumulative.selector, 23_900, 24_000)
        );
        _expectCarryError(
            1, abi.encodeWithSelector(IDisputes.WrongCumulative.selector, 12_100, 12_000)
        );
    }

    /// @dev A device that is left out of the ledger.
    function test_lie_leftOut() public {
        _postFirst();
        prepare(window, config());
        IDisputes.EntryEvidence memory entry = entryOf(window, 1);
        entry.cumulative += entryOf(window, 2).cumulative;
        setEntry(window, 2, IDisputes.EntryEvidence(address(0), 0, 0, 0, 0, ""));
        submit(window, operator);
        _expectCarryError(
            2, abi.encodeWithSelector(IDisputes.WrongDevice.selector, address(0), deviceOf(3))
        );
    }

    /// @dev A slot that goes to another device with all that the first had earned.
    function test_lie_otherDevice() public {
        _postFirst();
        prepare(window, config());
        IDisputes.EntryEvidence memory entry = entryOf(window, 0);
        entry.device = address(0xbad);
        setEntry(window, 0, entry);
        submit(window, operator);
        _expectCarryError(
            0, abi.encodeWithSelector(IDisputes.WrongDevice.selector, address(0xbad), deviceOf(1))
        );
    }

    function test_lie_paysWhoIsNotPaid() public {
        _postFirst();
        vm.warp(block.timestamp + CHALLENGE);
        for (uint256 i = 0; i < 6; i++) {
            prepare(window, config());
            IDisputes.EntryEvidence memory entry = entryOf(window, 3);
            entry.device = deviceOf(4);
            if (i == 1) entry.cumulative = 5;
            else if (i == 2) entry.value = 5;
            else if (i == 3) entry.steps = 1;
            else if (i == 4) entry.traceRoot = keccak256("root");
            else if (i == 5) entry.device = address(0xbad);
            setEntry(window, 3, entry);
            submit(window, i % 2 == 0 ? operator : standby);
            _expectCarryError(3, abi.encodeWithSelector(IDisputes.NotCarried.selector, 3));
            _slash();
        }
    }

    function test_lie_nobody() public {
        _postFirst();
        prepare(window, config());
        submit(window, operator);
        vm.warp(startOf(window + 1) + 10);
        for (uint256 key = 5; key <= 5; key++) {
            join(key);
        }
        prepare(window + 1, config());
        setEntry(window + 1, 4, IDisputes.EntryEvidence(address(0xbad), 1000, 0, 0, 0, ""));
        submit(window + 1, operator);
        openCarry(window + 1, 4, deviceOf(5));
        IDisputes.EntryEvidence memory none;
        expectError(abi.encodeWithSelector(IDisputes.NotCarried.selector, 4));
        answerCarry(window + 1, 4, deviceOf(5), entryEvidence(window + 1, 4), none);
    }

    function _earning(uint256 key, uint64 seq, uint32 w) private view returns (Batch memory batch) {
        batch = signedBatch(key, seq, w);
        batch.rows = encodeRows(15, 60, 800);
        batch.evidence.header.count = 15;
        batch.evidence.header.span = 14 * 60_000;
        batch.evidence.header.recordsHash = sha256(batch.rows);
        sign(batch, key);
    }

    function _postFirst() private {
        vm.warp(startOf(window) + GRACE);
        postHonest(firstWindow);
    }

    /// @dev The entry of a slot says more than it should.
    function _lie(uint32 slot, uint128 more) private {
        _postFirst();
        prepare(window, config());
        IDisputes.EntryEvidence memory entry = entryOf(window, slot);
        entry.cumulative += more;
        setEntry(window, slot, entry);
        submit(window, operator);
    }

    function _openAndAnswer(uint32 w, uint32 slot, address device) private {
        openCarry(w, slot, device);
        _answer(w, slot, device);
    }

    function _answer(uint32 w, uint32 slot, address device) private {
        answerCarry(w, slot, device, entryEvidence(w, slot), entryEvidence(w - 1, slot));
    }

    function _expectCarryError(uint32 slot, bytes memory data) private {
        address device = deviceOf(slot + 1);
        openCarry(window, slot, device);
        IDisputes.EntryEvidence memory entry = entryEvidence(window, slot);
        IDisputes.EntryEvidence memory before = entryEvidence(window - 1, slot);
        expectError(data);
        answerCarry(window, slot, device, entry, before);
    }

    /// @dev Whoever posted is slashed, and bonds again.
    function _slash() private {
        address poster = settlement.operatorAt(settlement.epoch(window).operatorId);
        asDisputes().slash(poster);
        bond(poster, poster == operator ? 1 : 2, 10 ether);
        settlement.listOperator(poster, true);
        assertEq(settlement.nextWindow(), window, "void");
    }
}

/// @dev Batches that are in the log and not in the trace.
contract DisputesOmissionTest is DisputeScene {
    uint32 private window;
    uint256 private first;
    uint256 private twin;

    function setUp() public {
        setUpDisputes();
        for (uint256 key = 1; key <= 2; key++) {
            join(key);
        }
        window = firstWindow;
        vm.warp(startOf(window) + 5);
        join(3); // not paid
        fillLog(1, 2);
        first = append(signedBatch(1, 4, window), 0);
        append(signedBatch(1, 6, window), 1);
        // Another batch with a seq that is there.
        Batch memory batch = signedBatch(1, 4, window);
        batch.evidence.header.start += 1000;
        sign(batch, 1);
        twin = append(batch, 0);
        append(signedBatch(2, 0, window), 1);
        append(signedBatch(3, 0, window), 0);
    }

    function test_challengeOmission() public {
        postHonest(window);
        Batch memory batch = batchAt(first);
        bytes memory point = abi.encode(deviceOf(1), uint64(4), batch.id, uint32(0), uint64(0));
        bytes32 id = keccak256(abi.encode(IDisputes.Kind.Omission, window, uint32(1), point));
        IDisputes.InclusionEvidence memory inclusion = inclusionEvidence(window, batch);
        vm.expectEmit(address(disputes));
        emit IDisputes.Challenged(
            id,
            window,
            1,
            IDisputes.Kind.Omission,
            challenger,
            CHALLENGE_BOND,
            uint64(block.timestamp) + RESPONSE,
            point
        );
        assertEq(openOmission(window, batch, inclusion), id, "id");
    }

    function test_answerOmission() public {
        postHonest(window);
        for (uint256 i = first; i < first + 4; i++) {
            Batch memory batch = batchAt(i);
            openOmission(window, batch);
            uint32 slot = batch.device == deviceOf(1) ? 0 : 1;
            answerOmission(window, slot, batch, omissionEvidence(window, slot, batch));
        }
    }

    /// @dev Of two with one seq the one in the lower shard is first, whatever their indexes are.
    function test_answerOmission_inAnotherShard() public {
        Batch memory batch = signedBatch(1, 6, window);
        batch.evidence.header.start += 1000;
        sign(batch, 1);
        uint256 number = append(batch, 0);
        postHonest(window);
        Batch memory missed = batchAt(first + 1);
        assertEq(missed.shard, 1, "shard");
        openOmission(window, missed);
        IDisputes.OmissionEvidence memory evidence = omissionEvidence(window, 0, missed);
        assertEq(evidence.batchId, batchAt(number).id, "the one in shard 0");
        vm.expectEmit(address(disputes));
        emit IDisputes.LeafShown(
            window, 1, 0, evidence.step, 6, evidence.batchId, evidence.stateHash
        );
        answerOmission(window, 0, missed, evidence);
    }

    function test_error_NotPaid() public {
        postHonest(window);
        _expectOpenError(
            batchAt(first + 4),
            abi.encodeWithSelector(IDisputes.NotPaid.selector, deviceOf(3), window)
        );
        // Nor a device that is no member.
        Batch memory batch = signedBatch(9, 0, window + 1);
        append(batch, 0);
        postHonest(window + 1);
        IDisputes.InclusionEvidence memory inclusion = inclusionEvidence(window + 1, batchAt(5));
        expectError(abi.encodeWithSelector(IDisputes.NotPaid.selector, deviceOf(9), window + 1));
        openOmission(window + 1, batchAt(5), inclusion);
    }

    /// @dev What does not count by its header cannot be missed.
    function test_error_doesNotCount() public {
        Batch memory batch = signedBatch(1, 9, window);
        batch.evidence.header.schema = 2;
        sign(batch, 1);
        append(batch, 0);
        batch = signedBatch(1, 10, window + 1);
        append(batch, 0);
        postHonest(window);
        _expectOpenError(batchAt(5), abi.encodeWithSelector(IDisputes.WrongSchema.selector, 2, 1));
        _expectOpenError(
            batchAt(6),
            abi.encodeWithSelector(
                IDisputes.OutsideWindow.selector, batch.evidence.header.start, 120_000, window
            )
        );
    }

    function test_error_notInTheLog() public {
        postHonest(window);
        append(signedBatch(1, 9, window), 0);
        Batch memory batch = batchAt(first);
        IDisputes.InclusionEvidence memory inclusion = inclusionEvidence(window, batch);
        Batch memory late = batchAt(5);
        inclusion.index = late.index;
        expectError(abi.encodeWithSelector(IDisputes.NotInLog.selector, late.id, 0, late.index));
        openOmission(window, late, inclusion);
        inclusion.shard = 7;
        expectError(abi.encodeWithSelector(IDisputes.NotInLog.selector, late.id, 7, late.index));
        openOmission(window, late, inclusion);
    }

    function test_error_notSigned() public {
        postHonest(window);
        Batch memory batch = batchAt(first);
        batch.evidence.s ^= bytes32(uint256(1));
        _expectOpenError(
            batch, abi.encodeWithSelector(IDisputes.InvalidBatchSignature.selector, batch.id)
        );
    }

    function test_lie_omitted() public {
        prepare(window, config());
        IDisputes.EntryEvidence memory entry = entryOf(window, 0);
        uint256[] memory numbers = new uint256[](1);
        numbers[0] = first + 1;
        setTrace(window, 0, entry, foldTrace(window, numbers, config()));
        setEntry(window, 0, entry);
        submit(window, operator);
        Batch memory missed = batchAt(first);
        bytes32 id = openOmission(window, missed);
        // The other leaf is one of another seq.
        IDisputes.OmissionEvidence memory evidence = omissionEvidence(window, 0, batchAt(first + 1));
        expectError(abi.encodeWithSelector(IDisputes.WrongLeaf.selector, 0));
        answerOmission(window, 0, missed, evidence);
        vm.warp(block.timestamp + RESPONSE + 1);
        disputes.uphold(id);
    }

    /// @dev The later of two with one seq.
    function test_lie_theOther() public {
        prepare(window, config());
        IDisputes.EntryEvidence memory entry = entryOf(window, 0);
        uint256[] memory numbers = new uint256[](2);
        (numbers[0], numbers[1]) = (twin, first + 1);
        setTrace(window, 0, entry, foldTrace(window, numbers, config()));
        setEntry(window, 0, entry);
        submit(window, operator);
        Batch memory missed = batchAt(first);
        openOmission(window, missed);
        IDisputes.OmissionEvidence memory evidence = omissionEvidence(window, 0, missed);
        expectError(abi.encodeWithSelector(IDisputes.NotEarlier.selector, 0, batchAt(twin).index));
        answerOmission(window, 0, missed, evidence);
        // A place that is earlier has another batch.
        evidence.earlier = inclusionEvidence(window, missed);
        expectError(abi.encodeWithSelector(IDisputes.NotEarlier.selector, 0, 0));
        answerOmission(window, 0, missed, evidence);
    }

    /// @dev A batch of that seq that is nowhere in the log.
    function test_lie_notLogged() public {
        Batch memory batch = signedBatch(1, 6, window);
        batch.evidence.header.start += 1000;
        sign(batch, 1);
        uint256 number = append(batch, 0);
        rewriteLog(0, batchAt(number).index, keccak256("another"));
        prepare(window, config());
        IDisputes.EntryEvidence memory entry = entryOf(window, 0);
        uint256[] memory numbers = new uint256[](2);
        (numbers[0], numbers[1]) = (first, number);
        setTrace(window, 0, entry, foldTrace(window, numbers, config()));
        setEntry(window, 0, entry);
        submit(window, operator);
        Batch memory missed = batchAt(first + 1);
        openOmission(window, missed);
        IDisputes.OmissionEvidence memory evidence = omissionEvidence(window, 0, missed);
        expectError(
            abi.encodeWithSelector(IDisputes.NotInLog.selector, batch.id, 0, batchAt(number).index)
        );
        answerOmission(window, 0, missed, evidence);
    }

    function test_lie_noEntry() public {
        prepare(window, config());
        setEntry(window, 0, IDisputes.EntryEvidence(address(0), 0, 0, 0, 0, ""));
        submit(window, operator);
        Batch memory missed = batchAt(first);
        openOmission(window, missed);
        IDisputes.OmissionEvidence memory evidence = omissionEvidence(window, 0, missed);
        expectError(abi.encodeWithSelector(IDisputes.WrongDevice.selector, address(0), deviceOf(1)));
        answerOmission(window, 0, missed, evidence);
    }

    function _expectOpenError(Batch memory batch, bytes memory data) private {
        IDisputes.InclusionEvidence memory inclusion = inclusionEvidence(window, batch);
        expectError(data);
        openOmission(window, batch, inclusion);
    }
}

/// @dev Logs that are not what they were, nodes of ledgers, and what needs no answer.
contract DisputesLogTest is DisputeScene {
    uint32 private window;

    function setUp() public {
        setUpDisputes();
        for (uint256 key = 1; key <= 40; key++) {
            join(key);
        }
        window = firstWindow;
        vm.warp(startOf(window));
        fillLog(0, 5);
        postHonest(window);
        fillLog(0, 6);
        fillLog(1, 3);
    }

    function test_answerConsistency() public {
        postHonest(window + 1);
        openConsistency(window + 1, window, 0);
        answerConsistency(window + 1, 0, 5, rootOf(0, 5), consistencyProof(window + 1, 0, 5));
        // And of one with itself.
        postHonest(window + 2);
        openConsistency(window + 2, window + 1, 1);
        answerConsistency(window + 2, 1, 3, rootOf(1, 3), new bytes32[](0));
    }

    function test_answerCheckpoint() public {
        postHonest(window + 1);
        for (uint64 size = 1; size <= 11; size++) {
            openCheckpoint(
                window + 1, checkpoint(operator, block.timestamp, 0, size, rootOf(0, size))
            );
            answerConsistency(
                window + 1, 0, size, rootOf(0, size), consistencyProof(window + 1, 0, size)
            );
        }
        // A checkpoint of what an epoch says already is the same point.
        bytes memory point = abi.encode(uint32(0), uint64(5), rootOf(0, 5));
        bytes32 id = keccak256(abi.encode(IDisputes.Kind.Consistency, window + 1, uint32(1), point));
        expectError(
            abi.encodeWithSelector(
                IDisputes.AlreadyChallenged.selector, id, uint256(IDisputes.Status.Answered)
            )
        );
        openConsistency(window + 1, window, 0);
    }

    function test_error_consistency() public {
        postHonest(window + 1);
        uint32[2] memory wrong = [window + 1, window + 2];
        for (uint256 i = 0; i < 2; i++) {
            vm.expectRevert(
                abi.encodeWithSelector(IDisputes.NotEarlierWindow.selector, wrong[i], window + 1)
            );
            disputes.challengeConsistency{value: 1 ether}(
                window + 1, 1, wrong[i], epochEvidence(window), 0
            );
        }
        // A shard that was empty.
        expectError(abi.encodeWithSelector(IDisputes.InvalidSize.selector, 1, 0, 0));
        openConsistency(window + 1, window, 1);
        // No epoch at all.
        vm.expectRevert();
        disputes.challengeConsistency{value: 1 ether}(
            window + 1, 1, window - 1, epochEvidence(window), 0
        );
    }

    /// @dev Nobody answers for the log of another.
    function test_error_NotOperator() public {
        prepare(window + 1, config());
        submit(window + 1, standby);
        bytes memory data =
            abi.encodeWithSelector(IDisputes.NotOperator.selector, operator, standby);
        expectError(data);
        openConsistency(window + 1, window, 0);
        IDisputes.CheckpointEvidence memory c = checkpoint(operator, 1, 0, 5, rootOf(0, 5));
        expectError(data);
        openCheckpoint(window + 1, c);
        vm.expectRevert(data);
        disputes.proveTruncation(window + 1, 1, epochEvidence(window + 1), c);
        // But for its own of before.
        prepare(window + 2, config());
        submit(window + 2, operator);
        openConsistency(window + 2, window, 0);
    }

    function test_error_checkpoint_InvalidSize() public {
        uint64[2] memory sizes = [uint64(0), 6];
        for (uint256 i = 0; i < 2; i++) {
            IDisputes.CheckpointEvidence memory c =
                checkpoint(operator, 1, 0, sizes[i], keccak256("root"));
            expectError(abi.encodeWithSelector(IDisputes.InvalidSize.selector, 0, sizes[i], 5));
            openCheckpoint(window, c);
        }
        IDisputes.CheckpointEvidence memory absent = checkpoint(operator, 1, 9, 1, 0);
        expectError(abi.encodeWithSelector(IDisputes.InvalidSize.selector, 9, 1, 0));
        openCheckpoint(window, absent);
    }

    function test_error_InvalidCheckpointSignature() public {
        bytes memory data =
            abi.encodeWithSelector(IDisputes.InvalidCheckpointSignature.selector, operator);
        for (uint256 i = 0; i < 3; i++) {
            IDisputes.CheckpointEvidence memory c = checkpoint(operator, 1, 0, 3, keccak256("root"));
            if (i == 0) c.root = keccak256("another");
            else if (i == 1) c.time++;
            else (c.x, c.y) = (bytes32(uint256(1)), bytes32(uint256(2)));
            expectError(data);
            openCheckpoint(window, c);
            IDisputes.CheckpointEvidence memory other =
                checkpoint(operator, 1, 0, 3, keccak256("other"));
            vm.expectRevert(data);
            disputes.proveFork(c, other);
            vm.expectRevert(data);
            disputes.proveFork(other, c);
        }
    }

    function test_lie_rewrittenLog() public {
        rewriteLog(0, 2, keccak256("another"));
        postHonest(window + 1);
        bytes32 root = epochEvidence(window).logs[0].root;
        openConsistency(window + 1, window, 0);
        bytes32[] memory proof = consistencyProof(window + 1, 0, 5);
        expectError(abi.encodeWithSelector(IDisputes.Inconsistent.selector, 0, 5));
        answerConsistency(window + 1, 0, 5, root, proof);
        expectError(
            abi.encodeWithSelector(
                IDisputes.NotOpen.selector,
                keccak256(
                    abi.encode(
                        IDisputes.Kind.Consistency,
                        window + 1,
                        uint32(1),
                        abi.encode(uint32(0), uint64(5), rootOf(0, 5))
                    )
                ),
                0
            )
        );
        answerConsistency(window + 1, 0, 5, rootOf(0, 5), proof);
    }

    /// @dev A log that lost what it had, or a whole shard.
    function test_lie_shorterLog() public {
        vm.warp(block.timestamp + CHALLENGE);
        for (uint256 size = 0; size <= 4; size += 4) {
            prepare(window + 1, config());
            setSize(window + 1, 0, size);
            submit(window + 1, operator);
            bytes32 id = openConsistency(window + 1, window, 0);
            expectError(abi.encodeWithSelector(IDisputes.Inconsistent.selector, 0, 5));
            answerConsistency(window + 1, 0, 5, rootOf(0, 5), new bytes32[](0));
            vm.warp(block.timestamp + RESPONSE + 1);
            disputes.uphold(id);
            assertEq(settlement.nextWindow(), window + 1, "void");
            bond(operator, 1, 10 ether);
            settlement.listOperator(operator, true);
        }
    }

    // Reveals

    function test_answerReveal() public {
        assertEq(settlement.epoch(window).depth, 6, "depth");
        for (uint8 height = 1; height <= 6; height++) {
            uint32 index = uint32((1 << (6 - height)) - 1);
            openReveal(window, height, index);
            bytes memory nodes = ledgerOf[window].nodes(height, index);
            assertEq(nodes.length, (height < 5 ? 1 << height : 32) * 48, "nodes");
            vm.expectEmit(address(disputes));
            emit IDisputes.Revealed(window, 1, height, index, nodes);
            bytes memory siblings = ledgerOf[window].siblings(height, index);
            answerReveal(window, height, index, nodes, siblings);
        }
    }

    function test_error_NodeOutOfBounds() public {
        uint8[4] memory heights = [0, 7, 6, 5];
        uint32[4] memory indexes = [uint32(0), 0, 1, 2];
        for (uint256 i = 0; i < 4; i++) {
            expectError(
                abi.encodeWithSelector(
                    IDisputes.NodeOutOfBounds.selector, heights[i], indexes[i], 6
                )
            );
            openReveal(window, heights[i], indexes[i]);
        }
        expectError(
            abi.encodeWithSelector(IDisputes.NodeOutOfBounds.selector, 255, type(uint32).max, 6)
        );
        openReveal(window, 255, type(uint32).max);
    }

    function test_error_WrongNodes() public {
        openReveal(window, 6, 0);
        bytes memory nodes = ledgerOf[window].nodes(6, 0);
        bytes memory data = abi.encodeWithSelector(IDisputes.WrongNodes.selector, 6, 0);
        expectError(data);
        answerReveal(window, 6, 0, "", "");
        expectError(data);
        answerReveal(window, 6, 0, nodes, new bytes(48));
        nodes[77] ^= 0x01;
        expectError(data);
        answerReveal(window, 6, 0, nodes, "");
    }

    /// @dev Each answer leaves one more response time, up to seven times in a ledger of depth 6.
    function test_reveal_extendsTheChallengeTime() public {
        uint64 endsAt = settlement.epoch(window).challengeEndsAt;
        openReveal(window, 6, 0);
        answerReveal(window, 6, 0);
        assertEq(settlement.epoch(window).challengeEndsAt, endsAt, "enough time is left");
        assertEq(disputes.extendableUntil(window, 1), 0, "no bound yet");
        // An auditor that begins in the last second, and an operator that answers in the last second.
        vm.warp(endsAt - 1);
        for (uint64 round = 1; round <= 6; round++) {
            openReveal(window, 3, uint32(round));
            vm.warp(block.timestamp + RESPONSE - 1);
            answerReveal(window, 3, uint32(round));
            assertEq(disputes.extendableUntil(window, 1), endsAt + 7 * uint64(RESPONSE), "bound");
            assertEq(
                settlement.epoch(window).challengeEndsAt,
                block.timestamp + RESPONSE,
                "a response time is left"
            );
        }
        // The bound is a time: many answers do not use it up, and whoever waits gets no more.
        vm.warp(settlement.epoch(window).challengeEndsAt - 1);
        openReveal(window, 1, 0);
        uint64 before = settlement.epoch(window).challengeEndsAt;
        vm.warp(block.timestamp + RESPONSE - 1);
        answerReveal(window, 1, 0);
        assertEq(settlement.epoch(window).challengeEndsAt, before, "no more");
        assertTrue(before <= endsAt + 7 * RESPONSE, "bound holds");
    }

    /// @dev An auditor that was refused everything and begins at the very end gets to the steps of an
    /// entry, though every answer comes in the last second, it needs a block to see each, and the
    /// operator challenges itself all the time.
    function test_answers_leaveTimeForTheSteps() public {
        ISettlement.Config memory c = config();
        (c.challengeWindow, c.responseTime) = (1 hours, 1 hours);
        settlement.setConfig(c);
        postHonest(window + 1); // whose rules were there before
        uint32 w = window + 2;
        append(signedBatch(34, 0, w), 0);
        append(signedBatch(34, 1, w), 1);
        prepare(w, c);
        submit(w, operator);
        vm.warp(settlement.epoch(w).challengeEndsAt - 100);
        for (uint32 i = 0; i < 10; i++) {
            vm.warp(block.timestamp + 1);
            openReveal(w, 1, i);
            answerReveal(w, 1, i);
        }
        openReveal(w, 6, 0);
        vm.warp(block.timestamp + 1 hours - 1);
        answerReveal(w, 6, 0);
        vm.warp(block.timestamp + 12);
        openReveal(w, 5, 1);
        vm.warp(block.timestamp + 1 hours - 1);
        answerReveal(w, 5, 1);
        vm.warp(block.timestamp + 12);
        openStep(w, 33, type(uint32).max);
        vm.warp(block.timestamp + 1 hours - 1);
        answerEntry(w, 33, type(uint32).max, entryEvidence(w, 33));
        vm.warp(block.timestamp + 1 hours - 1);
        openStep(w, 33, 0);
        openStep(w, 33, 1);
    }

    function test_answerCarry_extendsTheChallengeTime() public {
        vm.warp(settlement.epoch(window).challengeEndsAt - 1);
        openCarry(window, 33, deviceOf(34));
        vm.warp(block.timestamp + RESPONSE - 1);
        IDisputes.EntryEvidence memory none;
        answerCarry(window, 33, deviceOf(34), entryEvidence(window, 33), none);
        assertEq(settlement.epoch(window).challengeEndsAt, block.timestamp + RESPONSE, "extended");
    }

    // Proofs

    function test_proveFork() public {
        IDisputes.CheckpointEvidence memory a = checkpoint(operator, 5, 1, 7, keccak256("a"));
        IDisputes.CheckpointEvidence memory b = checkpoint(operator, 6, 1, 7, keccak256("b"));
        vm.expectEmit(address(disputes));
        emit IDisputes.Proven(IDisputes.Fraud.Fork, operator, challenger, 5 ether);
        vm.prank(challenger);
        disputes.proveFork(a, b);
        assertEq(disputes.credit(challenger), 5 ether, "credit");
        assertEq(settlement.nextWindow(), window, "void");
        assertTrue(!settlement.operator(operator).listed, "delisted");
        // There is nothing more to take.
        disputes.proveFork(b, a);
        assertEq(disputes.credit(challenger), 5 ether, "credit");
        assertEq(address(disputes).balance, 5 ether, "balance");
    }

    function test_error_NoFork() public {
        IDisputes.CheckpointEvidence memory a = checkpoint(operator, 5, 1, 7, keccak256("a"));
        for (uint256 i = 0; i < 4; i++) {
            IDisputes.CheckpointEvidence memory b =
                checkpoint(operator, 6, 1, 7, keccak256(i == 0 ? bytes("a") : bytes("b")));
            if (i == 1) b.size = 8;
            else if (i == 2) b.shard = 2;
            else if (i == 3) b.operator = standby;
            vm.expectRevert(err(IDisputes.NoFork.selector));
            disputes.proveFork(a, b);
        }
    }

    /// @dev An account without a log key signed nothing.
    function test_error_proveFork_stranger() public {
        IDisputes.CheckpointEvidence memory a = checkpoint(address(0xbad), 5, 1, 7, keccak256("a"));
        IDisputes.CheckpointEvidence memory b = checkpoint(address(0xbad), 5, 1, 7, keccak256("b"));
        vm.expectRevert(
            abi.encodeWithSelector(IDisputes.InvalidCheckpointSignature.selector, address(0xbad))
        );
        disputes.proveFork(a, b);
    }

    /// @dev Two heads of one size, whichever of its keys signed them.
    function test_proveFork_acrossKeys() public {
        uint256 changed = block.timestamp;
        rotate(operator, 3);
        vm.warp(changed + settlement.withdrawalDelay());
        IDisputes.CheckpointEvidence memory a =
            checkpoint(operator, 1, changed, 1, 7, keccak256("a"));
        IDisputes.CheckpointEvidence memory b =
            checkpoint(operator, 3, block.timestamp, 1, 7, keccak256("b"));
        uint256 snapshot = vm.snapshotState();
        vm.prank(challenger);
        disputes.proveFork(a, b);
        assertEq(disputes.credit(challenger), 5 ether, "credit");
        // Nor is it of use to have changed the key in the meantime.
        vm.revertToState(snapshot);
        rotate(operator, 4);
        vm.prank(challenger);
        disputes.proveFork(b, a);
        assertEq(disputes.credit(challenger), 5 ether, "credit again");
    }

    /// @dev What an old key signs with a date an hour after its change binds nobody: a thief has nothing of it.
    /// Nor is anybody bound by it for ever.
    function test_error_proveFork_formerKey() public {
        uint256 changed = block.timestamp;
        rotate(operator, 3);
        IDisputes.CheckpointEvidence memory b =
            checkpoint(operator, 3, changed, 1, 7, keccak256("b"));
        bytes memory data =
            abi.encodeWithSelector(IDisputes.InvalidCheckpointSignature.selector, operator);
        IDisputes.CheckpointEvidence memory later =
            checkpoint(operator, 1, changed + 1 hours + 1, 1, 7, keccak256("a"));
        vm.expectRevert(data);
        disputes.proveFork(later, b);
        vm.expectRevert(data);
        disputes.proveFork(b, later);
        expectError(data);
        openCheckpoint(
            window, checkpoint(operator, 1, changed + 1 hours + 1, 0, 3, keccak256("root"))
        );
        postHonest(window + 1);
        vm.warp(changed + settlement.withdrawalDelay() + 1);
        IDisputes.CheckpointEvidence memory old =
            checkpoint(operator, 1, changed, 1, 7, keccak256("a"));
        vm.expectRevert(data);
        disputes.proveFork(old, b);
    }

    /// @dev A receipt of the old key is kept by whoever posts with the new one.
    function test_proveTruncation_formerKey() public {
        uint256 cutOff = startOf(window + 1) + GRACE;
        vm.warp(cutOff - 1 hours - 1);
        rotate(operator, 3);
        vm.warp(cutOff + CHALLENGE);
        IDisputes.CheckpointEvidence memory later =
            checkpoint(operator, 1, cutOff, 0, 6, rootOf(0, 6));
        vm.expectRevert(
            abi.encodeWithSelector(IDisputes.InvalidCheckpointSignature.selector, operator)
        );
        disputes.proveTruncation(window, 1, epochEvidence(window), later);
        IDisputes.CheckpointEvidence memory c =
            checkpoint(operator, 1, cutOff - 1, 0, 6, rootOf(0, 6));
        vm.prank(challenger);
        disputes.proveTruncation(window, 1, epochEvidence(window), c);
        assertEq(disputes.credit(challenger), 5 ether, "credit");
    }

    /// @dev An operator that changes its key and waits until its receipts would be forgotten has posted nothing
    /// that could be held against them: so they are not, until what it posts is final.
    function test_proveTruncation_formerKey_postedLate() public {
        uint32 w = window + 1;
        uint256 changed = startOf(w) + 1 hours;
        vm.warp(changed);
        rotate(operator, 3);
        vm.warp(changed + settlement.withdrawalDelay() + 1);
        postHonest(w);
        IDisputes.CheckpointEvidence memory c =
            checkpoint(operator, 1, changed, 0, 12, keccak256("promised"));
        uint256 snapshot = vm.snapshotState();
        vm.prank(challenger);
        disputes.proveTruncation(w, 1, epochEvidence(w), c);
        assertEq(disputes.credit(challenger), 5 ether, "credit");
        vm.revertToState(snapshot);
        vm.warp(settlement.epoch(w).challengeEndsAt - 1);
        assertTrue(settlement.isLogKey(operator, deviceOf(1), uint64(changed)), "not final");
        vm.warp(block.timestamp + 1);
        assertTrue(!settlement.isLogKey(operator, deviceOf(1), uint64(changed)), "final");
        vm.expectRevert(
            abi.encodeWithSelector(IDisputes.InvalidCheckpointSignature.selector, operator)
        );
        disputes.proveTruncation(w, 1, epochEvidence(w), c);
    }

    /// @dev A receipt that was dated ahead, as devices believe it, binds although the key was changed since.
    function test_proveFork_datedAhead() public {
        uint256 ahead = block.timestamp + 5 minutes;
        rotate(operator, 3);
        IDisputes.CheckpointEvidence memory a = checkpoint(operator, 1, ahead, 1, 7, keccak256("a"));
        IDisputes.CheckpointEvidence memory b = checkpoint(operator, 3, ahead, 1, 7, keccak256("b"));
        vm.prank(challenger);
        disputes.proveFork(a, b);
        assertEq(disputes.credit(challenger), 5 ether, "credit");
    }

    /// @dev A head of the old key must still be on the way of what is posted with the new one.
    function test_challengeCheckpoint_formerKey() public {
        rotate(operator, 3);
        openCheckpoint(window, checkpoint(operator, 1, block.timestamp, 0, 3, keccak256("another")));
        bytes32[] memory proof = consistencyProof(window, 0, 3);
        expectError(abi.encodeWithSelector(IDisputes.Inconsistent.selector, 0, 3));
        answerConsistency(window, 0, 3, keccak256("another"), proof);
        openCheckpoint(window, checkpoint(operator, 1, block.timestamp, 0, 3, rootOf(0, 3)));
        answerConsistency(window, 0, 3, rootOf(0, 3), proof);
    }

    function test_proveTruncation() public {
        uint256 cutOff = startOf(window + 1) + GRACE;
        IDisputes.CheckpointEvidence memory c = checkpoint(operator, cutOff - 1, 0, 6, rootOf(0, 6));
        vm.expectEmit(address(disputes));
        emit IDisputes.Proven(IDisputes.Fraud.Truncation, operator, challenger, 5 ether);
        vm.prank(challenger);
        disputes.proveTruncation(window, 1, epochEvidence(window), c);
        assertEq(disputes.credit(challenger), 5 ether, "credit");
        vm.expectRevert(abi.encodeWithSelector(IDisputes.NotStanding.selector, window, 1));
        disputes.proveTruncation(window, 1, epochEvidence(window), c);
    }

    /// @dev A receipt outlives the challenge time; what is final stays.
    function test_proveTruncation_ofWhatIsFinal() public {
        vm.warp(block.timestamp + CHALLENGE);
        postHonest(window + 1);
        // A shard that is not there has size 0.
        IDisputes.CheckpointEvidence memory c =
            checkpoint(operator, startOf(window), 1, 1, rootOf(1, 1));
        disputes.proveTruncation(window, 1, epochEvidence(window), c);
        assertTrue(settlement.statusOf(window, 1) == ISettlement.Status.Final, "final");
        assertTrue(settlement.statusOf(window + 1, 1) == ISettlement.Status.Void, "void");
    }

    function test_error_NoTruncation() public {
        uint64 cutOff = uint64(startOf(window + 1)) + GRACE;
        uint64[2] memory times = [cutOff, cutOff - 1];
        uint64[2] memory sizes = [uint64(6), 5];
        for (uint256 i = 0; i < 2; i++) {
            IDisputes.CheckpointEvidence memory c =
                checkpoint(operator, times[i], 0, sizes[i], rootOf(0, sizes[i]));
            vm.expectRevert(
                abi.encodeWithSelector(
                    IDisputes.NoTruncation.selector, times[i], sizes[i], cutOff, 5
                )
            );
            disputes.proveTruncation(window, 1, epochEvidence(window), c);
        }
    }

    function test_proveEquivocation() public {
        (Batch memory a, Batch memory b) = _twins(1);
        vm.expectEmit(address(disputes));
        emit IDisputes.Proven(IDisputes.Fraud.Equivocation, deviceOf(1), challenger, 0);
        vm.expectEmit(address(membership));
        emit IMembership.Suspended(deviceOf(1));
        vm.prank(challenger);
        disputes.proveEquivocation(a.evidence, b.evidence);
        assertEq(membership.member(deviceOf(1)).suspendedAt, block.timestamp, "suspended");
        vm.expectRevert(abi.encodeWithSelector(IMembership.AlreadySuspended.selector, deviceOf(1)));
        disputes.proveEquivocation(a.evidence, b.evidence);
    }

    function test_error_proveEquivocation() public {
        (Batch memory a, Batch memory b) = _twins(1);
        vm.expectRevert(err(IDisputes.NoEquivocation.selector));
        disputes.proveEquivocation(a.evidence, a.evidence);
        Batch memory c = signedBatch(1, 1, window);
        vm.expectRevert(err(IDisputes.NoEquivocation.selector));
        disputes.proveEquivocation(a.evidence, c.evidence);
        c = signedBatch(2, 0, window);
        bytes32 id = this.idOf(c.evidence, deviceOf(1), settlement.networkId());
        vm.expectRevert(abi.encodeWithSelector(IDisputes.InvalidBatchSignature.selector, id));
        disputes.proveEquivocation(a.evidence, c.evidence);
        (a, b) = _twins(99);
        vm.expectRevert(abi.encodeWithSelector(IMembership.NotMember.selector, deviceOf(99)));
        disputes.proveEquivocation(a.evidence, b.evidence);
    }

    function _twins(uint256 key) private view returns (Batch memory a, Batch memory b) {
        (a, b) = (signedBatch(key, 0, window), signedBatch(key, 0, window));
        b.evidence.header.start += 1000;
        sign(b, key);
    }
}
