// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IDisputes} from "../solidity/interfaces/IDisputes.sol";
import {ISettlement} from "../solidity/interfaces/ISettlement.sol";
import {DisputeScene} from "./base/DisputeScene.sol";
import {Ledger} from "./base/Ledger.sol";
import {Test} from "./base/Test.sol";

/// @dev A network at random: an honest operator that answers in time, another that lies and is silent now and
/// then, challengers that are right and wrong, owners that redeem, time that passes.
contract DisputeActors is DisputeScene {
    uint32 private constant MEMBERS = 3;

    enum Lie {
        None,
        Reward,
        Value,
        Omission
    }

    /// @dev What was posted.
    struct Posted {
        Lie lie;
        uint32 slot;
        uint256 batch;
        bool isHonest;
        bool isChallenged;
    }

    /// @dev A challenge that was not ended yet.
    struct Open {
        bytes32 id;
        uint32 window;
        uint32 attempt;
        IDisputes.Kind kind;
        uint32 slot;
        uint32 step;
        bool isFatal;
    }

    mapping(uint32 window => mapping(uint32 attempt => Posted)) private _posted;
    mapping(uint32 window => uint32[]) private _attempts;
    Open[] private _open;
    uint64[4] private _nextSeq;
    uint256 private _batchCount;
    uint256 private _dealt;
    mapping(bytes32 action => uint256) public done;

    constructor() {
        setUpDisputes();
        ISettlement.Config memory c = _rules();
        settlement.setConfig(c);
        for (uint256 key = 1; key <= MEMBERS; key++) {
            join(key);
        }
        _dealt = _money();
    }

    function _rules() private view returns (ISettlement.Config memory c) {
        c = config();
        c.operator = address(0);
        c.takeoverDelay = 0;
        c.policyParams = abi.encode(int256(1), uint256(1), uint256(100_000));
    }

    // Actions

    function post(uint256 seed) external {
        uint32 window = settlement.nextWindow();
        if (block.timestamp < dueAt(window)) _passTo(dueAt(window));
        window = settlement.nextWindow(); // an operator may have fallen
        for (uint256 key = 1; key <= MEMBERS; key++) {
            for (uint256 n = (seed >> (8 * key)) % 3; n > 0; n--) {
                append(signedBatch(key, _nextSeq[key]++, window), uint32(key % SHARDS));
                _batchCount++;
            }
        }
        prepare(window, _rules());
        bool isHonest = seed % 2 == 0;
        uint32 attempt = attemptOf(window) + 1;
        Posted storage posted = _posted[window][attempt];
        posted.isHonest = isHonest;
        if (!isHonest && seed % 3 > 0) _lie(window, posted, seed >> 64);
        _attempts[window].push(attempt);
        submit(window, isHonest ? operator : standby);
        done[posted.lie == Lie.None ? bytes32("truth") : bytes32("lie")]++;
    }

    function _lie(uint32 window, Posted storage posted, uint256 seed) private {
        uint32 slot = uint32(seed % MEMBERS);
        IDisputes.EntryEvidence memory entry = entryOf(window, slot);
        Trace memory trace = traceOf(window, slot);
        Lie lie = Lie(1 + (seed >> 8) % 3);
        if (lie == Lie.Omission && trace.batches.length == 0) lie = Lie.Reward;
        if (lie == Lie.Reward) {
            entry.cumulative += 1000;
        } else if (lie == Lie.Value) {
            entry.value += 1000;
            entry.cumulative += 1000;
        } else {
            posted.batch = trace.batches[0];
            uint256[] memory rest = new uint256[](trace.batches.length - 1);
            for (uint256 i = 0; i < rest.length; i++) {
                rest[i] = trace.batches[i + 1];
            }
            entry.cumulative -= uint128(uint256(entry.value));
            setTrace(window, slot, entry, foldTrace(window, rest, _rules()));
            entry.value = int256(300 * rest.length);
            entry.cumulative += uint128(uint256(entry.value));
        }
        setEntry(window, slot, entry);
        (posted.lie, posted.slot) = (lie, slot);
    }

    /// @dev Points at a lie.
    function challengeLie(uint256 seed) external {
        (bool any, uint32 window) = _pending(seed);
        if (!any) return;
        Posted storage posted = _posted[window][attemptOf(window)];
        if (posted.lie == Lie.None || posted.isChallenged) return;
        Open memory o;
        (o.window, o.attempt, o.slot, o.isFatal) = (window, attemptOf(window), posted.slot, true);
        if (posted.lie == Lie.Reward) {
            o.kind = IDisputes.Kind.Carry;
            o.id = openCarry(window, posted.slot, deviceOf(posted.slot + 1));
        } else if (posted.lie == Lie.Value) {
            uint32 steps = entryOf(window, posted.slot).steps;
            o.step = steps == 0 ? 0 : steps - 1;
            o.id = openStep(window, posted.slot, o.step);
        } else {
            o.kind = IDisputes.Kind.Omission;
            o.id = openOmission(window, batchAt(posted.batch));
        }
        _open.push(o);
        posted.isChallenged = true;
        done["challenge of a lie"]++;
    }

    /// @dev Points anywhere, but not at a lie.
    function challengeTruth(uint256 seed) external {
        (bool any, uint32 window) = _pending(seed);
        if (!any) return;
        Posted storage posted = _posted[window][attemptOf(window)];
        Open memory o;
        (o.window, o.attempt) = (window, attemptOf(window));
        o.slot = uint32((seed >> 64) % MEMBERS);
        o.kind = IDisputes.Kind((seed >> 72) % 2);
        o.step = uint32((seed >> 80) % 4);
        if (posted.lie != Lie.None && posted.slot == o.slot) return;
        try this.open_(o) returns (bytes32 id) {
            o.id = id;
            _open.push(o);
            done["challenge of the truth"]++;
        } catch {} // challenged before
    }

    function open_(Open calldata o) external returns (bytes32) {
        return o.kind == IDisputes.Kind.Step
            ? openStep(o.window, o.slot, o.step)
            : openCarry(o.window, o.slot, deviceOf(o.slot + 1));
    }

    /// @dev The liar answers what it can, and sometimes not even that.
    function answer(uint256 seed) external {
        for (uint256 i = _open.length; i > 0; i--) {
            Open memory o = _open[i - 1];
            if (_posted[o.window][o.attempt].isHonest || seed % 2 == 0) _answer(i - 1);
        }
    }

    function wait(uint256 seed) external {
        _passTo(block.timestamp + seed % 36 hours);
    }

    /// @dev Time passes; whoever is honest has answered before, and who waited for a deadline does not wait longer.
    function _passTo(uint256 time) private {
        for (uint256 i = _open.length; i > 0; i--) {
            Open memory o = _open[i - 1];
            if (_posted[o.window][o.attempt].isHonest) _answer(i - 1);
        }
        if (time > block.timestamp) vm.warp(time);
        for (uint256 i = _open.length; i > 0; i--) {
            _end(i - 1);
        }
    }

    function _answer(uint256 index) private {
        Open memory o = _open[index];
        if (settlement.statusOf(o.window, o.attempt) != ISettlement.Status.Pending) return;
        if (block.timestamp >= disputes.challenge(o.id).deadline) return;
        (bool answered,) = address(this).call(abi.encodeCall(this.answer_, (o)));
        assertTrue(answered != o.isFatal, o.isFatal ? "answered a lie" : "no answer to the truth");
        if (!answered) return;
        _remove(index);
        done["answer"]++;
    }

    function answer_(Open calldata o) external {
        IDisputes.EntryEvidence memory entry = entryEvidence(o.window, o.slot);
        if (o.kind == IDisputes.Kind.Carry) {
            IDisputes.EntryEvidence memory before = entryEvidence(o.window - 1, o.slot);
            answerCarry(o.window, o.slot, deviceOf(o.slot + 1), entry, before);
        } else if (o.kind == IDisputes.Kind.Omission) {
            Batch memory batch = batchAt(_posted[o.window][o.attempt].batch);
            answerOmission(o.window, o.slot, batch, omissionEvidence(o.window, o.slot, batch));
        } else if (o.step < entry.steps) {
            answerStep(o.window, o.slot, o.step, stepEvidence(o.window, o.slot, o.step));
        } else {
            answerEntry(o.window, o.slot, o.step, entry);
        }
    }

    function _end(uint256 index) private {
        Open memory o = _open[index];
        if (settlement.statusOf(o.window, o.attempt) == ISettlement.Status.Void) {
            disputes.refund(o.id);
            _remove(index);
            done["refund"]++;
        } else if (block.timestamp > disputes.challenge(o.id).deadline) {
            assertTrue(!_posted[o.window][o.attempt].isHonest, "an honest operator was late");
            disputes.uphold(o.id);
            _remove(index);
            bond(standby, 2, 10 ether);
            _dealt += 10 ether;
            settlement.listOperator(standby, true);
            done["uphold"]++;
        }
    }

    function _remove(uint256 index) private {
        _open[index] = _open[_open.length - 1];
        _open.pop();
    }

    function redeem(uint256 seed) external {
        uint32 next = settlement.nextFinalWindow();
        if (next == firstWindow) return;
        uint32 window = firstWindow + uint32(seed % (next - firstWindow));
        Ledger ledger = ledgerOf[window];
        try settlement.redeem(window, one(ledger.redemption(0, MEMBERS))) {
            done["redeem"]++;
        } catch {
            // Only what nobody challenged can run into the total.
            assertTrue(_anyLie(next), "refused what is final");
        }
    }

    function _anyLie(uint32 next) private view returns (bool) {
        for (uint32 w = firstWindow; w < next; w++) {
            if (_posted[w][attemptOf(w)].lie != Lie.None) return true;
        }
        return false;
    }

    function withdraw(uint256 seed) external {
        address who = seed % 2 == 0 ? challenger : helper;
        if (disputes.credit(who) == 0) return;
        vm.prank(who);
        disputes.withdraw();
    }

    // Checks

    function checkHonest() external view {
        assertEq(settlement.operator(operator).bond, 10 ether, "the bond of the honest operator");
        assertTrue(settlement.operator(operator).listed, "listed");
    }

    function checkLies() external view {
        uint32 next = settlement.nextFinalWindow();
        for (uint32 w = firstWindow; w < next; w++) {
            assertTrue(!_posted[w][attemptOf(w)].isChallenged, "a lie became final");
        }
    }

    function checkMoney() external view {
        uint256 bonds;
        for (uint256 i = 0; i < _open.length; i++) {
            bonds += disputes.challenge(_open[i].id).bond;
        }
        uint256 credits = disputes.credit(challenger) + disputes.credit(helper);
        assertEq(address(disputes).balance, bonds + credits, "bonds and credits");
        assertEq(_money(), _dealt, "all money");
        uint256 staked = settlement.operator(operator).bond + settlement.operator(standby).bond;
        assertEq(address(settlement).balance, staked, "stakes");
    }

    function _money() private view returns (uint256) {
        return challenger.balance + helper.balance + operator.balance + standby.balance
            + address(disputes).balance + address(settlement).balance + address(0).balance;
    }

    /// @dev In the end everybody has what is theirs.
    function checkNothingIsStuck() external {
        for (uint256 i = 0; i < 3; i++) {
            _passTo(block.timestamp + RESPONSE + 1);
        }
        assertEq(_open.length, 0, "open challenges");
        address[2] memory creditors = [challenger, helper];
        for (uint256 i = 0; i < 2; i++) {
            if (disputes.credit(creditors[i]) == 0) continue;
            vm.prank(creditors[i]);
            disputes.withdraw();
        }
        assertEq(address(disputes).balance, 0, "left in disputes");
        vm.warp(block.timestamp + CHALLENGE);
        settlement.finalize(1000);
        assertEq(settlement.nextFinalWindow(), settlement.nextWindow(), "not final");
        address[2] memory operators = [operator, standby];
        for (uint256 i = 0; i < 2; i++) {
            vm.prank(operators[i]);
            settlement.requestWithdrawal(10 ether);
        }
        vm.warp(block.timestamp + settlement.withdrawalDelay());
        for (uint256 i = 0; i < 2; i++) {
            vm.prank(operators[i]);
            settlement.withdraw();
        }
        assertEq(address(settlement).balance, 0, "left in the settlement");
    }

    function _pending(uint256 seed) private view returns (bool any, uint32 window) {
        uint32 from = settlement.nextFinalWindow();
        uint32 to = settlement.nextWindow();
        if (from == to) return (false, 0);
        window = from + uint32((seed >> 16) % (to - from));
        return (block.timestamp < settlement.epoch(window).challengeEndsAt, window);
    }
}

