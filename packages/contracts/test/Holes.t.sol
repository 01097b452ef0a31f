// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ConfigRules} from "../solidity/ConfigRules.sol";
import {Disputes} from "../solidity/Disputes.sol";
import {Settlement} from "../solidity/Settlement.sol";
import {IDeviceRegistry} from "../solidity/interfaces/IDeviceRegistry.sol";
import {IDisputes} from "../solidity/interfaces/IDisputes.sol";
import {INetworkFactory} from "../solidity/interfaces/INetworkFactory.sol";
import {ISettlement} from "../solidity/interfaces/ISettlement.sol";
import {CountMetric} from "../solidity/metrics/CountMetric.sol";
import {DistanceMetric} from "../solidity/metrics/DistanceMetric.sol";
import {ThresholdPolicy} from "../solidity/policies/ThresholdPolicy.sol";
import {DisputeScene} from "./base/DisputeScene.sol";
import {Ledger} from "./base/Ledger.sol";
import {IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

/// @dev The attacks of docs/protocol/disputes.md that need more than one part of the game. Devices 1 and 2 have
/// earned, device 3 has no batch, device 4 joined too late.
contract HolesTest is DisputeScene {
    uint32 private constant NO_STEP = type(uint32).max;
    address private immutable _puppet = address(0xb0b);
    uint32 private window;

    function setUp() public {
        setUpDisputes();
        vm.deal(_puppet, 10 ether);
        for (uint256 key = 1; key <= 3; key++) {
            join(key);
        }
        window = firstWindow;
        vm.warp(startOf(window) + 5);
        join(4);
        append(_earning(1, 0, window), 0);
        append(_earning(1, 1, window), 1);
        append(_earning(2, 0, window), 1);
        append(_earning(1, 2, window), 0);
    }

    // What changes between a posting and an answer

    /// @dev Suspended, sold, convicted itself, and more members: the answers are those of the window.
    function test_membersChangeBeforeTheAnswer() public {
        postHonest(window);
        _openAll(window);
        address[] memory devices = new address[](2);
        (devices[0], devices[1]) = (deviceOf(1), deviceOf(4));
        membership.suspend(devices);
        (Batch memory a, Batch memory b) = _twins(2);
        disputes.proveEquivocation(a.evidence, b.evidence);
        vm.prank(owner);
        registry.transferFrom(owner, standby, uint160(deviceOf(1)));
        for (uint256 key = 5; key <= 9; key++) {
            join(key);
        }
        _answerAll(window, 3);
    }

    /// @dev Metric, policy, schema, operator, times, bonds: nothing of it reaches back.
    function test_rulesChangeBeforeTheAnswer() public {
        postHonest(window);
        ISettlement.Config memory changed = config();
        changed.metric = address(new CountMetric());
        changed.metricParams = "";
        changed.policy = address(new ThresholdPolicy());
        changed.policyParams = abi.encode(int256(1), uint256(7), uint256(1000));
        changed.operator = standby;
        (changed.grace, changed.responseTime) = (2 * GRACE, RESPONSE / 4);
        (changed.maxRowsBytes, changed.challengeBond) = (9, CHALLENGE_BOND / 2);
        settlement.setConfig(changed);
        append(_earning(1, 3, window + 2), 0);
        postHonest(window + 1);
        uint64 endsAt = settlement.epoch(window).challengeEndsAt;
        vm.warp(endsAt - 1);
        (changed.schema, changed.fields) = (2, 3);
        settlement.setConfig(changed);
        (changed.schema, changed.fields) = (1, 1);
        _openAll(window);
        prepare(window + 2, changed);
        submit(window + 2, standby);
        openStep(window + 2, 0, 0);
        openCarry(window + 2, 0, deviceOf(1));
        assertEq(settlement.versionAt(window).responseTime, RESPONSE, "of the window");
        answerStep(window + 2, 0, 0, stepEvidence(window + 2, 0, 0));
        _answerCarry(window + 2, 0);
        assertEq(uint256(entryOf(window + 2, 0).value), 15, "rows are counted");
        assertEq(entryOf(window + 2, 0).cumulative, 36_000 + 15 * 7, "cumulative");
        vm.warp(endsAt - 1 + RESPONSE - 1);
        _answerAll(window, 3);
    }

    /// @dev A metric, or a policy, that fails is no verdict: the challenge stays open, the answer can be given.
    function test_failedCallsConvictNobody() public {
        postHonest(window);
        bytes[3] memory broken = [bytes(hex"60006000fd"), hex"fe", hex"00"];
        for (uint32 i = 0; i < 2; i++) {
            address part = i == 0 ? address(metric) : address(policy);
            bytes memory code = part.code;
            bytes32 id = i == 0 ? openStep(window, 0, 1) : openCarry(window, 0, deviceOf(1));
            for (uint256 j = 0; j < broken.length; j++) {
                vm.etch(part, broken[j]);
                bool answered = _tryAnswer(i == 0);
                assertTrue(!answered, "no answer");
                assertEq(disputes.credit(helper), i * CHALLENGE_BOND / 2, "credit");
                assertTrue(disputes.challenge(id).status == IDisputes.Status.Open, "open");
            }
            vm.etch(part, code);
            assertTrue(_tryAnswer(i == 0), "answered");
        }
    }

    /// @dev An operator that shows nothing but what it is asked for, each time in the last second, on an epoch
    /// that says only one thing too many: whoever began in the first hour is not out of time when it sees it.
    function test_lateAnswersGainNoTime() public {
        prepare(window, config());
        IDisputes.EntryEvidence memory entry = entryOf(window, 0);
        (entry.value, entry.cumulative) = (entry.value + 1, entry.cumulative + 1);
        setEntry(window, 0, entry);
        submit(window, operator);
        vm.warp(block.timestamp + 1 hours);
        openReveal(window, 2, 0);
        vm.warp(block.timestamp + RESPONSE - 1);
        answerReveal(window, 2, 0);
        vm.warp(block.timestamp + 12);
        openCarry(window, 0, deviceOf(1));
        vm.warp(block.timestamp + RESPONSE - 1);
        _answerCarry(window, 0);
        vm.warp(block.timestamp + 12);
        bytes32 id = openStep(window, 0, 2);
        vm.warp(disputes.challenge(id).deadline + 1);
        disputes.uphold(id);
        assertEq(disputes.credit(challenger), 5 ether + CHALLENGE_BOND, "caught");
    }

    // Whose money

    /// @dev Whoever is about to be convicted can only be the first to point at it: half of the bond is gone, and
    /// the challenger that came too late has lost nothing.
    function test_frontRunningCostsHalfTheBond() public {
        _postInflated(operator);
        vm.prank(_puppet);
        bytes32 id = disputes.challengeStep{value: CHALLENGE_BOND}(window, 1, 0, 2, address(0));
        expectError(
            abi.encodeWithSelector(
                IDisputes.AlreadyChallenged.selector, id, uint256(IDisputes.Status.Open)
            )
        );
        openStep(window, 0, 2);
        bytes32 other = openStep(window, 0, 1);
        uint256 burned = address(0).balance;
        vm.warp(block.timestamp + RESPONSE + 1);
        disputes.uphold(id);
        vm.prank(_puppet);
        disputes.withdraw();
        assertEq(_puppet.balance, 15 ether, "half of the bond, and its own");
        assertEq(address(0).balance - burned, 5 ether, "the other half");
        assertEq(settlement.operator(operator).bond, 0, "bond");
        disputes.refund(other);
        vm.prank(challenger);
        disputes.withdraw();
        assertEq(challenger.balance, 100 ether, "nothing lost");
        assertEq(settlement.nextWindow(), window, "void");
    }

    /// @dev Convicted all the same, an operator can still choose by whom: it forks its own log before the deadline,
    /// or leaves an older challenge of its own unanswered. Its half of the bond is burned either way.
    function test_rewardCanBeTakenBack() public {
        _postInflated(operator);
        vm.prank(_puppet);
        bytes32 planted =
            disputes.challengeStep{value: CHALLENGE_BOND}(window, 1, 1, 77, address(0));
        vm.warp(block.timestamp + 1 hours);
        bytes32 id = openStep(window, 0, 2);
        uint256 burned = address(0).balance;
        uint256 snapshot = vm.snapshotState();
        IDisputes.CheckpointEvidence memory a = checkpoint(operator, 1, 0, 9, keccak256("a"));
        IDisputes.CheckpointEvidence memory b = checkpoint(operator, 1, 0, 9, keccak256("b"));
        vm.prank(_puppet);
        disputes.proveFork(a, b);
        _checkTakenBack(id, 5 ether, burned);
        vm.revertToState(snapshot);
        vm.warp(disputes.challenge(planted).deadline + 1);
        disputes.uphold(planted);
        _checkTakenBack(id, 5 ether + CHALLENGE_BOND, burned);
    }

    function _checkTakenBack(bytes32 id, uint256 credit, uint256 burned) private {
        disputes.refund(id);
        assertEq(disputes.credit(challenger), CHALLENGE_BOND, "nothing lost");
        assertEq(disputes.credit(_puppet), credit, "half of the bond");
        assertEq(address(0).balance - burned, 5 ether, "the other half");
        assertEq(settlement.operator(operator).bond, 0, "bond");
        assertEq(settlement.nextWindow(), window, "void");
    }

    /// @dev A proof can be brought again for ever. It voids nothing of others, though short windows leave many of
    /// them pending.
    function test_oldProofsVoidNobodyElses() public {
        INetworkFactory.NetworkParams memory params = networkParams();
        params.windowSeconds = 60;
        (params.config.grace, params.config.takeoverDelay) = (0, 0);
        (, INetworkFactory.Network memory network) = factory.createNetwork(params);
        settlement = Settlement(network.settlement);
        disputes = Disputes(payable(network.disputes));
        settlement.listOperator(standby, true);
        bond(operator, 1, 1 ether);
        bond(standby, 2, 1 ether);
        uint32 first = settlement.firstWindow();
        vm.warp((uint256(first) + 320) * 60);
        _postEmpty(first, standby);
        _postEmpty(first + 1, standby);
        _postEmpty(first + 2, operator);
        IDisputes.CheckpointEvidence memory a = checkpoint(standby, 1, 0, 9, keccak256("a"));
        IDisputes.CheckpointEvidence memory b = checkpoint(standby, 1, 0, 9, keccak256("b"));
        disputes.proveFork(a, b);
        assertEq(settlement.nextWindow(), first, "void");
        for (uint32 w = first; w < first + 300; w++) {
            _postEmpty(w, operator);
        }
        disputes.proveFork(b, a);
        assertEq(settlement.nextWindow(), first + 300, "all stand");
        assertEq(settlement.operator(operator).bond, 1 ether, "bond");
    }

    /// @dev Who is no operator can give itself a log key, and convict itself: that voids nothing, and pays nobody.
    function test_strangersKeysVoidNothing() public {
        postHonest(window);
        rotate(_puppet, 3);
        IDisputes.CheckpointEvidence memory a = checkpoint(_puppet, 3, 1, 0, 9, keccak256("a"));
        IDisputes.CheckpointEvidence memory b = checkpoint(_puppet, 3, 1, 0, 9, keccak256("b"));
        vm.prank(challenger);
        disputes.proveFork(a, b);
        assertEq(settlement.nextWindow(), window + 1, "stands");
        assertEq(disputes.credit(challenger), 0, "credit");
        assertEq(settlement.operator(operator).bond, 10 ether, "bond");
    }

    function _postEmpty(uint32 w, address poster) private {
        ISettlement.Posting memory p;
        p.window = w;
        if (w > settlement.firstWindow()) p.parentHash = settlement.epoch(w - 1).epochHash;
        vm.prank(poster);
        settlement.postEpoch(p);
    }

    /// @dev An operator that challenges itself keeps nobody out, and pays for it.
    function test_selfChallengesKeepNobodyOut() public {
        _postInflated(operator);
        vm.deal(operator, 100 ether);
        uint32 count = 30;
        uint64 endsAt = settlement.epoch(window).challengeEndsAt;
        vm.warp(endsAt - RESPONSE + 10);
        vm.startPrank(operator);
        for (uint32 i = 0; i < count; i++) {
            disputes.challengeStep{value: CHALLENGE_BOND}(window, 1, 0, NO_STEP - i, address(0));
        }
        vm.stopPrank();
        assertEq(settlement.epoch(window).openChallenges, count, "open");
        // In the last second, with all of them open.
        vm.warp(endsAt - 1);
        bytes32 id = openStep(window, 0, 2);
        vm.startPrank(operator);
        for (uint32 i = 0; i < count; i++) {
            disputes.answerEntry(
                window, 1, 0, NO_STEP - i, epochEvidence(window), entryEvidence(window, 0)
            );
        }
        disputes.withdraw();
        vm.stopPrank();
        assertEq(operator.balance, 100 ether - count * CHALLENGE_BOND / 2, "half is gone");
        vm.warp(disputes.challenge(id).deadline + 1);
        disputes.uphold(id);
        assertEq(disputes.credit(challenger), 5 ether + CHALLENGE_BOND, "caught");
    }

    /// @dev The half that goes to the answerer pays for the largest and dearest rows that rules can allow.
    function test_bondCoversTheDearestAnswer() public {
        ISettlement.Config memory c = config();
        c.maxRowsBytes = (new ConfigRules()).MOST_ROWS_BYTES();
        c.fields = 2;
        c.metric = address(new DistanceMetric());
        c.metricParams = abi.encode(uint256(0), uint256(1), uint256(1e9));
        settlement.setConfig(c);
        Batch memory batch = signedBatch(1, 7, window + 1);
        batch.rows = _dearestRows(c.maxRowsBytes);
        uint64 count = uint64(batch.rows.length / 4);
        batch.evidence.header.count = count;
        batch.evidence.header.span = (count - 1) * 1000;
        batch.evidence.header.recordsHash = sha256(batch.rows);
        sign(batch, 1);
        append(batch, 0);
        append(signedBatch(1, 8, window + 1), 0);
        postHonest(window);
        prepare(window + 1, c);
        submit(window + 1, operator);
        assertTrue(entryOf(window + 1, 0).value > 0, "folded");
        vm.fee(50 gwei);
        uint256 bond = disputes.challengeBond(window + 1);
        assertTrue(bond > CHALLENGE_BOND, "the fee counts");
        vm.prank(challenger);
        disputes.challengeStep{value: bond}(window + 1, 1, 0, 0, address(0));
        bytes memory call = abi.encodeCall(
            IDisputes.answerStep,
            (
                window + 1,
                1,
                0,
                0,
                epochEvidence(window + 1),
                entryEvidence(window + 1, 0),
                stepEvidence(window + 1, 0, 0)
            )
        );
        vm.prank(helper);
        uint256 gasBefore = gasleft();
        (bool answered,) = address(disputes).call(call);
        // With the transaction, and more for its bytes than EIP-7623 asks.
        uint256 gasUsed = gasBefore - gasleft() + 21_000 + 40 * call.length;
        assertTrue(answered, "answered");
        assertEq(disputes.credit(helper), bond / 2, "half");
        assertTrue(gasUsed * 50 gwei <= bond / 2, "pays for the answer");
    }

    /// @dev What is leaving covers nothing any more, and can be taken until the last second, by a receipt too.
    function test_bondThatIsLeaving() public {
        postHonest(window);
        vm.prank(operator);
        settlement.requestWithdrawal(9 ether);
        uint64 leavesAt = settlement.operator(operator).leavesAt;
        vm.warp(dueAt(window + 1));
        ISettlement.Posting memory p = posting(window + 1, ledgerOf[window]);
        uint256 covered = 1 ether * uint256(COVERAGE);
        p.ledgerTotal = uint128(covered + 1);
        vm.expectRevert(
            abi.encodeWithSelector(ISettlement.StepNotCovered.selector, covered + 1, covered)
        );
        vm.prank(operator);
        settlement.postEpoch(p);

        vm.warp(leavesAt - 1);
        assertTrue(settlement.statusOf(window, 1) == ISettlement.Status.Final, "final");
        IDisputes.CheckpointEvidence memory c =
            checkpoint(operator, dueAt(window) - 1, 0, 1000, keccak256("root"));
        vm.prank(challenger);
        disputes.proveTruncation(window, 1, epochEvidence(window), c);
        assertEq(disputes.credit(challenger), 5 ether, "half of both");
        vm.warp(leavesAt);
        vm.expectRevert(err(ISettlement.NothingToWithdraw.selector));
        vm.prank(operator);
        settlement.withdraw();
    }

    // Which epochs

    /// @dev A challenge of the last second holds every window after it, however long their own time is over.
    function test_lastMinuteChallengeHoldsLaterWindows() public {
        _postInflated(operator);
        postHonest(window + 1);
        uint64 endsAt = settlement.epoch(window).challengeEndsAt;
        vm.warp(endsAt - 1);
        bytes32 id = openStep(window, 0, 2);
        vm.warp(settlement.epoch(window + 1).challengeEndsAt + 30 days);
        settlement.finalize(10);
        ISettlement.Redemption[] memory all = one(ledgerOf[window + 1].redemption(0, 1));
        for (uint32 w = window; w <= window + 1; w++) {
            assertTrue(settlement.statusOf(w, 1) == ISettlement.Status.Pending, "pending");
            vm.expectRevert(abi.encodeWithSelector(ISettlement.NotFinal.selector, w));
            settlement.redeem(w, all);
        }
        disputes.uphold(id);
        assertTrue(settlement.statusOf(window + 1, 1) == ISettlement.Status.Void, "void");
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NotFinal.selector, window + 1));
        settlement.redeem(window + 1, all);
    }

    /// @dev An operator that is first with garbage takes down what others built on it, but not their bonds.
    function test_garbageFirstCostsOnlyItsPoster() public {
        _postInflated(standby);
        postHonest(window + 1);
        bytes32 id = openStep(window, 0, 2);
        vm.warp(disputes.challenge(id).deadline + 1);
        disputes.uphold(id);
        assertEq(settlement.operator(operator).bond, 10 ether, "not its lie");
        assertTrue(settlement.operator(operator).listed, "goes on");
        assertTrue(!settlement.operator(standby).listed, "is out");
        postHonest(window);
        postHonest(window + 1);
        assertEq(attemptOf(window + 1), 2, "attempt");
        vm.warp(block.timestamp + CHALLENGE);
        ISettlement.Redemption[] memory all = one(ledgerOf[window + 1].redemption(0, 1));
        assertEq(settlement.redeem(window + 1, all), 36_000, "nothing is lost");
        // Nor can it come back by itself.
        bond(standby, 2, 10 ether);
        vm.warp(dueAt(window + 2) + TAKEOVER);
        ISettlement.Posting memory p = posting(window + 2, ledgerOf[window + 1]);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NotListed.selector, standby));
        vm.prank(standby);
        settlement.postEpoch(p);
    }

    /// @dev One operator, another with a log of its own, the first again: each answers for its own log.
    function test_handOverAndBack() public {
        postHonest(window);
        bytes32[] memory none = new bytes32[](0);
        fillLog(0, 3);
        // Another log: shorter, and without the second shard.
        prepare(window + 1, config());
        setSize(window + 1, 0, 1);
        setSize(window + 1, 1, 0);
        submit(window + 1, standby);
        for (uint32 shard = 0; shard < SHARDS; shard++) {
            expectError(abi.encodeWithSelector(IDisputes.NotOperator.selector, operator, standby));
            openConsistency(window + 1, window, shard);
        }
        IDisputes.CheckpointEvidence memory c =
            checkpoint(operator, startOf(window), 0, 2, rootOf(0, 2));
        vm.expectRevert(abi.encodeWithSelector(IDisputes.NotOperator.selector, operator, standby));
        disputes.proveTruncation(window + 1, 1, epochEvidence(window + 1), c);
        openCarry(window + 1, 0, deviceOf(1));
        _answerCarry(window + 1, 0);

        postHonest(window + 2);
        openCarry(window + 2, 0, deviceOf(1));
        _answerCarry(window + 2, 0);
        expectError(abi.encodeWithSelector(IDisputes.NotOperator.selector, standby, operator));
        openConsistency(window + 2, window + 1, 0);
        for (uint32 shard = 0; shard < SHARDS; shard++) {
            openConsistency(window + 2, window, shard);
            answerConsistency(
                window + 2, shard, 2, rootOf(shard, 2), consistencyProof(window + 2, shard, 2)
            );
        }
        prepare(window + 3, config());
        setSize(window + 3, 0, 1);
        submit(window + 3, standby);
        openConsistency(window + 3, window + 1, 0);
        answerConsistency(window + 3, 0, 1, rootOf(0, 1), none);
    }

    // Which bytes

    /// @dev Neither a checkpoint nor a batch of another network, nor a checkpoint of another account that has the
    /// same log key, says anything here.
    function test_replays() public {
        (, INetworkFactory.Network memory network) = factory.createNetwork(networkParams());
        bytes32 id = settlement.networkId();
        bytes32 otherId = Settlement(network.settlement).networkId();
        (uint256 x, uint256 y) = vm.publicKeyP256(1);
        vm.prank(operator);
        Settlement(network.settlement).bond(bytes32(x), bytes32(y));
        IDisputes.CheckpointEvidence memory here = checkpoint(operator, 5, 0, 7, keccak256("a"));
        IDisputes.CheckpointEvidence memory there = checkpoint(operator, 5, 0, 7, keccak256("b"));
        (there.r, there.s) = vm.signP256(1, this.digestOf(there, otherId));
        bytes memory data =
            abi.encodeWithSelector(IDisputes.InvalidCheckpointSignature.selector, operator);
        vm.expectRevert(data);
        disputes.proveFork(here, there);
        vm.expectRevert(data);
        Disputes(payable(network.disputes)).proveFork(there, here);

        settlement.listOperator(_puppet, true);
        bond(_puppet, 1, 1 ether);
        IDisputes.CheckpointEvidence memory shared = checkpoint(_puppet, 5, 0, 7, keccak256("b"));
        (shared.x, shared.y) = (here.x, here.y);
        (shared.r, shared.s) = vm.signP256(1, this.digestOf(shared, id));
        vm.expectRevert(err(IDisputes.NoFork.selector));
        disputes.proveFork(here, shared);
        shared.operator = operator;
        vm.expectRevert(data);
        disputes.proveFork(here, shared);
        shared = checkpoint(operator, 5, 1, 7, keccak256("b"));
        vm.expectRevert(err(IDisputes.NoFork.selector));
        disputes.proveFork(here, shared);

        (Batch memory a, Batch memory b) = _twins(1);
        (b.evidence.r, b.evidence.s) = vm.signP256(1, this.idOf(b.evidence, deviceOf(1), otherId));
        data = abi.encodeWithSelector(IDisputes.InvalidBatchSignature.selector, b.id);
        vm.expectRevert(data);
        disputes.proveEquivocation(a.evidence, b.evidence);
        data = abi.encodeWithSelector(
            IDisputes.InvalidBatchSignature.selector, this.idOf(a.evidence, deviceOf(1), otherId)
        );
        vm.expectRevert(data);
        Disputes(payable(network.disputes)).proveEquivocation(b.evidence, a.evidence);
    }

    /// @dev One batch in two shards counts once, and neither of its entries is missed.
    function test_oneBatchInTwoShards() public {
        uint256 first = append(_earning(3, 0, window), 0);
        uint256 copy = append(_earning(3, 0, window), 1);
        assertEq(batchAt(first).id, batchAt(copy).id, "one id");
        prepare(window, config());
        assertEq(entryOf(window, 2).steps, 1, "once");
        submit(window, operator);
        for (uint256 i = first; i <= copy; i++) {
            openOmission(window, batchAt(i));
            answerOmission(window, 2, batchAt(i), omissionEvidence(window, 2, batchAt(i)));
        }
        // Twice is a lie.
        asDisputes().slash(operator);
        uint256[] memory numbers = new uint256[](2);
        (numbers[0], numbers[1]) = (first, copy);
        prepare(window, config());
        IDisputes.EntryEvidence memory entry = entryOf(window, 2);
        setTrace(window, 2, entry, foldTrace(window, numbers, config()));
        setEntry(window, 2, entry);
        submit(window, standby);
        openStep(window, 2, 1);
        IDisputes.StepEvidence memory evidence = stepEvidence(window, 2, 1);
        expectError(abi.encodeWithSelector(IDisputes.SeqNotAfter.selector, 0, 0));
        answerStep(window, 2, 1, evidence);
    }

    // Devices

    /// @dev A device that signed two batches of one seq keeps what it earned; its owner goes on with a new key.
    function test_equivocationReachesOnlyForward() public {
        postHonest(window);
        (Batch memory a, Batch memory b) = _twins(1);
        disputes.proveEquivocation(a.evidence, b.evidence);
        openStep(window, 0, 2);
        answerStep(window, 0, 2, stepEvidence(window, 0, 2));
        append(_earning(1, 5, window + 1), 0);
        postHonest(window + 1);
        assertEq(entryOf(window + 1, 0).steps, 0, "paid no more");
        join(5);
        append(_earning(5, 0, window + 3), 0);
        postHonest(window + 2);
        postHonest(window + 3);
        vm.warp(block.timestamp + CHALLENGE);
        Ledger ledger = ledgerOf[window + 3];
        assertEq(settlement.redeem(window + 3, one(ledger.redemption(0, 1))), 36_000, "kept");
        assertEq(settlement.redeem(window + 3, one(ledger.redemption(4, 1))), 12_000, "new key");
    }

    /// @dev What a device once signed for its first owner registers it once, whoever owns it now.
    function test_registrationIsNotReplayed() public {
        IDeviceRegistry.Registration[] memory first = new IDeviceRegistry.Registration[](1);
        first[0] = signedRegistration(20, owner, address(0));
        registry.register(first);
        vm.prank(owner);
        registry.transferFrom(owner, standby, uint160(deviceOf(20)));
        bytes memory data =
            abi.encodeWithSelector(IERC721Errors.ERC721InvalidSender.selector, address(0));
        vm.expectRevert(data);
        registry.register(first);
        // Nor does the key, which the seller may have kept, sign the token back.
        first[0] = signedRegistration(20, challenger, address(0));
        vm.expectRevert(data);
        registry.register(first);
        assertEq(registry.ownerOf(uint160(deviceOf(20))), standby, "sold");
    }

    // Parts

    /// @dev Every kind of challenge: of a member with steps, of one without, of one that is not paid.
    function _openAll(uint32 w) private {
        openStep(w, 0, 1);
        openStep(w, 0, NO_STEP);
        openStep(w, 2, 0);
        openStep(w, 3, 0);
        for (uint32 slot = 0; slot < 4; slot++) {
            openCarry(w, slot, deviceOf(slot + 1));
        }
        openOmission(w, batchAt(0));
        openOmission(w, batchAt(2));
        openReveal(w, 2, 0);
        openCheckpoint(w, checkpoint(operator, block.timestamp, 0, 1, rootOf(0, 1)));
    }

    function _answerAll(uint32 w, uint32 steps) private {
        assertEq(entryOf(w, 0).steps, steps, "steps");
        answerStep(w, 0, 1, stepEvidence(w, 0, 1));
        answerEntry(w, 0, NO_STEP, entryEvidence(w, 0));
        answerEntry(w, 2, 0, entryEvidence(w, 2));
        answerEntry(w, 3, 0, entryEvidence(w, 3));
        for (uint32 slot = 0; slot < 4; slot++) {
            _answerCarry(w, slot);
        }
        answerOmission(w, 0, batchAt(0), omissionEvidence(w, 0, batchAt(0)));
        answerOmission(w, 1, batchAt(2), omissionEvidence(w, 1, batchAt(2)));
        answerReveal(w, 2, 0);
        answerConsistency(w, 0, 1, rootOf(0, 1), consistencyProof(w, 0, 1));
        assertEq(settlement.epoch(w).openChallenges, 0, "all answered");
    }

    function _answerCarry(uint32 w, uint32 slot) private {
        address device = deviceOf(slot + 1);
        answerCarry(w, slot, device, entryEvidence(w, slot), entryEvidence(w - 1, slot));
    }

    function _tryAnswer(bool step) private returns (bool answered) {
        IDisputes.EntryEvidence memory none;
        bytes memory call = step
            ? abi.encodeCall(
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
            )
            : abi.encodeCall(
                IDisputes.answerCarry,
                (window, 1, 0, deviceOf(1), epochEvidence(window), entryEvidence(window, 0), none)
            );
        vm.prank(helper);
        (answered,) = address(disputes).call{gas: 10_000_000}(call);
    }

    /// @dev The last step of slot 0 does not end in the value.
    function _postInflated(address poster) private {
        prepare(window, config());
        IDisputes.EntryEvidence memory entry = entryOf(window, 0);
        entry.value++;
        setEntry(window, 0, entry);
        submit(window, poster);
    }

    function _earning(uint256 key, uint64 seq, uint32 w) private view returns (Batch memory batch) {
        batch = signedBatch(key, seq, w);
        batch.rows = encodeRows(15, 30, 800);
        batch.evidence.header.count = 15;
        batch.evidence.header.span = 14 * 30_000;
        batch.evidence.header.recordsHash = sha256(batch.rows);
        sign(batch, key);
    }

    function _twins(uint256 key) private view returns (Batch memory a, Batch memory b) {
        (a, b) = (signedBatch(key, 9, window), signedBatch(key, 9, window));
        b.evidence.header.start += 1000;
        sign(b, key);
    }

    /// @dev Two places in turn, in four bytes a row: nothing costs more for a byte.
    function _dearestRows(uint256 most) private pure returns (bytes memory rows) {
        uint256 count = (most - 3) / 4;
        rows = new bytes(3 + 4 * count);
        (rows[0], rows[1], rows[2]) = (0x99, bytes1(uint8(count >> 8)), bytes1(uint8(count)));
        for (uint256 i = 0; i < count; i++) {
            uint256 place = 3 + 4 * i;
            rows[place] = 0x83;
            rows[place + 1] = i == 0 ? bytes1(0) : bytes1(0x01);
            (rows[place + 2], rows[place + 3]) =
                i % 2 == 0 ? (bytes1(0x17), bytes1(0x37)) : (bytes1(0x37), bytes1(0x17));
        }
    }
}
