// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {P256Verifier} from "./crypto/P256Verifier.sol";
import {IDeviceRegistry} from "./interfaces/IDeviceRegistry.sol";
import {IMembership} from "./interfaces/IMembership.sol";
import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

/// @title Every device of a chain, as an ERC-721 token of its owner
contract DeviceRegistry is IDeviceRegistry, ERC721, EIP712 {
    bytes32 private constant REGISTRATION_TYPEHASH = keccak256(
        "Registration(bytes32 x,bytes32 y,uint8 algorithm,address owner,bytes32 model,address membership,uint64 deadline)"
    );

    constructor() ERC721("MachineFi Device", "DEVICE") EIP712("MachineFi DeviceRegistry", "1") {}

    /// @inheritdoc IDeviceRegistry
    function register(Registration[] calldata registrations) external {
        uint256 count = registrations.length;
        if (count == 0) revert NothingToRegister();
        uint256 from = 0;
        while (from < count) {
            // One call for all neighbours that join the same network.
            address membership = registrations[from].membership;
            uint256 to = from + 1;
            while (to < count && registrations[to].membership == membership) to++;
            address[] memory devices = new address[](to - from);
            for (uint256 i = from; i < to; i++) {
                devices[i - from] = _register(registrations[i]);
            }
            if (membership != address(0)) IMembership(membership).joinRegistered(devices);
            from = to;
        }
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
        // Models a maker has endorsed will be looked up here; so far a model is what the device says.
        // A second registration, and a zero owner, are refused by ERC721. No callback: a fleet cannot
        // be held up by one receiver.
        _mint(registration.owner, uint160(device));
        emit Registered(
            device, registration.model, registration.algorithm, registration.x, registration.y
        );
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
