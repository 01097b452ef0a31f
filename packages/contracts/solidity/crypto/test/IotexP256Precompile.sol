// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {P256} from "@openzeppelin/contracts/utils/cryptography/P256.sol";

/// @title Stand-in for IoTeX's precompile at 0x8001, for chains that have none
/// @dev As in iotexproject/go-ethereum core/vm: fails on an input of 96 bytes or fewer and on a key
/// that is not an uncompressed point of the curve; else one byte, 01 or 00.
contract IotexP256Precompile {
    fallback(bytes calldata input) external returns (bytes memory) {
        require(input.length == 161 && input[96] == 0x04, "invalid curve point");
        bytes32 x = bytes32(input[97:129]);
        bytes32 y = bytes32(input[129:161]);
        require(P256.isValidPublicKey(x, y), "invalid curve point");
        uint256 s = uint256(bytes32(input[64:96]));
        if (s > P256.N / 2 && s < P256.N) s = P256.N - s;
        bool valid =
            P256.verifySolidity(bytes32(input[0:32]), bytes32(input[32:64]), bytes32(s), x, y);
        return valid ? bytes(hex"01") : bytes(hex"00");
    }
}
