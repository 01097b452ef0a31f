// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ConfigRules} from "./ConfigRules.sol";
import {PartsDeployer} from "./PartsDeployer.sol";
import {Settlement} from "./Settlement.sol";
import {INetworkFactory} from "./interfaces/INetworkFactory.sol";
import {ISettlement} from "./interfaces/ISettlement.sol";

/// @title Holds the code of settlements, so that the factory stays under 24 KB
/// @notice Anyone may call it: a settlement is a network's only if its factory says so.
contract SettlementDeployer {
    /// @notice Deploys a settlement, which has no configuration yet: whoever sets the first one, sets it.
    function deploy(
        bytes32 networkId,
        address registry,
        PartsDeployer partsDeployer,
        ConfigRules configRules,
        INetworkFactory.NetworkParams calldata params
    ) external returns (ISettlement) {
        return new Settlement(
            networkId,
            registry,
            params.owner,
            params.disputes,
            params.windowSeconds,
            partsDeployer,
            configRules,
            params.name,
            params.symbol
        );
    }
}
