// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IDisputes} from "../solidity/interfaces/IDisputes.sol";
import {IMetric} from "../solidity/interfaces/IMetric.sol";
import {ISettlement} from "../solidity/interfaces/ISettlement.sol";
import {DistanceMetric} from "../solidity/metrics/DistanceMetric.sol";
import {DisputeScene} from "./base/DisputeScene.sol";
import {Ledger} from "./base/Ledger.sol";

/// @dev Gas of whole transactions, as in Gas.t.sol: a million members, a log of 2^20 batches, traces of 32 steps.
abstract contract DisputesGas is DisputeScene {
    uint8 private constant DEPTH = 20;
    uint32 private constant SLOT = 777_777;
    uint32 private constant INDEX = 699_051;
    uint64 private constant LOG_SIZE = 1 << 20;
    uint32 private constant STEP = 16;
    uint256 private constant KEY = 7;

    /// @dev What a step is folded from.
    struct Rows {
        string name;
        bytes bytes_;
        uint64 count;
        uint64 span;
    }

    bytes32[] internal _path;
    uint32 internal window;
    address internal immutable device = deviceOf(KEY);
    bytes private _epoch;

    function setUp() public virtual {
        string memory profile = vm.envOr("FOUNDRY_PROFILE", string("default"));
        vm.skip(keccak256(bytes(profile)) != keccak256("release"));
        setUpDisputes();
        for (uint256 i = 0; i < DEPTH; i++) {
            _path.push(keccak256(abi.encode("sibling", i)));
        }
        vm.deal(operator, 1e30);
        (uint256 x, uint256 y) = vm.publicKeyP256(1);
        vm.prank(operator);
        settlement.bond{value: 1e28}(bytes32(x), bytes32(y));
        // A million members, but for their storage; the device joined before the first window.
        vm.store(address(membership), bytes32(0), bytes32(uint256(2 ** DEPTH - 1000)));
        vm.store(
            address(membership),
            keccak256(abi.encode(device, uint256(1))),
            bytes32(uint256(SLOT) | block.timestamp << 32)
        );
        assertEq(membership.member(device).slot, SLOT, "slot");
        window = firstWindow;
    }

    /// @dev How this chain checks P-256.
    function _precompile() internal pure virtual returns (string memory);

    /// @dev Of a 60-row step with up to three fields, and of the metric distance.
    function _budgets() internal pure virtual returns (uint256 sum, uint256 distance);

    // Steps

    function test_gas_answerStep_sum1() public {
        (uint256 budget,) = _budgets();
        ISettlement.Config memory c = config();
        c.metricParams = abi.encode(uint256(0), int256(0), int256(900));
        _measureSteps(c, "sum of 1 field", budget);
    }

    function test_gas_answerStep_sum3() public {
        (uint256 budget,) = _budgets();
        ISettlement.Config memory c = config();
        c.fields = 3;
        c.metricParams = abi.encode(uint256(2), int256(0), int256(900));
        _measureSteps(c, "sum with 3 fields", budget);
    }

    function test_gas_answerStep_distance() public {
        (, uint256 budget) = _budgets();
        ISettlement.Config memory c = config();
        c.fields = 2;
        c.metric = address(new DistanceMetric());
        c.metricParams = abi.encode(uint256(0), uint256(1), uint256(10_000));
        _measureSteps(c, "distance", budget);
    }

    /// @dev What the constants of a bond stand for: the dearest rows there are, fixes on the null island.
    function test_gas_answerStep_dearest() public {
        ISettlement.Config memory c = config();
        c.fields = 2;
        c.metric = address(new DistanceMetric());
        c.metricParams = abi.encode(uint256(0), uint256(1), uint256(1e9));
        settlement.setConfig(c);
        uint256[3] memory gasUsed;
        uint64[3] memory counts = [uint64(1), 1023, 4095];
        string[3] memory names = ["dearest, 1 row", "dearest, 4,095 bytes", "dearest, 16,383 bytes"];
        for (uint256 i = 0; i < 3; i++) {
            uint64 count = counts[i];
            Rows memory rows = _dearestRows(count);
            gasUsed[i] = _measureStep(c, rows, names[i]);
            assertEq(rows.bytes_.length, i == 0 ? 5 : 3 + 4 * uint256(count), "bytes");
        }
        uint256 perByte = (gasUsed[2] - gasUsed[0]) / 16_378;
        assertTrue(gasUsed[0] <= disputes.ANSWER_GAS(), "ANSWER_GAS");
        assertTrue(perByte <= disputes.ANSWER_GAS_PER_BYTE(), "ANSWER_GAS_PER_BYTE");
        assertTrue(gasUsed[2] <= 1 << 24, "EIP-7825");
    }

    /// @dev [1, 23, -24] and [1, -24, 23] in turns.
    function _dearestRows(uint64 count) private pure returns (Rows memory rows) {
        bytes memory head = _head(count);
        rows.count = count;
        rows.span = (count - 1) * 1000;
        rows.bytes_ = bytes.concat(head, new bytes(4 * count));
        for (uint256 i = 0; i < count; i++) {
            uint256 place = head.length + 4 * i;
            rows.bytes_[place] = 0x83;
            rows.bytes_[place + 1] = i == 0 ? bytes1(0) : bytes1(0x01);
            rows.bytes_[place + 2] = i % 2 == 0 ? bytes1(0x17) : bytes1(0x37);
            rows.bytes_[place + 3] = i % 2 == 0 ? bytes1(0x37) : bytes1(0x17);
        }
    }

    function _measureSteps(ISettlement.Config memory c, string memory name, uint256 budget)
        private
    {
        settlement.setConfig(c);
        uint64[3] memory counts = [uint64(1), 60, 600];
        for (uint256 i = 0; i < 3; i++) {
            Rows memory rows = _rows(c.fields, counts[i]);
            uint256 gasUsed = _measureStep(c, rows, string.concat(rows.name, name));
            assertTrue(counts[i] != 60 || gasUsed <= budget, name);
        }
    }

    /// @dev A reading a minute: steps, or a walk in Berlin (times 10^7), or both.
    function _rows(uint8 fields, uint64 count) private pure returns (Rows memory rows) {
        rows.count = count;
        rows.span = (count - 1) * 60_000;
        rows.name = count == 1 ? "1 row, " : count == 60 ? "60 rows, " : "600 rows, ";
        rows.bytes_ = _head(count);
        for (uint64 i = 0; i < count; i++) {
            rows.bytes_ = bytes.concat(
                rows.bytes_, bytes1(0x81 + fields), i == 0 ? bytes(hex"00") : bytes(hex"183c")
            );
            if (fields > 1) {
                rows.bytes_ = bytes.concat(
                    rows.bytes_,
                    hex"1a",
                    bytes4(uint32(525_200_000 + 997 * i)),
                    hex"1a",
                    bytes4(uint32(134_050_000 + 1009 * i))
                );
            }
            if (fields != 2) rows.bytes_ = bytes.concat(rows.bytes_, encodeUint(80 + i % 50));
        }
    }

    function _head(uint64 count) private pure returns (bytes memory) {
        if (count < 24) return abi.encodePacked(uint8(0x80 + count));
        if (count < 256) return abi.encodePacked(hex"98", uint8(count));
        return abi.encodePacked(hex"99", uint16(count));
    }

    /// @dev An answer for a step in the middle of a trace, with a state before that is not empty.
    function _measureStep(ISettlement.Config memory c, Rows memory rows, string memory name)
        private
        returns (uint256)
    {
        Batch memory last = _batch(rows, STEP - 1);
        Batch memory batch = _batch(rows, STEP);
        bytes memory start = IMetric(c.metric).start();
        bytes memory state = foldBatch(window, start, last, c);
        IDisputes.StepEvidence memory evidence;
        bytes32[] memory leaves = _randomLeaves();
        leaves[STEP - 1] = leafOf(STEP - 1, last.id, keccak256(state));
        bytes memory next = foldBatch(window, state, batch, c);
        assertTrue(keccak256(next) != keccak256(state), "folded");
        leaves[STEP] = leafOf(STEP, batch.id, keccak256(next));
        evidence.before =
            IDisputes.LeafEvidence(STEP - 1, last.id, state, tracePath(leaves, STEP - 1));
        evidence.batch = batch.evidence;
        evidence.rows = rows.bytes_;
        evidence.inclusion = IDisputes.InclusionEvidence(0, INDEX, _path);
        evidence.proof = tracePath(leaves, STEP);
        IDisputes.EntryEvidence memory entry;
        (entry.device, entry.cumulative, entry.value) = (device, 300 ether, 5000);
        setTrace(window, SLOT, entry, Trace(new uint256[](0), new bytes[](0), leaves));
        _post(c, entry, _rootOf(batch.id));
        _answerer();
        IDisputes.EntryEvidence memory shown = _shown(entry);
        vm.prank(challenger);
        disputes.challengeStep{value: 1 ether}(window, 1, SLOT, STEP, address(0));
        vm.prank(helper);
        disputes.answerStep(window, 1, SLOT, STEP, _evidence(), shown, evidence);
        window++;
        return _snapshot(string.concat("answerStep, ", name));
    }

    /// @dev The answerer has a credit already, as one that answers has.
    function _answerer() private {
        if (disputes.credit(helper) > 0) return;
        vm.prank(challenger);
        disputes.challengeReveal{value: 1 ether}(window, 1, 1, SLOT >> 1);
        answerReveal(window, 1, SLOT >> 1);
    }

    // All else

    function test_gas_signatures() public {
        settlement.setConfig(config());
        Rows memory rows = _rows(1, 60);
        Batch memory batch = _batch(rows, STEP);
        bytes32[] memory leaves = _randomLeaves();
        bytes32 stateHash = keccak256("state");
        leaves[STEP] = leafOf(STEP, batch.id, stateHash);
        IDisputes.EntryEvidence memory entry;
        (entry.device, entry.cumulative, entry.value) = (device, 300 ether, 5000);
        setTrace(window, SLOT, entry, Trace(new uint256[](0), new bytes[](0), leaves));
        _post(config(), entry, _rootOf(batch.id));
        _answerer();
        batch.index = INDEX;
        IDisputes.EntryEvidence memory shown = _shown(entry);
        vm.prank(challenger);
        disputes.challengeOmission{value: 1 ether}(
            window, 1, _evidence(), batch.evidence, IDisputes.InclusionEvidence(0, INDEX, _path)
        );
        _snapshot("challengeOmission");
        IDisputes.OmissionEvidence memory traced;
        (traced.step, traced.batchId, traced.stateHash) = (STEP, batch.id, stateHash);
        traced.proof = tracePath(leaves, STEP);
        vm.prank(helper);
        disputes.answerOmission(window, 1, pointOf(batch), _evidence(), shown, traced);
        _snapshot("answerOmission");

        IDisputes.CheckpointEvidence memory c =
            checkpoint(operator, block.timestamp, 0, INDEX, keccak256("root"));
        vm.prank(challenger);
        disputes.challengeCheckpoint{value: 1 ether}(window, 1, _evidence(), c);
        _snapshot("challengeCheckpoint");
        Batch memory twin = _batch(_rows(1, 59), STEP);
        vm.prank(challenger);
        disputes.proveEquivocation(batch.evidence, twin.evidence);
        _snapshot("proveEquivocation");
        c = checkpoint(operator, startOf(window), 0, LOG_SIZE + 1, keccak256("root"));
        vm.prank(challenger);
        disputes.proveTruncation(window, 1, _evidence(), c);
        _snapshot("proveTruncation");
        IDisputes.CheckpointEvidence memory other =
            checkpoint(operator, startOf(window), 0, LOG_SIZE + 1, keccak256("other"));
        vm.prank(challenger);
        disputes.proveFork(c, other);
        _snapshot("proveFork");
    }

    function _batch(Rows memory rows, uint64 seq) internal view returns (Batch memory batch) {
        batch.rows = rows.bytes_;
        batch.evidence.header = IDisputes.BatchHeader({
            schema: 1,
            seq: seq,
            start: uint64(startOf(window)) * 1000 + (seq - 14) * 36_000_000,
            span: rows.span,
            count: rows.count,
            recordsHash: sha256(rows.bytes_),
            commitment: ""
        });
        sign(batch, KEY);
    }

    function _randomLeaves() internal pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](32);
        for (uint256 i = 0; i < 32; i++) {
            leaves[i] = keccak256(abi.encode("leaf", i));
        }
    }

    /// @dev Of the log that has this batch at `INDEX`.
    function _rootOf(bytes32 id) internal view returns (bytes32 hash) {
        hash = sha256(bytes.concat(hex"00", id));
        for (uint256 i = 0; i < DEPTH; i++) {
            hash = (INDEX >> i) & 1 == 1
                ? sha256(bytes.concat(hex"01", _path[i], hash))
                : sha256(bytes.concat(hex"01", hash, _path[i]));
        }
    }

    function _post(
        ISettlement.Config memory c,
        IDisputes.EntryEvidence memory entry,
        bytes32 logRoot
    ) internal {
        _post(c, entry, logRoot, LOG_SIZE);
    }

    function _post(
        ISettlement.Config memory c,
        IDisputes.EntryEvidence memory entry,
        bytes32 logRoot,
        uint64 logSize
    ) internal {
        Ledger ledger = new Ledger(DEPTH, true);
        bytes32 detail = keccak256(abi.encode(entry.value, entry.steps, entry.traceRoot));
        // All leaves below one node, so that it can be revealed.
        for (uint32 slot = SLOT >> 5 << 5; slot <= SLOT | 31; slot++) {
            ledger.set(slot, ISettlement.Entry(address(1), 300 ether, detail));
        }
        ledger.set(SLOT, ISettlement.Entry(entry.device, entry.cumulative, detail));
        ledgerOf[window] = ledger;
        ISettlement.Posting memory p = posting(window, ledger);
        p.logs = new ISettlement.Log[](1);
        p.logs[0] = ISettlement.Log(0, logSize, logRoot);
        _epoch = abi.encode(
            IDisputes.EpochEvidence(p.parentHash, membership.memberCount(), abi.encode(c), p.logs)
        );
        vm.warp(dueAt(window));
        vm.prank(operator);
        settlement.postEpoch(p);
    }

    function _evidence() internal view returns (IDisputes.EpochEvidence memory) {
        return abi.decode(_epoch, (IDisputes.EpochEvidence));
    }

    function _shown(IDisputes.EntryEvidence memory entry)
        internal
        view
        returns (IDisputes.EntryEvidence memory)
    {
        entry.siblings = ledgerOf[window].redemption(SLOT, 1).siblings;
        return entry;
    }

    function _snapshot(string memory name) internal returns (uint256) {
        return vm.snapshotGasLastCall("Gas", string.concat(name, _precompile()));
    }

    // Without signatures

    /// @dev Two epochs, one after the other, and all that shows that they fit.
    struct Pair {
        IDisputes.EpochEvidence earlier;
        IDisputes.EntryEvidence before;
        IDisputes.EntryEvidence entry;
        bytes32 earlierRoot;
        bytes32[] consistency;
    }

    function _measureOthers() internal {
        settlement.setConfig(config());
        Pair memory pair = _postPair();
        vm.startPrank(challenger);
        disputes.challengeStep{value: 1 ether}(window - 1, 1, SLOT, 0, address(0));
        disputes.challengeStep{value: 1 ether}(window, 1, SLOT, 0, address(0));
        _snapshot("challengeStep");
        disputes.challengeCarry{value: 1 ether}(window, 1, SLOT, device);
        _snapshot("challengeCarry");
        disputes.challengeReveal{value: 1 ether}(window, 1, 5, SLOT >> 5);
        _snapshot("challengeReveal");
        disputes.challengeConsistency{value: 1 ether}(window, 1, window - 1, pair.earlier, 0);
        _snapshot("challengeConsistency");
        bytes32 upheld = disputes.challengeStep{value: 1 ether}(window, 1, SLOT, 1, address(0));
        bytes32 refunded = disputes.challengeStep{value: 1 ether}(window, 1, SLOT, 2, address(0));
        vm.stopPrank();
        _answerPair(pair);
        vm.warp(block.timestamp + RESPONSE + 1);
        disputes.uphold(upheld);
        _snapshot("uphold");
        disputes.refund(refunded);
        _snapshot("refund");
    }

    function _postPair() private returns (Pair memory pair) {
        bytes32 root;
        (pair.consistency, pair.earlierRoot, root) = _consistency();
        (pair.before.device, pair.before.cumulative) = (device, 300 ether);
        _post(config(), pair.before, pair.earlierRoot, INDEX);
        pair.before = _shown(pair.before);
        pair.earlier = _evidence();
        _answerer();
        window++;
        (pair.entry.device, pair.entry.cumulative) = (device, 300 ether + 20_000);
        pair.entry.value = 20_000;
        _post(config(), pair.entry, root);
        pair.entry = _shown(pair.entry);
    }

    function _answerPair(Pair memory pair) private {
        bytes memory nodes = ledgerOf[window].nodes(5, SLOT >> 5);
        bytes memory siblings = ledgerOf[window].siblings(5, SLOT >> 5);
        vm.startPrank(helper);
        disputes.answerEntry(window - 1, 1, SLOT, 0, pair.earlier, pair.before);
        _snapshot("answerEntry");
        disputes.answerCarry(window, 1, SLOT, device, _evidence(), pair.entry, pair.before);
        _snapshot("answerCarry");
        disputes.answerReveal(window, 1, 5, SLOT >> 5, nodes, siblings);
        _snapshot("answerReveal");
        disputes.answerConsistency(
            window, 1, 0, INDEX, pair.earlierRoot, _evidence(), pair.consistency
        );
        _snapshot("answerConsistency");
        disputes.withdraw();
        _snapshot("withdraw credit");
        vm.stopPrank();
    }

    /// @dev Whatever hashes a proof has, it leads somewhere (RFC 9162 §2.1.4.2): the roots of the log with `INDEX`
    /// entries and of that with `LOG_SIZE`.
    function _consistency()
        private
        view
        returns (bytes32[] memory proof, bytes32 oldHash, bytes32 newHash)
    {
        proof = new bytes32[](DEPTH + 1);
        proof[0] = oldHash = newHash = keccak256("first");
        uint256 position = INDEX - 1;
        assertTrue(position & 1 == 0, "no complete subtree");
        for (uint256 i = 0; i < DEPTH; i++) {
            proof[i + 1] = _path[i];
            if (position & 1 == 1) {
                oldHash = sha256(bytes.concat(hex"01", _path[i], oldHash));
                newHash = sha256(bytes.concat(hex"01", _path[i], newHash));
            } else {
                newHash = sha256(bytes.concat(hex"01", newHash, _path[i]));
            }
            position >>= 1;
        }
    }
}

