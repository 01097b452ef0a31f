// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Device models, and what their makers vouch for
/// @notice A maker creates a model, says once and for all how well its devices keep their keys, and endorses whole
/// production runs, each by the root of one Merkle tree over the addresses of its devices. Anyone can create models:
/// what an endorsement is worth depends on who gave it, so a network names the models it accepts.
interface IModelRegistry {
    /// @notice How well a key is kept, the least first. `Gateway`: by a gateway, for a device that cannot sign.
    /// `Software`: by the device, in memory that can be read. `SecureElement`: in a chip that never shows it.
    enum Assurance {
        None,
        Gateway,
        Software,
        SecureElement
    }

    /// @notice A model. The maker is zero if there is none.
    struct Model {
        address maker;
        Assurance assurance;
    }

    /// @notice That devices are of a production run.
    /// @dev The tree is that of OpenZeppelin: leaf = keccak256(keccak256(abi.encode(device))), pairs are sorted before they
    /// are hashed, and `proof` and `flags` are its multiproof of all devices of a call, in the order of that proof. Of one
    /// device that is its plain proof, with as many flags, all false.
    /// @param model The model.
    /// @param root Of the run's tree.
    /// @param proof The nodes that cannot be computed from the devices.
    /// @param flags Whether the other side of a pair is computed, or from `proof`.
    struct Endorsement {
        bytes32 model;
        bytes32 root;
        bytes32[] proof;
        bool[] flags;
    }

    /// @notice A model exists. Neither its maker nor its assurance ever changes.
    event ModelCreated(
        bytes32 indexed model, address indexed maker, Assurance assurance, string name
    );

    /// @notice The maker vouches for a production run.
    event RunEndorsed(bytes32 indexed model, bytes32 indexed root);

    /// @notice The maker no longer vouches for a production run. Devices that are members stay what they are.
    event RunRevoked(bytes32 indexed model, bytes32 indexed root);

    error InvalidName(string name);
    error InvalidAssurance();
    error ModelExists(bytes32 model);
    error NotMaker(bytes32 model, address caller);
    error AlreadyEndorsed(bytes32 model, bytes32 root);
    error NotEndorsed(bytes32 model, bytes32 root);
    error InvalidEndorsement(bytes32 model, bytes32 root);

    /// @notice Creates a model of the caller's.
    /// @param name 1 … 64 bytes, one of its kind among the maker's.
    /// @param assurance Not `None`.
    function create(string calldata name, Assurance assurance) external returns (bytes32 model);

    /// @notice Endorses a production run. Only the maker may.
    function endorse(bytes32 model, bytes32 root) external;

    /// @notice Takes an endorsement back, for instance of a run whose keys are known: nobody joins by it any more.
    function revoke(bytes32 model, bytes32 root) external;

    /// @notice Reverts unless an endorsed run has all the devices.
    /// @return assurance Of the model.
    function check(address[] calldata devices, Endorsement calldata endorsement)
        external
        view
        returns (Assurance assurance);

    /// @notice A model; all zero if there is none.
    function modelOf(bytes32 model) external view returns (Model memory);

    /// @notice Whether a run is endorsed.
    function isEndorsed(bytes32 model, bytes32 root) external view returns (bool);

    /// @notice keccak256(abi.encode(maker, name)): known before the model is created, so that firmware can carry it.
    function modelId(address maker, string calldata name) external pure returns (bytes32 model);
}
