// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IModelRegistry} from "./interfaces/IModelRegistry.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";

/// @title Device models, and what their makers vouch for
contract ModelRegistry is IModelRegistry {
    uint256 private constant MOST_NAME_BYTES = 64;

    /// @inheritdoc IModelRegistry
    mapping(bytes32 model => mapping(bytes32 root => bool)) public isEndorsed;
    mapping(bytes32 model => Model) private _models;

    /// @inheritdoc IModelRegistry
    function create(string calldata name, Assurance assurance) external returns (bytes32 model) {
        uint256 length = bytes(name).length;
        if (length == 0 || length > MOST_NAME_BYTES) revert InvalidName(name);
        if (assurance == Assurance.None) revert InvalidAssurance();
        model = modelId(msg.sender, name);
        if (_models[model].maker != address(0)) revert ModelExists(model);
        _models[model] = Model(msg.sender, assurance);
        emit ModelCreated(model, msg.sender, assurance, name);
    }

    /// @inheritdoc IModelRegistry
    function endorse(bytes32 model, bytes32 root) external {
        _checkMaker(model);
        if (isEndorsed[model][root]) revert AlreadyEndorsed(model, root);
        isEndorsed[model][root] = true;
        emit RunEndorsed(model, root);
    }

    /// @inheritdoc IModelRegistry
    function revoke(bytes32 model, bytes32 root) external {
        _checkMaker(model);
        if (!isEndorsed[model][root]) revert NotEndorsed(model, root);
        isEndorsed[model][root] = false;
        emit RunRevoked(model, root);
    }

    /// @inheritdoc IModelRegistry
    function check(address[] calldata devices, Endorsement calldata endorsement)
        external
        view
        returns (Assurance)
    {
        (bytes32 model, bytes32 root) = (endorsement.model, endorsement.root);
        if (!isEndorsed[model][root]) revert NotEndorsed(model, root);
        bytes32[] memory leaves = new bytes32[](devices.length);
        for (uint256 i = 0; i < devices.length; i++) {
            leaves[i] = keccak256(bytes.concat(keccak256(abi.encode(devices[i]))));
        }
        // A multiproof of nothing shows any root.
        if (
            leaves.length == 0
                || !MerkleProof.multiProofVerifyCalldata(
                    endorsement.proof, endorsement.flags, root, leaves
                )
        ) {
            revert InvalidEndorsement(model, root);
        }
        return _models[model].assurance;
    }

    /// @inheritdoc IModelRegistry
    function modelOf(bytes32 model) external view returns (Model memory) {
        return _models[model];
    }

    /// @inheritdoc IModelRegistry
    function modelId(address maker, string calldata name) public pure returns (bytes32) {
        return keccak256(abi.encode(maker, name));
    }

    function _checkMaker(bytes32 model) private view {
        if (_models[model].maker != msg.sender) revert NotMaker(model, msg.sender);
    }
}
