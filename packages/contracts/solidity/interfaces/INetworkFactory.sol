// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ISettlement} from "./ISettlement.sol";

/// @title Creates networks and knows them
/// @notice A network's id is `keccak256(abi.encode(chainId, factory, serial))`; serials count up from 1.
interface INetworkFactory {
    /// @notice What a network is created from.
    /// @param name Of the token.
    /// @param symbol Of the token.
    /// @param owner Sets the configuration, lists operators, suspends members; a governor can take over later.
    /// @param disputes The implementation of which the network's disputes are a clone; zero if its epochs cannot be
    /// challenged.
    /// @param isPrivate Whether records are for owners, grantees and auditors only; never changes.
    /// @param windowSeconds Length of a window; never changes.
    /// @param config The first configuration.
    struct NetworkParams {
        string name;
        string symbol;
        address owner;
        address disputes;
        bool isPrivate;
        uint32 windowSeconds;
        ISettlement.Config config;
    }

    /// @notice The contracts of a network.
    /// @param disputes Zero if its epochs cannot be challenged.
    struct Network {
        address settlement;
        address membership;
        address token;
        address disputes;
    }

    /// @notice A network exists. Its configuration is in the settlement's `ConfigSet`.
    event NetworkCreated(
        uint256 indexed serial,
        bytes32 indexed id,
        address indexed owner,
        address settlement,
        address membership,
        address token,
        address disputes,
        uint32 windowSeconds,
        uint32 firstWindow
    );

    error UnknownNetwork(uint256 serial);

    /// @notice Creates a network. Anyone may.
    function createNetwork(NetworkParams calldata params)
        external
        returns (uint256 serial, Network memory created);

    /// @notice The contracts of a network.
    function network(uint256 serial) external view returns (Network memory);

    /// @notice The serial of a network id, zero if it is none of this factory's.
    function serialOf(bytes32 id) external view returns (uint256 serial);

    /// @notice The id a serial has, whether it exists or not.
    function networkId(uint256 serial) external view returns (bytes32 id);

    /// @notice How many networks there are; the latest serial.
    function networkCount() external view returns (uint256);

    /// @notice The registry all networks of this factory share.
    function registry() external view returns (address);
}