/// forge-config: release.isolate = true
/// forge-config: release.evm_version = "osaka"
contract DisputesGasTest is DisputesGas {
    function test_gas_others() public {
        _measureOthers();
    }

    function _precompile() internal pure override returns (string memory) {
        return "";
    }

    function _budgets() internal pure override returns (uint256, uint256) {
        return (300_000, 400_000);
    }
}

/// @dev IoTeX's precompile, but for its own price, which forge does not know.
/// forge-config: release.isolate = true
/// forge-config: release.evm_version = "prague"
contract DisputesOnIotexGasTest is DisputesGas {
    function setUp() public override {
        super.setUp();
        // Returns the byte 01 for all it is asked here, which are valid signatures.
        vm.etch(address(0x8001), hex"600160005360016000f3");
    }

    function _precompile() internal pure override returns (string memory) {
        return ", 0x8001";
    }

    function _budgets() internal pure override returns (uint256, uint256) {
        return (300_000, 400_000);
    }
}

/// forge-config: release.isolate = true
/// forge-config: release.evm_version = "prague"
contract DisputesWithoutPrecompileGasTest is DisputesGas {
    function _precompile() internal pure override returns (string memory) {
        return ", no precompile";
    }

    function _budgets() internal pure override returns (uint256, uint256) {
        return (600_000, 600_000);
    }
}
