// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IDeviceRegistry} from "../solidity/interfaces/IDeviceRegistry.sol";
import {IMembership} from "../solidity/interfaces/IMembership.sol";
import {IModelRegistry} from "../solidity/interfaces/IModelRegistry.sol";
import {INetworkFactory} from "../solidity/interfaces/INetworkFactory.sol";
import {Scene} from "./base/Scene.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";

/// @dev Four devices are of a run, with the keys 1 to 4; the fifth is of none.
contract ModelsTest is Scene {
    IModelRegistry.Assurance private constant SECURE = IModelRegistry.Assurance.SecureElement;

    address private immutable maker = address(0x3a6e);
    IModelRegistry private models;
    bytes32 private model;
    bytes32 private root;

    function setUp() public {
        setUpScene();
        models = registry.models();
        vm.prank(maker);
        model = models.create("walker", SECURE);
        root = _pair(_pair(_leaf(1), _leaf(2)), _pair(_leaf(3), _leaf(4)));
        vm.prank(maker);
        models.endorse(model, root);
        membership.acceptModel(model, true);
    }

    // Models

    function test_create() public {
        bytes32 id = models.modelId(owner, "walker");
        assertEq(id, keccak256(abi.encode(owner, "walker")), "id");
        vm.expectEmit(address(models));
        emit IModelRegistry.ModelCreated(id, owner, IModelRegistry.Assurance.Gateway, "walker");
        vm.prank(owner);
        assertEq(models.create("walker", IModelRegistry.Assurance.Gateway), id, "same name, other");
        assertEq(models.modelOf(id).maker, owner, "maker");
        assertEq(uint256(models.modelOf(id).assurance), 1, "assurance");
        assertEq(models.modelOf(bytes32(uint256(1))).maker, address(0), "none");
    }

    function test_create_longestName() public {
        models.create(string(new bytes(64)), SECURE);
    }

    function test_error_InvalidName() public {
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.InvalidName.selector, ""));
        models.create("", SECURE);
        string memory long = string(new bytes(65));
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.InvalidName.selector, long));
        models.create(long, SECURE);
    }

    function test_error_InvalidAssurance() public {
        vm.expectRevert(err(IModelRegistry.InvalidAssurance.selector));
        models.create("walker", IModelRegistry.Assurance.None);
    }

    /// @dev What a maker said of a model stays said.
    function test_error_ModelExists() public {
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.ModelExists.selector, model));
        vm.prank(maker);
        models.create("walker", IModelRegistry.Assurance.Software);
    }

    function test_error_NotMaker() public {
        bytes memory refusal =
            abi.encodeWithSelector(IModelRegistry.NotMaker.selector, model, owner);
        vm.startPrank(owner);
        vm.expectRevert(refusal);
        models.endorse(model, bytes32(uint256(1)));
        vm.expectRevert(refusal);
        models.revoke(model, root);
        vm.stopPrank();
    }

    /// @dev Nobody is the maker of a model there is not.
    function test_error_NotMaker_ofNone() public {
        bytes32 none = bytes32(uint256(1));
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NotMaker.selector, none, maker));
        vm.prank(maker);
        models.endorse(none, root);
    }

    function test_error_AlreadyEndorsed() public {
        vm.expectRevert(
            abi.encodeWithSelector(IModelRegistry.AlreadyEndorsed.selector, model, root)
        );
        vm.prank(maker);
        models.endorse(model, root);
    }

    function test_revoke() public {
        _register(1, owner);
        _join(1);
        vm.expectEmit(address(models));
        emit IModelRegistry.RunRevoked(model, root);
        vm.prank(maker);
        models.revoke(model, root);
        assertTrue(!models.isEndorsed(model, root), "endorsed");
        assertEq(uint256(membership.member(deviceOf(1)).assurance), 3, "members stay what they are");
        bytes memory refusal =
            abi.encodeWithSelector(IModelRegistry.NotEndorsed.selector, model, root);
        _register(2, owner);
        vm.expectRevert(refusal);
        vm.prank(owner);
        membership.joinEndorsed(_devices(2, 1), _endorsementOf(2));
        vm.expectRevert(refusal);
        vm.prank(maker);
        models.revoke(model, root);
        vm.prank(maker);
        models.endorse(model, root);
        _join(2);
    }

    // Endorsements

    function test_check_each() public view {
        for (uint256 key = 1; key <= 4; key++) {
            assertEq(uint256(models.check(_devices(key, 1), _endorsementOf(key))), 3, "assurance");
        }
    }

    function test_check_all() public view {
        IModelRegistry.Endorsement memory all = _endorsementOfAll();
        assertEq(uint256(models.check(_devices(1, 4), all)), 3, "assurance");
    }

    function test_check_twoOfFour() public view {
        IModelRegistry.Endorsement memory two;
        (two.model, two.root) = (model, root);
        (two.proof, two.flags) = (new bytes32[](1), new bool[](2));
        two.proof[0] = _pair(_leaf(3), _leaf(4));
        two.flags[0] = true;
        assertEq(uint256(models.check(_devices(1, 2), two)), 3, "assurance");
    }

    function test_error_InvalidEndorsement() public {
        IModelRegistry.Endorsement memory of1 = _endorsementOf(1);
        _refuses(_devices(2, 1), of1); // another of the run
        _refuses(_devices(5, 1), of1); // one of none
        _refuses(_devices(1, 2), of1); // one more than shown
        _refuses(_devices(1, 3), _endorsementOfAll()); // one less
        of1.proof[1] ^= bytes32(uint256(1));
        _refuses(_devices(1, 1), of1);
    }

    /// @dev A multiproof of nothing is its only node, which would be any root.
    function test_error_InvalidEndorsement_ofNothing() public {
        IModelRegistry.Endorsement memory none;
        (none.model, none.root, none.proof) = (model, root, new bytes32[](1));
        none.proof[0] = root;
        _refuses(new address[](0), none);
    }

    /// @dev A node of the tree is no device: its preimage has 64 bytes, a leaf's has 32, hashed twice.
    function test_error_InvalidEndorsement_aNodeAsDevice() public {
        address node = address(uint160(uint256(_pair(_leaf(1), _leaf(2)))));
        address[] memory devices = new address[](1);
        devices[0] = node;
        IModelRegistry.Endorsement memory short;
        (short.model, short.root) = (model, root);
        (short.proof, short.flags) = (new bytes32[](1), new bool[](1));
        short.proof[0] = _pair(_leaf(3), _leaf(4));
        _refuses(devices, short);
    }

    // Joining

    function test_joinEndorsed() public {
        for (uint256 key = 1; key <= 4; key++) {
            _register(key, owner);
        }
        vm.expectEmit(address(membership));
        emit IMembership.Joined(deviceOf(1), 0, SECURE);
        vm.prank(owner);
        membership.joinEndorsed(_devices(1, 4), _endorsementOfAll());
        for (uint256 key = 1; key <= 4; key++) {
            IMembership.Member memory member = membership.member(deviceOf(key));
            assertEq(uint256(member.assurance), 3, "assurance");
            assertEq(member.slot, key - 1, "slot");
        }
    }

    function test_registerEndorsed() public {
        IDeviceRegistry.Registration[] memory all = _registrations(1, 4);
        registry.registerEndorsed(all, _endorsementOfAll());
        assertEq(membership.memberCount(), 4, "members");
        assertEq(uint256(membership.member(deviceOf(4)).assurance), 3, "assurance");
        assertEq(registry.ownerOf(uint160(deviceOf(4))), owner, "owner");
    }

    /// @dev A stranger takes registrations out of the call that has their endorsement: the devices would be members for
    /// good, with nobody to vouch for them.
    function test_error_WrongModel_withoutEndorsement() public {
        IDeviceRegistry.Registration[] memory two = _registrations(1, 2);
        vm.expectRevert(
            abi.encodeWithSelector(IDeviceRegistry.WrongModel.selector, deviceOf(1), model)
        );
        vm.prank(standby);
        registry.register(two);
        registry.registerEndorsed(two, _endorsementOfTwo());
        assertEq(uint256(membership.member(deviceOf(1)).assurance), 3, "assurance");
    }

    /// @dev What a device says it is needs nobody where it joins nothing.
    function test_register_namesAModel() public {
        IDeviceRegistry.Registration[] memory one = new IDeviceRegistry.Registration[](1);
        one[0] = _registration(1, address(0));
        registry.register(one);
        assertEq(registry.ownerOf(uint160(deviceOf(1))), owner, "owner");
    }

    function test_error_WrongModel() public {
        IDeviceRegistry.Registration[] memory all = new IDeviceRegistry.Registration[](1);
        all[0] = signedRegistration(1, owner, address(membership));
        vm.expectRevert(
            abi.encodeWithSelector(IDeviceRegistry.WrongModel.selector, deviceOf(1), bytes32(0))
        );
        registry.registerEndorsed(all, _endorsementOf(1));
    }

    function test_error_WrongMembership() public {
        IDeviceRegistry.Registration[] memory all = _registrations(1, 4);
        (, INetworkFactory.Network memory other) = factory.createNetwork(networkParams());
        all[2] = _registration(3, other.membership);
        vm.expectRevert(
            abi.encodeWithSelector(
                IDeviceRegistry.WrongMembership.selector, deviceOf(3), other.membership
            )
        );
        registry.registerEndorsed(all, _endorsementOfAll());
        all = _registrations(1, 1);
        all[0] = _registration(1, address(0));
        vm.expectRevert(
            abi.encodeWithSelector(
                IDeviceRegistry.WrongMembership.selector, deviceOf(1), address(0)
            )
        );
        registry.registerEndorsed(all, _endorsementOf(1));
    }

    function test_error_NothingToRegister() public {
        vm.expectRevert(err(IDeviceRegistry.NothingToRegister.selector));
        registry.registerEndorsed(new IDeviceRegistry.Registration[](0), _endorsementOf(1));
    }

    /// @dev Anyone can create a model, and endorse what it likes.
    function test_error_ModelNotAccepted() public {
        _register(5, owner);
        vm.startPrank(owner);
        bytes32 own = models.create("trust me", SECURE);
        models.endorse(own, _leaf(5));
        IModelRegistry.Endorsement memory endorsement;
        (endorsement.model, endorsement.root) = (own, _leaf(5));
        bytes memory refusal = abi.encodeWithSelector(IMembership.ModelNotAccepted.selector, own);
        vm.expectRevert(refusal);
        membership.joinEndorsed(_devices(5, 1), endorsement);
        vm.stopPrank();
        membership.acceptModel(own, true);
        membership.acceptModel(own, false);
        vm.expectRevert(refusal);
        vm.prank(owner);
        membership.joinEndorsed(_devices(5, 1), endorsement);
        membership.acceptModel(own, true);
        vm.prank(owner);
        membership.joinEndorsed(_devices(5, 1), endorsement);
        assertEq(uint256(membership.member(deviceOf(5)).assurance), 3, "a run of one");
    }

    function test_error_AssuranceTooLow() public {
        _require(SECURE, 0);
        _register(1, owner);
        vm.expectRevert(
            abi.encodeWithSelector(
                IMembership.AssuranceTooLow.selector, IModelRegistry.Assurance.None, SECURE
            )
        );
        vm.prank(owner);
        membership.join(_devices(1, 1));
        vm.prank(maker);
        bytes32 soft = models.create("walker soft", IModelRegistry.Assurance.Software);
        vm.prank(maker);
        models.endorse(soft, root);
        membership.acceptModel(soft, true);
        IModelRegistry.Endorsement memory endorsement = _endorsementOf(1);
        endorsement.model = soft;
        vm.expectRevert(
            abi.encodeWithSelector(
                IMembership.AssuranceTooLow.selector, IModelRegistry.Assurance.Software, SECURE
            )
        );
        vm.prank(owner);
        membership.joinEndorsed(_devices(1, 1), endorsement);
        _join(1);
    }

    /// @dev What a network demands is for those to come.
    function test_requirements_leaveMembers() public {
        _register(5, owner);
        vm.prank(owner);
        membership.join(_devices(5, 1));
        _require(SECURE, 1 ether);
        assertEq(membership.memberCount(), 1, "members");
        assertTrue(
            membership.isPaid(deviceOf(5), uint64(block.timestamp) + 1, type(uint64).max), "paid"
        );
        IMembership.Requirements memory required = membership.requirements();
        assertEq(uint256(required.leastAssurance), 3, "least assurance");
        assertEq(required.joinFee, 1 ether, "fee");
    }

    function test_error_NotNetworkOwner() public {
        bytes memory refusal = abi.encodeWithSelector(IMembership.NotNetworkOwner.selector, owner);
        vm.startPrank(owner);
        vm.expectRevert(refusal);
        membership.setRequirements(IMembership.Requirements(SECURE, 0));
        vm.expectRevert(refusal);
        membership.acceptModel(model, false);
        vm.expectRevert(refusal);
        membership.nameAuditor(owner, true);
        vm.stopPrank();
    }

    // Fees

    function test_joinFee() public {
        _require(IModelRegistry.Assurance.None, 0.5 ether);
        _register(1, owner);
        _register(2, owner);
        vm.deal(owner, 2 ether);
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(IMembership.WrongFee.selector, 0.5 ether, 1 ether));
        membership.join{value: 0.5 ether}(_devices(1, 2));
        vm.expectRevert(abi.encodeWithSelector(IMembership.WrongFee.selector, 2 ether, 1 ether));
        membership.join{value: 2 ether}(_devices(1, 2));
        membership.join{value: 1 ether}(_devices(1, 2));
        vm.stopPrank();
        uint256 before = address(this).balance;
        vm.expectEmit(address(membership));
        emit IMembership.FeesWithdrawn(address(this), 1 ether);
        vm.prank(standby);
        membership.withdrawFees();
        assertEq(address(this).balance, before + 1 ether, "to the network's owner");
    }

    function test_joinFee_atRegistration() public {
        _require(SECURE, 0.5 ether);
        IDeviceRegistry.Registration[] memory two = _registrations(1, 2);
        vm.expectRevert(abi.encodeWithSelector(IMembership.WrongFee.selector, 0, 1 ether));
        registry.registerEndorsed(two, _endorsementOfTwo());
        registry.registerEndorsed{value: 1 ether}(two, _endorsementOfTwo());
        assertEq(address(membership).balance, 1 ether, "fees");
    }

    /// @dev Each network gets its own fee, and the sender keeps nothing there.
    function test_joinFee_ofSeveralNetworks() public {
        (, INetworkFactory.Network memory other) = factory.createNetwork(networkParams());
        IMembership second = IMembership(other.membership);
        _require(IModelRegistry.Assurance.None, 1 ether);
        second.setRequirements(IMembership.Requirements(IModelRegistry.Assurance.None, 0.25 ether));
        IDeviceRegistry.Registration[] memory all = new IDeviceRegistry.Registration[](4);
        all[0] = signedRegistration(1, owner, address(membership));
        all[1] = signedRegistration(2, owner, address(second));
        all[2] = signedRegistration(3, owner, address(second));
        all[3] = signedRegistration(4, owner, address(0));
        bytes4 wrong = IDeviceRegistry.WrongFee.selector;
        vm.expectRevert(abi.encodeWithSelector(wrong, 0.5 ether, 1 ether));
        registry.register{value: 0.5 ether}(all);
        vm.expectRevert(abi.encodeWithSelector(wrong, 1.25 ether, 1.5 ether));
        registry.register{value: 1.25 ether}(all);
        vm.expectRevert(abi.encodeWithSelector(wrong, 2 ether, 1.5 ether));
        registry.register{value: 2 ether}(all);
        registry.register{value: 1.5 ether}(all);
        assertEq(address(membership).balance, 1 ether, "fees of the first");
        assertEq(address(second).balance, 0.5 ether, "fees of the second");
    }

    function test_error_NotRegistry() public {
        vm.expectRevert(abi.encodeWithSelector(IMembership.NotRegistry.selector, owner));
        vm.prank(owner);
        membership.joinRegisteredEndorsed(_devices(1, 1), _endorsementOf(1));
    }

    function test_error_NotOwnerOfDevice() public {
        _register(1, standby);
        vm.expectRevert(
            abi.encodeWithSelector(IMembership.NotOwnerOfDevice.selector, deviceOf(1), owner)
        );
        vm.prank(owner);
        membership.joinEndorsed(_devices(1, 1), _endorsementOf(1));
    }

    // From here on: the run

    function _leaf(uint256 key) private pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(deviceOf(key)))));
    }

    function _pair(bytes32 a, bytes32 b) private pure returns (bytes32) {
        return a < b ? keccak256(bytes.concat(a, b)) : keccak256(bytes.concat(b, a));
    }

    function _endorsementOf(uint256 key)
        private
        view
        returns (IModelRegistry.Endorsement memory result)
    {
        (result.model, result.root) = (model, root);
        (result.proof, result.flags) = (new bytes32[](2), new bool[](2));
        result.proof[0] = _leaf(key % 2 == 0 ? key - 1 : key + 1);
        result.proof[1] = key <= 2 ? _pair(_leaf(3), _leaf(4)) : _pair(_leaf(1), _leaf(2));
    }

    function _endorsementOfTwo() private view returns (IModelRegistry.Endorsement memory result) {
        (result.model, result.root) = (model, root);
        (result.proof, result.flags) = (new bytes32[](1), new bool[](2));
        result.proof[0] = _pair(_leaf(3), _leaf(4));
        result.flags[0] = true;
    }

    function _endorsementOfAll() private view returns (IModelRegistry.Endorsement memory result) {
        (result.model, result.root) = (model, root);
        result.flags = new bool[](3);
        (result.flags[0], result.flags[1], result.flags[2]) = (true, true, true);
    }

    function _refuses(address[] memory devices, IModelRegistry.Endorsement memory endorsement)
        private
        view
    {
        try models.check(devices, endorsement) {
            revert NotTrue("refused");
        } catch (bytes memory reason) {
            bytes4 selector = bytes4(reason);
            // A proof of the wrong length is refused by the library.
            assertTrue(
                selector == IModelRegistry.InvalidEndorsement.selector
                    || selector == MerkleProof.MerkleProofInvalidMultiproof.selector,
                "why"
            );
        }
    }

    function _require(IModelRegistry.Assurance least, uint96 fee) private {
        membership.setRequirements(IMembership.Requirements(least, fee));
    }

    function _join(uint256 key) private {
        vm.prank(owner);
        membership.joinEndorsed(_devices(key, 1), _endorsementOf(key));
    }

    function _register(uint256 key, address owner_) private {
        IDeviceRegistry.Registration[] memory all = new IDeviceRegistry.Registration[](1);
        all[0] = signedRegistration(key, owner_, address(0));
        registry.register(all);
    }

    function _registration(uint256 key, address membership_)
        private
        view
        returns (IDeviceRegistry.Registration memory result)
    {
        result = signedRegistration(key, owner, membership_);
        result.model = model;
        (result.r, result.s) = vm.signP256(key, registry.registrationDigest(result));
    }

    function _registrations(uint256 key, uint256 count)
        private
        view
        returns (IDeviceRegistry.Registration[] memory result)
    {
        result = new IDeviceRegistry.Registration[](count);
        for (uint256 i = 0; i < count; i++) {
            result[i] = _registration(key + i, address(membership));
        }
    }

    function _devices(uint256 key, uint256 count) private pure returns (address[] memory result) {
        result = new address[](count);
        for (uint256 i = 0; i < count; i++) {
            result[i] = deviceOf(key + i);
        }
    }
}
