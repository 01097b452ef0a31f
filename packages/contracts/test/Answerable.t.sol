// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IDisputes} from "../solidity/interfaces/IDisputes.sol";
import {ISettlement} from "../solidity/interfaces/ISettlement.sol";
import {DisputeScene} from "./base/DisputeScene.sol";

/// @dev Every challenge that can be opened has an answer that an honest operator can give: over members that
/// join late or are suspended, batches that nobody can read, that straddle windows, share a seq or come under
/// another schema, rules that change, and operators that take turns.
contract AnswerableTest is DisputeScene {
    uint256 private constant KEYS = 5;
    uint256 private constant WINDOWS = 3;

    uint256 private _seed;
    uint256 private _opened;
    uint256 private _members;
    uint256 private _batchCount;
    mapping(uint32 window => bytes) private _rules;

    function setUp() public {
        setUpDisputes();
        vm.deal(challenger, 1e30);
    }

    function testFuzz_everyChallengeHasAnAnswer(uint256 seed) public {
        _seed = seed;
        for (uint256 n = _random(KEYS); n > 0; n--) {
            join(++_members);
        }
        _rules[firstWindow] = abi.encode(config());
        for (uint32 i = 0; i < WINDOWS; i++) {
            uint32 window = firstWindow + i;
            vm.warp(startOf(window) + _random(DAY));
            _changeSomething(window);
            vm.warp(startOf(window + 1) + GRACE);
            prepare(window, _rulesOf(window));
            submit(window, _random(3) == 0 ? standby : operator);
            if (_members < KEYS && _random(3) == 0) join(++_members);
            for (uint256 n = 0; n < 16; n++) {
                _challenge(firstWindow + uint32(_random(i + 1)));
            }
        }
        assertTrue(_opened > 3, "challenges");
        vm.warp(block.timestamp + CHALLENGE);
        assertEq(settlement.nextFinalWindow(), settlement.nextWindow(), "all final");
        assertEq(settlement.operator(operator).bond, 10 ether, "operator");
        assertEq(settlement.operator(standby).bond, 10 ether, "standby");
        assertEq(disputes.credit(helper), _opened * CHALLENGE_BOND / 2, "half of each bond");
        assertEq(address(disputes).balance, _opened * CHALLENGE_BOND / 2, "and no more");
    }

    function _random(uint256 below) private returns (uint256) {
        _seed = uint256(keccak256(abi.encode(_seed)));
        return _seed % below;
    }

    function _rulesOf(uint32 window) private view returns (ISettlement.Config memory) {
        return abi.decode(_rules[window], (ISettlement.Config));
    }

    // What happens in a window

    function _changeSomething(uint32 window) private {
        if (_members < KEYS && _random(2) == 0) join(++_members);
        for (uint256 key = 1; key <= KEYS; key++) {
            for (uint256 n = _random(4); n > 0; n--) {
                append(_anyBatch(key, window), uint32(_random(SHARDS)));
                _batchCount++;
            }
        }
        if (_members > 0 && _random(4) == 0) {
            address[] memory devices = new address[](1);
            devices[0] = deviceOf(1 + _random(_members));
            if (membership.member(devices[0]).suspendedAt == 0) membership.suspend(devices);
        }
        ISettlement.Config memory c = _rulesOf(window);
        if (_random(2) == 0) {
            uint256 what = _random(4);
            if (what == 0) c.schema = 3 - c.schema;
            else if (what == 1) c.policyParams = abi.encode(int256(1), uint256(3), uint256(900));
            else if (what == 2) c.metricParams = abi.encode(uint256(0), int256(0), int256(50));
            else c.maxRowsBytes = 1;
            settlement.setConfig(c);
        }
        _rules[window + 1] = abi.encode(c);
    }

    function _anyBatch(uint256 key, uint32 window) private returns (Batch memory batch) {
        batch = signedBatch(key, uint64((window - firstWindow) * 4 + _random(6)), window);
        IDisputes.BatchHeader memory header = batch.evidence.header;
        header.schema = _random(4) == 0 ? 2 : 1;
        // Up to three hours before the window, and as much after it.
        header.start = uint64((startOf(window) - 3 hours + _random(30 hours)) * 1000);
        uint256 kind = _random(6);
        if (kind == 0) batch.rows = hex"8183000000";
        else if (kind == 1) header.count = 1 + uint64(_random(5));
        else if (kind == 2) header.span = uint64(_random(1 days)) * 1000;
        else if (kind == 3) batch.rows = "";
        else if (kind == 4) header.commitment = abi.encode(_seed);
        header.recordsHash = sha256(batch.rows);
        sign(batch, key);
    }

    // What is challenged, and answered

    function _challenge(uint32 window) private {
        uint256 kind = _random(6);
        if (kind == 0) _challengeStep(window);
        else if (kind == 1) _challengeCarry(window);
        else if (kind == 2) _challengeOmission(window);
        else if (kind == 3) _challengeConsistency(window);
        else if (kind == 4) _challengeCheckpoint(window);
        else _challengeReveal(window);
    }

    /// @dev Now and then one that there is not.
    function _anySlot(uint32 window) private returns (uint32) {
        return uint32(_random(_random(8) == 0 ? 10 : 1 << settlement.epoch(window).depth));
    }

    function _challengeStep(uint32 window) private {
        uint32 slot = _anySlot(window);
        uint32 step = _random(5) == 0 ? type(uint32).max : uint32(_random(5));
        if (!_opens(abi.encodeCall(this.openStep_, (window, slot, step)))) return;
        IDisputes.EntryEvidence memory entry = entryEvidence(window, slot);
        if (step < entry.steps) answerStep(window, slot, step, stepEvidence(window, slot, step));
        else answerEntry(window, slot, step, entry);
    }

    function _challengeCarry(uint32 window) private {
        uint32 slot = _anySlot(window);
        address device = slot < _members ? deviceOf(slot + 1) : address(0);
        if (!_opens(abi.encodeCall(this.openCarry_, (window, slot, device)))) return;
        IDisputes.EntryEvidence memory before = entryEvidence(window - 1, slot);
        answerCarry(window, slot, device, entryEvidence(window, slot), before);
    }

    function _challengeOmission(uint32 window) private {
        if (_batchCount == 0) return;
        uint256 number = _random(_batchCount);
        if (!_opens(abi.encodeCall(this.openOmission_, (window, number)))) return;
        Batch memory batch = batchAt(number);
        uint32 slot = membership.member(batch.device).slot;
        answerOmission(window, slot, batch, omissionEvidence(window, slot, batch));
    }

    function _challengeConsistency(uint32 window) private {
        uint32 earlier = firstWindow + uint32(_random(WINDOWS));
        uint32 shard = uint32(_random(SHARDS + 1));
        if (!_opens(abi.encodeCall(this.openConsistency_, (window, earlier, shard)))) return;
        _answerConsistency(window, shard, _sizeOf(earlier, shard));
    }

    /// @dev Of any size the log ever had.
    function _challengeCheckpoint(uint32 window) private {
        uint32 shard = uint32(_random(SHARDS));
        uint64 size = uint64(_random(_batchCount + 2));
        if (!_opens(abi.encodeCall(this.openCheckpoint_, (window, shard, size)))) return;
        _answerConsistency(window, shard, size);
    }

    function _answerConsistency(uint32 window, uint32 shard, uint64 size) private {
        bytes32[] memory proof = consistencyProof(window, shard, size);
        answerConsistency(window, shard, size, rootOf(shard, size), proof);
    }

    function _challengeReveal(uint32 window) private {
        uint8 height = uint8(_random(5));
        uint32 index = uint32(_random(5));
        if (!_opens(abi.encodeCall(this.openReveal_, (window, height, index)))) return;
        answerReveal(window, height, index);
    }

    function _sizeOf(uint32 window, uint32 shard) private view returns (uint64) {
        ISettlement.Log[] memory logs = postedLogs(window);
        for (uint256 i = 0; i < logs.length; i++) {
            if (logs[i].shard == shard) return logs[i].size;
        }
        return 0;
    }

    // Calls that may revert

    function _opens(bytes memory call) private returns (bool ok) {
        (ok,) = address(this).call(call);
        if (ok) _opened++;
    }

    function openStep_(uint32 window, uint32 slot, uint32 step) external {
        openStep(window, slot, step);
    }

    function openCarry_(uint32 window, uint32 slot, address device) external {
        openCarry(window, slot, device);
    }

    function openOmission_(uint32 window, uint256 number) external {
        openOmission(window, batchAt(number));
    }

    function openConsistency_(uint32 window, uint32 earlier, uint32 shard) external {
        openConsistency(window, earlier, shard);
    }

    function openCheckpoint_(uint32 window, uint32 shard, uint64 size) external {
        address poster = settlement.operatorAt(settlement.epoch(window).operatorId);
        openCheckpoint(window, checkpoint(poster, 1, shard, size, rootOf(shard, size)));
    }

    function openReveal_(uint32 window, uint8 height, uint32 index) external {
        openReveal(window, height, index);
    }
}
