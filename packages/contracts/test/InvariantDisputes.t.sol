// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IDisputes} from "../solidity/interfaces/IDisputes.sol";
import {ISettlement} from "../solidity/interfaces/ISettlement.sol";
import {DisputeScene} from "./base/DisputeScene.sol";
import {Test} from "./base/Test.sol";

/// @dev Everybody in a dispute, at random: an operator that is honest, a standby that lies when it can,
/// a challenger that is right or wrong, owners that redeem, and time. Whoever answers for the honest
/// operator does so before time passes; for the liar, whatever the contract takes is answered.
contract DisputeActors is DisputeScene {
    uint256 private constant MOST_DEVICES = 5;
    uint256 private constant MOST_BATCHES = 30;
    uint256 private constant MOST_CHALLENGES = 40;

    /// @dev A challenge, and what is needed to answer it again.
    struct Opened {
        bytes32 id;
        IDisputes.Kind kind;
        uint32 window;
        uint32 attempt;
        uint32 slot;
        uint32 step;
        address device;
        uint256 batch;
    }

    /// @dev What convicts the liar of a window.
    struct Lie {
        uint32 attempt;
        IDisputes.Kind kind;
        uint32 slot;
        uint32 step;
        uint256 batch;
        bool challenged;
    }

    Opened[] private _opened;
    mapping(uint32 window => Lie) private _lies;
    uint32[] private _lyingWindows;
    uint64[MOST_DEVICES] private _seq;
    uint256 private _devices;
    uint256 private _batchCount;
    uint256 private _money;
    uint256 private _bondOfHonest;
    address private immutable _checker = msg.sender;
    mapping(bytes32 action => uint256) public done;

    constructor() {
        setUpDisputes();
        settlement.setConfig(_config());
        for (uint256 i = 0; i < 3; i++) {
            _join();
        }
        vm.warp(startOf(firstWindow));
        _bondOfHonest = settlement.operator(operator).bond;
        _money = _allMoney();
    }

    // Actions

    /// @dev A device sends what it sensed today, or yesterday, into one of the shards.
    function sense(uint256 seed) external {
        if (_batchCount == MOST_BATCHES) return;
        uint256 device = seed % _devices;
        uint32 today = uint32(block.timestamp / DAY);
        if (today < firstWindow) return;
        uint64 seq = _seq[device];
        // The scene places a batch by its seq, ten minutes apart.
        if (seq > 100) return;
        _seq[device] = seq + 1;
        append(signedBatch(device + 1, seq, today), uint32(seed >> 128) % SHARDS);
        _batchCount++;
        done["sense"]++;
    }

    function joinOne(uint256 seed) external {
        if (_devices < MOST_DEVICES && seed % 4 == 0) _join();
    }

    function suspendOne(uint256 seed) external {
        if (seed % 8 != 0) return;
        address device = deviceOf(1 + (seed >> 8) % _devices);
        if (membership.member(device).suspendedAt != 0) return;
        address[] memory devices = new address[](1);
        devices[0] = device;
        membership.suspend(devices);
    }

    function postHonestly() external {
        answerAll();
        uint32 window = settlement.nextWindow();
        if (block.timestamp < dueAt(window)) vm.warp(dueAt(window));
        prepare(window, _config());
        submit(window, operator);
        done["post"]++;
    }

    /// @dev The standby is late enough to post, and lies.
    function postLie(uint256 seed) external {
        if (seed % 3 != 0) return;
        answerAll();
        uint32 window = settlement.nextWindow();
        uint32 slot = uint32((seed >> 16) % _devices);
        prepare(window, _config());
        IDisputes.EntryEvidence memory entry = entryOf(window, slot);
        uint64 start = uint64(startOf(window));
        if (!membership.isPaid(deviceOf(slot + 1), start, start + DAY)) return;
        Lie memory lie = _tell(window, slot, entry, (seed >> 64) % 4);
        setEntry(window, slot, entry);
        submit(window, standby);
        lie.attempt = attemptOf(window);
        lie.slot = slot;
        _lies[window] = lie;
        _lyingWindows.push(window);
        done["lie"]++;
    }

    /// @dev Somebody who looks challenges a lie where it is.
    function challengeLie(uint256 seed) external {
        if (_lyingWindows.length == 0) return;
        uint32 window = _lyingWindows[seed % _lyingWindows.length];
        Lie storage lie = _lies[window];
        if (lie.challenged || !_isOpenTo(window) || attemptOf(window) != lie.attempt) return;
        lie.challenged = true;
        address device = deviceOf(lie.slot + 1);
        _open(Opened(0, lie.kind, window, lie.attempt, lie.slot, lie.step, device, lie.batch));
        done["right"]++;
    }

    /// @dev Somebody challenges anything.
    function challengeAnything(uint256 seed) external {
        uint32 from = settlement.nextFinalWindow();
        uint32 to = settlement.nextWindow();
        if (from == to || _opened.length >= MOST_CHALLENGES) return;
        uint32 window = from + uint32(seed % (to - from));
        if (!_isOpenTo(window)) return;
        Opened memory opened;
        opened.kind = IDisputes.Kind(uint8((seed >> 32) % 5));
        (opened.window, opened.attempt) = (window, attemptOf(window));
        uint8 depth = ledgerOf[window].depth();
        opened.slot = uint32((seed >> 64) % (1 << depth));
        opened.step = uint32((seed >> 96) % 4);
        if (opened.slot < _devices) opened.device = deviceOf(opened.slot + 1);
        if (opened.kind == IDisputes.Kind.Omission) {
            if (_batchCount == 0) return;
            opened.batch = (seed >> 128) % _batchCount;
            if (!_isLogged(window, batchAt(opened.batch))) return;
        }
        if (opened.kind == IDisputes.Kind.Consistency) {
            if (window == firstWindow) return;
            opened.slot = uint32((seed >> 64) % SHARDS);
            opened.step = window - 1 - uint32((seed >> 96) % (window - firstWindow)); // earlier
        }
        if (opened.kind == IDisputes.Kind.Reveal) {
            if (depth == 0) return;
            opened.step = 1 + uint32((seed >> 160) % depth); // height
            opened.slot = uint32((seed >> 192) % (1 << (depth - opened.step))); // index
        }
        _open(opened);
    }

    /// @dev The standby signs two logs of one size, and somebody has seen both.
    function proveFork(uint256 seed) external {
        if (seed % 8 != 0) return;
        uint64 size = 1 + uint64((seed >> 8) % 100);
        IDisputes.CheckpointEvidence memory a = checkpoint(standby, 1, 0, size, keccak256("a"));
        IDisputes.CheckpointEvidence memory b = checkpoint(standby, 1, 0, size, keccak256("b"));
        vm.prank(challenger);
        disputes.proveFork(a, b);
        _bondAgain();
        done["fork"]++;
    }

    /// @dev The standby tries to leave with what is at stake.
    function leave(uint256 seed) external {
        ISettlement.Operator memory o = settlement.operator(standby);
        vm.startPrank(standby);
        if (o.leaving == 0) {
            uint128 spare = o.bond - 5 ether;
            if (spare > 0) settlement.requestWithdrawal(uint128(1 + seed % spare));
        } else if (block.timestamp >= o.leavesAt && settlement.nextFinalWindow() > o.leavesAfter) {
            settlement.finalize(type(uint32).max);
            settlement.withdraw();
            done["leave"]++;
        }
        vm.stopPrank();
    }

    /// @dev Whatever can be answered is.
    function answerAll() public {
        for (uint256 i = 0; i < _opened.length; i++) {
            Opened memory o = _opened[i];
            if (!_isOpen(o)) continue;
            if (settlement.statusOf(o.window, o.attempt) == ISettlement.Status.Void) continue;
            if (block.timestamp >= disputes.challenge(o.id).deadline) continue;
            bool honest = _lies[o.window].attempt != o.attempt;
            try this.answer(o) {
                assertTrue(honest || !_convicts(o), "a lie was answered");
                done["answer"]++;
            } catch {
                assertTrue(!honest, "an honest operator has no answer");
            }
        }
    }

    function uphold(uint256 seed) external {
        if (_opened.length == 0) return;
        Opened memory o = _opened[seed % _opened.length];
        if (!_isOpen(o) || block.timestamp <= disputes.challenge(o.id).deadline) return;
        if (settlement.statusOf(o.window, o.attempt) == ISettlement.Status.Void) return;
        _uphold(o);
    }

    function refund(uint256 seed) external {
        if (_opened.length == 0) return;
        Opened memory o = _opened[seed % _opened.length];
        if (!_isOpen(o)) return;
        if (settlement.statusOf(o.window, o.attempt) != ISettlement.Status.Void) return;
        disputes.refund(o.id);
        done["refund"]++;
    }

    function withdraw(uint256 seed) external {
        address account = seed % 2 == 0 ? challenger : helper;
        if (disputes.credit(account) == 0) return;
        vm.prank(account);
        disputes.withdraw();
    }

    function wait(uint256 seed) external {
        answerAll();
        vm.warp(block.timestamp + seed % 30 hours);
    }

    function redeem(uint256 seed) external {
        uint32 next = settlement.nextFinalWindow();
        if (next == firstWindow) return;
        uint32 window = next - 1;
        uint32 slot = uint32(seed % (1 << ledgerOf[window].depth()));
        if (settlement.redeem(window, one(ledgerOf[window].redemption(slot, 1))) > 0) {
            done["redeem"]++;
        }
    }

    // Checks

    function checkHonest() external view {
        assertEq(settlement.operator(operator).bond, _bondOfHonest, "the honest bond");
        assertTrue(settlement.operator(operator).listed, "the honest operator is listed");
    }

    /// @dev A lie that somebody challenged is never final: so it is never redeemed.
    function checkLies() external view {
        for (uint256 i = 0; i < _lyingWindows.length; i++) {
            Lie storage lie = _lies[_lyingWindows[i]];
            if (!lie.challenged) continue;
            assertTrue(
                settlement.statusOf(_lyingWindows[i], lie.attempt) != ISettlement.Status.Final,
                "a challenged lie is final"
            );
        }
    }

    function checkMoney() external view {
        assertEq(_allMoney(), _money, "no wei comes or goes");
        uint256 bonds;
        for (uint256 i = 0; i < _opened.length; i++) {
            if (_isOpen(_opened[i])) bonds += disputes.challenge(_opened[i].id).bond;
        }
        uint256 credits = disputes.credit(challenger) + disputes.credit(helper);
        assertEq(address(disputes).balance, bonds + credits, "disputes");
        uint256 stakes = settlement.operator(operator).bond + settlement.operator(standby).bond
            + settlement.operator(standby).leaving;
        assertEq(address(settlement).balance, stakes, "settlement");
    }

    /// @dev Everything comes to an end: afterwards all windows are final, and no money is left in disputes.
    function checkNothingStuck() external {
        if (msg.sender != _checker) return; // no action
        answerAll();
        vm.warp(block.timestamp + RESPONSE + 1);
        for (uint256 i = 0; i < _opened.length; i++) {
            Opened memory o = _opened[i];
            if (!_isOpen(o)) continue;
            if (settlement.statusOf(o.window, o.attempt) == ISettlement.Status.Void) {
                disputes.refund(o.id);
            } else {
                _uphold(o);
            }
        }
        for (uint256 i = 0; i < _opened.length; i++) {
            assertTrue(!_isOpen(_opened[i]), "every challenge ends");
        }
        address[2] memory accounts = [challenger, helper];
        for (uint256 i = 0; i < 2; i++) {
            if (disputes.credit(accounts[i]) == 0) continue;
            vm.prank(accounts[i]);
            disputes.withdraw();
        }
        assertEq(address(disputes).balance, 0, "disputes keep nothing");
        this.postHonestly();
        uint32 last = settlement.nextWindow() - 1;
        vm.warp(block.timestamp + CHALLENGE);
        settlement.finalize(type(uint32).max);
        assertEq(settlement.nextFinalWindow(), last + 1, "all is final");
        for (uint32 slot = 0; slot < _devices; slot++) {
            settlement.redeem(last, one(ledgerOf[last].redemption(slot, 1)));
        }
        (, uint128 total) = ledgerOf[last].root();
        // A lie that nobody challenged may have given one device what it took from nobody.
        assertTrue(token.totalSupply() <= total, "never more than the total");
        this.checkHonest();
        this.checkLies();
        this.checkMoney();
    }

    // Inside

    function _config() private view returns (ISettlement.Config memory c) {
        c = config();
        c.policyParams = abi.encode(int256(1), uint256(1), uint256(100_000));
    }

    function _join() private {
        join(++_devices);
    }

    /// @dev Changes an entry: more value, more reward, more of both without any data, or less data.
    function _tell(uint32 window, uint32 slot, IDisputes.EntryEvidence memory entry, uint256 how)
        private
        returns (Lie memory lie)
    {
        Trace memory trace = traceOf(window, slot);
        if (how == 0) {
            entry.cumulative += 5;
            lie.kind = IDisputes.Kind.Carry;
        } else if (how == 1 || entry.steps == 0) {
            (entry.value, entry.cumulative) = (entry.value + 7, entry.cumulative + 7);
            lie.kind = IDisputes.Kind.Step;
            lie.step = entry.steps == 0 ? 0 : entry.steps - 1;
        } else if (how == 2) {
            // Its batches are gone: their value is not.
            (entry.steps, entry.traceRoot) = (0, 0);
            lie.kind = IDisputes.Kind.Step;
        } else {
            uint256[] memory kept = new uint256[](entry.steps - 1);
            for (uint256 i = 0; i < kept.length; i++) {
                kept[i] = trace.batches[i];
            }
            lie.kind = IDisputes.Kind.Omission;
            lie.batch = trace.batches[kept.length];
            int256 honest = entry.value;
            trace = foldTrace(window, kept, _config());
            entry.value = _sumOf(trace);
            entry.cumulative -= uint128(uint256(honest - entry.value));
            setTrace(window, slot, entry, trace);
        }
    }

    function _sumOf(Trace memory trace) private pure returns (int256 sum) {
        uint256 steps = trace.states.length;
        if (steps == 0) return 0;
        (,, sum) = abi.decode(trace.states[steps - 1], (uint64, uint64, int256));
    }

    function _open(Opened memory o) private {
        uint256 least = _opened.length;
        try this.open(o) returns (bytes32 id) {
            o.id = id;
            _opened.push(o);
            done["challenge"]++;
        } catch (bytes memory reason) {
            bytes4 selector = bytes4(reason);
            // Asked before; a batch that does not count in this window; a log of the other, or none.
            bool refused = selector == IDisputes.AlreadyChallenged.selector
                || selector == IDisputes.NotPaid.selector
                || selector == IDisputes.NotOperator.selector
                || selector == IDisputes.InvalidSize.selector
                || selector == IDisputes.OutsideWindow.selector;
            assertTrue(refused, "a challenge is refused");
        }
        assertTrue(_opened.length <= least + 1, "one");
    }

    function open(Opened calldata o) external returns (bytes32) {
        require(msg.sender == address(this), "inside");
        if (o.kind == IDisputes.Kind.Step) return openStep(o.window, o.slot, o.step);
        if (o.kind == IDisputes.Kind.Carry) return openCarry(o.window, o.slot, o.device);
        if (o.kind == IDisputes.Kind.Omission) return openOmission(o.window, batchAt(o.batch));
        if (o.kind == IDisputes.Kind.Consistency) return openConsistency(o.window, o.step, o.slot);
        return openReveal(o.window, uint8(o.step), o.slot);
    }

    function answer(Opened calldata o) external {
        require(msg.sender == address(this), "inside");
        if (o.kind == IDisputes.Kind.Step) {
            IDisputes.EntryEvidence memory entry = entryEvidence(o.window, o.slot);
            if (o.step >= entry.steps) return answerEntry(o.window, o.slot, o.step, entry);
            answerStep(o.window, o.slot, o.step, stepEvidence(o.window, o.slot, o.step));
        } else if (o.kind == IDisputes.Kind.Carry) {
            IDisputes.EntryEvidence memory before = entryEvidence(o.window - 1, o.slot);
            IDisputes.EntryEvidence memory entry = entryEvidence(o.window, o.slot);
            answerCarry(o.window, o.slot, o.device, entry, before);
        } else if (o.kind == IDisputes.Kind.Omission) {
            Batch memory batch = batchAt(o.batch);
            uint32 slot = membership.member(batch.device).slot;
            answerOmission(o.window, slot, batch, omissionEvidence(o.window, slot, batch));
        } else if (o.kind == IDisputes.Kind.Consistency) {
            ISettlement.Log memory log = _logOf(o.step, o.slot);
            bytes32[] memory proof = consistencyProof(o.window, o.slot, log.size);
            answerConsistency(o.window, o.slot, log.size, log.root, proof);
        } else {
            answerReveal(o.window, uint8(o.step), o.slot);
        }
    }

    function _uphold(Opened memory o) private {
        assertTrue(_lies[o.window].attempt == o.attempt, "an honest epoch is slashed");
        disputes.uphold(o.id);
        _bondAgain();
        done["slash"]++;
    }

    /// @dev The liar tries again, with new money.
    function _bondAgain() private {
        settlement.listOperator(standby, true);
        bond(standby, 2, 10 ether);
        _money += 10 ether;
    }

    /// @dev Whether a batch was in the log when a window was posted: else there is no path to show.
    function _isLogged(uint32 window, Batch memory batch) private view returns (bool) {
        return batch.index < _logOf(window, batch.shard).size;
    }

    function _logOf(uint32 window, uint32 shard) private view returns (ISettlement.Log memory log) {
        ISettlement.Log[] memory logs = epochEvidence(window).logs;
        for (uint256 i = 0; i < logs.length; i++) {
            if (logs[i].shard == shard) return logs[i];
        }
    }

    /// @dev Whether a challenge points where the lie is.
    function _convicts(Opened memory o) private view returns (bool) {
        Lie storage lie = _lies[o.window];
        if (o.kind != lie.kind) return false;
        if (o.kind == IDisputes.Kind.Omission) return o.batch == lie.batch;
        return o.slot == lie.slot && (o.kind == IDisputes.Kind.Carry || o.step == lie.step);
    }

    function _isOpen(Opened memory o) private view returns (bool) {
        return disputes.challenge(o.id).status == IDisputes.Status.Open;
    }

    function _isOpenTo(uint32 window) private view returns (bool) {
        return window >= settlement.nextFinalWindow() && window < settlement.nextWindow()
            && block.timestamp < settlement.epoch(window).challengeEndsAt;
    }

    function _allMoney() private view returns (uint256) {
        return address(settlement).balance + address(disputes).balance + challenger.balance
            + helper.balance + operator.balance + standby.balance + address(0).balance;
    }
}