/// forge-config: default.invariant.fail-on-revert = true
/// forge-config: default.invariant.runs = 16
/// forge-config: default.invariant.depth = 100
/// forge-config: release.invariant.fail-on-revert = true
/// forge-config: release.invariant.runs = 16
/// forge-config: release.invariant.depth = 100
contract DisputesInvariantTest is Test {
    DisputeActors private _actors;

    function setUp() public {
        _actors = new DisputeActors();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_actors);
    }

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        targets[0].addr = address(_actors);
        bytes4[] memory actions = new bytes4[](9);
        actions[0] = DisputeActors.post.selector;
        actions[1] = DisputeActors.challengeLie.selector;
        actions[2] = DisputeActors.challengeTruth.selector;
        actions[3] = DisputeActors.answer.selector;
        actions[4] = DisputeActors.wait.selector;
        actions[5] = DisputeActors.redeem.selector;
        actions[6] = DisputeActors.withdraw.selector;
        actions[7] = DisputeActors.post.selector;
        actions[8] = DisputeActors.challengeLie.selector;
        targets[0].selectors = actions;
    }

    function invariant_game() public view {
        _actors.checkHonest();
        _actors.checkLies();
        _actors.checkMoney();
    }

    function afterInvariant() public {
        _actors.checkNothingIsStuck();
    }
}
