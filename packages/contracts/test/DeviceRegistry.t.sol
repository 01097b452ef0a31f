// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IDeviceRegistry} from "../solidity/interfaces/IDeviceRegistry.sol";
import {IMembership} from "../solidity/interfaces/IMembership.sol";
import {Scene} from "./base/Scene.sol";
import {Vm} from "./base/Vm.sol";
import {IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

contract DeviceRegistryTest is Scene {
    uint256 private constant P256_N =
        0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551;
    uint256 private constant SECP256K1_N =
        0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    function setUp() public {
        setUpScene();
    }

    function test_register_P256() public {
        IDeviceRegistry.Registration memory r = signedRegistration(7, owner, address(0));
        r.model = keccak256("walker");
        _sign(r, 7);
        vm.expectEmit(address(registry));
        emit IDeviceRegistry.Registered(deviceOf(7), r.model, r.algorithm, r.x, r.y);
        _register(r);
        assertEq(registry.ownerOf(uint160(deviceOf(7))), owner, "owner");
        assertEq(membership.memberCount(), 0, "not joined");
    }

    function test_register_secp256k1_bothFormsOfS() public {
        for (uint256 key = 1; key <= 4; key++) {
            IDeviceRegistry.Registration memory r = _secp256k1Registration(key);
            if (key % 2 == 0) r.s = bytes32(SECP256K1_N - uint256(r.s));
            _register(r);
            assertEq(registry.ownerOf(uint160(vm.createWallet(key).addr)), owner, "owner");
        }
    }

    function test_register_P256_bothFormsOfS() public {
        IDeviceRegistry.Registration memory r = signedRegistration(8, owner, address(0));
        r.s = bytes32(P256_N - uint256(r.s));
        _register(r);
        assertEq(registry.ownerOf(uint160(deviceOf(8))), owner, "owner");
    }

    function test_register_joins() public {
        addDevices(100, 3, owner);
        assertEq(membership.memberCount(), 3, "members");
        for (uint256 i = 0; i < 3; i++) {
            IMembership.Member memory member = membership.member(deviceOf(100 + i));
            assertEq(member.slot, i, "slot");
            assertEq(member.joinedAt, block.timestamp, "joinedAt");
        }
    }

    function test_register_mixedNetworks() public {
        (, address other) = _secondNetwork();
        IDeviceRegistry.Registration[] memory all = new IDeviceRegistry.Registration[](5);
        all[0] = signedRegistration(1, owner, address(membership));
        all[1] = signedRegistration(2, owner, address(membership));
        all[2] = signedRegistration(3, owner, address(0));
        all[3] = signedRegistration(4, owner, other);
        all[4] = signedRegistration(5, standby, address(membership));
        registry.register(all);
        assertEq(membership.memberCount(), 3, "members");
        assertEq(membership.member(deviceOf(5)).slot, 2, "slot");
        assertEq(IMembership(other).memberCount(), 1, "members of the other");
        assertEq(IMembership(other).member(deviceOf(4)).slot, 0, "slot in the other");
        assertEq(registry.balanceOf(owner), 4, "balance");
        assertEq(registry.ownerOf(uint160(deviceOf(5))), standby, "other owner");
    }

    function test_register_atTheDeadline() public {
        IDeviceRegistry.Registration memory r = signedRegistration(9, owner, address(0));
        r.deadline = uint64(block.timestamp);
        _sign(r, 9);
        _register(r);
    }

    function test_error_RegistrationExpired() public {
        IDeviceRegistry.Registration memory r = signedRegistration(9, owner, address(0));
        r.deadline = uint64(block.timestamp - 1);
        _sign(r, 9);
        vm.expectRevert(
            abi.encodeWithSelector(
                IDeviceRegistry.RegistrationExpired.selector, deviceOf(9), r.deadline
            )
        );
        _register(r);
    }

    function test_error_NothingToRegister() public {
        vm.expectRevert(err(IDeviceRegistry.NothingToRegister.selector));
        registry.register(new IDeviceRegistry.Registration[](0));
    }

    function test_error_twice() public {
        IDeviceRegistry.Registration memory r = signedRegistration(9, owner, address(0));
        _register(r);
        vm.expectRevert(
            abi.encodeWithSelector(IERC721Errors.ERC721InvalidSender.selector, address(0))
        );
        _register(r);
    }

    function test_error_zeroOwner() public {
        IDeviceRegistry.Registration memory r = signedRegistration(9, address(0), address(0));
        vm.expectRevert(
            abi.encodeWithSelector(IERC721Errors.ERC721InvalidReceiver.selector, address(0))
        );
        _register(r);
    }

    /// @dev Each argument is covered by the signature, and so are the chain and the contract.
    function test_error_InvalidSignature_anyArgument() public {
        for (uint256 field = 0; field < 7; field++) {
            IDeviceRegistry.Registration memory r = signedRegistration(9, owner, address(0));
            if (field == 0) r.owner = standby;
            if (field == 1) r.model = bytes32(uint256(1));
            if (field == 2) r.membership = address(membership);
            if (field == 3) r.deadline -= 1;
            if (field == 4) r.algorithm = IDeviceRegistry.Algorithm.ES256K;
            if (field == 5) r.r = bytes32(uint256(r.r) ^ 1);
            if (field == 6) r.s = bytes32(uint256(r.s) ^ 1);
            _expectInvalid(r);
        }
        IDeviceRegistry.Registration memory elsewhere = signedRegistration(9, owner, address(0));
        vm.chainId(4689);
        _expectInvalid(elsewhere);
    }

    function test_error_InvalidSignature_secp256k1() public {
        IDeviceRegistry.Registration memory r = _secp256k1Registration(5);
        r.owner = standby;
        _expectInvalid(r);
        r = _secp256k1Registration(5);
        r.algorithm = IDeviceRegistry.Algorithm.ES256;
        _expectInvalid(r);
        r = _secp256k1Registration(5);
        r.r = 0;
        _expectInvalid(r);
        r.s = 0;
        _expectInvalid(r);
    }

    function test_error_InvalidSignature_oneOfMany() public {
        IDeviceRegistry.Registration[] memory all = new IDeviceRegistry.Registration[](2);
        all[0] = signedRegistration(1, owner, address(0));
        all[1] = signedRegistration(2, owner, address(0));
        all[1].r = all[0].r;
        vm.expectRevert(
            abi.encodeWithSelector(IDeviceRegistry.InvalidSignature.selector, deviceOf(2))
        );
        registry.register(all);
    }

    /// @dev The digest, once more by hand.
    function test_registrationDigest() public view {
        IDeviceRegistry.Registration memory r = signedRegistration(9, owner, address(membership));
        bytes32 separator = keccak256(
            abi.encode(
                keccak256(
                    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
                ),
                keccak256("MachineFi DeviceRegistry"),
                keccak256("1"),
                block.chainid,
                address(registry)
            )
        );
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256(
                    "Registration(bytes32 x,bytes32 y,uint8 algorithm,address owner,bytes32 model,address membership,uint64 deadline)"
                ),
                r.x,
                r.y,
                uint8(0),
                owner,
                bytes32(0),
                address(membership),
                r.deadline
            )
        );
        assertEq(registry.domainSeparator(), separator, "separator");
        assertEq(
            registry.registrationDigest(r),
            sha256(bytes.concat(hex"1901", separator, structHash)),
            "digest"
        );
    }

    function test_tokenURI() public {
        // First pair of the published did:io vectors would need its private key; the rule is lower case.
        addDevices(7, 1, owner);
        address device = deviceOf(7);
        bytes memory text = bytes(registry.tokenURI(uint160(device)));
        assertEq(text.length, 49, "length");
        for (uint256 i = 0; i < text.length; i++) {
            assertTrue(text[i] < "A" || text[i] > "Z", "lower case");
        }
        vm.expectRevert(
            abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, uint256(5))
        );
        registry.tokenURI(5);
    }

    /// @dev secp256k1: the address of Ethereum. P-256: known answer of key 1, the generator.
    function test_deviceAddress() public {
        Vm.Wallet memory wallet = vm.createWallet(77);
        assertEq(
            registry.deviceAddress(bytes32(wallet.publicKeyX), bytes32(wallet.publicKeyY)),
            wallet.addr,
            "address"
        );
    }

    function testFuzz_register(uint256 key, address owner_, bytes32 model, bool k1) public {
        key = bound(key, 1, SECP256K1_N - 1 < P256_N - 1 ? SECP256K1_N - 1 : P256_N - 1);
        vm.assume(owner_ != address(0));
        IDeviceRegistry.Registration memory r;
        if (k1) {
            r = _secp256k1Registration(key);
        } else {
            r = signedRegistration(key, owner_, address(0));
        }
        (r.owner, r.model) = (owner_, model);
        if (k1) (, r.r, r.s) = vm.sign(key, registry.registrationDigest(r));
        else _sign(r, key);
        _register(r);
        assertEq(
            registry.ownerOf(uint160(registry.deviceAddress(r.x, r.y))), owner_, "owner of device"
        );
    }

    function _sign(IDeviceRegistry.Registration memory r, uint256 key) private view {
        (r.r, r.s) = vm.signP256(key, registry.registrationDigest(r));
    }

    function _secp256k1Registration(uint256 key)
        private
        returns (IDeviceRegistry.Registration memory r)
    {
        Vm.Wallet memory wallet = vm.createWallet(key);
        r.x = bytes32(wallet.publicKeyX);
        r.y = bytes32(wallet.publicKeyY);
        r.algorithm = IDeviceRegistry.Algorithm.ES256K;
        r.owner = owner;
        r.deadline = type(uint64).max;
        (, r.r, r.s) = vm.sign(key, registry.registrationDigest(r));
    }

    function _register(IDeviceRegistry.Registration memory r) private {
        IDeviceRegistry.Registration[] memory all = new IDeviceRegistry.Registration[](1);
        all[0] = r;
        registry.register(all);
    }

    function _expectInvalid(IDeviceRegistry.Registration memory r) private {
        vm.expectRevert(
            abi.encodeWithSelector(
                IDeviceRegistry.InvalidSignature.selector, registry.deviceAddress(r.x, r.y)
            )
        );
        _register(r);
    }

    function _secondNetwork() private returns (address, address) {
        (uint256 serial,) = factory.createNetwork(networkParams());
        return (factory.network(serial).settlement, factory.network(serial).membership);
    }
}
