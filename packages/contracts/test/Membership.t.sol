// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Membership} from "../solidity/Membership.sol";
import {IDeviceRegistry} from "../solidity/interfaces/IDeviceRegistry.sol";
import {IMembership} from "../solidity/interfaces/IMembership.sol";
import {IModelRegistry} from "../solidity/interfaces/IModelRegistry.sol";
import {INetworkFactory} from "../solidity/interfaces/INetworkFactory.sol";
import {Scene} from "./base/Scene.sol";
import {IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

contract MembershipTest is Scene {
    address private disputer;

    function setUp() public {
        setUpScene();
        (, INetworkFactory.Network memory network) = factory.createNetwork(networkParams());
        disputer = network.disputes;
        membership = _membershipOf(network);
        for (uint256 i = 0; i < 4; i++) {
            _register(1 + i, i < 3 ? owner : standby);
        }
    }

    function test_join() public {
        address[] memory devices = _devices(1, 3);
        vm.expectEmit(address(membership));
        emit IMembership.Joined(devices[0], 0, IModelRegistry.Assurance.None);
        vm.expectEmit(address(membership));
        emit IMembership.Joined(devices[1], 1, IModelRegistry.Assurance.None);
        vm.prank(owner);
        membership.join(devices);
        vm.warp(block.timestamp + 5);
        vm.prank(standby);
        membership.join(_devices(4, 1));
        assertEq(membership.memberCount(), 4, "count");
        IMembership.Member memory member = membership.member(deviceOf(4));
        assertEq(member.slot, 3, "slot");
        assertEq(member.joinedAt, block.timestamp, "joinedAt");
        assertEq(member.suspendedAt, 0, "suspendedAt");
        assertEq(uint256(member.assurance), 0, "assurance");
    }

    function test_join_twoNetworks() public {
        vm.startPrank(owner);
        membership.join(_devices(1, 1));
        IMembership(settlement.membership()).join(_devices(1, 1));
        vm.stopPrank();
        assertEq(
            IMembership(settlement.membership()).member(deviceOf(1)).joinedAt,
            block.timestamp,
            "joined both"
        );
    }

    function test_error_NotOwnerOfDevice() public {
        vm.expectRevert(
            abi.encodeWithSelector(IMembership.NotOwnerOfDevice.selector, deviceOf(4), owner)
        );
        vm.prank(owner);
        membership.join(_devices(1, 4));
    }

    function test_error_unregisteredDevice() public {
        vm.expectRevert(
            abi.encodeWithSelector(
                IERC721Errors.ERC721NonexistentToken.selector, uint160(deviceOf(9))
            )
        );
        vm.prank(owner);
        membership.join(_devices(9, 1));
    }

    function test_error_AlreadyMember() public {
        vm.startPrank(owner);
        membership.join(_devices(1, 1));
        vm.expectRevert(abi.encodeWithSelector(IMembership.AlreadyMember.selector, deviceOf(1)));
        membership.join(_devices(1, 1));
        address[] memory twice = new address[](2);
        (twice[0], twice[1]) = (deviceOf(2), deviceOf(2));
        vm.expectRevert(abi.encodeWithSelector(IMembership.AlreadyMember.selector, deviceOf(2)));
        membership.join(twice);
        vm.stopPrank();
    }

    /// @dev A suspended member has its slot for good: it cannot join again.
    function test_error_AlreadyMember_suspended() public {
        vm.prank(owner);
        membership.join(_devices(1, 1));
        membership.suspend(_devices(1, 1));
        vm.expectRevert(abi.encodeWithSelector(IMembership.AlreadyMember.selector, deviceOf(1)));
        vm.prank(owner);
        membership.join(_devices(1, 1));
    }

    function test_error_NotRegistry() public {
        vm.expectRevert(abi.encodeWithSelector(IMembership.NotRegistry.selector, owner));
        vm.prank(owner);
        membership.joinRegistered(_devices(1, 1));
    }

    function test_suspend_byOwnerAndByDisputes() public {
        vm.prank(owner);
        membership.join(_devices(1, 3));
        vm.warp(block.timestamp + 5);
        vm.expectEmit(address(membership));
        emit IMembership.Suspended(deviceOf(1));
        membership.suspend(_devices(1, 1));
        vm.prank(disputer);
        membership.suspend(_devices(2, 2));
        for (uint256 i = 0; i < 3; i++) {
            IMembership.Member memory member = membership.member(deviceOf(1 + i));
            assertEq(member.suspendedAt, block.timestamp, "suspendedAt");
            assertEq(member.joinedAt, block.timestamp - 5, "joinedAt");
            assertEq(member.slot, i, "slot");
        }
        assertEq(membership.memberCount(), 3, "count");
    }

    function test_error_NotSuspender() public {
        vm.prank(owner);
        membership.join(_devices(1, 1));
        vm.expectRevert(abi.encodeWithSelector(IMembership.NotSuspender.selector, owner));
        vm.prank(owner);
        membership.suspend(_devices(1, 1));
    }

    function test_error_NotMember() public {
        vm.expectRevert(abi.encodeWithSelector(IMembership.NotMember.selector, deviceOf(1)));
        membership.suspend(_devices(1, 1));
    }

    function test_error_AlreadySuspended() public {
        vm.prank(owner);
        membership.join(_devices(1, 1));
        membership.suspend(_devices(1, 1));
        vm.expectRevert(abi.encodeWithSelector(IMembership.AlreadySuspended.selector, deviceOf(1)));
        membership.suspend(_devices(1, 1));
    }

    /// @dev Joined at 1000, suspended at 2000, against windows around these times.
    function test_isPaid() public {
        assertTrue(!membership.isPaid(deviceOf(1), 0, type(uint64).max), "no member");
        uint64 joinedAt = uint64(block.timestamp);
        vm.prank(owner);
        membership.join(_devices(1, 1));
        address device = deviceOf(1);
        assertTrue(!membership.isPaid(device, joinedAt, joinedAt + 10), "joined at the start");
        assertTrue(membership.isPaid(device, joinedAt + 1, joinedAt + 10), "joined before");
        vm.warp(joinedAt + 1000);
        membership.suspend(_devices(1, 1));
        assertTrue(membership.isPaid(device, joinedAt + 1, joinedAt + 1000), "until then");
        assertTrue(!membership.isPaid(device, joinedAt + 1, joinedAt + 1001), "within");
        assertTrue(!membership.isPaid(device, joinedAt + 2000, joinedAt + 3000), "after");
    }

    function _membershipOf(INetworkFactory.Network memory network)
        private
        pure
        returns (Membership)
    {
        return Membership(network.membership);
    }

    function _register(uint256 key, address owner_) private {
        IDeviceRegistry.Registration[] memory all = new IDeviceRegistry.Registration[](1);
        all[0] = signedRegistration(key, owner_, address(0));
        registry.register(all);
    }

    function _devices(uint256 key, uint256 count) private pure returns (address[] memory result) {
        result = new address[](count);
        for (uint256 i = 0; i < count; i++) {
            result[i] = deviceOf(key + i);
        }
    }
}
