// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IDeviceRegistry} from "./IDeviceRegistry.sol";
import {ISettlement} from "./ISettlement.sol";

/// @title Challenges to the epochs of one network, and what they cost whom
/// @notice A challenger points at a place of a pending epoch and puts a bond on it. Anyone may answer before the
/// deadline; an answer shows that the place is right, and costs the challenger its bond. Without one, the operator that
/// posted the epoch is slashed. All payments are credits that their owner withdraws.
/// @dev A challenge is known by `id = keccak256(abi.encode(uint8 kind, uint32 window, uint32 attempt, bytes point))`, and
/// what it points at by `point`, which is abi.encode of
///   Step         uint32 slot, uint32 step
///   Carry        uint32 slot, address device
///   Omission     OmissionPoint
///   Consistency  uint32 shard, uint64 size, bytes32 root
///   Reveal       uint8 height, uint32 index
/// A point can be challenged once. No verdict follows from a call that failed: such an answer reverts and can be given
/// again.
interface IDisputes {
    enum Kind {
        Step,
        Carry,
        Omission,
        Consistency,
        Reveal
    }

    enum Status {
        None,
        Open,
        Answered,
        Upheld,
        Refunded
    }

    /// @notice Kinds of fraud that need no answer. The accused of the first two is an operator, that of the last a device.
    enum Fraud {
        Fork,
        Truncation,
        Equivocation
    }

    /// @notice A challenge.
    /// @param challenger Who opened it.
    /// @param bond What it put on it, in wei.
    /// @param window Of the epoch.
    /// @param attempt Of the epoch.
    /// @param deadline Unix seconds; answered before, upheld after.
    /// @param responseTime Of the window's rules, in seconds.
    struct Challenge {
        address challenger;
        uint96 bond;
        uint32 window;
        uint32 attempt;
        uint64 deadline;
        Kind kind;
        Status status;
        uint32 responseTime;
    }

    /// @notice What the hash of an epoch is made of, beside what the settlement keeps.
    /// @param parentHash Hash of the epoch of the window before, zero for the first.
    /// @param memberCount When it was posted.
    /// @param config abi.encode(ISettlement.Config).
    /// @param logs As posted.
    struct EpochEvidence {
        bytes32 parentHash;
        uint32 memberCount;
        bytes config;
        ISettlement.Log[] logs;
    }

    /// @notice A ledger entry and its path. Of an empty slot, all but the path is zero.
    /// @param siblings 48 bytes each (hash ‖ uint128 sum), from the leaf up.
    struct EntryEvidence {
        address device;
        uint128 cumulative;
        int256 value;
        uint32 steps;
        bytes32 traceRoot;
        bytes siblings;
    }

    /// @notice The header of a batch.
    /// @param start Unix milliseconds.
    /// @param span Milliseconds from `start` to the last row.
    /// @param count Number of rows.
    /// @param recordsHash SHA-256 of the rows.
    /// @param commitment None, or 32 bytes.
    struct BatchHeader {
        uint64 schema;
        uint64 seq;
        uint64 start;
        uint64 span;
        uint64 count;
        bytes32 recordsHash;
        bytes commitment;
    }

    /// @notice A header and the device's signature. The device is the address of X‖Y. Either form of s will do.
    struct BatchEvidence {
        IDeviceRegistry.Algorithm algorithm;
        bytes32 x;
        bytes32 y;
        BatchHeader header;
        bytes32 r;
        bytes32 s;
    }

    /// @notice That a batch is in a log, by RFC 9162.
    struct InclusionEvidence {
        uint32 shard;
        uint64 index;
        bytes32[] proof;
    }

    /// @notice The head of a shard, signed by an operator's log key.
    /// @param time Unix seconds.
    struct CheckpointEvidence {
        address operator;
        uint64 time;
        uint32 shard;
        uint64 size;
        bytes32 root;
        bytes32 x;
        bytes32 y;
        bytes32 r;
        bytes32 s;
    }

