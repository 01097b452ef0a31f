// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {DeployedP256Verifier} from "../../solidity/crypto/DeployedP256Verifier.sol";
import {CheckpointProof} from "../../solidity/evidence/CheckpointProof.sol";
import {IDisputes} from "../../solidity/interfaces/IDisputes.sol";
import {Test} from "../base/Test.sol";

contract CheckpointProofTest is Test {
    uint256 private constant P256_ORDER =
        0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551;
    bytes32 private constant NETWORK =
        0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f;
    address private constant LOG_KEY = 0xD3A9F047ad43D7E2e4e7e491f1fE2E657A2651b6;

    DeployedP256Verifier private _verifier;

    function setUp() public {
        _verifier = new DeployedP256Verifier();
    }

    /// @dev docs/protocol/log.md
    function test_example() public view {
        bytes memory message = bytes.concat(
            hex"846a5369676e6174757265315885a701260454d3a9f047ad43d7e2e4e7e491f1fe2e657a2651b619018b01",
            hex"0fa201782a3078306230623062306230623062306230623062306230623062306230623062306230623062",
            hex"30623062061a6553f1003a000100005820000102030405060708090a0b0c0d0e0f10111213141516171819",
            hex"1a1b1c1d1e1f3a00010001033a000100020740",
            hex"5820bee2275db16667589a4515f63e0d053a2fa602c1d9f9703e98920a5bdad59baf"
        );
        IDisputes.CheckpointEvidence memory checkpoint = _example();
        assertEq(this.digest(checkpoint, NETWORK), sha256(message), "digest");
        assertTrue(this.isSigned(checkpoint, LOG_KEY, NETWORK), "signed");
        assertTrue(!this.isSigned(checkpoint, address(1), NETWORK), "another log key");
        checkpoint.s = bytes32(P256_ORDER - uint256(checkpoint.s));
        assertTrue(this.isSigned(checkpoint, LOG_KEY, NETWORK), "high s");
    }

    /// @dev Everything that a checkpoint promises is under the signature.
    function testFuzz_isSigned_coversAll(uint256 seed, uint32 by) public view {
        IDisputes.CheckpointEvidence memory checkpoint = _example();
        bytes32 network = NETWORK;
        by = uint32(bound(by, 1, type(uint32).max - 3));
        uint256 part = seed % 8;
        if (part == 0) checkpoint.operator = address(uint160(checkpoint.operator) ^ by);
        else if (part == 1) checkpoint.time += by;
        else if (part == 2) checkpoint.shard += by;
        else if (part == 3) checkpoint.size += by;
        else if (part == 4) checkpoint.root ^= bytes32(uint256(by));
        else if (part == 5) network ^= bytes32(uint256(by));
        else if (part == 6) checkpoint.r ^= bytes32(uint256(by));
        else checkpoint.s ^= bytes32(uint256(by));
        assertTrue(!this.isSigned(checkpoint, LOG_KEY, network), "altered");
    }

    function testFuzz_isSigned_byWhom(uint256 key, IDisputes.CheckpointEvidence memory checkpoint)
        public
        view
    {
        key = bound(key, 1, P256_ORDER - 1);
        checkpoint.time %= 1 << 40;
        checkpoint.size %= 1 << 53;
        (uint256 x, uint256 y) = vm.publicKeyP256(key);
        (checkpoint.x, checkpoint.y) = (bytes32(x), bytes32(y));
        (checkpoint.r, checkpoint.s) = vm.signP256(key, this.digest(checkpoint, NETWORK));
        address logKey = address(uint160(uint256(keccak256(abi.encode(x, y)))));
        assertTrue(this.isSigned(checkpoint, logKey, NETWORK), "signed");
        // Another key with the same signature, said to be that of the operator.
        checkpoint.y = ~checkpoint.y;
        assertTrue(!this.isSigned(checkpoint, logKey, NETWORK), "another key");
    }

    function test_digest_bounds() public {
        IDisputes.CheckpointEvidence memory checkpoint = _example();
        checkpoint.size = (1 << 53) - 1;
        checkpoint.time = 9_007_199_254_740;
        this.digest(checkpoint, NETWORK);
        checkpoint.time++;
        _expectInvalid(checkpoint);
        this.digest(checkpoint, NETWORK);
        checkpoint.time = type(uint64).max;
        _expectInvalid(checkpoint);
        this.digest(checkpoint, NETWORK);
        (checkpoint.time, checkpoint.size) = (0, 1 << 53);
        _expectInvalid(checkpoint);
        this.isSigned(checkpoint, LOG_KEY, NETWORK);
    }

    function digest(IDisputes.CheckpointEvidence calldata checkpoint, bytes32 networkId)
        external
        pure
        returns (bytes32)
    {
        return CheckpointProof.digest(checkpoint, networkId);
    }

    function isSigned(
        IDisputes.CheckpointEvidence calldata checkpoint,
        address logKey,
        bytes32 networkId
    ) external view returns (bool) {
        return CheckpointProof.isSigned(checkpoint, logKey, networkId, _verifier);
    }

    function _expectInvalid(IDisputes.CheckpointEvidence memory checkpoint) private {
        vm.expectRevert(
            abi.encodeWithSelector(
                CheckpointProof.InvalidCheckpoint.selector, checkpoint.size, checkpoint.time
            )
        );
    }

    function _example() private pure returns (IDisputes.CheckpointEvidence memory checkpoint) {
        checkpoint.operator = 0x0B0b0b0b0B0B0B0B0b0b0b0b0B0B0B0B0B0b0B0b;
        checkpoint.time = 1_700_000_000;
        checkpoint.shard = 3;
        checkpoint.size = 7;
        checkpoint.root = 0xbee2275db16667589a4515f63e0d053a2fa602c1d9f9703e98920a5bdad59baf;
        checkpoint.x = 0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296;
        checkpoint.y = 0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5;
        checkpoint.r = 0x28ab8a79f27d473a2a9e59683dc60b06787665b3292097bf21f9fa7692d61597;
        checkpoint.s = 0x2b978993769e15a2824c1730eb60efd9284c0ed5e67b06c6810df813f00676f6;
    }
}
