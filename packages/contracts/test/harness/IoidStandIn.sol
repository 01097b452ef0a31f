// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";

/// @dev Stands in for IoTeX's ioID, but for enumeration and ERC-6551: a wallet is an address that
/// nobody has the key of.
contract IoidStandIn is ERC721("ioID", "ioID") {
    address public immutable minter = msg.sender;

    mapping(address device => uint256) public deviceProject;
    mapping(uint256 projectId => uint256) public projectDeviceCount;
    mapping(uint256 id => address) private devices;
    mapping(bytes32 didHash => address) private wallets;
    uint256 private lastId;

    function mint(uint256 projectId, address device, address owner)
        external
        returns (uint256 id, address account)
    {
        require(msg.sender == minter, "invalid minter");
        id = ++lastId;
        _mint(owner, id);
        account = accountOf(id);
        wallets[keccak256(bytes(didOf(device)))] = account;
        devices[id] = device;
        deviceProject[device] = projectId;
        projectDeviceCount[projectId]++;
    }

    function removeDID(address device, uint256 id) external {
        require(msg.sender == minter, "invalid minter");
        delete wallets[keccak256(bytes(didOf(device)))];
        delete devices[id];
    }

    function wallet(uint256 id) external view returns (address account, string memory did) {
        account = accountOf(id);
        if (devices[id] != address(0)) did = didOf(devices[id]);
    }

    function wallet(string calldata did) external view returns (address) {
        return wallets[keccak256(bytes(did))];
    }

    function accountOf(uint256 id) private view returns (address) {
        return address(bytes20(keccak256(abi.encode(block.chainid, address(this), id))));
    }

    /// @dev Lower case, as the original's.
    function didOf(address device) private pure returns (string memory) {
        return string.concat("did:io:", Strings.toHexString(device));
    }
}