    /// @notice A leaf of a trace with the state itself.
    struct LeafEvidence {
        uint64 seq;
        bytes32 batchId;
        bytes state;
        bytes32[] proof;
    }

    /// @notice One step of a trace.
    /// @param before The leaf before; not looked at for step 0, which begins with the metric's start.
    /// @param batch That is folded.
    /// @param rows Of the batch.
    /// @param inclusion Of the batch, in the logs of the epoch.
    /// @param proof Path of the leaf of the step.
    struct StepEvidence {
        LeafEvidence before;
        BatchEvidence batch;
        bytes rows;
        InclusionEvidence inclusion;
        bytes32[] proof;
    }

    /// @notice A batch that a challenger misses in a trace, where it is in the log.
    struct OmissionPoint {
        address device;
        uint64 seq;
        bytes32 batchId;
        uint32 shard;
        uint64 index;
    }

    /// @notice The leaf of a trace that has the seq of the batch that was missed.
    /// @param step Its place in the trace.
    /// @param batchId Of the batch, or of another one that is earlier in the log.
    /// @param earlier Where that other one is; not looked at if the batch is the same.
    struct OmissionEvidence {
        uint32 step;
        bytes32 batchId;
        bytes32 stateHash;
        bytes32[] proof;
        InclusionEvidence earlier;
    }

    /// @notice A challenge waits for an answer until `deadline`.
    /// @param point What it points at, encoded as above.
    event Challenged(
        bytes32 indexed id,
        uint32 indexed window,
        uint32 indexed attempt,
        Kind kind,
        address challenger,
        uint256 bond,
        uint64 deadline,
        bytes point
    );

    /// @notice A challenge was refuted; its bond is burned and paid to whoever answered.
    event Answered(
        bytes32 indexed id,
        uint32 indexed window,
        uint32 indexed attempt,
        address answerer,
        uint256 burned,
        uint256 paid
    );

    /// @notice An answer proved that this entry is in this slot.
    event EntryShown(
        uint32 indexed window,
        uint32 indexed attempt,
        uint32 indexed slot,
        address device,
        uint128 cumulative,
        int256 value,
        uint32 steps,
        bytes32 traceRoot
    );

    /// @notice An answer proved that this leaf is in the trace of this slot. So an auditor learns it from whichever
    /// contract the answer came through.
    event LeafShown(
        uint32 indexed window,
        uint32 indexed attempt,
        uint32 indexed slot,
        uint32 step,
        uint64 seq,
        bytes32 batchId,
        bytes32 stateHash
    );

    /// @notice An answer proved that these nodes (hash ‖ uint128 sum) are min(5, height) levels below a node of the ledger.
    event Revealed(
        uint32 indexed window, uint32 indexed attempt, uint8 height, uint32 index, bytes nodes
    );

    /// @notice Nobody answered: the operator was slashed.
    /// @param reward The challenger's part of the slash, without its bond.
    event Upheld(
        bytes32 indexed id, address indexed operator, address indexed challenger, uint256 reward
    );

    /// @notice The epoch was voided by another challenge.
    event Refunded(bytes32 indexed id, address indexed challenger, uint256 bond);

    /// @notice Fraud was proven, by two signatures or by one and what was posted.
    /// @param reward The prover's part of the slash.
    event Proven(
        Fraud indexed fraud, address indexed accused, address indexed prover, uint256 reward
    );

    event Withdrawn(address indexed account, uint256 amount);

