// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IDeviceRegistry} from "./interfaces/IDeviceRegistry.sol";
import {IMembership} from "./interfaces/IMembership.sol";
import {IModelRegistry} from "./interfaces/IModelRegistry.sol";
import {ISettlement} from "./interfaces/ISettlement.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";

/// @title The devices of one network, on what terms they join, and who may read them
contract Membership is IMembership {
    /// @dev Until when, and at what time an owner said so. Unix seconds.
    struct Grant {
        uint64 until;
        uint64 time;
    }

    /// @inheritdoc IMembership
    address public immutable registry;
    /// @inheritdoc IMembership
    IModelRegistry public immutable models;
    /// @inheritdoc IMembership
    address public immutable settlement;
    /// @inheritdoc IMembership
    bool public immutable isPrivate;

    /// @inheritdoc IMembership
    uint32 public memberCount;
    // In the word of `memberCount`, which a join writes anyway.
    IModelRegistry.Assurance private _leastAssurance;
    uint96 private _joinFee;

    mapping(address device => Member) private _members;
    /// @inheritdoc IMembership
    mapping(bytes32 model => bool) public isAccepted;
    /// @inheritdoc IMembership
    mapping(address account => bool) public isAuditor;
    mapping(address device => mapping(address owner => mapping(address grantee => Grant))) private
        _grants;

    modifier onlyNetworkOwner() {
        if (msg.sender != Ownable(settlement).owner()) revert NotNetworkOwner(msg.sender);
        _;
    }

    modifier onlyRegistry() {
        if (msg.sender != registry) revert NotRegistry(msg.sender);
        _;
    }

    constructor(address registry_, address settlement_, bool isPrivate_) {
        registry = registry_;
        models = IDeviceRegistry(registry_).models();
        settlement = settlement_;
        isPrivate = isPrivate_;
    }

    // Joining

    /// @inheritdoc IMembership
    function join(address[] calldata devices) external payable {
        _checkOwner(devices);
        _join(devices, IModelRegistry.Assurance.None);
    }

    /// @inheritdoc IMembership
    function joinEndorsed(
        address[] calldata devices,
        IModelRegistry.Endorsement calldata endorsement
    ) external payable {
        _checkOwner(devices);
        _join(devices, _assuranceOf(devices, endorsement));
    }

    /// @inheritdoc IMembership
    function joinRegistered(address[] calldata devices) external payable onlyRegistry {
        _join(devices, IModelRegistry.Assurance.None);
    }

    /// @inheritdoc IMembership
    function joinRegisteredEndorsed(
        address[] calldata devices,
        IModelRegistry.Endorsement calldata endorsement
    ) external payable onlyRegistry {
        _join(devices, _assuranceOf(devices, endorsement));
    }

    function _assuranceOf(
        address[] calldata devices,
        IModelRegistry.Endorsement calldata endorsement
    ) private view returns (IModelRegistry.Assurance) {
        if (!isAccepted[endorsement.model]) revert ModelNotAccepted(endorsement.model);
        return models.check(devices, endorsement);
    }

    function _join(address[] calldata devices, IModelRegistry.Assurance assurance) private {
        if (assurance < _leastAssurance) revert AssuranceTooLow(assurance, _leastAssurance);
        uint256 due = _joinFee * devices.length;
        if (msg.value != due) revert WrongFee(msg.value, due);
        uint32 slot = memberCount;
        for (uint256 i = 0; i < devices.length; i++) {
            address device = devices[i];
            Member storage stored = _members[device];
            if (stored.joinedAt != 0) revert AlreadyMember(device);
            // One store, and 680 gas less than by way of memory.
            (stored.slot, stored.joinedAt) = (slot, uint48(block.timestamp));
            stored.assurance = assurance;
            emit Joined(device, slot, assurance);
            slot++;
        }
        memberCount = slot;
    }

    /// @inheritdoc IMembership
    function setRequirements(Requirements calldata requirements_) external onlyNetworkOwner {
        (_leastAssurance, _joinFee) = (requirements_.leastAssurance, requirements_.joinFee);
        emit RequirementsSet(requirements_.leastAssurance, requirements_.joinFee);
    }

    /// @inheritdoc IMembership
    function acceptModel(bytes32 model, bool accepted) external onlyNetworkOwner {
        isAccepted[model] = accepted;
        emit ModelAccepted(model, accepted);
    }

    /// @inheritdoc IMembership
    function withdrawFees() external {
        address owner = Ownable(settlement).owner();
        uint256 amount = address(this).balance;
        emit FeesWithdrawn(owner, amount);
        Address.sendValue(payable(owner), amount);
    }

    // Members

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
    function requirements() external view returns (Requirements memory) {
        return Requirements(_leastAssurance, _joinFee);
    }

    /// @inheritdoc IMembership
    function isPaid(address device, uint64 start, uint64 end) external view returns (bool) {
        Member memory stored = _members[device];
        return stored.joinedAt != 0 && stored.joinedAt < start
            && (stored.suspendedAt == 0 || stored.suspendedAt >= end);
    }

    // Reading

    /// @inheritdoc IMembership
    function nameAuditor(address account, bool named) external onlyNetworkOwner {
        isAuditor[account] = named;
        emit AuditorNamed(account, named);
    }

    /// @inheritdoc IMembership
    function grantRead(address[] calldata devices, address grantee, uint64 until) external {
        _checkOwner(devices);
        for (uint256 i = 0; i < devices.length; i++) {
            // With its time, so that it is over for good once the device was another's.
            _grants[devices[i]][msg.sender][grantee] = Grant(until, uint64(block.timestamp));
            emit ReadGranted(devices[i], msg.sender, grantee, until);
        }
    }

    /// @inheritdoc IMembership
    function mayRead(address account, address device, uint64 from) external view returns (bool) {
        if (!isPrivate || isAuditor[account]) return true;
        if (_members[device].joinedAt == 0) return false;
        uint64 ownedSince = IDeviceRegistry(registry).ownedSince(device);
        if (from < ownedSince) return false;
        address owner = IDeviceRegistry(registry).ownerOf(uint160(device));
        if (account == owner) return true;
        Grant memory given = _grants[device][owner][account];
        return block.timestamp < given.until && given.time >= ownedSince;
    }

    function _checkOwner(address[] calldata devices) private view {
        for (uint256 i = 0; i < devices.length; i++) {
            if (IDeviceRegistry(registry).ownerOf(uint160(devices[i])) != msg.sender) {
                revert NotOwnerOfDevice(devices[i], msg.sender);
            }
        }
    }
}
