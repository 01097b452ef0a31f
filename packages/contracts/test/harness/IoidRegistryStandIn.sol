// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IoidStandIn} from "./IoidStandIn.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";

/// @dev Stands in for IoTeX's ioIDRegistry: its calls, its order of checks, its reasons in text and
/// its signature rule. Device contracts belong to project 1; hardware costs nothing.
contract IoidRegistryStandIn {
    bytes32 private constant PERMIT = keccak256("Permit(address owner,uint256 nonce)");

    // Names of the original. forge-lint: disable-start(mixed-case-variable)
    bytes32 public immutable DOMAIN_SEPARATOR;
    IoidStandIn public immutable ioID;
    // forge-lint: disable-end(mixed-case-variable)

    mapping(address device => uint256) public nonces;
    mapping(address device => uint256) private ids;
    mapping(address device => bytes32) private hashes;
    mapping(address device => string) private uris;
    mapping(address deviceContract => mapping(uint256 tokenId => bool)) public registeredNFT;

    constructor() {
        DOMAIN_SEPARATOR = keccak256(
            abi.encode(
                keccak256(
                    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
                ),
                keccak256("ioIDRegistry"),
                keccak256("1"),
                block.chainid,
                address(this)
            )
        );
        ioID = new IoidStandIn();
    }

    modifier onlyKnown(address device) {
        require(exists(device), "device not exists");
        _;
    }

    function register(
        address deviceContract,
        uint256 tokenId,
        address device,
        bytes32 hash,
        string calldata uri,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external payable {
        register(deviceContract, tokenId, msg.sender, device, hash, uri, v, r, s);
    }

    function register(
        address deviceContract,
        uint256 tokenId,
        address user,
        address device,
        bytes32 hash,
        string calldata uri,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) public payable {
        require(device != address(0), "device is the zero address");
        require(!registeredNFT[deviceContract][tokenId], "nft already used");
        require(!exists(device), "device exists");
        usePermit(user, device, v, r, s);
        setRecord(device, hash, uri);
        (uint256 id, address wallet) = ioID.mint(1, device, user);
        IERC721(deviceContract).safeTransferFrom(user, wallet, tokenId);
        ids[device] = id;
        registeredNFT[deviceContract][tokenId] = true;
    }

    function update(
        address device,
        bytes32 hash,
        string calldata uri,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external onlyKnown(device) {
        usePermit(msg.sender, device, v, r, s);
        setRecord(device, hash, uri);
    }

    function remove(address device, uint8 v, bytes32 r, bytes32 s) external onlyKnown(device) {
        usePermit(msg.sender, device, v, r, s);
        ioID.removeDID(device, ids[device]);
        delete ids[device];
        delete hashes[device];
        delete uris[device];
    }

    function exists(address device) public view returns (bool) {
        return hashes[device] != 0;
    }

    function documentHash(address device) external view onlyKnown(device) returns (bytes32) {
        return hashes[device];
    }

    function documentURI(address device) external view onlyKnown(device) returns (string memory) {
        return uris[device];
    }

    function deviceTokenId(address device) external view onlyKnown(device) returns (uint256) {
        return ids[device];
    }

    function setRecord(address device, bytes32 hash, string calldata uri) private {
        require(hash != 0, "empty hash");
        hashes[device] = hash;
        uris[device] = uri;
    }

    function usePermit(address owner, address device, uint8 v, bytes32 r, bytes32 s) private {
        bytes32 structHash = keccak256(abi.encode(PERMIT, owner, nonces[device]++));
        bytes32 digest = keccak256(abi.encodePacked("\x19\x01", DOMAIN_SEPARATOR, structHash));
        require(ecrecover(digest, v, r, s) == device, "invalid signature");
    }
}
