// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IDisputes} from "../solidity/interfaces/IDisputes.sol";
import {IMembership} from "../solidity/interfaces/IMembership.sol";
import {DisputeScene} from "./base/DisputeScene.sol";

/// @dev Who may read, and who may make an operator publish. Device 1, in slot 0, has a batch; device 2, in slot 1,
/// is another owner's.
contract PrivateNetworkTest is DisputeScene {
    address private immutable buyer = address(0xb47e5);
    address private immutable grantee = address(0x64a2);
    address private immutable auditor = address(0xa0d1);
    address private device;
    uint32 private window;
    uint64 private start;

    function setUp() public {
        setUpDisputes();
        device = deviceOf(1);
        join(1);
        join(2);
        vm.prank(owner);
        registry.transferFrom(owner, standby, uint160(deviceOf(2)));
        window = firstWindow + 1;
        start = uint64(startOf(window));
        vm.warp(start);
        append(signedBatch(1, 0, window), 0);
        membership.nameAuditor(auditor, true);
        address[6] memory all = [owner, standby, buyer, grantee, auditor, operator];
        for (uint256 i = 0; i < all.length; i++) {
            vm.deal(all[i], 100 ether);
        }
    }

    function isPrivate() internal pure override returns (bool) {
        return true;
    }

    // Reading

    function test_mayRead() public view {
        assertTrue(membership.isPrivate(), "private");
        assertTrue(_mayRead(owner), "owner");
        assertTrue(_mayRead(auditor), "auditor");
        assertTrue(!_mayRead(standby), "owner of another");
        assertTrue(!_mayRead(grantee), "nobody's grantee");
        assertTrue(!_mayRead(operator), "operator");
        assertTrue(!membership.mayRead(owner, deviceOf(3), start), "no member");
        assertTrue(!membership.mayRead(owner, address(0), start), "no device");
        assertTrue(membership.mayRead(auditor, address(0), start), "all of them");
    }

    function test_grantRead() public {
        uint64 until = start + 10;
        vm.expectEmit(address(membership));
        emit IMembership.ReadGranted(device, owner, grantee, until);
        _grant(owner, until);
        assertTrue(_mayRead(grantee), "granted");
        assertTrue(!membership.mayRead(grantee, deviceOf(2), start), "one device");
        vm.warp(until - 1);
        assertTrue(_mayRead(grantee), "until then");
        vm.warp(until);
        assertTrue(!_mayRead(grantee), "over");
    }

    function test_grantRead_takenBack() public {
        _grant(owner, start + 10);
        _grant(owner, 0);
        assertTrue(!_mayRead(grantee), "taken back");
    }

    function test_error_grantRead_NotOwnerOfDevice() public {
        address[] memory devices = new address[](2);
        (devices[0], devices[1]) = (device, deviceOf(2));
        vm.expectRevert(
            abi.encodeWithSelector(IMembership.NotOwnerOfDevice.selector, devices[1], owner)
        );
        vm.prank(owner);
        membership.grantRead(devices, grantee, start + 10);
    }

    /// @dev A buyer gets the device, and not the track of whoever had it.
    function test_transfer() public {
        _grant(owner, type(uint64).max);
        assertEq(registry.ownedSince(device), 0, "since the registration");
        vm.warp(start + 100);
        _sell(owner, buyer);
        assertEq(registry.ownedSince(device), start + 100, "since the sale");
        assertTrue(!_mayRead(buyer), "what was before");
        assertTrue(membership.mayRead(buyer, device, start + 100), "what is the buyer's");
        assertTrue(!membership.mayRead(owner, device, start + 100), "the seller");
        assertTrue(!membership.mayRead(grantee, device, start + 100), "the seller's grantee");
        assertTrue(!_mayRead(owner), "not even what was its own");
        assertTrue(_mayRead(auditor), "auditor");
        vm.warp(start + 200);
        _sell(buyer, owner);
        assertTrue(!membership.mayRead(owner, device, start + 199), "the buyer's");
        assertTrue(!membership.mayRead(grantee, device, start + 200), "granted before the sale");
        _grant(owner, type(uint64).max);
        assertTrue(membership.mayRead(grantee, device, start + 200), "granted again");
    }

    function test_transfer_toItself() public {
        vm.warp(start + 100);
        _sell(owner, owner);
        assertTrue(_mayRead(owner), "nothing changed");
    }

    function test_nameAuditor() public {
        vm.expectEmit(address(membership));
        emit IMembership.AuditorNamed(auditor, false);
        membership.nameAuditor(auditor, false);
        assertTrue(!membership.isAuditor(auditor), "no more");
        assertTrue(!_mayRead(auditor), "no more");
    }

    // Disputes

    function test_challengeStep_byItsOwner() public {
        _post();
        bytes32 id = _openStep(owner, 0, device, "");
        answerStep(window, 0, 0, stepEvidence(window, 0, 0));
        assertTrue(disputes.challenge(id).status == IDisputes.Status.Answered, "answered");
    }

    function test_challengeStep_byAGrantee() public {
        _grant(owner, type(uint64).max);
        _post();
        _openStep(grantee, 0, device, "");
    }

    function test_challengeStep_byAnAuditor() public {
        _post();
        _openStep(auditor, 0, address(0), "");
        _openStep(auditor, 1, deviceOf(2), "");
        // A slot that nobody has.
        join(3);
        window++;
        _post();
        _openStep(auditor, 3, address(0), "");
    }

    function test_error_challengeStep_MayNotRead() public {
        _post();
        _openStep(challenger, 0, device, _mayNotRead(challenger, device));
        _openStep(operator, 0, device, _mayNotRead(operator, device));
        _openStep(owner, 0, address(0), _mayNotRead(owner, address(0)));
        _openStep(address(this), 0, device, _mayNotRead(address(this), device));
    }

    /// @dev Who may read one device may not name it to look into another's slot.
    function test_error_challengeStep_NotMemberOfSlot() public {
        _post();
        bytes memory refusal = abi.encodeWithSelector(IDisputes.NotMemberOfSlot.selector, 1, device);
        _openStep(owner, 1, device, refusal);
        _openStep(auditor, 1, device, refusal);
    }

    function test_error_challengeStep_byABuyer() public {
        _post();
        _sell(owner, buyer);
        _openStep(buyer, 0, device, _mayNotRead(buyer, device));
        _openStep(owner, 0, device, _mayNotRead(owner, device));
    }

    function test_challengeOmission() public {
        _post();
        _openOmission(challenger, _mayNotRead(challenger, device));
        _openOmission(standby, _mayNotRead(standby, device));
        uint256 state = vm.snapshotState();
        _openOmission(owner, "");
        answerOmission(window, 0, batchAt(0), omissionEvidence(window, 0, batchAt(0)));
        vm.revertToState(state);
        _openOmission(auditor, "");
    }

    /// @dev Anyone can check that no slot earns more than it may.
    function test_carryAndReveal_areForAll() public {
        _post();
        openCarry(window, 0, device);
        openReveal(window, 1, 0);
    }

    // From here on: the scene

    function _post() private {
        for (uint32 w = firstWindow; w <= window; w++) {
            if (settlement.epoch(w).attempt == 0) postHonest(w);
        }
    }

    function _mayRead(address account) private view returns (bool) {
        return membership.mayRead(account, device, start);
    }

    function _mayNotRead(address account, address device_) private view returns (bytes memory) {
        return abi.encodeWithSelector(
            IDisputes.MayNotRead.selector, account, device_, uint64(startOf(window))
        );
    }

    function _grant(address from, uint64 until) private {
        address[] memory devices = new address[](1);
        devices[0] = device;
        vm.prank(from);
        membership.grantRead(devices, grantee, until);
    }

    function _sell(address from, address to) private {
        vm.prank(from);
        registry.transferFrom(from, to, uint160(device));
    }

    function _openStep(address who, uint32 slot, address device_, bytes memory refusal)
        private
        returns (bytes32)
    {
        if (refusal.length > 0) vm.expectRevert(refusal);
        vm.prank(who);
        return disputes.challengeStep{value: CHALLENGE_BOND}(window, 1, slot, 0, device_);
    }

    function _openOmission(address who, bytes memory refusal) private {
        Batch memory batch = batchAt(0);
        IDisputes.EpochEvidence memory epoch = epochEvidence(window);
        IDisputes.InclusionEvidence memory inclusion = inclusionEvidence(window, batch);
        if (refusal.length > 0) vm.expectRevert(refusal);
        vm.prank(who);
        disputes.challengeOmission{value: CHALLENGE_BOND}(
            window, 1, epoch, batch.evidence, inclusion
        );
    }
}
