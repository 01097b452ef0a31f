// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ConfigRules} from "./ConfigRules.sol";
import {PartsDeployer} from "./PartsDeployer.sol";
import {SettlementDeployer} from "./SettlementDeployer.sol";
import {INetworkFactory} from "./interfaces/INetworkFactory.sol";
import {ISettlement} from "./interfaces/ISettlement.sol";

/// @title Creates networks and knows them
contract NetworkFactory is INetworkFactory {
    /// @inheritdoc INetworkFactory
    address public immutable registry;
    /// @inheritdoc INetworkFactory
    uint256 public networkCount;
    /// @inheritdoc INetworkFactory
    mapping(bytes32 id => uint256) public serialOf;

    ConfigRules private immutable _configRules = new ConfigRules();
    PartsDeployer private immutable _partsDeployer = new PartsDeployer();
    SettlementDeployer private immutable _settlementDeployer = new SettlementDeployer();
    mapping(uint256 serial => Network) private _networks;

    constructor(address registry_) {
        registry = registry_;
    }

    /// @inheritdoc INetworkFactory
    function createNetwork(NetworkParams calldata params)
        external
        returns (uint256 serial, Network memory created)
    {
        serial = ++networkCount;
        bytes32 id = networkId(serial);
        ISettlement settlement = _settlementDeployer.deploy(_settlementArgs(id, params));
        settlement.setConfig(params.config);
        created = Network(
            address(settlement), settlement.membership(), settlement.token(), settlement.disputes()
        );
        _networks[serial] = created;
        serialOf[id] = serial;
        emit NetworkCreated(
            serial,
            id,
            params.owner,
            created.settlement,
            created.membership,
            created.token,
            created.disputes,
            params.windowSeconds,
            settlement.firstWindow()
        );
    }

    /// @inheritdoc INetworkFactory
    function network(uint256 serial) external view returns (Network memory) {
        if (serial == 0 || serial > networkCount) revert UnknownNetwork(serial);
        return _networks[serial];
    }

    /// @inheritdoc INetworkFactory
    function networkId(uint256 serial) public view returns (bytes32) {
        return keccak256(abi.encode(block.chainid, address(this), serial));
    }

    /// @dev As the constructor of {Settlement} takes them.
    function _settlementArgs(bytes32 id, NetworkParams calldata params)
        private
        view
        returns (bytes memory)
    {
        return abi.encode(
            id,
            registry,
            params.owner,
            params.disputes,
            params.isPrivate,
            params.windowSeconds,
            _partsDeployer,
            _configRules,
            params.name,
            params.symbol
        );
    }
}