    /// @dev The contract that all networks' disputes are clones of has no network.
    error NotAClone();
    error NotSettlement(address sender);
    error BondTooSmall(uint256 bond, uint256 least);
    error AlreadyChallenged(bytes32 id, Status status);
    error NotOpen(bytes32 id, Status status);
    error DeadlineOver(uint64 deadline);
    error DeadlineNotOver(uint64 deadline);
    error NotStanding(uint32 window, uint32 attempt);
    error NotVoid(uint32 window, uint32 attempt);
    error NothingToWithdraw();
    error SlotOutOfBounds(uint32 slot, uint8 depth);
    error NodeOutOfBounds(uint8 height, uint32 index, uint8 depth);
    error NotMemberOfSlot(uint32 slot, address device);
    error NotPaid(address device, uint32 window);
    error MayNotRead(address account, address device, uint64 from);
    error WrongEpoch(bytes32 epochHash, bytes32 posted);
    error WrongEntry(uint32 slot);
    error WrongParentEntry(uint32 slot);
    error NotCarried(uint32 slot);
    error WrongNodes(uint8 height, uint32 index);
    error StepExists(uint32 step, uint32 steps);
    error NoSuchStep(uint32 step, uint32 steps);
    error WrongDevice(address device, address expected);
    error WrongSchema(uint64 schema, uint64 expected);
    error OutsideWindow(uint64 start, uint64 span, uint32 window);
    error SeqNotAfter(uint64 seq, uint64 before);
    error WrongRows(bytes32 recordsHash);
    error WrongLeaf(uint32 step);
    error WrongValue(int256 value, int256 expected);
    error WrongTraceRoot(bytes32 traceRoot);
    error WrongCumulative(uint128 cumulative, uint256 expected);
    error InvalidBatchSignature(bytes32 batchId);
    error InvalidCheckpointSignature(address operator);
    error NotInLog(bytes32 batchId, uint32 shard, uint64 index);
    error NotEarlier(uint32 shard, uint64 index);
    error Inconsistent(uint32 shard, uint64 size);
    error InvalidSize(uint32 shard, uint64 size, uint64 posted);
    error NotEarlierWindow(uint32 earlierWindow, uint32 window);
    error NotOperator(address operator, address poster);
    error NoFork();
    error NoTruncation(uint64 time, uint64 size, uint256 cutOff, uint64 posted);
    error NoEquivocation();

    /// @notice Challenges a step of the trace in a slot. Answer: `answerStep`, or `answerEntry` if there is none. The
    /// answer makes rows public: in a private network only who may read the device from the window's start on may ask.
    /// @param device The member with this slot; zero for an auditor of the network, and in a public network.
    function challengeStep(uint32 window, uint32 attempt, uint32 slot, uint32 step, address device)
        external
        payable
        returns (bytes32 id);

    /// @notice Challenges what an epoch made of the entry before. Answer: `answerCarry`.
    /// @param device The member with this slot; zero where there is none.
    function challengeCarry(uint32 window, uint32 attempt, uint32 slot, address device)
        external
        payable
        returns (bytes32 id);

    /// @notice Says that a batch is in the log, counts for a member that the window pays, and is not in its trace. Answer:
    /// `answerOmission`. In a private network only who may read the device from the window's start on may say so.
    function challengeOmission(
        uint32 window,
        uint32 attempt,
        EpochEvidence calldata epoch,
        BatchEvidence calldata batch,
        InclusionEvidence calldata inclusion
    ) external payable returns (bytes32 id);

    /// @notice Says that a shard does not begin with what the same operator posted earlier. Answer: `answerConsistency`.
    function challengeConsistency(
        uint32 window,
        uint32 attempt,
        uint32 earlierWindow,
        EpochEvidence calldata earlier,
        uint32 shard
    ) external payable returns (bytes32 id);

    /// @notice Says that a shard does not begin with what its operator signed. Answer: `answerConsistency`.
    function challengeCheckpoint(
        uint32 window,
        uint32 attempt,
        EpochEvidence calldata epoch,
        CheckpointEvidence calldata checkpoint
    ) external payable returns (bytes32 id);

    /// @notice Asks for the nodes min(5, height) levels below a node of the ledger. Leaves have height 0. Answer:
    /// `answerReveal`.
    function challengeReveal(uint32 window, uint32 attempt, uint8 height, uint32 index)
        external
        payable
        returns (bytes32 id);

