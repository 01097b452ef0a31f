// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ConfigRules} from "./ConfigRules.sol";
import {LedgerProof} from "./LedgerProof.sol";
import {NetworkToken} from "./NetworkToken.sol";
import {PartsDeployer} from "./PartsDeployer.sol";
import {IMembership} from "./interfaces/IMembership.sol";
import {ISettlement} from "./interfaces/ISettlement.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IERC6372} from "@openzeppelin/contracts/interfaces/IERC6372.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

/// @title Epochs of one network: posted by bonded operators, final after a challenge window, redeemed for tokens
contract Settlement is ISettlement, IERC6372, Ownable2Step {
    using Checkpoints for Checkpoints.Trace224;
    using SafeCast for uint256;

    /// @dev Where the chain of epochs stands, in one word. Windows below `nextFinal` are final, those
    /// from there to below `nextWindow` are pending; from `versionFrom` on the latest rules apply.
    struct State {
        uint32 nextWindow;
        uint32 nextFinal;
        uint128 finalTotal;
        uint32 withdrawalDelay;
        uint32 versionFrom;
    }

    /// @dev What neighbours of one owner are to be paid with one mint.
    struct Due {
        address owner;
        uint256 amount;
    }

    /// @notice Most shards of a log.
    uint256 public constant MOST_LOGS = 8;
    /// @dev A size is below it, as in the wire format.
    uint64 private constant MOST_LOG_SIZE = 1 << 53;
    /// @dev How far ahead of this clock a device may believe a date.
    uint256 private constant MOST_SKEW = 1 hours;
    /// @dev How far the finality pointer moves by itself. A posting adds one window, so two catch up.
    uint32 private constant POSTING_LOOKS_AHEAD = 2;
    uint32 private constant REDEEMING_LOOKS_AHEAD = 32;
    uint32 private constant SLASHING_LOOKS_AHEAD = 256;

    /// @inheritdoc ISettlement
    bytes32 public immutable networkId;
    /// @inheritdoc ISettlement
    uint32 public immutable windowSeconds;
    /// @inheritdoc ISettlement
    uint32 public immutable firstWindow;
    /// @inheritdoc ISettlement
    address public immutable token;
    /// @inheritdoc ISettlement
    address public immutable membership;
    /// @inheritdoc ISettlement
    address public immutable registry;
    /// @inheritdoc ISettlement
    address public immutable disputes;

    /// @inheritdoc ISettlement
    mapping(address device => uint128) public paid;

    ConfigRules private immutable _configRules;

    State private _state;
    mapping(uint32 window => Epoch) private _epochs;
    mapping(address account => Operator) private _operators;
    address[] private _operatorAt;
    /// @dev When an operator changed a key for another, in Unix seconds.
    mapping(address account => mapping(address logKey => uint256)) private _retiredAt;
    mapping(uint256 fromWindow => Version) private _versions;
    /// @dev The first windows of all versions, each as key and value.
    Checkpoints.Trace224 private _versionFroms;

    modifier onlyDisputes() {
        if (msg.sender != disputes) revert NotDisputes(msg.sender);
        _;
    }

    constructor(
        bytes32 networkId_,
        address registry_,
        address owner_,
        address disputes_,
        bool isPrivate,
        uint32 windowSeconds_,
        PartsDeployer partsDeployer,
        ConfigRules configRules,
        string memory name,
        string memory symbol
    ) Ownable(owner_) {
        if (windowSeconds_ == 0) revert InvalidWindowLength(windowSeconds_);
        networkId = networkId_;
        registry = registry_;
        windowSeconds = windowSeconds_;
        _configRules = configRules;
        firstWindow = (block.timestamp / windowSeconds_ + 1).toUint32();
        (token, membership, disputes) = partsDeployer.deploy(
            name, symbol, registry_, isPrivate, networkId_, windowSeconds_, disputes_
        );
        _state.nextWindow = firstWindow;
        _state.nextFinal = firstWindow;
    }

    // Rules

    /// @inheritdoc ISettlement
    function setConfig(Config calldata config) external {
        // The first is set by the factory in the transaction that creates the network.
        if (_state.versionFrom != 0) _checkOwner();
        _configRules.check(config);
        bytes32 configHash = keccak256(abi.encode(config));
        uint32 fromWindow = (block.timestamp / windowSeconds + 1).toUint32();
        // A second version for one window takes the place of the first.
        _versionFroms.push(fromWindow, fromWindow);
        _state.versionFrom = fromWindow;
        _versions[fromWindow] = Version({
            configHash: configHash,
            operator: config.operator,
            grace: config.grace,
            challengeWindow: config.challengeWindow,
            takeoverDelay: config.takeoverDelay,
            responseTime: config.responseTime,
            minBond: config.minBond,
            coverage: config.coverage,
            challengeBond: config.challengeBond,
            maxRowsBytes: config.maxRowsBytes
        });
        emit ConfigSet(fromWindow, configHash, config);

        // A receipt lives as long as the rows it promises.
        uint32 delay = config.challengeWindow + config.responseTime + config.retention;
        if (delay > _state.withdrawalDelay) _state.withdrawalDelay = delay;
        if (config.operator != address(0) && !_operators[config.operator].listed) {
            _listOperator(config.operator, true);
        }
    }

    /// @inheritdoc ISettlement
    function listOperator(address account, bool listed) external onlyOwner {
        _listOperator(account, listed);
    }

    function _listOperator(address account, bool listed) private {
        Operator storage stored = _operators[account];
        if (stored.id == 0) {
            _operatorAt.push(account);
            stored.id = _operatorAt.length.toUint16();
        }
        stored.listed = listed;
        emit OperatorListed(account, stored.id, listed);
    }

    // Bonds

    /// @inheritdoc ISettlement
    function bond(bytes32 x, bytes32 y) external payable {
        Operator storage stored = _operators[msg.sender];
        if (stored.id == 0) revert NotListed(msg.sender);
        address logKey = _configRules.checkLogKey(x, y);
        if (stored.logKey == address(0)) stored.logKey = logKey;
        else if (stored.logKey != logKey) revert NotLogKey(logKey, stored.logKey);
        stored.bond += msg.value.toUint128();
        emit Bonded(msg.sender, stored.id, uint128(msg.value), x, y);
    }

    /// @inheritdoc ISettlement
    function rotateLogKey(bytes32 x, bytes32 y) external {
        address logKey = _configRules.checkLogKey(x, y);
        address before = _operators[msg.sender].logKey;
        _operators[msg.sender].logKey = logKey;
        _retiredAt[msg.sender][before] = block.timestamp;
        emit LogKeyRotated(msg.sender, before, x, y);
    }

    /// @inheritdoc ISettlement
    function requestWithdrawal(uint128 amount) external {
        Operator storage stored = _operators[msg.sender];
        if (amount == 0) revert NothingToWithdraw();
        if (stored.leaving != 0) revert WithdrawalPending(stored.leavesAt);
        if (amount > stored.bond) revert BondTooSmall(stored.bond, amount);
        stored.bond -= amount;
        stored.leaving = amount;
        stored.leavesAt = uint64(block.timestamp) + _state.withdrawalDelay;
        stored.leavesAfter = _state.nextWindow - 1;
        emit WithdrawalRequested(msg.sender, amount, stored.leavesAt, stored.leavesAfter);
    }

    /// @inheritdoc ISettlement
    function withdraw() external {
        Operator storage stored = _operators[msg.sender];
        uint128 amount = stored.leaving;
        if (amount == 0) revert NothingToWithdraw();
        // What was voided since is not waited for: perhaps nobody will post it again.
        uint256 after_ = Math.min(stored.leavesAfter, _state.nextWindow - 1);
        if (block.timestamp < stored.leavesAt || after_ >= nextFinalWindow()) {
            revert WithdrawalNotReady(stored.leavesAt, stored.leavesAfter);
        }
        stored.leaving = 0;
        emit Withdrawn(msg.sender, amount);
        Address.sendValue(payable(msg.sender), amount);
    }

    // Epochs

    /// @inheritdoc ISettlement
    function postEpoch(Posting calldata posting) external {
        State memory state = _state;
        uint32 window = posting.window;
        if (window != state.nextWindow) revert WindowOutOfOrder(window, state.nextWindow);
        Version storage version = _versionOf(window);
        Operator storage poster = _operators[msg.sender];
        _checkTurn(window, version, poster);
        uint16 parentOperatorId = _checkParent(posting);
        _checkLogs(posting.logs);
        uint32 memberCount = IMembership(membership).memberCount();
        _checkDepth(posting.depth, memberCount);

        _finalize(state, POSTING_LOOKS_AHEAD);
        // The steps of all pending epochs and of this one add up to this difference.
        uint256 pending = posting.ledgerTotal - state.finalTotal;
        uint256 covered = uint256(poster.bond) * version.coverage;
        if (pending > covered) revert StepNotCovered(pending, covered);
        _noteRun(window, poster, parentOperatorId, state.nextFinal);
        state.nextWindow = window + 1;
        _state = state;
        Epoch memory posted = Epoch({
            epochHash: bytes32(0),
            ledgerRoot: posting.ledgerRoot,
            ledgerTotal: posting.ledgerTotal,
            attempt: _epochs[window].attempt + 1,
            challengeEndsAt: uint40(block.timestamp + version.challengeWindow),
            depth: posting.depth,
            openChallenges: 0,
            operatorId: poster.id
        });
        bytes32 configHash = version.configHash;
        posted.epochHash = _epochHash(posting, posted.attempt, configHash, memberCount);
        _epochs[window] = posted;
        _emitPosted(posting, posted, configHash, memberCount);
    }

    function _epochHash(
        Posting calldata posting,
        uint32 attempt,
        bytes32 configHash,
        uint32 memberCount
    ) private view returns (bytes32) {
        bytes32 logsHash = _logsHash(posting.logs);
        return keccak256(
            abi.encode(
                networkId,
                windowSeconds,
                posting.window,
                attempt,
                posting.parentHash,
                configHash,
                memberCount,
                logsHash,
                posting.ledgerRoot,
                posting.ledgerTotal
            )
        );
    }

    /// @dev keccak256(abi.encode(logs)), straight from calldata, where the words lie as they are encoded:
    /// 3,000 gas less for 8 shards. The event that follows encodes them again and refuses oversized values.
    function _logsHash(Log[] calldata logs) private pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            let encoded := mload(0x40)
            let size := mul(logs.length, 96)
            mstore(encoded, 32)
            mstore(add(encoded, 32), logs.length)
            calldatacopy(add(encoded, 64), logs.offset, size)
            hash := keccak256(encoded, add(size, 64))
        }
    }

    function _emitPosted(
        Posting calldata posting,
        Epoch memory posted,
        bytes32 configHash,
        uint32 memberCount
    ) private {
        emit EpochPosted(
            posting.window,
            posted.attempt,
            msg.sender,
            posting.parentHash,
            posted.depth,
            memberCount,
            posted.challengeEndsAt,
            configHash,
            posted.epochHash,
            posted.ledgerRoot,
            posted.ledgerTotal,
            posting.logs
        );
    }

    /// @inheritdoc ISettlement
    function finalize(uint32 most) external {
        State memory state = _state;
        _finalize(state, most);
        _state = state;
    }

    function _checkTurn(uint32 window, Version storage version, Operator storage poster)
        private
        view
    {
        uint256 from = (uint256(window) + 1) * windowSeconds + version.grace;
        if (block.timestamp < from) revert WindowNotOver(window, from);
        if (!poster.listed) revert NotListed(msg.sender);
        if (msg.sender != version.operator) {
            from += version.takeoverDelay;
            if (block.timestamp < from) revert NotNamed(msg.sender, version.operator, from);
        }
        if (poster.bond < version.minBond) revert BondTooSmall(poster.bond, version.minBond);
    }

    /// @dev The parent is named, so that a posting never lands on an epoch it was not built on, not even
    /// after a reorganisation of the chain. Returns who posted it, zero if there is none.
    function _checkParent(Posting calldata posting) private view returns (uint16 operatorId) {
        bytes32 hash;
        uint128 total;
        if (posting.window != firstWindow) {
            Epoch storage parent = _epochs[posting.window - 1];
            (hash, total, operatorId) = (parent.epochHash, parent.ledgerTotal, parent.operatorId);
        }
        if (posting.parentHash != hash) revert ParentMismatch(posting.parentHash, hash);
        if (posting.ledgerTotal < total) revert TotalDecreased(posting.ledgerTotal, total);
    }

    /// @dev Keeps what `_firstPending` needs. Written only when another operator takes over.
    function _noteRun(
        uint32 window,
        Operator storage poster,
        uint16 parentOperatorId,
        uint32 nextFinal
    ) private {
        bool isFirst = parentOperatorId != poster.id;
        if (isFirst && parentOperatorId != 0) {
            _operators[_operatorAt[parentOperatorId - 1]].until = window - 1;
        }
        // Also where its own epoch is the parent, once later ones were voided.
        if (poster.since > window || (isFirst && poster.until < nextFinal)) poster.since = window;
    }

    function _checkLogs(Log[] calldata logs) private pure {
        if (logs.length > MOST_LOGS) revert TooManyLogs(logs.length, MOST_LOGS);
        uint256 next = 0;
        for (uint256 i = 0; i < logs.length; i++) {
            Log calldata log = logs[i];
            uint256 shard = log.shard;
            if (shard < next) revert LogsOutOfOrder(uint32(shard));
            // No checkpoint can have such a size, and readers keep it in a double.
            if (log.size >= MOST_LOG_SIZE) revert LogTooLarge(uint32(shard), log.size);
            next = shard + 1;
        }
    }

    /// @dev One level more than needed is allowed, so that a member that joins just before the posting
    /// does not stop it.
    function _checkDepth(uint8 depth, uint32 memberCount) private pure {
        uint256 least = memberCount == 0 ? 0 : Math.log2(memberCount, Math.Rounding.Ceil);
        if (depth < least || depth > least + 1) revert InvalidDepth(depth, memberCount);
    }

    /// @dev Moves the finality pointer of `state`, which the caller stores, by at most `most` windows.
    function _finalize(State memory state, uint256 most) private {
        if (_lookAhead(state, most)) emit Finalized(state.nextFinal - 1, state.finalTotal);
    }

    function _lookAhead(State memory state, uint256 most) private view returns (bool moved) {
        while (most > 0 && state.nextFinal < state.nextWindow) {
            Epoch storage next = _epochs[state.nextFinal];
            if (next.openChallenges != 0 || block.timestamp < next.challengeEndsAt) break;
            state.finalTotal = next.ledgerTotal;
            state.nextFinal++;
            moved = true;
            most--;
        }
    }

    // Rewards

    /// @inheritdoc ISettlement
    function redeem(uint32 window, Redemption[] calldata redemptions)
        external
        returns (uint256 amount)
    {
        State memory state = _state;
        if (window >= state.nextFinal) {
            _finalize(state, REDEEMING_LOOKS_AHEAD);
            if (window >= state.nextFinal) revert NotFinal(window);
            _state = state;
        }
        if (window < firstWindow) revert NotFinal(window);
        Epoch storage stored = _epochs[window];
        (bytes32 root, uint128 total, uint8 depth) =
            (stored.ledgerRoot, stored.ledgerTotal, stored.depth);
        Due memory due;
        for (uint256 i = 0; i < redemptions.length; i++) {
            Redemption calldata redemption = redemptions[i];
            if (!LedgerProof.verify(redemption, depth, root, total)) {
                revert InvalidProof(redemption.slot);
            }
            amount += _redeemEntries(window, redemption.entries, due, state.finalTotal);
        }
        _mint(due, state.finalTotal);
    }

    /// @dev Leaves the last owner's due to be minted by the caller.
    function _redeemEntries(
        uint32 window,
        Entry[] calldata entries,
        Due memory due,
        uint128 finalTotal
    ) private returns (uint256 amount) {
        for (uint256 i = 0; i < entries.length; i++) {
            Entry calldata entry = entries[i];
            uint128 before = paid[entry.device];
            // An empty slot, nothing new, or already redeemed from a later window.
            if (entry.device == address(0) || entry.cumulative <= before) continue;
            paid[entry.device] = entry.cumulative;
            uint128 gained = entry.cumulative - before;
            address owner = IERC721(registry).ownerOf(uint160(entry.device));
            if (owner != due.owner) {
                _mint(due, finalTotal);
                (due.owner, due.amount) = (owner, 0);
            }
            due.amount += gained;
            amount += gained;
            emit Redeemed(entry.device, owner, window, gained);
        }
    }

    function _mint(Due memory due, uint128 finalTotal) private {
        if (due.amount == 0) return;
        uint256 supply = NetworkToken(token).mint(due.owner, due.amount);
        if (supply > finalTotal) revert SupplyExceedsTotal(supply, finalTotal);
    }

    // Disputes

    /// @inheritdoc ISettlement
    function openChallenge(uint32 window, uint32 attempt) external onlyDisputes {
        Epoch storage stored = _pending(window, attempt);
        if (block.timestamp >= stored.challengeEndsAt) {
            revert ChallengeTimeOver(stored.challengeEndsAt);
        }
        stored.openChallenges++;
        emit ChallengeOpened(window, attempt, stored.openChallenges);
    }

    /// @inheritdoc ISettlement
    function closeChallenge(uint32 window, uint32 attempt) external onlyDisputes {
        if (_isVoid(window, attempt)) return;
        Epoch storage stored = _challenged(window, attempt);
        stored.openChallenges--;
        emit ChallengeClosed(window, attempt, stored.openChallenges);
    }

    /// @inheritdoc ISettlement
    function extendChallengeTime(uint32 window, uint32 attempt) external onlyDisputes {
        Epoch storage stored = _challenged(window, attempt);
        uint256 endsAt = block.timestamp + _versionOf(window).responseTime;
        if (endsAt <= stored.challengeEndsAt) return;
        stored.challengeEndsAt = uint40(endsAt);
        emit ChallengeTimeExtended(window, attempt, uint64(endsAt));
    }

    /// @inheritdoc ISettlement
    function slash(address account) external onlyDisputes returns (uint256 reward) {
        State memory state = _state;
        _finalize(state, SLASHING_LOOKS_AHEAD);
        // Nothing that is final may be voided.
        if (_lookAhead(state, 1)) revert NotFinalized(state.nextFinal - 1);
        Operator storage stored = _operators[account];
        uint32 from = _firstPending(state, stored);
        uint32 to = state.nextWindow;
        if (from < to) state.nextWindow = from;
        _state = state;
        uint256 amount = uint256(stored.bond) + stored.leaving;
        stored.bond = 0;
        stored.leaving = 0;
        // What stands of its windows is final: proofs that are brought again void nobody else's.
        stored.until = 0;
        reward = amount / 2;
        emit Slashed(account, amount - reward, reward);
        if (stored.listed) _listOperator(account, false);
        if (from < to) emit EpochsVoided(from, to - 1);
        Address.sendValue(payable(address(0)), amount - reward);
        Address.sendValue(payable(msg.sender), reward);
    }

    /// @dev The operator's earliest window that is not final; `nextWindow` if it has none. Should more
    /// than 256 windows of others lie between its runs, one of theirs: they are then posted again.
    function _firstPending(State memory state, Operator storage stored)
        private
        view
        returns (uint32 window)
    {
        if (state.nextFinal == state.nextWindow) return state.nextWindow;
        uint32 last = state.nextWindow - 1;
        if (_epochs[last].operatorId != stored.id) last = stored.until;
        if (last < state.nextFinal) return state.nextWindow;
        window = uint32(Math.max(stored.since, state.nextFinal));
        for (uint256 i = 0; i < SLASHING_LOOKS_AHEAD; i++) {
            if (window >= state.nextWindow) return state.nextWindow;
            if (_epochs[window].operatorId == stored.id) return window;
            window++;
        }
    }

    function _pending(uint32 window, uint32 attempt) private view returns (Epoch storage stored) {
        stored = _epochs[window];
        if (window < _state.nextFinal || window >= _state.nextWindow || stored.attempt != attempt) {
            revert NotPending(window, attempt);
        }
    }

    /// @dev An epoch with an open challenge is not final, wherever the pointer stands.
    function _challenged(uint32 window, uint32 attempt)
        private
        view
        returns (Epoch storage stored)
    {
        stored = _pending(window, attempt);
        if (stored.openChallenges == 0) revert NoOpenChallenge(window, attempt);
    }

    // Views

    /// @inheritdoc ISettlement
    function nextWindow() external view returns (uint32) {
        return _state.nextWindow;
    }

    /// @inheritdoc ISettlement
    function nextFinalWindow() public view returns (uint32) {
        State memory state = _state;
        _lookAhead(state, REDEEMING_LOOKS_AHEAD);
        return state.nextFinal;
    }

    /// @inheritdoc ISettlement
    function withdrawalDelay() external view returns (uint64) {
        return _state.withdrawalDelay;
    }

    /// @inheritdoc ISettlement
    function epoch(uint32 window) external view returns (Epoch memory) {
        return _epochs[window];
    }

    /// @inheritdoc ISettlement
    function statusOf(uint32 window, uint32 attempt) public view returns (Status) {
        if (attempt == 0 || attempt > _epochs[window].attempt) return Status.None;
        if (_isVoid(window, attempt)) return Status.Void;
        return window < nextFinalWindow() ? Status.Final : Status.Pending;
    }

    /// @inheritdoc ISettlement
    function versionAt(uint32 window) external view returns (Version memory) {
        return _versionOf(window);
    }

    /// @inheritdoc ISettlement
    function operator(address account) external view returns (Operator memory) {
        return _operators[account];
    }

    /// @inheritdoc ISettlement
    function isLogKey(address account, address logKey, uint64 time) external view returns (bool) {
        if (logKey == _operators[account].logKey) return true;
        uint256 retiredAt = _retiredAt[account][logKey];
        uint256 last = retiredAt + MOST_SKEW;
        if (time > last) return false;
        // An operator with windows longer than the delay, or that waits with its postings, does not outlive
        // its receipts before a log stands that has to have what they promise.
        return block.timestamp <= retiredAt + _state.withdrawalDelay
            || last / windowSeconds >= nextFinalWindow();
    }

    /// @inheritdoc ISettlement
    function operatorAt(uint16 id) external view returns (address) {
        return id == 0 || id > _operatorAt.length ? address(0) : _operatorAt[id - 1];
    }

    /// @inheritdoc IERC6372
    function clock() external view returns (uint48) {
        return uint48(block.timestamp);
    }

    /// @inheritdoc IERC6372
    // solhint-disable-next-line func-name-mixedcase
    function CLOCK_MODE() external pure returns (string memory) {
        return "mode=timestamp";
    }

    /// @dev Of an attempt there is or was.
    function _isVoid(uint32 window, uint32 attempt) private view returns (bool) {
        return attempt < _epochs[window].attempt || window >= _state.nextWindow;
    }

    function _versionOf(uint32 window) private view returns (Version storage) {
        uint32 latest = _state.versionFrom;
        return _versions[window < latest ? _versionFroms.upperLookupRecent(window) : latest];
    }
}
