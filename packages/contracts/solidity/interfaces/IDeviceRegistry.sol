// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IModelRegistry} from "./IModelRegistry.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";

/// @title Every device of a chain, as an ERC-721 token of its owner
/// @notice The token id is `uint160(device)`; the device is the last 20 bytes of keccak256(X‖Y) of its
/// public key, for both curves. A token exists once and is never burned, so no signature can be replayed.
/// The registry stores no key: the address is its hash, and `Registered` carries the key.
interface IDeviceRegistry is IERC721 {
    /// @notice The curve of a device's key: P-256 or secp256k1, both with SHA-256.
    enum Algorithm {
        ES256,
        ES256K
    }

    /// @notice What a device signs to be registered, and the signature.
    /// @param x First half of the public key.
    /// @param y Second half of the public key.
    /// @param algorithm The curve.
    /// @param owner The account that gets the token.
    /// @param model What the device says it is; zero if nothing. With one, it joins only with its maker's endorsement.
    /// @param membership The network the device joins in the same call; zero if none.
    /// @param deadline Unix seconds; the last moment at which the registration can be used.
    /// @param r First half of the signature.
    /// @param s Second half of the signature, in either of its two forms.
    struct Registration {
        bytes32 x;
        bytes32 y;
        Algorithm algorithm;
        address owner;
        bytes32 model;
        address membership;
        uint64 deadline;
        bytes32 r;
        bytes32 s;
    }

    /// @notice A device has an owner from now on. The ERC-721 `Transfer` before it names the owner.
    event Registered(
        address indexed device, bytes32 indexed model, Algorithm algorithm, bytes32 x, bytes32 y
    );

    error RegistrationExpired(address device, uint64 deadline);
    error InvalidSignature(address device);
    error NothingToRegister();
    error WrongModel(address device, bytes32 model);
    error WrongMembership(address device, address membership);
    error WrongFee(uint256 sent, uint256 due);

    /// @notice Registers devices, and joins those to a network that say so, with nobody to vouch for them. Anyone may call
    /// it: the device's signature covers every argument. The caller sends what the networks ask for. Those that name a
    /// model as well are refused: else anyone could join them without the endorsement that they are about to get.
    /// @dev The signature is over SHA-256(`1901` ‖ domainSeparator ‖ structHash), inner hashes as in EIP-712, with the
    /// domain (name `MachineFi DeviceRegistry`, version `1`, chainId, verifyingContract) and the type
    /// `Registration(bytes32 x,bytes32 y,uint8 algorithm,address owner,bytes32 model,address membership,uint64 deadline)`.
    function register(Registration[] calldata registrations) external payable;

    /// @notice Registers devices of one model, and joins them to one network that accepts it. Anyone may call it.
    /// @param registrations In the order of the endorsement's proof.
    function registerEndorsed(
        Registration[] calldata registrations,
        IModelRegistry.Endorsement calldata endorsement
    ) external payable;

    /// @notice When the owner got the device from another, in Unix seconds; zero if it is the one of the registration.
    function ownedSince(address device) external view returns (uint64);

    /// @notice Device models of this chain.
    function models() external view returns (IModelRegistry);

    /// @notice The SHA-256 digest a device signs; `r` and `s` are not looked at.
    function registrationDigest(Registration calldata registration)
        external
        view
        returns (bytes32 digest);

    /// @notice The EIP-712 domain separator.
    function domainSeparator() external view returns (bytes32);

    /// @notice The address of a public key: the last 20 bytes of keccak256(X‖Y).
    function deviceAddress(bytes32 x, bytes32 y) external pure returns (address device);
}
