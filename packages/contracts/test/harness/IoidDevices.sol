// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";

/// @dev What an ioID project has for its devices: a token for each, made for anyone.
contract IoidDevices is ERC721("Devices", "DEV") {
    function mint(address owner, uint256 tokenId) external {
        _mint(owner, tokenId);
    }
}
