// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {DeployedP256Verifier} from "../../solidity/crypto/DeployedP256Verifier.sol";
import {BatchProof} from "../../solidity/evidence/BatchProof.sol";
import {IDeviceRegistry} from "../../solidity/interfaces/IDeviceRegistry.sol";
import {IDisputes} from "../../solidity/interfaces/IDisputes.sol";
import {Test} from "../base/Test.sol";

contract BatchProofTest is Test {
    uint256 private constant P256_ORDER =
        0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551;
    uint256 private constant SECP256K1_ORDER =
        0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
    uint64 private constant LIMIT = 1 << 53;
    bytes32 private constant NETWORK =
        0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f;
    address private constant DEVICE = 0xa0E0162b1a12Ed06d63DD1BF0CD5b0d1e6614B3c;
    bytes32 private constant ID =
        0x0921604c8373c5debd6437899512c6c1f74eef3f7a3a68051675327a99d84320;
    bytes private constant RECORDS = hex"8383000c18cd83183c19012c2483183c00f6";

    DeployedP256Verifier private _verifier;

    function setUp() public {
        _verifier = new DeployedP256Verifier();
    }

    /// @dev docs/protocol/wire-format.md
    function test_example() public view {
        IDisputes.BatchEvidence memory batch = _example();
        assertEq(this.idOf(batch, DEVICE, NETWORK), ID, "id");
        assertTrue(this.isSigned(batch, DEVICE, ID), "signed");
        assertTrue(this.hasRecords(batch.header, RECORDS), "records");
        assertEq(
            keccak256(this.encodeHeader(batch.header)),
            keccak256(
                bytes.concat(
                    hex"880101071b0000018bcfe568001a0001d4c0035820",
                    batch.header.recordsHash,
                    hex"f6"
                )
            ),
            "header"
        );
    }

    /// @dev Everything that is signed is in the id.
    function testFuzz_idOf_coversAll(uint256 seed, uint64 by, bytes32 other) public view {
        IDisputes.BatchEvidence memory batch = _example();
        (address device, bytes32 network) = (DEVICE, NETWORK);
        by = uint64(bound(by, 1, 1 << 40));
        uint256 part = seed % 10;
        if (part == 0) batch.header.schema += by;
        else if (part == 1) batch.header.seq += by;
        else if (part == 2) batch.header.start += by;
        else if (part == 3) batch.header.span += by;
        else if (part == 4) batch.header.count += by;
        else if (part == 5) batch.header.recordsHash ^= bytes32(uint256(by));
        else if (part == 6) batch.header.commitment = abi.encode(other);
        else if (part == 7) device = address(uint160(device) ^ by);
        else if (part == 8) network ^= bytes32(uint256(by));
        else batch.algorithm = IDeviceRegistry.Algorithm.ES256K;
        assertTrue(this.idOf(batch, device, network) != ID, "another id");
        assertTrue(!this.isSigned(batch, device, this.idOf(batch, device, network)), "not signed");
    }

    function testFuzz_isSigned_byWhom(uint256 seed, bool p256, bool high, bytes32 id) public {
        uint256 key = bound(seed, 1, SECP256K1_ORDER - 1) % (P256_ORDER - 1) + 1;
        IDisputes.BatchEvidence memory batch = _signed(key, p256, id);
        address device = _address(batch);
        if (high) {
            batch.s = bytes32((p256 ? P256_ORDER : SECP256K1_ORDER) - uint256(batch.s));
        }
        assertTrue(this.isSigned(batch, device, id), "the device, with any s");
        assertTrue(!this.isSigned(batch, device, ~id), "another batch");
        assertTrue(!this.isSigned(batch, address(uint160(device) ^ 1), id), "another device");
        uint256 part = seed % 5;
        bytes32 bit = bytes32(uint256(1) << (seed % 256));
        if (part == 0) batch.r ^= bit;
        else if (part == 1) batch.s ^= bit;
        else if (part == 2) batch.x ^= bit;
        else if (part == 3) batch.y ^= bit;
        else batch.algorithm = IDeviceRegistry.Algorithm(p256 ? 1 : 0);
        assertTrue(!this.isSigned(batch, device, id), "altered");
        assertTrue(!this.isSigned(batch, _address(batch), id), "or by another key");
    }

    /// @dev ecrecover gives address zero for what is no signature.
    function test_isSigned_zeros() public view {
        IDisputes.BatchEvidence memory batch = _example();
        for (uint8 algorithm = 0; algorithm < 2; algorithm++) {
            batch.algorithm = IDeviceRegistry.Algorithm(algorithm);
            (batch.r, batch.s) = (0, 0);
            assertTrue(!this.isSigned(batch, DEVICE, ID), "zero signature");
            assertTrue(!this.isSigned(batch, address(0), ID), "zero device");
            (batch.r, batch.s) = (bytes32(type(uint256).max), bytes32(type(uint256).max));
            assertTrue(!this.isSigned(batch, DEVICE, ID), "over the order");
        }
    }

    /// @dev An address without a verifier is no verdict.
    function test_isSigned_failedCall_reverts() public {
        IDisputes.BatchEvidence memory batch = _example();
        _verifier = DeployedP256Verifier(address(0xdead));
        vm.expectRevert();
        this.isSigned(batch, DEVICE, ID);
        _verifier = new DeployedP256Verifier();
        for (uint256 limit = 5000; limit < 400_000; limit += 20_011) {
            try this.isSigned{gas: limit}(batch, DEVICE, ID) returns (bool ok) {
                assertTrue(ok, "a verdict for want of gas");
            } catch {}
        }
    }

    function testFuzz_header_bounds(uint256 seed, uint256 length) public {
        IDisputes.BatchHeader memory header;
        header.schema = _pick(seed, 0);
        header.seq = _pick(seed, 1);
        header.start = _pick(seed, 2);
        header.span = _pick(seed, 3);
        header.count = _pick(seed, 4);
        header.commitment = new bytes(seed % 4 > 0 ? 32 * (seed % 2) : bound(length, 0, 70));
        bool ok = header.schema < LIMIT && header.seq < LIMIT && header.start < LIMIT
            && header.span < LIMIT && uint256(header.start) + header.span < LIMIT
            && header.count < LIMIT && header.count > 0
            && (header.commitment.length == 0 || header.commitment.length == 32);
        if (!ok) {
            vm.expectRevert(abi.encodeWithSelector(BatchProof.InvalidHeader.selector, header.seq));
        }
        uint256 size = this.encodeHeader(header).length;
        assertTrue(!ok || (size >= 42 && size <= 115), "size");
    }

    function testFuzz_hasRecords(bytes memory records, uint256 index) public view {
        IDisputes.BatchHeader memory header;
        header.recordsHash = sha256(records);
        assertTrue(this.hasRecords(header, records), "its own");
        assertTrue(!this.hasRecords(header, bytes.concat(records, hex"00")), "longer");
        if (records.length == 0) return;
        records[index % records.length] ^= 0x10;
        assertTrue(!this.hasRecords(header, records), "altered");
    }

    function test_hasRecords_most() public view {
        IDisputes.BatchHeader memory header;
        bytes memory records = new bytes(65_535);
        header.recordsHash = sha256(records);
        assertTrue(this.hasRecords(header, records), "most");
        records = new bytes(65_536);
        header.recordsHash = sha256(records);
        assertTrue(!this.hasRecords(header, records), "one more");
    }

    function idOf(IDisputes.BatchEvidence calldata batch, address device, bytes32 networkId)
        external
        pure
        returns (bytes32)
    {
        return BatchProof.idOf(batch, device, networkId);
    }

    function encodeHeader(IDisputes.BatchHeader calldata header)
        external
        pure
        returns (bytes memory)
    {
        return BatchProof.encodeHeader(header);
    }

    function hasRecords(IDisputes.BatchHeader calldata header, bytes calldata records)
        external
        pure
        returns (bool)
    {
        return BatchProof.hasRecords(header, records);
    }

    function isSigned(IDisputes.BatchEvidence calldata batch, address device, bytes32 id)
        external
        view
        returns (bool)
    {
        return BatchProof.isSigned(batch, device, id, _verifier);
    }

    function _example() private pure returns (IDisputes.BatchEvidence memory batch) {
        batch.x = 0x6ff03b949241ce1dadd43519e6960e0a85b41a69a05c328103aa2bce1594ca16;
        batch.y = 0x3c4f753a55bf01dc53f6c0b0c7eee78b40c6ff7d25a96e2282b989cef71c144a;
        batch.r = 0xd5d0d63ea56e1d600b909c8ec35ee5196e87718f8bee1888b1dd5bf966bcb7d4;
        batch.s = 0x7bd27b0e227348d160483791ba9e69ffbb745105d55b3f977bd4eee3fd843498;
        batch.header.schema = 1;
        batch.header.seq = 7;
        batch.header.start = 1_700_000_000_000;
        batch.header.span = 120_000;
        batch.header.count = 3;
        batch.header.recordsHash = sha256(RECORDS);
    }

    function _signed(uint256 key, bool p256, bytes32 id)
        private
        returns (IDisputes.BatchEvidence memory batch)
    {
        if (p256) {
            (uint256 x, uint256 y) = vm.publicKeyP256(key);
            (batch.x, batch.y) = (bytes32(x), bytes32(y));
            (batch.r, batch.s) = vm.signP256(key, id);
        } else {
            batch.algorithm = IDeviceRegistry.Algorithm.ES256K;
            uint256 x = vm.createWallet(key).publicKeyX;
            (batch.x, batch.y) = (bytes32(x), bytes32(vm.createWallet(key).publicKeyY));
            (, batch.r, batch.s) = vm.sign(key, id);
        }
    }

    function _address(IDisputes.BatchEvidence memory batch) private pure returns (address) {
        return address(uint160(uint256(keccak256(bytes.concat(batch.x, batch.y)))));
    }

    /// @dev Mostly small, else at a border.
    function _pick(uint256 seed, uint256 index) private pure returns (uint64) {
        uint256 random = uint256(keccak256(abi.encode(seed, index)));
        uint64[12] memory borders = [
            0,
            23,
            24,
            255,
            256,
            65_535,
            65_536,
            type(uint32).max,
            uint64(1) << 32,
            LIMIT - 1,
            LIMIT,
            type(uint64).max
        ];
        return random % 2 > 0 ? uint64(random >> 200) % 1000 : borders[(random >> 8) % 12];
    }
}
