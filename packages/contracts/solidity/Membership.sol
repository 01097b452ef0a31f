// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IMembership} from "./interfaces/IMembership.sol";
import {ISettlement} from "./interfaces/ISettlement.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";

/// @title The devices of one network
contract Membership is IMembership {
    /// @inheritdoc IMembership
    address public immutable registry;
    /// @inheritdoc IMembership
    address public immutable settlement;
    /// @inheritdoc IMembership
    uint32 public memberCount;

    mapping(address device => Member) private _members;

    constructor(address registry_, address settlement_) {
        registry = registry_;
        settlement = settlement_;
    }

    /// @inheritdoc IMembership
    function join(address[] calldata devices) external {
        for (uint256 i = 0; i < devices.length; i++) {
            if (IERC721(registry).ownerOf(uint160(devices[i])) != msg.sender) {
                revert NotOwnerOfDevice(devices[i], msg.sender);
            }
        }
        _join(devices);
    }

    /// @inheritdoc IMembership
    function joinRegistered(address[] calldata devices) external {
        if (msg.sender != registry) revert NotRegistry(msg.sender);
        _join(devices);
    }

    /// @inheritdoc IMembership
    function suspend(address[] calldata devices) external {
        if (
            msg.sender != Ownable(settlement).owner()
                && msg.sender != ISettlement(settlement).disputes()
        ) {
            revert NotSuspender(msg.sender);
        }
        for (uint256 i = 0; i < devices.length; i++) {
            address device = devices[i];
            Member storage stored = _members[device];
            if (stored.joinedAt == 0) revert NotMember(device);
            if (stored.suspendedAt != 0) revert AlreadySuspended(device);
            stored.suspendedAt = uint48(block.timestamp);
            emit Suspended(device);
        }
    }

    /// @inheritdoc IMembership
    function member(address device) external view returns (Member memory) {
        return _members[device];
    }

    /// @inheritdoc IMembership
    function isPaid(address device, uint64 start, uint64 end) external view returns (bool) {
        Member memory stored = _members[device];
        return stored.joinedAt != 0 && stored.joinedAt < start
            && (stored.suspendedAt == 0 || stored.suspendedAt >= end);
    }

    function _join(address[] calldata devices) private {
        uint32 slot = memberCount;
        for (uint256 i = 0; i < devices.length; i++) {
            address device = devices[i];
            if (_members[device].joinedAt != 0) revert AlreadyMember(device);
            uint8 assurance = _assuranceOf(device);
            _members[device] = Member(slot, uint48(block.timestamp), 0, assurance);
            emit Joined(device, slot, assurance);
            slot++;
        }
        memberCount = slot;
    }

    /// @dev Models that makers endorse, a least assurance and a fee will be asked for here. Until then
    /// nobody vouches for a key.
    function _assuranceOf(address) private pure returns (uint8) {
        return 0;
    }
}
