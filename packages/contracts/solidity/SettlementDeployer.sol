// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Settlement} from "./Settlement.sol";
import {ISettlement} from "./interfaces/ISettlement.sol";

/// @title Holds the code of settlements, so that the factory stays under 24 KB
/// @notice Anyone may call it: a settlement is a network's only if its factory says so.
contract SettlementDeployer {
    /// @notice Deploys a settlement, which has no configuration yet: whoever sets the first one, sets it.
    /// @param args Of its constructor, encoded: decoding them here would not fit into 24 KB.
    function deploy(bytes calldata args) external returns (ISettlement settlement) {
        bytes memory code = bytes.concat(type(Settlement).creationCode, args);
        assembly ("memory-safe") {
            settlement := create(0, add(code, 32), mload(code))
            if iszero(settlement) {
                let data := mload(0x40)
                returndatacopy(data, 0, returndatasize())
                revert(data, returndatasize())
            }
        }
    }
}