/// forge-config: default.invariant.fail-on-revert = true
/// forge-config: default.invariant.depth = 100
/// forge-config: release.invariant.fail-on-revert = true
/// forge-config: release.invariant.depth = 100
contract InvariantDisputesTest is Test {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    DisputeActors private _actors;

    function setUp() public {
        _actors = new DisputeActors();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_actors);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        bytes4[] memory selectors = new bytes4[](15);
        selectors[0] = DisputeActors.sense.selector;
        selectors[1] = DisputeActors.joinOne.selector;
        selectors[2] = DisputeActors.suspendOne.selector;
        selectors[3] = DisputeActors.postHonestly.selector;
        selectors[4] = DisputeActors.postLie.selector;
        selectors[5] = DisputeActors.challengeLie.selector;
        selectors[6] = DisputeActors.challengeAnything.selector;
        selectors[7] = DisputeActors.answerAll.selector;
        selectors[8] = DisputeActors.uphold.selector;
        selectors[9] = DisputeActors.refund.selector;
        selectors[10] = DisputeActors.withdraw.selector;
        selectors[11] = DisputeActors.wait.selector;
        selectors[12] = DisputeActors.redeem.selector;
        selectors[13] = DisputeActors.proveFork.selector;
        selectors[14] = DisputeActors.leave.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(_actors), selectors);
    }

    function invariant_nobodyHasToTrust() public view {
        _actors.checkHonest();
        _actors.checkLies();
        _actors.checkMoney();
    }

    /// @dev Once, when a run is over.
    function afterInvariant() public {
        _actors.checkNothingStuck();
    }
}
