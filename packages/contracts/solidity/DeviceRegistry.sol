// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ModelRegistry} from "./ModelRegistry.sol";
import {P256Verifier} from "./crypto/P256Verifier.sol";
import {IDeviceRegistry} from "./interfaces/IDeviceRegistry.sol";
import {IMembership} from "./interfaces/IMembership.sol";
import {IModelRegistry} from "./interfaces/IModelRegistry.sol";
import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

/// @title Every device of a chain, as an ERC-721 token of its owner
contract DeviceRegistry is IDeviceRegistry, ERC721, EIP712 {
    bytes32 private constant REGISTRATION_TYPEHASH = keccak256(
        "Registration(bytes32 x,bytes32 y,uint8 algorithm,address owner,bytes32 model,address membership,uint64 deadline)"
    );

    /// @inheritdoc IDeviceRegistry
    IModelRegistry public immutable models = new ModelRegistry();
    /// @inheritdoc IDeviceRegistry
    mapping(address device => uint64) public ownedSince;

    constructor() ERC721("MachineFi Device", "DEVICE") EIP712("MachineFi DeviceRegistry", "1") {}

    /// @inheritdoc IDeviceRegistry
    function register(Registration[] calldata registrations) external payable {
        uint256 count = registrations.length;
        if (count == 0) revert NothingToRegister();
        uint256 left = msg.value;
        uint256 from = 0;
        while (from < count) {
            // One call for all neighbours that join the same network.
            address membership = registrations[from].membership;
            uint256 to = from + 1;
            while (to < count && registrations[to].membership == membership) to++;
            address[] memory devices = new address[](to - from);
            for (uint256 i = 0; i < devices.length; i++) {
                Registration calldata registration = registrations[from + i];
                devices[i] = _register(registration);
                // Else anyone could take a registration out of the call that has its endorsement, and join
                // the device for good with nobody to vouch for it.
                if (registration.model != 0 && membership != address(0)) {
                    revert WrongModel(devices[i], registration.model);
                }
            }
            if (membership != address(0)) {
                // Not asked where nothing was sent: the membership refuses that itself, if it has a fee.
                uint256 due =
                    left == 0 ? 0 : IMembership(membership).requirements().joinFee * (to - from);
                if (due > left) revert WrongFee(msg.value, msg.value - left + due);
                left -= due;
                IMembership(membership).joinRegistered{value: due}(devices);
            }
            from = to;
        }
        if (left != 0) revert WrongFee(msg.value, msg.value - left);
    }

    /// @inheritdoc IDeviceRegistry
    function registerEndorsed(
        Registration[] calldata registrations,
        IModelRegistry.Endorsement calldata endorsement
    ) external payable {
        uint256 count = registrations.length;
        if (count == 0) revert NothingToRegister();
        address membership = registrations[0].membership;
        address[] memory devices = new address[](count);
        for (uint256 i = 0; i < count; i++) {
            Registration calldata registration = registrations[i];
            address device = _register(registration);
            if (registration.model != endorsement.model) {
                revert WrongModel(device, registration.model);
            }
            if (registration.membership != membership || membership == address(0)) {
                revert WrongMembership(device, registration.membership);
            }
            devices[i] = device;
        }
        IMembership(membership).joinRegisteredEndorsed{value: msg.value}(devices, endorsement);
    }

    /// @inheritdoc IDeviceRegistry
    function registrationDigest(Registration calldata registration) public view returns (bytes32) {
        bytes32 typeHash = REGISTRATION_TYPEHASH;
        bytes32 structHash;
        // The signed members, which come first, lie in calldata as EIP-712 encodes them. What the types do
        // not allow is refused where the members are used.
        assembly ("memory-safe") {
            let encoded := mload(0x40)
            mstore(encoded, typeHash)
            calldatacopy(add(encoded, 32), registration, 224)
            structHash := keccak256(encoded, 256)
        }
        return sha256(abi.encodePacked(hex"1901", _domainSeparatorV4(), structHash));
    }

    /// @inheritdoc IDeviceRegistry
    function domainSeparator() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    /// @inheritdoc IDeviceRegistry
    function deviceAddress(bytes32 x, bytes32 y) public pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encodePacked(x, y)))));
    }

    /// @notice The device's DID.
    function tokenURI(uint256 tokenId) public view override returns (string memory) {
        _requireOwned(tokenId);
        return string.concat("did:io:", Strings.toHexString(address(uint160(tokenId))));
    }

    function _register(Registration calldata registration) private returns (address device) {
        device = deviceAddress(registration.x, registration.y);
        if (block.timestamp > registration.deadline) {
            revert RegistrationExpired(device, registration.deadline);
        }
        if (!_isSigned(registration, device)) revert InvalidSignature(device);
        // A second registration, and a zero owner, are refused by ERC721. No callback: a fleet cannot
        // be held up by one receiver.
        _mint(registration.owner, uint160(device));
        emit Registered(
            device, registration.model, registration.algorithm, registration.x, registration.y
        );
    }

    function _update(address to, uint256 tokenId, address auth)
        internal
        override
        returns (address from)
    {
        from = super._update(to, tokenId, auth);
        // What was recorded before is the former owner's.
        if (from != address(0) && from != to) {
            ownedSince[address(uint160(tokenId))] = uint64(block.timestamp);
        }
    }

    function _isSigned(Registration calldata registration, address device)
        private
        view
        returns (bool)
    {
        bytes32 digest = registrationDigest(registration);
        bytes32 r = registration.r;
        bytes32 s = registration.s;
        if (registration.algorithm == Algorithm.ES256) {
            return P256Verifier.verify(digest, r, s, registration.x, registration.y);
        }
        // 64-byte signatures carry no v. The recovered address is the hash of the key that signed,
        // as `device` is of x and y, and it is zero on failure, which `device` is not.
        return ecrecover(digest, 27, r, s) == device || ecrecover(digest, 28, r, s) == device;
    }
}
