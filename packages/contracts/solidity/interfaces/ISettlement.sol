// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Epochs of one network: posted by bonded operators, final after a challenge window, redeemed for tokens
/// @notice Window n is [n × windowSeconds, (n + 1) × windowSeconds) in Unix seconds. Windows are posted one after the
/// other. The epoch of a window is its latest attempt; earlier attempts were voided.
interface ISettlement {
    /// @notice The rules of a network from some window on. Times in seconds.
    /// @param schema Id of the schema whose batches count.
    /// @param schemaHash SHA-256 of the schema's canonical bytes.
    /// @param fields How many values a row has, 1 … 22.
    /// @param tickMs Length of the schema's tick, in milliseconds.
    /// @param metric Folds batches into a value (IMetric).
    /// @param metricParams For the metric.
    /// @param policy Turns a value into a reward (IRewardPolicy).
    /// @param policyParams For the policy.
    /// @param operator Posts the windows; zero leaves them to the listed operators.
    /// @param grace From the end of a window until its epoch may be posted.
    /// @param challengeWindow From the posting of an epoch until it can be final.
    /// @param responseTime An operator has to answer a challenge.
    /// @param takeoverDelay After which a listed operator may post instead of the named one.
    /// @param retention For which rows and receipts are kept; at least challengeWindow + responseTime.
    /// @param maxRowsBytes Largest records of a batch, so that it fits into an answer.
    /// @param minBond Least bond an operator needs to post, in wei.
    /// @param coverage Units of not yet final reward that one wei of bond covers; not 0.
    /// @param challengeBond Least bond of a challenge, in wei.
    struct Config {
        uint64 schema;
        bytes32 schemaHash;
        uint8 fields;
        uint32 tickMs;
        address metric;
        bytes metricParams;
        address policy;
        bytes policyParams;
        address operator;
        uint32 grace;
        uint32 challengeWindow;
        uint32 responseTime;
        uint32 takeoverDelay;
        uint32 retention;
        uint32 maxRowsBytes;
        uint96 minBond;
        uint128 coverage;
        uint96 challengeBond;
    }

    /// @notice What the contract keeps of a configuration; the whole is in `ConfigSet`.
    struct Version {
        bytes32 configHash;
        address operator;
        uint32 grace;
        uint32 challengeWindow;
        uint32 takeoverDelay;
        uint32 responseTime;
        uint96 minBond;
        uint128 coverage;
        uint96 challengeBond;
        uint32 maxRowsBytes;
    }

    /// @notice An operator's money and key.
    /// @param bond In wei, without what is leaving. Can be slashed.
    /// @param id Short name of the operator in an epoch, from 1; zero if it was never listed.
    /// @param listed Whether it may post: as the one a configuration names, or later in its place.
    /// @param since The first window of its runs of epochs that may be pending.
    /// @param until The last window of its last run that another operator's epoch ended.
    /// @param leaving In wei, requested to be withdrawn. Can still be slashed.
    /// @param leavesAt Unix seconds from which on it can be withdrawn.
    /// @param leavesAfter The window that must be final before, or void.
    /// @param logKey Address of the P-256 key that signs the operator's checkpoints from now on.
    struct Operator {
        uint128 bond;
        uint16 id;
        bool listed;
        uint32 since;
        uint32 until;
        uint128 leaving;
        uint64 leavesAt;
        uint32 leavesAfter;
        address logKey;
    }

    /// @notice The signed head of one shard of the operator's log.
    struct Log {
        uint32 shard;
        uint64 size;
        bytes32 root;
    }

    /// @notice What an operator posts.
    /// @param window The next one.
    /// @param parentHash Hash of the epoch of the window before, that the ledger builds on; zero for the first window.
    /// @param depth Of the ledger: the least with 2^depth ≥ members, or one more.
    /// @param ledgerRoot Hash at the root of the ledger.
    /// @param ledgerTotal Sum at the root of the ledger: all rewards ever earned.
    /// @param logs At most 8, shards ascending.
    struct Posting {
        uint32 window;
        bytes32 parentHash;
        uint8 depth;
        bytes32 ledgerRoot;
        uint128 ledgerTotal;
        Log[] logs;
    }

    /// @notice What the contract keeps of an epoch, in three words.
    /// @param epochHash keccak256(abi.encode(bytes32 networkId, uint32 windowSeconds, uint32 window, uint32 attempt,
    /// bytes32 parentHash, bytes32 configHash, uint32 memberCount, bytes32 logsHash, bytes32 ledgerRoot,
    /// uint128 ledgerTotal)), where logsHash = keccak256(abi.encode(Log[])). So epochs are a chain of hashes.
    /// @param attempt Counts up from 1; zero if the window has never been posted.
    /// @param challengeEndsAt Unix seconds.
    /// @param openChallenges How many challenges wait for an answer.
    /// @param operatorId Of the operator that posted.
    struct Epoch {
        bytes32 epochHash;
        bytes32 ledgerRoot;
        uint128 ledgerTotal;
        uint32 attempt;
        uint40 challengeEndsAt;
        uint8 depth;
        uint32 openChallenges;
        uint16 operatorId;
    }

