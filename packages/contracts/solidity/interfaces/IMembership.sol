// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title The devices of one network
/// @notice Gives each device the next slot of the network's ledger. Append-only: a slot is never given away again,
/// and the two times of a member are each written once, so that a judgement about a past window cannot change.
interface IMembership {
    /// @notice One member, in one storage word.
    /// @param slot Its place in the ledger.
    /// @param joinedAt Unix seconds; zero if the device is no member.
    /// @param suspendedAt Unix seconds; zero if the member is not suspended.
    /// @param assurance How well the key is known to be kept; 0 = nobody vouches for it.
    struct Member {
        uint32 slot;
        uint48 joinedAt;
        uint48 suspendedAt;
        uint8 assurance;
    }

    /// @notice A device became a member, at the time of this block.
    event Joined(address indexed device, uint32 slot, uint8 assurance);

    /// @notice A member is not paid for any window that ends after the time of this block.
    event Suspended(address indexed device);

    error NotOwnerOfDevice(address device, address caller);
    error NotRegistry(address caller);
    error NotSuspender(address caller);
    error AlreadyMember(address device);
    error NotMember(address device);
    error AlreadySuspended(address device);

    /// @notice Joins the caller's devices, in adjacent slots.
    function join(address[] calldata devices) external;

    /// @notice Joins devices at their registration. Only the registry may call it.
    function joinRegistered(address[] calldata devices) external;

    /// @notice Suspends members, for good. Only the network's owner and its disputes contract may call it.
    function suspend(address[] calldata devices) external;

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

    /// @notice The settlement of the network, whose owner is the network's owner.
    function settlement() external view returns (address);
}
