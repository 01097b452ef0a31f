// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IModelRegistry} from "./IModelRegistry.sol";

/// @title The devices of one network, on what terms they join, and who may read them
/// @notice Gives each device the next slot of the network's ledger. Append-only: a slot is never given away again,
/// and the two times of a member are each written once, so that a judgement about a past window cannot change.
interface IMembership {
    /// @notice One member, in one storage word.
    /// @param slot Its place in the ledger.
    /// @param joinedAt Unix seconds; zero if the device is no member.
    /// @param suspendedAt Unix seconds; zero if the member is not suspended.
    /// @param assurance How well the key is kept, says a maker that the network believed when the device joined.
    struct Member {
        uint32 slot;
        uint48 joinedAt;
        uint48 suspendedAt;
        IModelRegistry.Assurance assurance;
    }

    /// @notice What a device needs to join. Keys are free: what keeps anyone from joining with many is up to these.
    /// @param leastAssurance Beside `None`, a device needs the endorsement of a model that the network accepts.
    /// @param joinFee For each device, in wei; whoever sends the transaction pays it.
    struct Requirements {
        IModelRegistry.Assurance leastAssurance;
        uint96 joinFee;
    }

    /// @notice A device became a member, at the time of this block.
    event Joined(address indexed device, uint32 slot, IModelRegistry.Assurance assurance);

    /// @notice A member is not paid for any window that ends after the time of this block.
    event Suspended(address indexed device);

    /// @notice What devices need to join from now on.
    event RequirementsSet(IModelRegistry.Assurance leastAssurance, uint96 joinFee);

    /// @notice Whether endorsements of a model count from now on.
    event ModelAccepted(bytes32 indexed model, bool accepted);

    /// @notice Join fees went to the network's owner.
    event FeesWithdrawn(address indexed owner, uint256 amount);

    /// @notice Whether an account may read all members from now on.
    event AuditorNamed(address indexed account, bool named);

    /// @notice An owner lets someone read a device.
    event ReadGranted(
        address indexed device, address indexed owner, address indexed grantee, uint64 until
    );

    error NotOwnerOfDevice(address device, address caller);
    error NotRegistry(address caller);
    error NotSuspender(address caller);
    error AlreadyMember(address device);
    error NotMember(address device);
    error AlreadySuspended(address device);
    error NotNetworkOwner(address caller);
    error ModelNotAccepted(bytes32 model);
    error AssuranceTooLow(IModelRegistry.Assurance assurance, IModelRegistry.Assurance least);
    error WrongFee(uint256 sent, uint256 due);

    /// @notice Joins the caller's devices, in adjacent slots, with nobody to vouch for them.
    function join(address[] calldata devices) external payable;

    /// @notice Joins the caller's devices, in adjacent slots, of a model that the network accepts.
    /// @param devices In the order of the endorsement's proof.
    function joinEndorsed(
        address[] calldata devices,
        IModelRegistry.Endorsement calldata endorsement
    ) external payable;

    /// @notice As `join`, at the devices' registration. Only the registry may call it.
    function joinRegistered(address[] calldata devices) external payable;

    /// @notice As `joinEndorsed`, at the devices' registration. Only the registry may call it.
    function joinRegisteredEndorsed(
        address[] calldata devices,
        IModelRegistry.Endorsement calldata endorsement
    ) external payable;

    /// @notice Suspends members, for good. Only the network's owner and its disputes contract may call it.
    function suspend(address[] calldata devices) external;

    /// @notice Sets what devices need to join. Members stay. Only the network's owner may.
    function setRequirements(Requirements calldata requirements) external;

    /// @notice Lets endorsements of a model count, or no longer. Only the network's owner may.
    function acceptModel(bytes32 model, bool accepted) external;

    /// @notice Sends all join fees to the network's owner. Anyone may.
    function withdrawFees() external;

    /// @notice Names an account that may read all members, or no longer. Only the network's owner may.
    function nameAuditor(address account, bool named) external;

    /// @notice Lets someone read the caller's devices, as the caller may itself. Ends when a device is transferred.
    /// @param until Unix seconds, not included; zero or past takes the grant back.
    function grantRead(address[] calldata devices, address grantee, uint64 until) external;

    /// @notice Whether an account may read what a member recorded from some time on. In a public network everyone
    /// may. In a private one auditors may, its owner, and whom that granted it; the latter two not what was recorded before
    /// the owner had the device.
    /// @dev What nobody may read, nobody may force an operator to publish: disputes ask this.
    /// @param from Unix seconds.
    function mayRead(address account, address device, uint64 from) external view returns (bool);

    /// @notice Whether the network's records are for owners, grantees and auditors only. Never changes.
    function isPrivate() external view returns (bool);

    /// @notice Whether an account may read all members.
    function isAuditor(address account) external view returns (bool);

    /// @notice What devices need to join.
    function requirements() external view returns (Requirements memory);

    /// @notice Whether endorsements of a model count.
    function isAccepted(bytes32 model) external view returns (bool);

    /// @notice The member a device is; all zero if it is none.
    function member(address device) external view returns (Member memory);

    /// @notice How many members there are, suspended ones included. The next slot.
    function memberCount() external view returns (uint32);

    /// @notice Whether a window pays a device: joined before its start and not suspended before its end.
    /// @param start Of the window, in Unix seconds, included.
    /// @param end Of the window, in Unix seconds, not included.
    function isPaid(address device, uint64 start, uint64 end) external view returns (bool);

    /// @notice The registry whose devices may join.
    function registry() external view returns (address);

    /// @notice The registry's models.
    function models() external view returns (IModelRegistry);

    /// @notice The settlement of the network, whose owner is the network's owner.
    function settlement() external view returns (address);
}