    enum Status {
        None,
        Pending,
        Final,
        Void
    }

    /// @notice A device's ledger entry. All zero is an empty slot: its leaf is (0, 0); a node above two of them is hashed
    /// like any other.
    /// @param cumulative All it ever earned.
    /// @param detail keccak256(abi.encode(int256 value, uint32 steps, bytes32 traceRoot)): the day stays private.
    struct Entry {
        address device;
        uint128 cumulative;
        bytes32 detail;
    }

    /// @notice Entries in adjacent slots, with one path to the root.
    /// @param slot Of the first entry.
    /// @param entries One or more.
    /// @param siblings 48 bytes each (hash ‖ uint128 sum), level by level from the leaves: first the left one if the
    /// first node of the run is a right child, then the right one if the last node of the run is a left child.
    struct Redemption {
        uint32 slot;
        Entry[] entries;
        bytes siblings;
    }

    /// @notice A configuration applies to all windows from `fromWindow` on.
    event ConfigSet(uint32 indexed fromWindow, bytes32 indexed configHash, Config config);
    event OperatorListed(address indexed operator, uint16 indexed id, bool listed);
    /// @notice An operator put money in. X‖Y is the key of its log.
    event Bonded(address indexed operator, uint16 indexed id, uint128 amount, bytes32 x, bytes32 y);
    /// @notice An operator changed the key of its log to X‖Y.
    event LogKeyRotated(address indexed operator, address indexed before, bytes32 x, bytes32 y);
    event WithdrawalRequested(
        address indexed operator, uint128 amount, uint64 leavesAt, uint32 leavesAfter
    );
    event Withdrawn(address indexed operator, uint128 amount);
    event EpochPosted(
        uint32 indexed window,
        uint32 indexed attempt,
        address indexed operator,
        bytes32 parentHash,
        uint8 depth,
        uint32 memberCount,
        uint64 challengeEndsAt,
        bytes32 configHash,
        bytes32 epochHash,
        bytes32 ledgerRoot,
        uint128 ledgerTotal,
        Log[] logs
    );
    /// @notice All windows up to this one are final.
    event Finalized(uint32 indexed window, uint128 ledgerTotal);
    /// @notice The epochs of these windows, both included, pay nothing; the windows are to be posted again.
    event EpochsVoided(uint32 indexed fromWindow, uint32 indexed toWindow);
    event ChallengeOpened(uint32 indexed window, uint32 indexed attempt, uint32 openChallenges);
    event ChallengeClosed(uint32 indexed window, uint32 indexed attempt, uint32 openChallenges);
    event ChallengeTimeExtended(
        uint32 indexed window, uint32 indexed attempt, uint64 challengeEndsAt
    );
    event Slashed(address indexed operator, uint256 burned, uint256 paid);
    /// @notice Tokens were minted for a device, to its owner.
    event Redeemed(address indexed device, address indexed owner, uint32 window, uint128 amount);

    error InvalidWindowLength(uint32 windowSeconds);
    error InvalidTime(string name, uint32 time, uint32 least, uint32 most);
    error RetentionTooShort(uint32 retention, uint256 least);
    error InvalidMinBond(uint96 minBond, uint96 most);
    error InvalidChallengeBond(uint96 challengeBond, uint96 most);
    error InvalidMaxRowsBytes(uint32 maxRowsBytes, uint32 most);
    error InvalidSchema(uint8 fields, uint32 tickMs);
    error InvalidCoverage(uint128 coverage);
    error NotAContract(address account);
    error NotListed(address caller);
    error NotNamed(address caller, address operator, uint256 from);
    error BondTooSmall(uint256 bond, uint256 least);
    error WindowOutOfOrder(uint32 window, uint32 next);
    error WindowNotOver(uint32 window, uint256 from);
    error ParentMismatch(bytes32 parentHash, bytes32 actual);
    error InvalidDepth(uint8 depth, uint32 memberCount);
    error TooManyLogs(uint256 logs, uint256 most);
    error LogsOutOfOrder(uint32 shard);
    error LogTooLarge(uint32 shard, uint64 size);
    error TotalDecreased(uint128 ledgerTotal, uint128 parentTotal);
    error StepNotCovered(uint256 pending, uint256 covered);
    error InvalidLogKey(bytes32 x, bytes32 y);
    error NotLogKey(address logKey, address current);
    error WithdrawalPending(uint64 leavesAt);
    error WithdrawalNotReady(uint64 leavesAt, uint32 leavesAfter);
    error NothingToWithdraw();
    error NotFinal(uint32 window);
    error InvalidProof(uint32 slot);
    error SupplyExceedsTotal(uint256 supply, uint256 ledgerTotal);
    error NotDisputes(address caller);
    error NotPending(uint32 window, uint32 attempt);
    error ChallengeTimeOver(uint64 challengeEndsAt);
    error NoOpenChallenge(uint32 window, uint32 attempt);
    /// @dev More windows can be made final than one call looks at: call `finalize` first.
    error NotFinalized(uint32 nextFinalWindow);