    /// @notice Answers a challenge of a step that the trace does not have: the slot is empty, or step ≥ steps.
    function answerEntry(
        uint32 window,
        uint32 attempt,
        uint32 slot,
        uint32 step,
        EpochEvidence calldata epoch,
        EntryEvidence calldata entry
    ) external;

    /// @notice Answers a challenge of a step.
    function answerStep(
        uint32 window,
        uint32 attempt,
        uint32 slot,
        uint32 step,
        EpochEvidence calldata epoch,
        EntryEvidence calldata entry,
        StepEvidence calldata evidence
    ) external;

    /// @notice Answers a challenge of a carry.
    /// @param before The entry in its parent; empty without a path if that has no such slot, or if there is no parent.
    function answerCarry(
        uint32 window,
        uint32 attempt,
        uint32 slot,
        address device,
        EpochEvidence calldata epoch,
        EntryEvidence calldata entry,
        EntryEvidence calldata before
    ) external;

    /// @notice Answers a challenge of an omission.
    function answerOmission(
        uint32 window,
        uint32 attempt,
        OmissionPoint calldata point,
        EpochEvidence calldata epoch,
        EntryEvidence calldata entry,
        OmissionEvidence calldata evidence
    ) external;

    /// @notice Answers a challenge of consistency, of either sort.
    /// @param proof RFC 9162, from `size` to the size posted.
    function answerConsistency(
        uint32 window,
        uint32 attempt,
        uint32 shard,
        uint64 size,
        bytes32 root,
        EpochEvidence calldata epoch,
        bytes32[] calldata proof
    ) external;

    /// @notice Answers a reveal. Leaves the challengers at least one more response time, as long as that is no more than
    /// ⌈depth / 5⌉ + 5 response times after the first end of the challenge time. So do the answers that show an entry.
    /// @param nodes 48 bytes each (hash ‖ uint128 sum), from the left.
    /// @param siblings Of the challenged node, 48 bytes each, from its height up.
    function answerReveal(
        uint32 window,
        uint32 attempt,
        uint8 height,
        uint32 index,
        bytes calldata nodes,
        bytes calldata siblings
    ) external;

    /// @notice Slashes the operator that posted, after the deadline of a challenge that nobody answered.
    function uphold(bytes32 id) external;

    /// @notice Gives the bond of a challenge back whose epoch was voided.
    function refund(bytes32 id) external;

    /// @notice Pays the caller's credit to the caller.
    function withdraw() external;

    /// @notice Slashes an operator that signed two heads of one shard and size with different roots.
    function proveFork(CheckpointEvidence calldata a, CheckpointEvidence calldata b) external;

    /// @notice Slashes an operator that signed a head before the cut-off of a window (its end + grace) that has more entries
    /// than what it posted for it. The epoch is pending or final.
    function proveTruncation(
        uint32 window,
        uint32 attempt,
        EpochEvidence calldata epoch,
        CheckpointEvidence calldata checkpoint
    ) external;

    /// @notice Suspends a member that signed two batches with one seq.
    function proveEquivocation(BatchEvidence calldata a, BatchEvidence calldata b) external;

    /// @notice A challenge; all zero if there is none.
    function challenge(bytes32 id) external view returns (Challenge memory);

    /// @notice Least bond of a challenge to an epoch of this window at the base fee of this block, in wei. More may be sent,
    /// and is then at stake.
    function challengeBond(uint32 window) external view returns (uint256);

    /// @notice What an account can withdraw, in wei.
    function credit(address account) external view returns (uint256);

    /// @notice Until when answers may extend the challenge time, in Unix seconds; zero before the first.
    function extendableUntil(uint32 window, uint32 attempt) external view returns (uint64);

    /// @notice The settlement whose epochs are disputed.
    function settlement() external view returns (ISettlement);
}
