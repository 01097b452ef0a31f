// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Membership} from "./Membership.sol";
import {NetworkToken} from "./NetworkToken.sol";
import {ISettlement} from "./interfaces/ISettlement.sol";
import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";

/// @title Holds the code of a network's token and membership, so that the settlement need not
/// @notice Called by a settlement in its constructor: so both sides know each other for good. Anyone
/// else may call it too and gets parts that belong to no network.
contract PartsDeployer {
    /// @notice Deploys a token that the caller mints, a membership that the caller's owner rules, and
    /// disputes over the caller's epochs, so that one network's money never shares a contract with
    /// another's.
    /// @param disputesImplementation What the disputes are a clone of; zero for none.
    function deploy(
        string calldata name,
        string calldata symbol,
        address registry,
        bool isPrivate,
        bytes32 networkId,
        uint32 windowSeconds,
        address disputesImplementation
    ) external returns (address token, address membership, address disputes) {
        token = address(new NetworkToken(name, symbol, msg.sender));
        membership = address(new Membership(registry, msg.sender, isPrivate));
        if (disputesImplementation == address(0)) return (token, membership, address(0));
        if (disputesImplementation.code.length == 0) {
            revert ISettlement.NotAContract(disputesImplementation);
        }
        disputes = Clones.cloneWithImmutableArgs(
            disputesImplementation, abi.encode(msg.sender, membership, networkId, windowSeconds)
        );
    }
}