    /// @notice Sets the rules for all windows that begin after this block. Only the owner.
    function setConfig(Config calldata config) external;

    /// @notice Lists an operator, which may then bond and post when the named one does not, or takes it off the list: then
    /// it may not post, named or not. An operator that a configuration names is listed with it. Only the owner.
    function listOperator(address operator, bool listed) external;

    /// @notice Adds the sent wei to the caller's bond, who was listed once. X‖Y is the P-256 key of its log: the first
    /// call sets it, later ones repeat it.
    function bond(bytes32 x, bytes32 y) external payable;

    /// @notice Changes the caller's log key. For what the key before signed until now, the bond answers as long as
    /// receipts live: `withdrawalDelay`, and until the window of the change is final. What it signs with a date that is
    /// an hour later binds nobody: the hour is more than devices let a date be ahead of their clocks, so that nobody
    /// signs ahead and changes the key.
    function rotateLogKey(bytes32 x, bytes32 y) external;

    /// @notice Whether an operator answers for a checkpoint: signed by its log key of now, or by one that it changed
    /// not earlier than an hour before the checkpoint's date, and not longer than `withdrawalDelay` ago, or in a window that
    /// is not final.
    /// @param time Of the checkpoint, in Unix seconds.
    function isLogKey(address account, address logKey, uint64 time) external view returns (bool);

    /// @notice Starts to take wei out of the bond. They leave after the longest challengeWindow + responseTime +
    /// retention the network ever had, and not before all that is posted now is final.
    function requestWithdrawal(uint128 amount) external;

    /// @notice Pays out what was requested to the caller.
    function withdraw() external;

    /// @notice Posts the epoch of the next window.
    function postEpoch(Posting calldata posting) external;

    /// @notice Moves the finality pointer by at most `most` windows. Nobody needs to: `postEpoch` and `redeem` do.
    function finalize(uint32 most) external;

    /// @notice Mints what devices have earned up to a final window and were not paid yet, to the owners of the devices.
    /// Anyone may call it. A device that was already paid is passed over.
    /// @return amount Minted in total.
    function redeem(uint32 window, Redemption[] calldata redemptions)
        external
        returns (uint256 amount);

    /// @notice Counts a challenge on an epoch whose challenge time is not over. Until it is closed, neither this epoch
    /// nor any after it is final. Only disputes.
    function openChallenge(uint32 window, uint32 attempt) external;

    /// @notice Counts a challenge off. Does nothing on a voided epoch. Only disputes.
    function closeChallenge(uint32 window, uint32 attempt) external;

    /// @notice Leaves at least one more response time to challenge an epoch that is under challenge. Only disputes.
    function extendChallengeTime(uint32 window, uint32 attempt) external;

    /// @notice Takes all money of an operator, what is leaving included: half is burned, half is sent to the caller. Takes it
    /// off the list, and voids its earliest epoch that is not final and all after it. What is final stays. Only disputes.
    /// @return paid The half, in wei.
    function slash(address operator) external returns (uint256 paid);

    function networkId() external view returns (bytes32);
    function windowSeconds() external view returns (uint32);
    function firstWindow() external view returns (uint32);
    function token() external view returns (address);
    function membership() external view returns (address);
    function registry() external view returns (address);
    /// @notice The network's own clone of disputes; zero if epochs cannot be challenged.
    function disputes() external view returns (address);

    /// @notice The window to be posted next.
    function nextWindow() external view returns (uint32);

    /// @notice The first window that is not final; all before it are. Looks ahead as far as `redeem` would.
    function nextFinalWindow() external view returns (uint32);

    /// @notice The latest attempt of a window, voided or not.
    function epoch(uint32 window) external view returns (Epoch memory);

    /// @notice What an attempt is.
    function statusOf(uint32 window, uint32 attempt) external view returns (Status);

    /// @notice The rules of a window.
    function versionAt(uint32 window) external view returns (Version memory);

    /// @notice An operator's money and key.
    function operator(address account) external view returns (Operator memory);

    /// @notice The operator with an id.
    function operatorAt(uint16 id) external view returns (address);

    /// @notice What was minted for a device.
    function paid(address device) external view returns (uint128);

    /// @notice Seconds from a withdrawal's request until it can leave.
    function withdrawalDelay() external view returns (uint64);
}
