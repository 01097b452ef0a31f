// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IMetric} from "../solidity/interfaces/IMetric.sol";
import {IRewardPolicy} from "../solidity/interfaces/IRewardPolicy.sol";
import {ISettlement} from "../solidity/interfaces/ISettlement.sol";
import {Ledger} from "./base/Ledger.sol";
import {Scene} from "./base/Scene.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {Errors} from "@openzeppelin/contracts/utils/Errors.sol";

/// @dev Rules and bonds.
contract SettlementRulesTest is Scene {
    function setUp() public {
        setUpScene();
    }

    function test_setConfig_appliesFromTheNextWindow() public {
        ISettlement.Config memory changed = config();
        changed.coverage = 7;
        changed.operator = standby;
        vm.warp(startOf(firstWindow + 3) + 5);
        vm.expectEmit(address(settlement));
        emit ISettlement.ConfigSet(firstWindow + 4, keccak256(abi.encode(changed)), changed);
        vm.expectEmit(address(settlement));
        emit ISettlement.OperatorListed(standby, 2, true);
        settlement.setConfig(changed);
        assertEq(settlement.versionAt(firstWindow).coverage, COVERAGE, "first");
        assertEq(settlement.versionAt(firstWindow + 3).operator, operator, "current");
        ISettlement.Version memory next = settlement.versionAt(firstWindow + 4);
        assertEq(next.configHash, keccak256(abi.encode(changed)), "hash");
        assertEq(next.operator, standby, "operator");
        assertEq(next.grace, GRACE, "grace");
        assertEq(next.challengeWindow, CHALLENGE, "challengeWindow");
        assertEq(next.takeoverDelay, TAKEOVER, "takeoverDelay");
        assertEq(next.responseTime, RESPONSE, "responseTime");
        assertEq(next.minBond, MIN_BOND, "minBond");
        assertEq(next.coverage, 7, "coverage");
        assertEq(next.challengeBond, CHALLENGE_BOND, "challengeBond");
        assertEq(next.maxRowsBytes, 4096, "maxRowsBytes");
        assertEq(settlement.versionAt(type(uint32).max).coverage, 7, "later");
    }

    /// @dev A window that begins with this very block has begun.
    function test_setConfig_atTheStartOfAWindow() public {
        ISettlement.Config memory changed = config();
        changed.coverage = 7;
        vm.warp(startOf(firstWindow + 3));
        settlement.setConfig(changed);
        assertEq(settlement.versionAt(firstWindow + 3).coverage, COVERAGE, "current");
        assertEq(settlement.versionAt(firstWindow + 4).coverage, 7, "next");
    }

    function test_setConfig_twiceInAWindow() public {
        ISettlement.Config memory changed = config();
        for (uint128 i = 1; i <= 3; i++) {
            changed.coverage = i;
            settlement.setConfig(changed);
        }
        assertEq(settlement.versionAt(firstWindow).coverage, 3, "the last one counts");
    }

    /// @dev Many versions, each found again.
    function testFuzz_versionAt(uint256 seed) public {
        uint32[20] memory from;
        uint256 time = block.timestamp;
        ISettlement.Config memory changed = config();
        for (uint128 i = 0; i < 20; i++) {
            time += bound(uint256(keccak256(abi.encode(seed, i))), 0, 5 days);
            vm.warp(time);
            changed.coverage = 1 + i;
            settlement.setConfig(changed);
            from[i] = uint32(time / DAY) + 1;
        }
        for (uint256 i = 0; i < 20; i++) {
            bool replaced = i < 19 && from[i + 1] == from[i];
            if (!replaced) assertEq(settlement.versionAt(from[i]).coverage, 1 + i, "version");
        }
    }

    function test_error_setConfig_notOwner() public {
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, owner));
        vm.prank(owner);
        settlement.setConfig(config());
    }

    function test_owner_isHandedOver() public {
        settlement.transferOwnership(owner);
        settlement.listOperator(standby, true); // not accepted yet
        vm.startPrank(owner);
        settlement.acceptOwnership();
        settlement.setConfig(config());
        membership.suspend(new address[](0));
        vm.stopPrank();
        vm.expectRevert(
            abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, address(this))
        );
        settlement.listOperator(standby, false);
    }

    function test_error_InvalidMaxRowsBytes() public {
        ISettlement.Config memory changed = config();
        uint32[2] memory wrong = [uint32(0), 16 * 1024 + 1];
        for (uint256 i = 0; i < 2; i++) {
            changed.maxRowsBytes = wrong[i];
            _expectConfigError(
                changed,
                abi.encodeWithSelector(
                    ISettlement.InvalidMaxRowsBytes.selector, wrong[i], 16 * 1024
                )
            );
        }
        changed.maxRowsBytes = 16 * 1024;
        settlement.setConfig(changed);
    }

    function test_error_RetentionTooShort() public {
        ISettlement.Config memory changed = config();
        changed.retention = CHALLENGE + RESPONSE - 1;
        _expectConfigError(
            changed,
            abi.encodeWithSelector(
                ISettlement.RetentionTooShort.selector,
                CHALLENGE + RESPONSE - 1,
                CHALLENGE + RESPONSE
            )
        );
        changed.retention++;
        settlement.setConfig(changed);
    }

    function test_error_InvalidTime() public {
        ISettlement.Config memory c = config();
        c.grace = 30 days + 1;
        _expectTimeError(c, "grace", 30 days + 1, 0, 30 days);
        c = config();
        c.challengeWindow = 0;
        _expectTimeError(c, "challengeWindow", 0, 1, 30 days);
        c.challengeWindow = 1;
        settlement.setConfig(c);
        c.challengeWindow = 30 days + 1;
        _expectTimeError(c, "challengeWindow", 30 days + 1, 1, 30 days);
        c = config();
        c.responseTime = 59;
        _expectTimeError(c, "responseTime", 59, 60, 30 days);
        c.responseTime = 60;
        settlement.setConfig(c);
        c.responseTime = 30 days + 1;
        _expectTimeError(c, "responseTime", 30 days + 1, 60, 30 days);
        c = config();
        c.takeoverDelay = 30 days + 1;
        _expectTimeError(c, "takeoverDelay", 30 days + 1, 0, 30 days);
        c = config();
        c.retention = 366 days + 1;
        _expectTimeError(c, "retention", 366 days + 1, 0, 366 days);
        // The longest of all.
        c.grace = 30 days;
        c.challengeWindow = 30 days;
        c.responseTime = 30 days;
        c.takeoverDelay = 30 days;
        c.retention = 366 days;
        settlement.setConfig(c);
    }

    function test_error_InvalidMinBond() public {
        ISettlement.Config memory changed = config();
        uint96[2] memory wrong = [uint96(0), 10 ** 25 + 1];
        for (uint256 i = 0; i < 2; i++) {
            changed.minBond = wrong[i];
            _expectConfigError(
                changed,
                abi.encodeWithSelector(
                    ISettlement.InvalidMinBond.selector, wrong[i], uint96(10 ** 25)
                )
            );
        }
        changed.minBond = 10 ** 25;
        settlement.setConfig(changed);
    }

    function test_error_InvalidChallengeBond() public {
        ISettlement.Config memory changed = config();
        uint96[2] memory wrong = [uint96(0), MIN_BOND + 1];
        for (uint256 i = 0; i < 2; i++) {
            changed.challengeBond = wrong[i];
            _expectConfigError(
                changed,
                abi.encodeWithSelector(
                    ISettlement.InvalidChallengeBond.selector, wrong[i], MIN_BOND
                )
            );
        }
        changed.challengeBond = MIN_BOND;
        settlement.setConfig(changed);
    }

    function test_error_InvalidSchema() public {
        ISettlement.Config memory changed = config();
        changed.fields = 0;
        _expectConfigError(
            changed, abi.encodeWithSelector(ISettlement.InvalidSchema.selector, 0, 1000)
        );
        changed = config();
        changed.tickMs = 0;
        _expectConfigError(
            changed, abi.encodeWithSelector(ISettlement.InvalidSchema.selector, 1, 0)
        );
        // With 23 no batch could ever be read.
        changed = config();
        changed.fields = 23;
        _expectConfigError(
            changed, abi.encodeWithSelector(ISettlement.InvalidSchema.selector, 23, 1000)
        );
        changed.fields = 22;
        settlement.setConfig(changed);
    }

    function test_error_InvalidCoverage() public {
        ISettlement.Config memory changed = config();
        changed.coverage = 0;
        _expectConfigError(changed, abi.encodeWithSelector(ISettlement.InvalidCoverage.selector, 0));
        changed.coverage = 1;
        settlement.setConfig(changed);
    }

    function test_error_NotAContract() public {
        ISettlement.Config memory changed = config();
        changed.metric = owner;
        _expectConfigError(
            changed, abi.encodeWithSelector(ISettlement.NotAContract.selector, owner)
        );
        changed = config();
        changed.policy = owner;
        _expectConfigError(
            changed, abi.encodeWithSelector(ISettlement.NotAContract.selector, owner)
        );
    }

    function test_error_paramsOfMetricAndPolicy() public {
        ISettlement.Config memory changed = config();
        changed.metricParams = abi.encode(uint256(1), int256(0), int256(900)); // of one field
        _expectConfigError(changed, err(IMetric.InvalidMetricParams.selector));
        changed = config();
        changed.policyParams = "";
        _expectConfigError(changed, err(IRewardPolicy.InvalidPolicyParams.selector));
    }

    // Operators

    function test_listOperator() public {
        vm.expectEmit(address(settlement));
        emit ISettlement.OperatorListed(standby, 2, true);
        settlement.listOperator(standby, true);
        settlement.listOperator(standby, false);
        settlement.listOperator(standby, true);
        assertEq(settlement.operator(standby).id, 2, "keeps its id");
        assertTrue(settlement.operator(standby).listed, "listed");
        assertEq(settlement.operatorAt(1), operator, "first");
        assertEq(settlement.operatorAt(2), standby, "second");
        assertEq(settlement.operatorAt(3), address(0), "none");
        assertEq(settlement.operatorAt(0), address(0), "zero");
    }

    function test_error_listOperator_notOwner() public {
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, owner));
        vm.prank(owner);
        settlement.listOperator(owner, true);
    }

    function test_bond() public {
        (uint256 x, uint256 y) = vm.publicKeyP256(1);
        vm.deal(operator, 5 ether);
        vm.expectEmit(address(settlement));
        emit ISettlement.Bonded(operator, 1, 5 ether, bytes32(x), bytes32(y));
        vm.prank(operator);
        settlement.bond{value: 5 ether}(bytes32(x), bytes32(y));
        assertEq(settlement.operator(operator).bond, 15 ether, "bond");
        assertEq(settlement.operator(operator).logKey, deviceOf(1), "logKey");
        assertEq(address(settlement).balance, 15 ether, "balance");
    }

    function test_error_bond_NotListed() public {
        (uint256 x, uint256 y) = vm.publicKeyP256(1);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NotListed.selector, standby));
        vm.prank(standby);
        settlement.bond(bytes32(x), bytes32(y));
    }

    function test_error_bond_InvalidLogKey() public {
        vm.expectRevert(
            abi.encodeWithSelector(
                ISettlement.InvalidLogKey.selector, bytes32(uint256(1)), bytes32(uint256(2))
            )
        );
        vm.prank(operator);
        settlement.bond(bytes32(uint256(1)), bytes32(uint256(2)));
    }

    function test_error_bond_NotLogKey() public {
        (uint256 x, uint256 y) = vm.publicKeyP256(2);
        vm.expectRevert(
            abi.encodeWithSelector(ISettlement.NotLogKey.selector, deviceOf(2), deviceOf(1))
        );
        vm.prank(operator);
        settlement.bond(bytes32(x), bytes32(y));
    }

    function test_rotateLogKey() public {
        (uint256 x, uint256 y) = vm.publicKeyP256(2);
        vm.expectEmit(address(settlement));
        emit ISettlement.LogKeyRotated(operator, deviceOf(1), bytes32(x), bytes32(y));
        rotate(operator, 2);
        assertEq(settlement.operator(operator).logKey, deviceOf(2), "logKey");
        assertEq(settlement.operator(operator).bond, 10 ether, "bond");
        vm.expectRevert(
            abi.encodeWithSelector(ISettlement.NotLogKey.selector, deviceOf(1), deviceOf(2))
        );
        bond(operator, 1, 1 ether);
        bond(operator, 2, 1 ether);
        assertEq(settlement.operator(operator).bond, 11 ether, "more");
    }

    function test_error_rotateLogKey_InvalidLogKey() public {
        vm.expectRevert(
            abi.encodeWithSelector(
                ISettlement.InvalidLogKey.selector, bytes32(uint256(1)), bytes32(uint256(2))
            )
        );
        vm.prank(operator);
        settlement.rotateLogKey(bytes32(uint256(1)), bytes32(uint256(2)));
    }

    /// @dev The key of now is one whatever the date; a former one up to an hour after its change, for as long
    /// as receipts live after it.
    function test_isLogKey() public {
        uint64 changed = uint64(block.timestamp);
        uint64 delay = settlement.withdrawalDelay();
        _expectLogKey(1, [true, true, true]);
        _expectLogKey(2, [false, false, false]);
        rotate(operator, 2);
        _expectLogKey(1, [true, true, false]);
        _expectLogKey(2, [true, true, true]);
        assertTrue(!settlement.isLogKey(standby, deviceOf(2), changed), "another's");
        vm.warp(changed + delay);
        assertTrue(settlement.isLogKey(operator, deviceOf(1), changed), "the last second");
        vm.warp(changed + delay + 1);
        assertTrue(!settlement.isLogKey(operator, deviceOf(1), changed), "over");
        assertTrue(!settlement.isLogKey(operator, deviceOf(1), 0), "all of it");
    }

    /// @dev A key that is taken back binds again, also for the time between; the other one does no more.
    function test_isLogKey_rotatedBack() public {
        uint64 first = uint64(block.timestamp);
        rotate(operator, 2);
        vm.warp(first + 1 days);
        rotate(operator, 1);
        uint64 second = uint64(block.timestamp);
        _expectLogKey(1, [true, true, true]);
        _expectLogKey(2, [true, true, false]);
        // Changed again, it is the last time that counts.
        vm.warp(first + 2 days);
        rotate(operator, 3);
        uint64 last = first + 2 days + 1 hours;
        assertTrue(settlement.isLogKey(operator, deviceOf(1), last), "the last change");
        assertTrue(!settlement.isLogKey(operator, deviceOf(1), last + 1), "after it");
        assertTrue(settlement.isLogKey(operator, deviceOf(2), second + 1 hours), "its own");
        assertTrue(!settlement.isLogKey(operator, deviceOf(2), second + 1 hours + 1), "not moved");
        // To itself, it changes nothing.
        rotate(operator, 3);
        assertTrue(settlement.isLogKey(operator, deviceOf(3), type(uint64).max), "itself");
    }

    /// @dev Who is no operator has a key of its own only, and nothing at stake.
    function test_rotateLogKey_stranger() public {
        rotate(standby, 2);
        assertEq(settlement.operator(standby).id, 0, "no operator");
        assertEq(settlement.operator(operator).logKey, deviceOf(1), "another's");
        settlement.listOperator(standby, true);
        vm.expectRevert(
            abi.encodeWithSelector(ISettlement.NotLogKey.selector, deviceOf(3), deviceOf(2))
        );
        bond(standby, 3, 1 ether);
        bond(standby, 2, 1 ether);
    }

    /// @dev Now, an hour later, and a second after that.
    function _expectLogKey(uint256 key, bool[3] memory expected) private view {
        for (uint256 i = 0; i < 3; i++) {
            uint64 time = uint64(block.timestamp + [0, 1 hours, 1 hours + 1][i]);
            bool actual = settlement.isLogKey(operator, deviceOf(key), time);
            assertTrue(actual == expected[i], "isLogKey");
        }
    }

    function test_withdraw() public {
        vm.expectEmit(address(settlement));
        emit ISettlement.WithdrawalRequested(
            operator,
            4 ether,
            uint64(block.timestamp) + CHALLENGE + RESPONSE + RETENTION,
            firstWindow - 1
        );
        vm.prank(operator);
        settlement.requestWithdrawal(4 ether);
        assertEq(settlement.operator(operator).bond, 6 ether, "bond");
        assertEq(settlement.operator(operator).leaving, 4 ether, "leaving");
        vm.warp(block.timestamp + settlement.withdrawalDelay());
        vm.expectEmit(address(settlement));
        emit ISettlement.Withdrawn(operator, 4 ether);
        vm.prank(operator);
        settlement.withdraw();
        assertEq(operator.balance, 4 ether, "balance");
        assertEq(settlement.operator(operator).leaving, 0, "left");
    }

    /// @dev The longest times the network ever had count, also after they were made shorter.
    function test_withdrawalDelay() public {
        assertEq(settlement.withdrawalDelay(), CHALLENGE + RESPONSE + RETENTION, "delay");
        ISettlement.Config memory changed = config();
        changed.retention = 60 days;
        settlement.setConfig(changed);
        changed.retention = 5 days;
        settlement.setConfig(changed);
        assertEq(settlement.withdrawalDelay(), CHALLENGE + RESPONSE + 60 days, "longest");
    }

    function test_error_withdraw_notYet() public {
        vm.startPrank(operator);
        settlement.requestWithdrawal(1 ether);
        uint64 leavesAt = uint64(block.timestamp) + settlement.withdrawalDelay();
        vm.warp(leavesAt - 1);
        vm.expectRevert(
            abi.encodeWithSelector(
                ISettlement.WithdrawalNotReady.selector, leavesAt, firstWindow - 1
            )
        );
        settlement.withdraw();
        vm.stopPrank();
    }

    /// @dev An epoch under challenge holds the bond of whoever may have posted it.
    function test_error_withdraw_notFinal() public {
        post(firstWindow, new Ledger(0, false));
        asDisputes().openChallenge(firstWindow, 1);
        vm.startPrank(operator);
        settlement.requestWithdrawal(1 ether);
        uint64 leavesAt = uint64(block.timestamp) + settlement.withdrawalDelay();
        vm.warp(leavesAt);
        vm.expectRevert(
            abi.encodeWithSelector(ISettlement.WithdrawalNotReady.selector, leavesAt, firstWindow)
        );
        settlement.withdraw();
        vm.stopPrank();
        asDisputes().closeChallenge(firstWindow, 1);
        vm.prank(operator);
        settlement.withdraw();
    }

    function test_error_withdraw_others() public {
        vm.startPrank(operator);
        vm.expectRevert(err(ISettlement.NothingToWithdraw.selector));
        settlement.withdraw();
        vm.expectRevert(err(ISettlement.NothingToWithdraw.selector));
        settlement.requestWithdrawal(0);
        vm.expectRevert(
            abi.encodeWithSelector(ISettlement.BondTooSmall.selector, 10 ether, 10 ether + 1)
        );
        settlement.requestWithdrawal(10 ether + 1);
        settlement.requestWithdrawal(1 ether);
        uint64 leavesAt = uint64(block.timestamp) + settlement.withdrawalDelay();
        vm.expectRevert(abi.encodeWithSelector(ISettlement.WithdrawalPending.selector, leavesAt));
        settlement.requestWithdrawal(1 ether);
        vm.stopPrank();
    }

    function test_error_withdraw_refusedByReceiver() public {
        // This test's own code has a receive function; the factory has none.
        address payable refuser = payable(address(factory));
        settlement.listOperator(refuser, true);
        bond(refuser, 3, 1 ether);
        vm.prank(refuser);
        settlement.requestWithdrawal(1 ether);
        vm.warp(block.timestamp + settlement.withdrawalDelay());
        vm.expectRevert(err(Errors.FailedCall.selector));
        vm.prank(refuser);
        settlement.withdraw();
    }

    function _expectTimeError(
        ISettlement.Config memory changed,
        string memory name,
        uint32 time,
        uint32 least,
        uint32 most
    ) private {
        _expectConfigError(
            changed,
            abi.encodeWithSelector(ISettlement.InvalidTime.selector, name, time, least, most)
        );
    }

    function _expectConfigError(ISettlement.Config memory changed, bytes memory data) private {
        vm.expectRevert(data);
        settlement.setConfig(changed);
    }
}

