// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Disputes} from "../solidity/Disputes.sol";
import {Membership} from "../solidity/Membership.sol";
import {NetworkToken} from "../solidity/NetworkToken.sol";
import {Settlement} from "../solidity/Settlement.sol";
import {INetworkFactory} from "../solidity/interfaces/INetworkFactory.sol";
import {ISettlement} from "../solidity/interfaces/ISettlement.sol";
import {Scene} from "./base/Scene.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

contract NetworkFactoryTest is Scene {
    function setUp() public {
        setUpScene();
    }

    function test_createNetwork() public {
        INetworkFactory.NetworkParams memory params = networkParams();
        (params.owner, params.windowSeconds) = (owner, 60);
        (uint256 serial, INetworkFactory.Network memory network) = factory.createNetwork(params);
        bytes32 id = keccak256(abi.encode(block.chainid, address(factory), uint256(2)));
        assertEq(serial, 2, "serial");
        assertEq(factory.networkCount(), 2, "count");
        assertEq(factory.networkId(2), id, "id");
        assertEq(factory.serialOf(id), 2, "serialOf");
        assertEq(factory.serialOf(bytes32(uint256(5))), 0, "unknown id");
        INetworkFactory.Network memory stored = factory.network(2);
        assertEq(stored.settlement, network.settlement, "settlement");
        assertEq(stored.membership, network.membership, "membership");
        assertEq(stored.token, network.token, "token");
        assertEq(stored.disputes, network.disputes, "disputes");

        Settlement created = Settlement(network.settlement);
        assertEq(created.networkId(), id, "networkId");
        assertEq(created.owner(), owner, "owner");
        assertEq(created.disputes(), network.disputes, "disputes of settlement");
        assertEq(
            address(Disputes(payable(network.disputes)).settlement()),
            network.settlement,
            "settlement of disputes"
        );
        assertTrue(network.disputes != address(disputes), "each network has its own");
        assertEq(created.windowSeconds(), 60, "windowSeconds");
        assertEq(created.firstWindow(), block.timestamp / 60 + 1, "firstWindow");
        assertEq(created.nextWindow(), created.firstWindow(), "nextWindow");
        assertEq(created.nextFinalWindow(), created.firstWindow(), "nextFinalWindow");
        assertEq(created.token(), network.token, "token of settlement");
        assertEq(created.membership(), network.membership, "membership of settlement");
        assertEq(created.registry(), address(registry), "registry of settlement");
        assertEq(created.clock(), block.timestamp, "clock");
        assertEq(created.CLOCK_MODE(), "mode=timestamp", "clock mode");
        assertEq(
            created.versionAt(created.firstWindow()).configHash,
            keccak256(abi.encode(params.config)),
            "config"
        );
        assertEq(NetworkToken(network.token).minter(), network.settlement, "minter");
        assertEq(NetworkToken(network.token).name(), "Steps", "name");
        assertEq(NetworkToken(network.token).symbol(), "STEP", "symbol");
        assertEq(Membership(network.membership).registry(), address(registry), "registry");
        assertEq(Membership(network.membership).settlement(), network.settlement, "its settlement");
    }

    /// @dev A window that begins with the block that creates the network is not its first.
    function test_createNetwork_atTheStartOfAWindow() public {
        vm.warp(uint256(30_000) * DAY);
        (, INetworkFactory.Network memory network) = factory.createNetwork(networkParams());
        assertEq(Settlement(network.settlement).firstWindow(), 30_001, "firstWindow");
    }

    /// @dev A network without disputes is one whose operator has to be trusted.
    function test_createNetwork_withoutDisputes() public {
        INetworkFactory.NetworkParams memory params = networkParams();
        params.disputes = address(0);
        (, INetworkFactory.Network memory network) = factory.createNetwork(params);
        assertEq(network.disputes, address(0), "disputes");
        assertEq(Settlement(network.settlement).disputes(), address(0), "disputes of settlement");
    }

    function test_error_disputes_NotAContract() public {
        INetworkFactory.NetworkParams memory params = networkParams();
        params.disputes = standby;
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NotAContract.selector, standby));
        factory.createNetwork(params);
    }

    function test_error_UnknownNetwork() public {
        vm.expectRevert(abi.encodeWithSelector(INetworkFactory.UnknownNetwork.selector, 2));
        factory.network(2);
        vm.expectRevert(abi.encodeWithSelector(INetworkFactory.UnknownNetwork.selector, 0));
        factory.network(0);
    }

    function test_error_InvalidWindowLength() public {
        INetworkFactory.NetworkParams memory params = networkParams();
        params.windowSeconds = 0;
        vm.expectRevert(abi.encodeWithSelector(ISettlement.InvalidWindowLength.selector, 0));
        factory.createNetwork(params);
    }

    function test_error_RetentionTooShort() public {
        INetworkFactory.NetworkParams memory params = networkParams();
        params.config.retention = CHALLENGE + RESPONSE - 1;
        vm.expectRevert(
            abi.encodeWithSelector(
                ISettlement.RetentionTooShort.selector,
                CHALLENGE + RESPONSE - 1,
                CHALLENGE + RESPONSE
            )
        );
        factory.createNetwork(params);
        params.config.retention++;
        factory.createNetwork(params);
    }

    function test_token_minterOnly() public {
        vm.expectRevert(abi.encodeWithSelector(NetworkToken.NotMinter.selector, address(this)));
        token.mint(address(this), 1);
        vm.prank(address(settlement));
        assertEq(token.mint(owner, 5), 5, "supply");
        assertEq(token.balanceOf(owner), 5, "balance");
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InvalidReceiver.selector, address(0))
        );
        vm.prank(address(settlement));
        token.mint(address(0), 1);
    }

    function test_token_permit() public {
        address holder = vm.createWallet(5).addr;
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256(
                    "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
                ),
                holder,
                address(this),
                uint256(7),
                uint256(0),
                block.timestamp
            )
        );
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(5, keccak256(bytes.concat(hex"1901", token.DOMAIN_SEPARATOR(), structHash)));
        token.permit(holder, address(this), 7, block.timestamp, v, r, s);
        assertEq(token.allowance(holder, address(this)), 7, "allowance");
    }
}
