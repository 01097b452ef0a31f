// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {EvidenceVerifier} from "./EvidenceVerifier.sol";
import {IDisputes} from "./interfaces/IDisputes.sol";
import {IMembership} from "./interfaces/IMembership.sol";
import {ISettlement} from "./interfaces/ISettlement.sol";
import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title Challenges to the epochs of one network, and what they cost whom
/// @notice This contract is the implementation; every network has a clone with its own money. It knows
/// who, when and how much; {EvidenceVerifier} knows what is true.
/// @dev All checks revert by themselves or are plain calls, so that no verdict follows from a call that
/// failed or ran out of gas (EIP-150 leaves 1/64 to the caller). Metrics and policies are only called
/// statically, the settlement calls nobody but this contract, and what is paid out is a credit first: so
/// nobody's code runs between a check and its effect.
contract Disputes is IDisputes {
    using SafeCast for uint256;

    /// @dev What a clone is made for, in its code.
    struct Network {
        ISettlement settlement;
        IMembership membership;
        bytes32 networkId;
        uint32 windowSeconds;
    }

    /// @notice Gas that the dearest answer needs without a P-256 precompile, but for the rows of its batch:
    /// 430,000 were measured in a network of a million members, and deeper trees cost more.
    uint256 public constant ANSWER_GAS = 600_000;
    /// @notice Gas for a byte of rows in the dearest answer. 660 were measured: the shortest rows that the
    /// metric `distance` takes for fixes.
    uint256 public constant ANSWER_GAS_PER_BYTE = 800;
    /// @notice A bond is worth so many times the answer: half of it goes to whoever answers.
    uint256 public constant BOND_FACTOR = 4;
    /// @dev How many levels an answered reveal goes down.
    uint256 private constant REVEALED_LEVELS = 5;

    address private immutable _implementation = address(this);
    EvidenceVerifier private immutable _verifier = new EvidenceVerifier();

    /// @inheritdoc IDisputes
    mapping(address account => uint256) public credit;
    /// @inheritdoc IDisputes
    mapping(uint32 window => mapping(uint32 attempt => uint64)) public extendableUntil;
    mapping(bytes32 id => Challenge) private _challenges;

    /// @dev The half of a slash.
    receive() external payable {
        if (msg.sender != address(_network().settlement)) revert NotSettlement(msg.sender);
    }

    // Challenges

    /// @inheritdoc IDisputes
    function challengeStep(uint32 window, uint32 attempt, uint32 slot, uint32 step, address device)
        external
        payable
        returns (bytes32)
    {
        Network memory network = _network();
        _checkSlot(network, window, attempt, slot);
        if (device != address(0)) _checkMember(network, slot, device);
        _checkReader(network, window, device);
        return _open(network, Kind.Step, window, attempt, abi.encode(slot, step));
    }

    /// @inheritdoc IDisputes
    function challengeCarry(uint32 window, uint32 attempt, uint32 slot, address device)
        external
        payable
        returns (bytes32)
    {
        Network memory network = _network();
        _checkSlot(network, window, attempt, slot);
        if (device == address(0)) {
            if (slot < network.membership.memberCount()) revert NotMemberOfSlot(slot, device);
        } else {
            _checkMember(network, slot, device);
        }
        return _open(network, Kind.Carry, window, attempt, abi.encode(slot, device));
    }

    /// @inheritdoc IDisputes
    function challengeOmission(
        uint32 window,
        uint32 attempt,
        EpochEvidence calldata epoch,
        BatchEvidence calldata batch,
        InclusionEvidence calldata inclusion
    ) external payable returns (bytes32) {
        Network memory network = _network();
        OmissionPoint memory point;
        point.device = _addressOf(batch.x, batch.y);
        point.seq = batch.header.seq;
        point.batchId = _verifier.checkLoggedBatch(
            _target(network, window, attempt), epoch, batch, inclusion, point.device
        );
        point.shard = inclusion.shard;
        point.index = inclusion.index;
        if (!_isPaid(network, window, point.device)) revert NotPaid(point.device, window);
        _checkReader(network, window, point.device);
        return _open(network, Kind.Omission, window, attempt, abi.encode(point));
    }

    /// @inheritdoc IDisputes
    function challengeConsistency(
        uint32 window,
        uint32 attempt,
        uint32 earlierWindow,
        EpochEvidence calldata earlier,
        uint32 shard
    ) external payable returns (bytes32) {
        if (earlierWindow >= window) revert NotEarlierWindow(earlierWindow, window);
        Network memory network = _network();
        address poster = _posterOf(network, _target(network, window, attempt));
        EvidenceVerifier.Target memory before;
        (before,) = _read(network, earlierWindow, 0);
        (uint64 size, bytes32 root) = _verifier.headOf(before, earlier, shard);
        address posterBefore = _posterOf(network, before);
        if (posterBefore != poster) revert NotOperator(posterBefore, poster);
        // Every log begins with the empty one.
        if (size == 0) revert InvalidSize(shard, 0, 0);
        return _open(network, Kind.Consistency, window, attempt, abi.encode(shard, size, root));
    }

    /// @inheritdoc IDisputes
    function challengeCheckpoint(
        uint32 window,
        uint32 attempt,
        EpochEvidence calldata epoch,
        CheckpointEvidence calldata checkpoint
    ) external payable returns (bytes32) {
        Network memory network = _network();
        (uint32 shard, uint64 size, bytes32 root) =
            (checkpoint.shard, checkpoint.size, checkpoint.root);
        uint64 posted = _checkOfPoster(network, window, attempt, epoch, checkpoint);
        if (size == 0 || size > posted) revert InvalidSize(shard, size, posted);
        return _open(network, Kind.Consistency, window, attempt, abi.encode(shard, size, root));
    }

    /// @inheritdoc IDisputes
    function challengeReveal(uint32 window, uint32 attempt, uint8 height, uint32 index)
        external
        payable
        returns (bytes32)
    {
        Network memory network = _network();
        uint8 depth = _target(network, window, attempt).posted.depth;
        if (height == 0 || height > depth || uint256(index) >> (depth - height) != 0) {
            revert NodeOutOfBounds(height, index, depth);
        }
        return _open(network, Kind.Reveal, window, attempt, abi.encode(height, index));
    }

    function _checkSlot(Network memory network, uint32 window, uint32 attempt, uint32 slot)
        private
        view
    {
        uint8 depth = _target(network, window, attempt).posted.depth;
        if (uint256(slot) >> depth != 0) revert SlotOutOfBounds(slot, depth);
    }

    function _checkMember(Network memory network, uint32 slot, address device) private view {
        IMembership.Member memory member = network.membership.member(device);
        if (member.joinedAt == 0 || member.slot != slot) revert NotMemberOfSlot(slot, device);
    }

    /// @dev Nobody, whom only auditors of a private network name, is no member that others may read.
    function _checkReader(Network memory network, uint32 window, address device) private view {
        uint64 start = uint64(window) * network.windowSeconds;
        if (!network.membership.mayRead(msg.sender, device, start)) {
            revert MayNotRead(msg.sender, device, start);
        }
    }

    function _open(
        Network memory network,
        Kind kind,
        uint32 window,
        uint32 attempt,
        bytes memory point
    ) private returns (bytes32 id) {
        ISettlement.Version memory version = network.settlement.versionAt(window);
        uint256 least = _bondOf(version);
        if (msg.value < least) revert BondTooSmall(msg.value, least);
        id = _idOf(kind, window, attempt, point);
        // Kept for ever: what was answered once is answered for good.
        Status status = _challenges[id].status;
        if (status != Status.None) revert AlreadyChallenged(id, status);
        uint64 deadline = uint64(block.timestamp) + version.responseTime;
        _challenges[id] = Challenge({
            challenger: msg.sender,
            bond: msg.value.toUint96(),
            window: window,
            attempt: attempt,
            deadline: deadline,
            kind: kind,
            status: Status.Open,
            responseTime: version.responseTime
        });
        emit Challenged(id, window, attempt, kind, msg.sender, msg.value, deadline, point);
        // Refuses what is not pending, and whose challenge time is over.
        network.settlement.openChallenge(window, attempt);
    }

    // Answers

    /// @inheritdoc IDisputes
    function answerEntry(
        uint32 window,
        uint32 attempt,
        uint32 slot,
        uint32 step,
        EpochEvidence calldata epoch,
        EntryEvidence calldata entry
    ) external {
        bytes32 id = _answerable(Kind.Step, window, attempt, abi.encode(slot, step));
        Network memory network = _network();
        // An entry that a final parent put into another's slot is carried, and not paid.
        bool paid = network.membership.member(entry.device).slot == slot
            && _isPaid(network, window, entry.device);
        EvidenceVerifier.Target memory target = _target(network, window, attempt);
        _verifier.checkEntry(target, slot, step, epoch, entry, paid);
        _showEntry(window, attempt, slot, entry);
        _answerShown(network, id, window, attempt, target.posted);
    }

    /// @inheritdoc IDisputes
    function answerStep(
        uint32 window,
        uint32 attempt,
        uint32 slot,
        uint32 step,
        EpochEvidence calldata epoch,
        EntryEvidence calldata entry,
        StepEvidence calldata evidence
    ) external {
        bytes32 id = _answerable(Kind.Step, window, attempt, abi.encode(slot, step));
        Network memory network = _network();
        EvidenceVerifier.Target memory target = _target(network, window, attempt);
        (bytes32 batchId, bytes32 stateHash) =
            _verifier.checkStep(target, slot, step, epoch, entry, evidence);
        _showEntry(window, attempt, slot, entry);
        uint64 seq = evidence.batch.header.seq;
        _showLeaf(window, attempt, slot, step, seq, batchId, stateHash);
        _answerShown(network, id, window, attempt, target.posted);
    }

    /// @inheritdoc IDisputes
    function answerCarry(
        uint32 window,
        uint32 attempt,
        uint32 slot,
        address device,
        EpochEvidence calldata epoch,
        EntryEvidence calldata entry,
        EntryEvidence calldata before
    ) external {
        bytes32 id = _answerable(Kind.Carry, window, attempt, abi.encode(slot, device));
        Network memory network = _network();
        bool paid = _isPaid(network, window, device);
        EvidenceVerifier.Target memory target = _target(network, window, attempt);
        // The parent of an epoch that stands stands.
        ISettlement.Epoch memory parent = network.settlement.epoch(window - 1);
        _verifier.checkCarry(target, parent, slot, device, epoch, entry, before, paid);
        _showEntry(window, attempt, slot, entry);
        _answerShown(network, id, window, attempt, target.posted);
    }

    /// @inheritdoc IDisputes
    function answerOmission(
        uint32 window,
        uint32 attempt,
        OmissionPoint calldata point,
        EpochEvidence calldata epoch,
        EntryEvidence calldata entry,
        OmissionEvidence calldata evidence
    ) external {
        bytes32 id = _answerable(Kind.Omission, window, attempt, abi.encode(point));
        Network memory network = _network();
        uint32 slot = network.membership.member(point.device).slot;
        EvidenceVerifier.Target memory target = _target(network, window, attempt);
        _verifier.checkTraced(target, slot, point, epoch, entry, evidence);
        _showEntry(window, attempt, slot, entry);
        _showLeaf(
            window, attempt, slot, evidence.step, point.seq, evidence.batchId, evidence.stateHash
        );
        _answerShown(network, id, window, attempt, target.posted);
    }

    /// @inheritdoc IDisputes
    function answerConsistency(
        uint32 window,
        uint32 attempt,
        uint32 shard,
        uint64 size,
        bytes32 root,
        EpochEvidence calldata epoch,
        bytes32[] calldata proof
    ) external {
        bytes32 id = _answerable(Kind.Consistency, window, attempt, abi.encode(shard, size, root));
        Network memory network = _network();
        _verifier.checkConsistency(
            _target(network, window, attempt), shard, size, root, epoch, proof
        );
        _answer(network, id, window, attempt);
    }

    /// @inheritdoc IDisputes
    function answerReveal(
        uint32 window,
        uint32 attempt,
        uint8 height,
        uint32 index,
        bytes calldata nodes,
        bytes calldata siblings
    ) external {
        bytes32 id = _answerable(Kind.Reveal, window, attempt, abi.encode(height, index));
        Network memory network = _network();
        ISettlement.Epoch memory posted = _target(network, window, attempt).posted;
        _verifier.checkNodes(posted, height, index, nodes, siblings);
        emit Revealed(window, attempt, height, index, nodes);
        _answerShown(network, id, window, attempt, posted);
    }

    /// @dev An answer that shows something leaves time to challenge it: enough for an auditor that goes down the
    /// ledger without a pause, to an entry, from there to all its steps at once, to what none of them
    /// shows, and to the step that was shown for it; wherever it began and however many others ask. The
    /// bound is a time and not a number of answers, which an operator could use up by challenging itself.
    function _answerShown(
        Network memory network,
        bytes32 id,
        uint32 window,
        uint32 attempt,
        ISettlement.Epoch memory posted
    ) private {
        uint256 responseTime = _challenges[id].responseTime;
        if (block.timestamp + responseTime > posted.challengeEndsAt) {
            uint64 until = extendableUntil[window][attempt];
            if (until == 0) {
                // The nodes, entry, steps, an omission, a step again, and one for the blocks between.
                uint256 rounds = Math.ceilDiv(posted.depth, REVEALED_LEVELS) + 5;
                until = uint64(posted.challengeEndsAt + rounds * responseTime);
                extendableUntil[window][attempt] = until;
            }
            if (block.timestamp + responseTime <= until) {
                network.settlement.extendChallengeTime(window, attempt);
            }
        }
        _answer(network, id, window, attempt);
    }

    function _showEntry(uint32 window, uint32 attempt, uint32 slot, EntryEvidence calldata entry)
        private
    {
        emit EntryShown(
            window,
            attempt,
            slot,
            entry.device,
            entry.cumulative,
            entry.value,
            entry.steps,
            entry.traceRoot
        );
    }

    function _showLeaf(
        uint32 window,
        uint32 attempt,
        uint32 slot,
        uint32 step,
        uint64 seq,
        bytes32 batchId,
        bytes32 stateHash
    ) private {
        emit LeafShown(window, attempt, slot, step, seq, batchId, stateHash);
    }

    /// @dev The id of an open challenge that can still be answered.
    function _answerable(Kind kind, uint32 window, uint32 attempt, bytes memory point)
        private
        view
        returns (bytes32 id)
    {
        id = _idOf(kind, window, attempt, point);
        uint64 deadline = _openChallenge(id).deadline;
        if (block.timestamp >= deadline) revert DeadlineOver(deadline);
    }

    /// @dev Half of the bond is burned, so that nobody challenges itself for nothing.
    function _answer(Network memory network, bytes32 id, uint32 window, uint32 attempt) private {
        Challenge storage stored = _challenges[id];
        stored.status = Status.Answered;
        uint256 paid = stored.bond / 2;
        uint256 burned = stored.bond - paid;
        credit[msg.sender] += paid;
        emit Answered(id, window, attempt, msg.sender, burned, paid);
        network.settlement.closeChallenge(window, attempt);
        Address.sendValue(payable(address(0)), burned);
    }

    // Ends

    /// @inheritdoc IDisputes
    function uphold(bytes32 id) external {
        Challenge storage stored = _openChallenge(id);
        if (block.timestamp <= stored.deadline) revert DeadlineNotOver(stored.deadline);
        Network memory network = _network();
        address operator = _posterOf(network, _target(network, stored.window, stored.attempt));
        stored.status = Status.Upheld;
        // Not counted off before: an epoch under challenge is not final.
        uint256 reward = network.settlement.slash(operator);
        credit[stored.challenger] += reward + stored.bond;
        emit Upheld(id, operator, stored.challenger, reward);
    }

    /// @inheritdoc IDisputes
    function refund(bytes32 id) external {
        Challenge storage stored = _openChallenge(id);
        (, bool stands) = _read(_network(), stored.window, stored.attempt);
        if (stands) revert NotVoid(stored.window, stored.attempt);
        stored.status = Status.Refunded;
        credit[stored.challenger] += stored.bond;
        emit Refunded(id, stored.challenger, stored.bond);
    }

    /// @inheritdoc IDisputes
    function withdraw() external {
        uint256 amount = credit[msg.sender];
        if (amount == 0) revert NothingToWithdraw();
        credit[msg.sender] = 0;
        emit Withdrawn(msg.sender, amount);
        Address.sendValue(payable(msg.sender), amount);
    }

    function _openChallenge(bytes32 id) private view returns (Challenge storage stored) {
        stored = _challenges[id];
        if (stored.status != Status.Open) revert NotOpen(id, stored.status);
    }

    // Proofs

    /// @inheritdoc IDisputes
    function proveFork(CheckpointEvidence calldata a, CheckpointEvidence calldata b) external {
        if (a.operator != b.operator || a.shard != b.shard) revert NoFork();
        if (a.size != b.size || a.root == b.root) revert NoFork();
        Network memory network = _network();
        _checkSigned(network, a);
        _checkSigned(network, b);
        _prove(network, Fraud.Fork, a.operator);
    }

    /// @inheritdoc IDisputes
    function proveTruncation(
        uint32 window,
        uint32 attempt,
        EpochEvidence calldata epoch,
        CheckpointEvidence calldata checkpoint
    ) external {
        Network memory network = _network();
        uint64 posted = _checkOfPoster(network, window, attempt, epoch, checkpoint);
        uint256 cutOff = (uint256(window) + 1) * network.windowSeconds
            + network.settlement.versionAt(window).grace;
        if (checkpoint.time >= cutOff || checkpoint.size <= posted) {
            revert NoTruncation(checkpoint.time, checkpoint.size, cutOff, posted);
        }
        _prove(network, Fraud.Truncation, checkpoint.operator);
    }

    /// @inheritdoc IDisputes
    function proveEquivocation(BatchEvidence calldata a, BatchEvidence calldata b) external {
        Network memory network = _network();
        address device = _addressOf(a.x, a.y);
        bytes32 idOfA = _verifier.checkBatch(network.networkId, a, device);
        bytes32 idOfB = _verifier.checkBatch(network.networkId, b, device);
        if (a.header.seq != b.header.seq || idOfA == idOfB) revert NoEquivocation();
        emit Proven(Fraud.Equivocation, device, msg.sender, 0);
        address[] memory devices = new address[](1);
        devices[0] = device;
        // Refuses a device that is no member, or suspended already.
        network.membership.suspend(devices);
    }

    function _prove(Network memory network, Fraud fraud, address operator) private {
        uint256 reward = network.settlement.slash(operator);
        credit[msg.sender] += reward;
        emit Proven(fraud, operator, msg.sender, reward);
    }

    /// @dev Whether whoever posted an epoch signed a checkpoint; and how large the posted log is.
    function _checkOfPoster(
        Network memory network,
        uint32 window,
        uint32 attempt,
        EpochEvidence calldata epoch,
        CheckpointEvidence calldata checkpoint
    ) private view returns (uint64 size) {
        EvidenceVerifier.Target memory target = _target(network, window, attempt);
        (size,) = _verifier.headOf(target, epoch, checkpoint.shard);
        address poster = _posterOf(network, target);
        if (checkpoint.operator != poster) revert NotOperator(checkpoint.operator, poster);
        _checkSigned(network, checkpoint);
    }

    function _checkSigned(Network memory network, CheckpointEvidence calldata checkpoint)
        private
        view
    {
        _verifier.checkCheckpoint(network.networkId, network.settlement, checkpoint);
    }

    // Views

    /// @inheritdoc IDisputes
    function challenge(bytes32 id) external view returns (Challenge memory) {
        return _challenges[id];
    }

    /// @inheritdoc IDisputes
    function challengeBond(uint32 window) external view returns (uint256) {
        return _bondOf(_network().settlement.versionAt(window));
    }

    /// @inheritdoc IDisputes
    function settlement() external view returns (ISettlement) {
        return _network().settlement;
    }

    function _network() private view returns (Network memory) {
        if (address(this) == _implementation) revert NotAClone();
        return abi.decode(Clones.fetchCloneArgs(address(this)), (Network));
    }

    /// @dev An epoch that is pending or final.
    function _target(Network memory network, uint32 window, uint32 attempt)
        private
        view
        returns (EvidenceVerifier.Target memory target)
    {
        bool stands;
        (target, stands) = _read(network, window, attempt);
        if (!stands) revert NotStanding(window, attempt);
    }

    /// @dev The latest attempt of a window, and whether it is this one and not void. Asking the settlement
    /// for the status would look at all windows that could be final.
    function _read(Network memory network, uint32 window, uint32 attempt)
        private
        view
        returns (EvidenceVerifier.Target memory target, bool stands)
    {
        target = EvidenceVerifier.Target(
            network.networkId, network.windowSeconds, window, network.settlement.epoch(window)
        );
        stands = attempt != 0 && attempt == target.posted.attempt
            && window < network.settlement.nextWindow();
    }

    function _posterOf(Network memory network, EvidenceVerifier.Target memory target)
        private
        view
        returns (address)
    {
        return network.settlement.operatorAt(target.posted.operatorId);
    }

    /// @dev Nobody, which has no batch and no reward, is not paid.
    function _isPaid(Network memory network, uint32 window, address device)
        private
        view
        returns (bool)
    {
        uint64 start = uint64(window) * network.windowSeconds;
        return network.membership.isPaid(device, start, start + network.windowSeconds);
    }

    function _bondOf(ISettlement.Version memory version) private view returns (uint256) {
        uint256 answerGas = ANSWER_GAS + ANSWER_GAS_PER_BYTE * version.maxRowsBytes;
        return Math.max(version.challengeBond, BOND_FACTOR * answerGas * block.basefee);
    }

    function _idOf(Kind kind, uint32 window, uint32 attempt, bytes memory point)
        private
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(kind, window, attempt, point));
    }

    function _addressOf(bytes32 x, bytes32 y) private pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encodePacked(x, y)))));
    }
}