/// @dev Posting and finality.
contract SettlementEpochsTest is Scene {
    Ledger private empty;

    function setUp() public {
        setUpScene();
        settlement.listOperator(standby, true);
        bond(standby, 2, 10 ether);
        empty = new Ledger(0, false);
    }

    function test_postEpoch() public {
        addDevices(1, 3, owner);
        Ledger ledger = new Ledger(2, false);
        ledger.set(1, ISettlement.Entry(deviceOf(2), 500, bytes32(uint256(9))));
        vm.warp(dueAt(firstWindow));
        ISettlement.Posting memory p = posting(firstWindow, ledger);
        p.logs = logs(8);
        bytes32 configHash = keccak256(abi.encode(config()));
        bytes32 epochHash = keccak256(
            abi.encode(
                settlement.networkId(),
                settlement.windowSeconds(),
                firstWindow,
                uint32(1),
                bytes32(0),
                configHash,
                uint32(3),
                keccak256(abi.encode(p.logs)),
                p.ledgerRoot,
                p.ledgerTotal
            )
        );
        uint64 endsAt = uint64(block.timestamp) + CHALLENGE;
        vm.expectEmit(address(settlement));
        emit ISettlement.EpochPosted(
            firstWindow,
            1,
            operator,
            bytes32(0),
            2,
            3,
            endsAt,
            configHash,
            epochHash,
            p.ledgerRoot,
            500,
            p.logs
        );
        vm.prank(operator);
        settlement.postEpoch(p);

        ISettlement.Epoch memory epoch = settlement.epoch(firstWindow);
        assertEq(epoch.epochHash, epochHash, "epochHash");
        assertEq(epoch.ledgerRoot, p.ledgerRoot, "ledgerRoot");
        assertEq(epoch.ledgerTotal, 500, "ledgerTotal");
        assertEq(epoch.attempt, 1, "attempt");
        assertEq(epoch.challengeEndsAt, endsAt, "challengeEndsAt");
        assertEq(epoch.depth, 2, "depth");
        assertEq(epoch.openChallenges, 0, "openChallenges");
        assertEq(settlement.operatorAt(epoch.operatorId), operator, "operator");
        assertEq(settlement.nextWindow(), firstWindow + 1, "nextWindow");
        _assertStatus(firstWindow, 1, ISettlement.Status.Pending);
        _assertStatus(firstWindow, 0, ISettlement.Status.None);
        _assertStatus(firstWindow, 2, ISettlement.Status.None);
        _assertStatus(firstWindow + 1, 1, ISettlement.Status.None);
    }

    function test_postEpoch_noLogs() public {
        vm.warp(dueAt(firstWindow));
        ISettlement.Posting memory p = posting(firstWindow, empty);
        p.logs = logs(0);
        vm.prank(operator);
        settlement.postEpoch(p);
    }

    function test_error_WindowOutOfOrder() public {
        vm.warp(dueAt(firstWindow + 5));
        ISettlement.Posting memory p = posting(firstWindow, empty);
        uint32[3] memory wrong = [firstWindow - 1, firstWindow + 1, type(uint32).max];
        for (uint256 i = 0; i < 3; i++) {
            p.window = wrong[i];
            _expectPostError(
                operator,
                p,
                abi.encodeWithSelector(ISettlement.WindowOutOfOrder.selector, wrong[i], firstWindow)
            );
        }
        post(firstWindow, empty);
        p.window = firstWindow;
        _expectPostError(
            operator,
            p,
            abi.encodeWithSelector(
                ISettlement.WindowOutOfOrder.selector, firstWindow, firstWindow + 1
            )
        );
    }

    function test_error_WindowNotOver() public {
        vm.warp(dueAt(firstWindow) - 1);
        _expectPostError(
            operator,
            posting(firstWindow, empty),
            abi.encodeWithSelector(
                ISettlement.WindowNotOver.selector, firstWindow, dueAt(firstWindow)
            )
        );
        vm.warp(dueAt(firstWindow));
        post(firstWindow, empty);
    }

    function test_takeover() public {
        ISettlement.Posting memory p = posting(firstWindow, empty);
        uint256 from = dueAt(firstWindow) + TAKEOVER;
        vm.warp(from - 1);
        _expectPostError(
            standby,
            p,
            abi.encodeWithSelector(ISettlement.NotNamed.selector, standby, operator, from)
        );
        vm.warp(from);
        vm.prank(standby);
        settlement.postEpoch(p);
        assertEq(
            settlement.operatorAt(settlement.epoch(firstWindow).operatorId), standby, "operator"
        );
    }

    /// @dev Taken off the list, nobody posts, named or not.
    function test_delisted() public {
        settlement.listOperator(operator, false);
        settlement.listOperator(standby, false);
        vm.warp(dueAt(firstWindow) + TAKEOVER);
        address[2] memory posters = [operator, standby];
        for (uint256 i = 0; i < 2; i++) {
            _expectPostError(
                posters[i],
                posting(firstWindow, empty),
                abi.encodeWithSelector(ISettlement.NotListed.selector, posters[i])
            );
        }
        settlement.listOperator(operator, true);
        post(firstWindow, empty);
    }

    function test_nobodyNamed() public {
        ISettlement.Config memory changed = config();
        changed.operator = address(0);
        settlement.setConfig(changed);
        vm.warp(dueAt(firstWindow) + TAKEOVER);
        ISettlement.Posting memory p = posting(firstWindow, empty);
        vm.prank(standby);
        settlement.postEpoch(p);
    }

    function test_error_BondTooSmall() public {
        vm.prank(operator);
        settlement.requestWithdrawal(9 ether + 1);
        vm.warp(dueAt(firstWindow));
        _expectPostError(
            operator,
            posting(firstWindow, empty),
            abi.encodeWithSelector(ISettlement.BondTooSmall.selector, 1 ether - 1, MIN_BOND)
        );
    }

    function test_error_ParentMismatch() public {
        vm.warp(dueAt(firstWindow));
        ISettlement.Posting memory p = posting(firstWindow, empty);
        p.parentHash = keccak256("parent");
        _expectPostError(
            operator,
            p,
            abi.encodeWithSelector(ISettlement.ParentMismatch.selector, p.parentHash, bytes32(0))
        );
        post(firstWindow, empty);
        vm.warp(dueAt(firstWindow + 1));
        p = posting(firstWindow + 1, empty);
        bytes32 actual = p.parentHash;
        assertEq(actual, settlement.epoch(firstWindow).epochHash, "chain");
        bytes32[2] memory wrong = [bytes32(0), keccak256("parent")];
        for (uint256 i = 0; i < 2; i++) {
            p.parentHash = wrong[i];
            _expectPostError(
                operator,
                p,
                abi.encodeWithSelector(ISettlement.ParentMismatch.selector, wrong[i], actual)
            );
        }
    }

    function test_error_TotalDecreased() public {
        _postTotal(firstWindow, 500);
        vm.warp(dueAt(firstWindow + 1));
        ISettlement.Posting memory p = posting(firstWindow + 1, empty);
        p.ledgerTotal = 499;
        _expectPostError(
            operator, p, abi.encodeWithSelector(ISettlement.TotalDecreased.selector, 499, 500)
        );
        _postTotal(firstWindow + 1, 500);
    }

    /// @dev 10 ether × 1000 cover all pending steps together; what becomes final leaves room again.
    function test_error_StepNotCovered() public {
        uint128 covered = 10_000 ether;
        vm.warp(dueAt(firstWindow));
        ISettlement.Posting memory p = posting(firstWindow, empty);
        p.ledgerTotal = covered + 1;
        _expectPostError(
            operator,
            p,
            abi.encodeWithSelector(ISettlement.StepNotCovered.selector, covered + 1, covered)
        );
        _postTotal(firstWindow, covered - 5);
        vm.warp(dueAt(firstWindow + 1));
        p = posting(firstWindow + 1, empty);
        p.ledgerTotal = covered + 1;
        _expectPostError(
            operator,
            p,
            abi.encodeWithSelector(ISettlement.StepNotCovered.selector, covered + 1, covered)
        );
        _postTotal(firstWindow + 1, covered);
        vm.warp(dueAt(firstWindow) + CHALLENGE);
        _postTotal(firstWindow + 2, 2 * covered - 5);
    }

    function test_error_TooManyLogs() public {
        vm.warp(dueAt(firstWindow));
        ISettlement.Posting memory p = posting(firstWindow, empty);
        p.logs = logs(9);
        _expectPostError(
            operator, p, abi.encodeWithSelector(ISettlement.TooManyLogs.selector, 9, 8)
        );
    }

    function test_error_LogsOutOfOrder() public {
        vm.warp(dueAt(firstWindow));
        ISettlement.Posting memory p = posting(firstWindow, empty);
        p.logs = logs(3);
        p.logs[2].shard = 1;
        _expectPostError(
            operator, p, abi.encodeWithSelector(ISettlement.LogsOutOfOrder.selector, 1)
        );
        p.logs[0].shard = type(uint32).max;
        _expectPostError(
            operator, p, abi.encodeWithSelector(ISettlement.LogsOutOfOrder.selector, 1)
        );
        (p.logs[0].shard, p.logs[1].shard, p.logs[2].shard) = (3, 5, type(uint32).max);
        vm.prank(operator);
        settlement.postEpoch(p);
    }

    function test_error_LogTooLarge() public {
        vm.warp(dueAt(firstWindow));
        ISettlement.Posting memory p = posting(firstWindow, empty);
        p.logs = logs(2);
        p.logs[1].size = 1 << 53;
        _expectPostError(
            operator,
            p,
            abi.encodeWithSelector(ISettlement.LogTooLarge.selector, 1, uint64(1) << 53)
        );
        p.logs[1].size--;
        vm.prank(operator);
        settlement.postEpoch(p);
    }

    /// @dev The logs are hashed as they lie in calldata: what their types do not allow is refused.
    function test_error_logs_dirty() public {
        vm.warp(dueAt(firstWindow));
        bytes memory clean = abi.encodeCall(ISettlement.postEpoch, (posting(firstWindow, empty)));
        // The last words are shard, size and root.
        for (uint256 words = 2; words <= 3; words++) {
            bytes memory dirty = bytes.concat(clean);
            dirty[dirty.length - 32 * words] = 0x01;
            vm.prank(operator);
            (bool accepted,) = address(settlement).call(dirty);
            assertTrue(!accepted, "dirty");
        }
        vm.prank(operator);
        (bool posted,) = address(settlement).call(clean);
        assertTrue(posted, "clean");
    }

    /// @dev Wherever in calldata they lie.
    function test_postEpoch_logsElsewhere() public {
        vm.warp(dueAt(firstWindow));
        ISettlement.Posting memory p = posting(firstWindow, empty);
        bytes memory head = abi.encode(p.window, 0, 0, p.ledgerRoot, p.ledgerTotal, 7 * 32);
        bytes memory array = abi.encode(1, p.logs[0].shard, p.logs[0].size, p.logs[0].root);
        bytes memory data =
            bytes.concat(ISettlement.postEpoch.selector, abi.encode(32), head, "a word in between");
        data = bytes.concat(data, new bytes(15), array);
        vm.prank(operator);
        (bool posted,) = address(settlement).call(data);
        assertTrue(posted, "posted");
        bytes32 epochHash = keccak256(
            abi.encode(
                settlement.networkId(),
                DAY,
                firstWindow,
                1,
                0,
                keccak256(abi.encode(config())),
                0,
                keccak256(abi.encode(p.logs)),
                p.ledgerRoot,
                p.ledgerTotal
            )
        );
        assertEq(settlement.epoch(firstWindow).epochHash, epochHash, "epochHash");
    }

    /// @dev Least depth for each number of members, and one more.
    function test_depth() public {
        uint8[10] memory least = [0, 0, 1, 2, 2, 3, 3, 3, 3, 4];
        uint32 window = firstWindow;
        vm.warp(dueAt(window + 40));
        for (uint32 members = 0; members < 10; members++) {
            if (members > 0) addDevices(members, 1, owner);
            for (uint8 depth = 0; depth < 8; depth++) {
                ISettlement.Posting memory p = posting(window, empty);
                p.depth = depth;
                if (depth == least[members] || depth == least[members] + 1) {
                    vm.prank(operator);
                    settlement.postEpoch(p);
                    window++;
                } else {
                    _expectPostError(
                        operator,
                        p,
                        abi.encodeWithSelector(ISettlement.InvalidDepth.selector, depth, members)
                    );
                }
            }
        }
    }

    // Finality

    function test_finality() public {
        _postTotal(firstWindow, 5);
        vm.warp(dueAt(firstWindow) + CHALLENGE - 1);
        settlement.finalize(10);
        assertEq(settlement.nextFinalWindow(), firstWindow, "too early");
        vm.warp(dueAt(firstWindow) + CHALLENGE);
        assertEq(settlement.nextFinalWindow(), firstWindow + 1, "looks ahead");
        _assertStatus(firstWindow, 1, ISettlement.Status.Final);
        vm.expectEmit(address(settlement));
        emit ISettlement.Finalized(firstWindow, 5);
        settlement.finalize(10);
        assertEq(settlement.nextFinalWindow(), firstWindow + 1, "moved");
    }

    /// @dev Posting moves the pointer by two windows at most, `finalize` by as many as it is told.
    function test_finality_isMovedInSteps() public {
        vm.warp(dueAt(firstWindow + 50));
        for (uint32 i = 0; i < 40; i++) {
            post(firstWindow + i, empty);
        }
        vm.warp(block.timestamp + CHALLENGE);
        assertEq(settlement.nextFinalWindow(), firstWindow + 32, "32 ahead");
        vm.expectEmit(address(settlement));
        emit ISettlement.Finalized(firstWindow + 1, 0);
        post(firstWindow + 40, empty);
        vm.expectEmit(address(settlement));
        emit ISettlement.Finalized(firstWindow + 4, 0);
        settlement.finalize(3);
        settlement.finalize(0);
        vm.expectEmit(address(settlement));
        emit ISettlement.Finalized(firstWindow + 39, 0);
        settlement.finalize(type(uint32).max);
        settlement.finalize(1);
        assertEq(settlement.nextFinalWindow(), firstWindow + 40, "all but the last");
    }

    function test_finality_waitsForTheWindowBefore() public {
        _postTotal(firstWindow, 5);
        asDisputes().openChallenge(firstWindow, 1);
        _postTotal(firstWindow + 1, 5);
        vm.warp(dueAt(firstWindow + 30));
        settlement.finalize(10);
        assertEq(settlement.nextFinalWindow(), firstWindow, "blocked");
        _assertStatus(firstWindow + 1, 1, ISettlement.Status.Pending);
        asDisputes().closeChallenge(firstWindow, 1);
        settlement.finalize(10);
        assertEq(settlement.nextFinalWindow(), firstWindow + 2, "both");
    }

    function _postTotal(uint32 window, uint128 total) private {
        if (block.timestamp < dueAt(window)) vm.warp(dueAt(window));
        ISettlement.Posting memory p = posting(window, empty);
        p.ledgerTotal = total;
        vm.prank(operator);
        settlement.postEpoch(p);
    }

    function _expectPostError(address poster, ISettlement.Posting memory p, bytes memory data)
        private
    {
        vm.expectRevert(data);
        vm.prank(poster);
        settlement.postEpoch(p);
    }

    function _assertStatus(uint32 window, uint32 attempt, ISettlement.Status expected)
        private
        view
    {
        assertEq(uint256(settlement.statusOf(window, attempt)), uint256(expected), "status");
    }
}

