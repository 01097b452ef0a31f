// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Membership} from "./Membership.sol";
import {NetworkToken} from "./NetworkToken.sol";

/// @title Holds the code of a network's token and membership, so that the settlement need not
/// @notice Called by a settlement in its constructor: so both sides know each other for good. Anyone
/// else may call it too and gets parts that belong to no network.
contract PartsDeployer {
    /// @notice Deploys a token that the caller mints and a membership that the caller's owner rules.
    function deploy(string calldata name, string calldata symbol, address registry)
        external
        returns (address token, address membership)
    {
        token = address(new NetworkToken(name, symbol, msg.sender));
        membership = address(new Membership(registry, msg.sender));
    }
}