/// @dev Redemption.
contract SettlementRewardsTest is Scene {
    bytes32 private constant DETAIL = keccak256("value, steps, trace");

    function setUp() public {
        setUpScene();
        addDevices(1, 4, owner);
        addDevices(5, 1, standby);
        addDevices(6, 3, owner);
    }

    function test_redeem_lone() public {
        Ledger ledger = _ledger();
        _final(firstWindow, ledger);
        vm.expectEmit(address(settlement));
        emit ISettlement.Redeemed(deviceOf(2), owner, firstWindow, 20);
        assertEq(_redeem(firstWindow, ledger, 1, 1), 20, "amount");
        assertEq(token.balanceOf(owner), 20, "balance");
        assertEq(token.totalSupply(), 20, "supply");
        assertEq(settlement.paid(deviceOf(2)), 20, "paid");
    }

    function test_redeem_many() public {
        Ledger ledger = _ledger();
        _final(firstWindow, ledger);
        ISettlement.Redemption[] memory all = new ISettlement.Redemption[](3);
        all[0] = ledger.redemption(4, 1);
        all[1] = ledger.redemption(0, 2);
        all[2] = ledger.redemption(3, 1);
        assertEq(settlement.redeem(firstWindow, all), 50 + 10 + 20 + 40, "amount");
        assertEq(token.balanceOf(owner), 70, "owner");
        assertEq(token.balanceOf(standby), 50, "standby");
    }

    function test_redeem_twice() public {
        Ledger ledger = _ledger();
        _final(firstWindow, ledger);
        _redeem(firstWindow, ledger, 0, 5);
        assertEq(_redeem(firstWindow, ledger, 0, 5), 0, "again");
        ISettlement.Redemption[] memory same = new ISettlement.Redemption[](2);
        same[0] = ledger.redemption(1, 1);
        same[1] = ledger.redemption(0, 3);
        assertEq(settlement.redeem(firstWindow, same), 0, "twice in one call");
        assertEq(token.totalSupply(), 150, "supply");
    }

    /// @dev Cumulative: a later window pays for all before, an earlier one nothing more.
    function test_redeem_laterThenEarlier() public {
        Ledger first = _ledger();
        _final(firstWindow, first);
        Ledger second = _ledger();
        second.set(1, ISettlement.Entry(deviceOf(2), 70, DETAIL));
        _final(firstWindow + 1, second);
        assertEq(_redeem(firstWindow, first, 1, 1), 20, "first");
        assertEq(_redeem(firstWindow + 1, second, 0, 3), 10 + 50 + 30, "second");
        assertEq(_redeem(firstWindow, first, 0, 3), 0, "earlier");
        assertEq(_redeem(firstWindow, first, 3, 1), 40, "earlier, of another");
    }

    /// @dev The new owner gets what was not redeemed before the sale.
    function test_redeem_forTheCurrentOwner() public {
        Ledger ledger = _ledger();
        _final(firstWindow, ledger);
        vm.prank(owner);
        registry.transferFrom(owner, standby, uint160(deviceOf(2)));
        vm.prank(address(0xdead));
        _redeem(firstWindow, ledger, 0, 3);
        assertEq(token.balanceOf(standby), 20, "sold");
        assertEq(token.balanceOf(owner), 40, "kept");
    }

    function test_redeem_movesThePointer() public {
        Ledger ledger = _ledger();
        for (uint32 i = 0; i < 5; i++) {
            post(firstWindow + i, ledger);
        }
        vm.warp(block.timestamp + CHALLENGE);
        ISettlement.Redemption[] memory all = one(ledger.redemption(1, 1));
        vm.expectEmit(address(settlement));
        emit ISettlement.Finalized(firstWindow + 4, 150);
        settlement.redeem(firstWindow + 4, all);
    }

    function test_redeem_emptySlots() public {
        Ledger ledger = new Ledger(3, false);
        ledger.set(2, ISettlement.Entry(deviceOf(3), 30, DETAIL));
        _final(firstWindow, ledger);
        assertEq(_redeem(firstWindow, ledger, 0, 8), 30, "whole ledger");
    }

    /// @dev Whatever is written into an empty slot, it stays empty.
    function test_redeem_emptySlotsPayNothing() public {
        Ledger ledger = _ledger();
        _final(firstWindow, ledger);
        ISettlement.Redemption memory r = ledger.redemption(4, 2);
        (r.entries[1].cumulative, r.entries[1].detail) = (1000, DETAIL);
        assertEq(settlement.redeem(firstWindow, one(r)), 50, "the other slot");
        assertEq(settlement.paid(address(0)), 0, "nobody");
    }

    function test_redeem_nothing() public {
        _final(firstWindow, _ledger());
        assertEq(settlement.redeem(firstWindow, new ISettlement.Redemption[](0)), 0, "nothing");
    }

    function test_redeem_ledgerOfOne() public {
        uint32 window = firstWindow;
        setUpScene();
        addDevices(900, 1, owner);
        Ledger ledger = new Ledger(0, false);
        ledger.set(0, ISettlement.Entry(deviceOf(900), 30, DETAIL));
        _final(window, ledger);
        assertEq(_redeem(window, ledger, 0, 1), 30, "amount");
    }

    function test_error_NotFinal() public {
        Ledger ledger = _ledger();
        ISettlement.Redemption[] memory all = one(ledger.redemption(0, 1));
        _expectRedeemError(firstWindow, all, _notFinal(firstWindow));
        post(firstWindow, ledger);
        vm.warp(block.timestamp + CHALLENGE - 1);
        _expectRedeemError(firstWindow, all, _notFinal(firstWindow));
        vm.warp(block.timestamp + 1);
        _expectRedeemError(firstWindow + 1, all, _notFinal(firstWindow + 1));
        _expectRedeemError(firstWindow - 1, all, _notFinal(firstWindow - 1));
        settlement.redeem(firstWindow, all);
    }

    function test_error_InvalidProof() public {
        Ledger ledger = _ledger();
        _final(firstWindow, ledger);
        ISettlement.Redemption memory r = ledger.redemption(1, 2);

        r.entries[1].cumulative++;
        _expectInvalid(r);
        r = ledger.redemption(1, 2);
        r.entries[0].device = deviceOf(1);
        _expectInvalid(r);
        r = ledger.redemption(1, 2);
        r.entries[0].detail = 0;
        _expectInvalid(r);
        r = ledger.redemption(1, 2);
        r.slot = 2;
        _expectInvalid(r);
        r.slot = 1 + 8;
        _expectInvalid(r);
        r.slot = type(uint32).max;
        _expectInvalid(r);
        r = ledger.redemption(1, 2);
        r.siblings = bytes.concat(r.siblings, new bytes(48));
        _expectInvalid(r);
        r = ledger.redemption(1, 2);
        r.siblings = bytes.concat(r.siblings, hex"00");
        _expectInvalid(r);
        r.siblings = "";
        _expectInvalid(r);
        r.entries = new ISettlement.Entry[](0);
        _expectInvalid(r);
        r.slot = 0;
        _expectInvalid(r);
        r.entries = new ISettlement.Entry[](9);
        _expectInvalid(r);
    }

    /// @dev A node of the tree is no leaf: their preimages begin differently and have other lengths.
    function test_error_InvalidProof_nodeAsLeaf() public {
        Ledger ledger = _ledger();
        _final(firstWindow, ledger);
        ISettlement.Redemption memory r = ledger.redemption(0, 1);
        // Without the lowest sibling, as if the depth were 2.
        bytes memory shorter = new bytes(96);
        for (uint256 i = 0; i < 96; i++) {
            shorter[i] = r.siblings[48 + i];
        }
        r.siblings = shorter;
        _expectInvalid(r);
    }

    /// @dev The operator posted a total that is not the sum at the root.
    function test_error_InvalidProof_wrongTotal() public {
        Ledger ledger = _ledger();
        vm.warp(dueAt(firstWindow));
        ISettlement.Posting memory p = posting(firstWindow, ledger);
        p.ledgerTotal++;
        vm.prank(operator);
        settlement.postEpoch(p);
        vm.warp(block.timestamp + CHALLENGE);
        _expectInvalid(ledger.redemption(0, 1));
    }

    /// @dev Sums that overflow 128 bits to a small total do not get through.
    function test_error_InvalidProof_overflow() public {
        uint128 half = 1 << 127;
        (bytes32 left, bytes32 right) = (_leaf(deviceOf(1), half), _leaf(deviceOf(2), half));
        bytes32 low = keccak256(bytes.concat(hex"01", left, bytes16(half), right, bytes16(half)));
        // 2^128 in 128 bits is 0.
        bytes32 middle = keccak256(bytes.concat(hex"01", low, bytes16(0), new bytes(48)));
        bytes32 root = keccak256(bytes.concat(hex"01", middle, bytes16(0), new bytes(48)));
        vm.warp(dueAt(firstWindow));
        ISettlement.Posting memory p = posting(firstWindow, _ledger());
        (p.ledgerRoot, p.ledgerTotal) = (root, 0);
        vm.prank(operator);
        settlement.postEpoch(p);
        vm.warp(block.timestamp + CHALLENGE);
        ISettlement.Redemption memory r;
        r.entries = new ISettlement.Entry[](1);
        r.entries[0] = ISettlement.Entry(deviceOf(1), half, DETAIL);
        r.siblings = bytes.concat(right, bytes16(half), new bytes(96));
        _expectInvalid(r);
    }

    /// @dev A ledger that shows one device twice, or whose earlier epoch was larger, cannot mint more
    /// than the total: what the total has was paid to somebody else already.
    function test_error_SupplyExceedsTotal() public {
        Ledger ledger = _ledger();
        _final(firstWindow, ledger);
        _redeem(firstWindow, ledger, 0, 5);
        // Device 1's reward moves to device 2; the total is the same.
        Ledger moved = _ledger();
        moved.set(0, ISettlement.Entry(deviceOf(1), 0, DETAIL));
        moved.set(1, ISettlement.Entry(deviceOf(2), 30, DETAIL));
        _final(firstWindow + 1, moved);
        ISettlement.Redemption[] memory all = one(moved.redemption(1, 1));
        _expectRedeemError(
            firstWindow + 1,
            all,
            abi.encodeWithSelector(ISettlement.SupplyExceedsTotal.selector, 160, 150)
        );
    }

    /// @dev An entry of a device that does not exist has nobody to be paid.
    function test_error_unregistered() public {
        Ledger ledger = _ledger();
        ledger.set(7, ISettlement.Entry(address(0xbad), 1, DETAIL));
        _final(firstWindow, ledger);
        ISettlement.Redemption[] memory all = one(ledger.redemption(7, 1));
        _expectRedeemError(
            firstWindow,
            all,
            abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, uint256(0xbad))
        );
    }

    /// @dev Any run of any ledger is accepted, and refused when any byte of its path is changed.
    function testFuzz_redeem_anyRun(uint256 seed, uint32 slot, uint32 count, uint256 change)
        public
    {
        Ledger ledger = new Ledger(3, false);
        uint256 expected;
        slot = uint32(bound(slot, 0, 7));
        count = uint32(bound(count, 1, 8 - slot));
        for (uint32 i = 0; i < 8; i++) {
            uint128 cumulative = uint128(uint256(keccak256(abi.encode(seed, i))) % 1e18);
            if (cumulative % 4 == 0) continue;
            ledger.set(i, ISettlement.Entry(deviceOf(1 + i), cumulative, bytes32(seed)));
            if (i >= slot && i < slot + count) expected += cumulative;
        }
        _final(firstWindow, ledger);
        ISettlement.Redemption memory r = ledger.redemption(slot, count);
        if (r.siblings.length > 0) {
            uint256 index = change % r.siblings.length;
            r.siblings[index] = bytes1(uint8(r.siblings[index]) ^ uint8(1 << (change % 8)));
            _expectInvalid(r);
            r = ledger.redemption(slot, count);
        }
        assertEq(settlement.redeem(firstWindow, one(r)), expected, "amount");
        assertEq(token.totalSupply(), expected, "supply");
    }

    /// @dev Garbage never pays.
    function testFuzz_redeem_garbage(
        uint32 slot,
        ISettlement.Entry[] memory entries,
        bytes memory siblings
    ) public {
        _final(firstWindow, _ledger());
        ISettlement.Redemption memory r = ISettlement.Redemption(slot, entries, siblings);
        _expectInvalid(r);
    }

    function _ledger() private returns (Ledger ledger) {
        ledger = new Ledger(3, false);
        for (uint32 i = 0; i < 5; i++) {
            ledger.set(i, ISettlement.Entry(deviceOf(1 + i), 10 * (i + 1), DETAIL));
        }
    }

    function _leaf(address device, uint128 cumulative) private pure returns (bytes32) {
        return keccak256(bytes.concat(hex"00", bytes20(device), bytes16(cumulative), DETAIL));
    }

    function _final(uint32 window, Ledger ledger) private {
        post(window, ledger);
        vm.warp(block.timestamp + CHALLENGE);
    }

    function _redeem(uint32 window, Ledger ledger, uint32 slot, uint32 count)
        private
        returns (uint256)
    {
        return settlement.redeem(window, one(ledger.redemption(slot, count)));
    }

    function _notFinal(uint32 window) private pure returns (bytes memory) {
        return abi.encodeWithSelector(ISettlement.NotFinal.selector, window);
    }

    function _expectInvalid(ISettlement.Redemption memory r) private {
        _expectRedeemError(
            firstWindow, one(r), abi.encodeWithSelector(ISettlement.InvalidProof.selector, r.slot)
        );
    }

    function _expectRedeemError(
        uint32 window,
        ISettlement.Redemption[] memory redemptions,
        bytes memory data
    ) private {
        vm.expectRevert(data);
        settlement.redeem(window, redemptions);
    }
}

/// @dev What the network's disputes may do; here this test speaks for them.
contract SettlementDisputesTest is Scene {
    Ledger private empty;

    function setUp() public {
        setUpScene();
        settlement.listOperator(standby, true);
        bond(standby, 2, 10 ether);
        addDevices(1, 1, owner);
        empty = new Ledger(0, false);
    }

    function test_openAndCloseChallenge() public {
        post(firstWindow, empty);
        vm.warp(dueAt(firstWindow) + CHALLENGE - 1);
        vm.expectEmit(address(settlement));
        emit ISettlement.ChallengeOpened(firstWindow, 1, 1);
        asDisputes().openChallenge(firstWindow, 1);
        asDisputes().openChallenge(firstWindow, 1);
        assertEq(settlement.epoch(firstWindow).openChallenges, 2, "two");
        vm.warp(block.timestamp + RESPONSE);
        vm.expectEmit(address(settlement));
        emit ISettlement.ChallengeClosed(firstWindow, 1, 1);
        asDisputes().closeChallenge(firstWindow, 1);
        assertEq(settlement.nextFinalWindow(), firstWindow, "one is open");
        asDisputes().closeChallenge(firstWindow, 1);
        assertEq(settlement.nextFinalWindow(), firstWindow + 1, "final");
    }

    function test_error_NotDisputes() public {
        post(firstWindow, empty);
        vm.startPrank(owner);
        bytes memory data = abi.encodeWithSelector(ISettlement.NotDisputes.selector, owner);
        vm.expectRevert(data);
        settlement.openChallenge(firstWindow, 1);
        vm.expectRevert(data);
        settlement.closeChallenge(firstWindow, 1);
        vm.expectRevert(data);
        settlement.extendChallengeTime(firstWindow, 1);
        vm.expectRevert(data);
        settlement.slash(operator);
        vm.stopPrank();
    }

    function test_error_NotPending() public {
        _expectNotPending(firstWindow, 0);
        _expectNotPending(firstWindow, 1);
        _expectNotPending(firstWindow - 1, 0);
        post(firstWindow, empty);
        _expectNotPending(firstWindow, 2);
        vm.warp(block.timestamp + CHALLENGE);
        settlement.finalize(1);
        _expectNotPending(firstWindow, 1);
    }

    function test_error_ChallengeTimeOver() public {
        post(firstWindow, empty);
        uint256 endsAt = block.timestamp + CHALLENGE;
        vm.warp(endsAt);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.ChallengeTimeOver.selector, endsAt));
        asDisputes().openChallenge(firstWindow, 1);
    }

    function test_error_NoOpenChallenge() public {
        post(firstWindow, empty);
        bytes memory data =
            abi.encodeWithSelector(ISettlement.NoOpenChallenge.selector, firstWindow, 1);
        vm.expectRevert(data);
        asDisputes().closeChallenge(firstWindow, 1);
        vm.expectRevert(data);
        asDisputes().extendChallengeTime(firstWindow, 1);
    }

    /// @dev Whoever asked last has a whole response time left to ask on.
    function test_extendChallengeTime() public {
        post(firstWindow, empty);
        uint64 endsAt = uint64(block.timestamp) + CHALLENGE;
        asDisputes().openChallenge(firstWindow, 1);
        asDisputes().extendChallengeTime(firstWindow, 1);
        assertEq(settlement.epoch(firstWindow).challengeEndsAt, endsAt, "enough time is left");
        vm.warp(endsAt + 7);
        vm.expectEmit(address(settlement));
        emit ISettlement.ChallengeTimeExtended(firstWindow, 1, endsAt + 7 + RESPONSE);
        asDisputes().extendChallengeTime(firstWindow, 1);
        asDisputes().closeChallenge(firstWindow, 1);
        settlement.finalize(1);
        assertEq(settlement.nextFinalWindow(), firstWindow, "not final yet");
        asDisputes().openChallenge(firstWindow, 1);
        asDisputes().closeChallenge(firstWindow, 1);
        vm.warp(endsAt + 7 + RESPONSE);
        assertEq(settlement.nextFinalWindow(), firstWindow + 1, "final");
    }

    function test_slash() public {
        vm.prank(operator);
        settlement.requestWithdrawal(4 ether);
        uint256 before = address(disputes).balance;
        uint256 burned = address(0).balance;
        vm.expectEmit(address(settlement));
        emit ISettlement.Slashed(operator, 5 ether, 5 ether);
        vm.expectEmit(address(settlement));
        emit ISettlement.OperatorListed(operator, 1, false);
        assertEq(asDisputes().slash(operator), 5 ether, "paid");
        assertEq(address(disputes).balance - before, 5 ether, "received");
        assertEq(address(0).balance - burned, 5 ether, "burned");
        assertEq(settlement.operator(operator).bond, 0, "bond");
        assertEq(settlement.operator(operator).leaving, 0, "leaving");
        assertTrue(!settlement.operator(operator).listed, "listed");
        assertEq(address(settlement).balance, 10 ether, "the bond of the other");
        assertEq(asDisputes().slash(operator), 0, "nothing left");
        vm.expectRevert(err(ISettlement.NothingToWithdraw.selector));
        vm.prank(operator);
        settlement.withdraw();
        vm.warp(dueAt(firstWindow));
        _expectPostError(
            0, operator, abi.encodeWithSelector(ISettlement.NotListed.selector, operator)
        );
        // Whoever was listed once may bond; whoever is listed may post.
        bond(operator, 1, 1 ether);
        settlement.listOperator(operator, true);
        _post(0, operator, 0);
    }

    function test_slash_oddWeiIsBurned() public {
        bond(operator, 1, 1);
        assertEq(asDisputes().slash(operator), 5 ether, "paid");
        assertEq(address(settlement).balance, 10 ether, "rest");
    }

    function test_slash_ofNobody() public {
        _post(0, operator, 100);
        assertEq(asDisputes().slash(address(0xbad)), 0, "paid");
        _assertStatus(0, 1, ISettlement.Status.Pending);
    }

    /// @dev Window 0 is final, 1 and 2 pending: both fall, and are posted again by another.
    function test_slash_voids() public {
        _post(0, operator, 100);
        vm.warp(block.timestamp + CHALLENGE);
        _post(1, operator, 200);
        _post(2, operator, 300);
        asDisputes().openChallenge(firstWindow + 1, 1);
        asDisputes().openChallenge(firstWindow + 2, 1);
        vm.expectEmit(address(settlement));
        emit ISettlement.EpochsVoided(firstWindow + 1, firstWindow + 2);
        asDisputes().slash(operator);
        assertEq(settlement.nextWindow(), firstWindow + 1, "nextWindow");
        _assertStatus(0, 1, ISettlement.Status.Final);
        _assertStatus(1, 1, ISettlement.Status.Void);
        _assertStatus(2, 1, ISettlement.Status.Void);

        // Nothing can be done to a voided epoch, and closing what was open on it is no error.
        _expectNotPending(firstWindow + 1, 1);
        _expectNotPending(firstWindow + 2, 1);
        asDisputes().closeChallenge(firstWindow + 2, 1);

        // Void for good, however much time goes by.
        vm.warp(block.timestamp + 100 days);
        settlement.finalize(10);
        assertEq(settlement.nextFinalWindow(), firstWindow + 1, "not final");
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NotFinal.selector, firstWindow + 1));
        settlement.redeem(firstWindow + 1, new ISettlement.Redemption[](0));

        // The next attempt builds on the last good epoch: its total may be below that of the voided one.
        bytes32 voided = settlement.epoch(firstWindow + 1).epochHash;
        _post(1, standby, 100);
        assertEq(settlement.epoch(firstWindow + 1).attempt, 2, "attempt");
        assertEq(settlement.epoch(firstWindow + 1).openChallenges, 0, "none open");
        _assertStatus(1, 1, ISettlement.Status.Void);
        _assertStatus(1, 2, ISettlement.Status.Pending);
        _assertStatus(2, 1, ISettlement.Status.Void);
        asDisputes().closeChallenge(firstWindow + 1, 1);

        // Who built on the first attempt of window 1 does not land on the second.
        ISettlement.Posting memory p = _posting(2, 300);
        bytes32 parentHash = p.parentHash;
        p.parentHash = voided;
        vm.expectRevert(
            abi.encodeWithSelector(ISettlement.ParentMismatch.selector, voided, parentHash)
        );
        vm.prank(standby);
        settlement.postEpoch(p);
        _post(2, standby, 300);
        vm.warp(block.timestamp + CHALLENGE);
        assertEq(settlement.nextFinalWindow(), firstWindow + 3, "all final");
        _assertStatus(2, 2, ISettlement.Status.Final);
    }

    /// @dev The pointer may lag behind; what is final nevertheless cannot be voided.
    function test_slash_notWhatIsFinal() public {
        _post(0, operator, 100);
        _post(1, operator, 200);
        vm.warp(block.timestamp + CHALLENGE - 1);
        asDisputes().openChallenge(firstWindow + 1, 1);
        vm.warp(block.timestamp + 1);
        vm.expectEmit(address(settlement));
        emit ISettlement.Finalized(firstWindow, 100);
        asDisputes().slash(operator);
        _assertStatus(0, 1, ISettlement.Status.Final);
        _assertStatus(1, 1, ISettlement.Status.Void);
    }

    function test_slash_whenAllIsFinal() public {
        _post(0, operator, 100);
        vm.warp(block.timestamp + CHALLENGE);
        asDisputes().slash(operator);
        _assertStatus(0, 1, ISettlement.Status.Final);
        assertEq(settlement.nextWindow(), firstWindow + 1, "nextWindow");
    }

    /// @dev Another's epochs before it stay, those after it do not.
    function test_slash_betweenOthers() public {
        vm.warp(dueAt(firstWindow + 10) + TAKEOVER);
        _post(0, standby, 0);
        _post(1, operator, 0);
        _post(2, operator, 0);
        _post(3, standby, 0);
        vm.expectEmit(address(settlement));
        emit ISettlement.EpochsVoided(firstWindow + 1, firstWindow + 3);
        asDisputes().slash(operator);
        _assertStatus(0, 1, ISettlement.Status.Pending);
        _post(1, standby, 0);
        vm.expectEmit(address(settlement));
        emit ISettlement.EpochsVoided(firstWindow, firstWindow + 1);
        asDisputes().slash(standby);
    }

    /// @dev Nor do those fall that lie between what is final and the rest.
    function test_slash_runsThatInterleave() public {
        vm.warp(dueAt(firstWindow + 10) + TAKEOVER);
        _post(0, operator, 0);
        vm.warp(block.timestamp + CHALLENGE / 2);
        _post(1, standby, 0);
        _post(2, operator, 0);
        vm.warp(block.timestamp + CHALLENGE / 2);
        vm.expectEmit(address(settlement));
        emit ISettlement.EpochsVoided(firstWindow + 2, firstWindow + 2);
        asDisputes().slash(operator);
        _assertStatus(1, 1, ISettlement.Status.Pending);
    }

    /// @dev Who has nothing pending any more takes nothing down.
    function test_slash_afterARunThatIsFinal() public {
        vm.warp(dueAt(firstWindow + 10) + TAKEOVER);
        _post(0, operator, 0);
        vm.warp(block.timestamp + CHALLENGE);
        _post(1, standby, 0);
        asDisputes().slash(operator);
        _assertStatus(1, 1, ISettlement.Status.Pending);
    }

    /// @dev After the epochs between were voided, an operator goes on where it was before.
    function test_slash_afterOthersWereVoided() public {
        vm.warp(dueAt(firstWindow + 10) + TAKEOVER);
        _post(0, standby, 0);
        vm.warp(block.timestamp + CHALLENGE);
        _post(1, operator, 0);
        _post(2, standby, 0); // the run before is final: a new one begins
        asDisputes().slash(operator);
        _post(1, standby, 0); // its own epoch is the parent
        vm.expectEmit(address(settlement));
        emit ISettlement.EpochsVoided(firstWindow + 1, firstWindow + 1);
        asDisputes().slash(standby);
    }

    /// @dev Nothing that is final may be voided, and one call looks at no more than 256 windows.
    function test_error_NotFinalized() public {
        vm.warp(dueAt(firstWindow + 300));
        for (uint32 i = 0; i < 258; i++) {
            _post(i, operator, 0);
        }
        asDisputes().openChallenge(firstWindow + 257, 1);
        vm.warp(block.timestamp + CHALLENGE);
        vm.expectRevert(
            abi.encodeWithSelector(ISettlement.NotFinalized.selector, firstWindow + 256)
        );
        asDisputes().slash(operator);
        settlement.finalize(1);
        asDisputes().slash(operator);
        _assertStatus(256, 1, ISettlement.Status.Final);
        _assertStatus(257, 1, ISettlement.Status.Void);
    }

    /// @dev A bond does not wait for epochs that fell with another's: perhaps nobody posts them again.
    function test_withdraw_afterOwnEpochsWereVoided() public {
        vm.warp(dueAt(firstWindow + 10) + TAKEOVER);
        _post(0, standby, 0);
        _post(1, operator, 0);
        vm.prank(operator);
        settlement.requestWithdrawal(10 ether);
        asDisputes().slash(standby);
        vm.warp(settlement.operator(operator).leavesAt);
        vm.prank(operator);
        settlement.withdraw();
        assertEq(operator.balance, 10 ether, "balance");
    }

    function test_slash_newRulesDoNotApplyToOldWindows() public {
        _post(0, operator, 100);
        ISettlement.Config memory changed = config();
        changed.operator = standby;
        settlement.setConfig(changed);
        _post(1, operator, 200);
        asDisputes().slash(operator);
        assertEq(settlement.versionAt(firstWindow).operator, operator, "rules of the window");
        _post(0, standby, 100);
    }

    /// @dev Three operators take turns, windows become final, operators fall: always from their earliest
    /// epoch that is not final.
    function testFuzz_slash(uint256 seed) public {
        address[3] memory posters = [operator, standby, address(0x3d)];
        settlement.listOperator(posters[2], true);
        bond(posters[2], 3, 10 ether);
        ISettlement.Config memory changed = config();
        changed.operator = address(0);
        changed.takeoverDelay = 0;
        settlement.setConfig(changed);
        vm.warp(dueAt(firstWindow + 1000));
        for (uint256 i = 0; i < 60; i++) {
            uint256 r = uint256(keccak256(abi.encode(seed, i)));
            address who = posters[(r >> 8) % 3];
            if (r % 8 < 5) {
                _post(settlement.nextWindow() - firstWindow, who, 0);
                continue;
            }
            if (r % 8 < 7) {
                vm.warp(block.timestamp + (r >> 16) % CHALLENGE);
                continue;
            }
            uint32 nextFinal = settlement.nextFinalWindow();
            uint32 next = settlement.nextWindow();
            uint32 expected = nextFinal;
            uint16 id = settlement.operator(who).id;
            while (expected < next && settlement.epoch(expected).operatorId != id) expected++;
            asDisputes().slash(who);
            assertEq(settlement.nextWindow(), expected, "nextWindow");
            bond(who, 1 + (r >> 8) % 3, 10 ether);
            settlement.listOperator(who, true);
        }
    }

    function _expectPostError(uint32 index, address poster, bytes memory data) private {
        ISettlement.Posting memory p = _posting(index, 0);
        vm.expectRevert(data);
        vm.prank(poster);
        settlement.postEpoch(p);
    }

    function _posting(uint32 index, uint128 total)
        private
        view
        returns (ISettlement.Posting memory p)
    {
        p = posting(firstWindow + index, empty);
        p.ledgerTotal = total;
    }

    function _post(uint32 index, address poster, uint128 total) private {
        ISettlement.Posting memory p = _posting(index, total);
        uint256 from = dueAt(p.window) + (poster == operator ? 0 : TAKEOVER);
        if (block.timestamp < from) vm.warp(from);
        vm.prank(poster);
        settlement.postEpoch(p);
    }

    function _expectNotPending(uint32 window, uint32 attempt) private {
        bytes memory data = abi.encodeWithSelector(ISettlement.NotPending.selector, window, attempt);
        vm.expectRevert(data);
        asDisputes().openChallenge(window, attempt);
        vm.expectRevert(data);
        asDisputes().extendChallengeTime(window, attempt);
    }

    function _assertStatus(uint32 index, uint32 attempt, ISettlement.Status expected) private view {
        assertEq(
            uint256(settlement.statusOf(firstWindow + index, attempt)), uint256(expected), "status"
        );
    }
}
