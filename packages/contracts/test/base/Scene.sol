// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {DeviceRegistry} from "../../solidity/DeviceRegistry.sol";
import {Disputes} from "../../solidity/Disputes.sol";
import {Membership} from "../../solidity/Membership.sol";
import {NetworkFactory} from "../../solidity/NetworkFactory.sol";
import {NetworkToken} from "../../solidity/NetworkToken.sol";
import {Settlement} from "../../solidity/Settlement.sol";
import {IDeviceRegistry} from "../../solidity/interfaces/IDeviceRegistry.sol";
import {INetworkFactory} from "../../solidity/interfaces/INetworkFactory.sol";
import {ISettlement} from "../../solidity/interfaces/ISettlement.sol";
import {SumMetric} from "../../solidity/metrics/SumMetric.sol";
import {ThresholdPolicy} from "../../solidity/policies/ThresholdPolicy.sol";
import {Ledger} from "./Ledger.sol";
import {Test} from "./Test.sol";

/// @dev A network of daily windows that this test owns, with one bonded operator.
abstract contract Scene is Test {
    uint32 internal constant DAY = 1 days;
    uint32 internal constant GRACE = 1 hours;
    uint32 internal constant CHALLENGE = 2 days;
    uint32 internal constant RESPONSE = 1 days;
    uint32 internal constant TAKEOVER = 6 hours;
    uint32 internal constant RETENTION = 30 days;
    uint96 internal constant MIN_BOND = 1 ether;
    uint128 internal constant COVERAGE = 1000;
    uint96 internal constant CHALLENGE_BOND = 0.1 ether;

    address internal immutable operator = address(0x0905);
    address internal immutable standby = address(0x57a4);
    address internal immutable owner = address(0x0143);

    DeviceRegistry internal registry;
    NetworkFactory internal factory;
    /// @dev What the network's disputes are a clone of.
    Disputes internal disputesImplementation;
    SumMetric internal metric;
    ThresholdPolicy internal policy;
    Settlement internal settlement;
    Membership internal membership;
    NetworkToken internal token;
    Disputes internal disputes;
    uint32 internal firstWindow;

    receive() external payable {}

    function setUpScene() internal {
        vm.warp(1_790_000_000);
        registry = new DeviceRegistry();
        factory = new NetworkFactory(address(registry));
        disputesImplementation = new Disputes();
        metric = new SumMetric();
        policy = new ThresholdPolicy();
        (, INetworkFactory.Network memory network) = factory.createNetwork(networkParams());
        settlement = Settlement(network.settlement);
        membership = Membership(network.membership);
        token = NetworkToken(network.token);
        disputes = Disputes(payable(network.disputes));
        firstWindow = settlement.firstWindow();
        bond(operator, 1, 10 ether);
    }

    function config() internal view returns (ISettlement.Config memory result) {
        result.schema = 1;
        result.schemaHash = keccak256("schema");
        result.fields = 1;
        result.tickMs = 1000;
        result.metric = address(metric);
        result.metricParams = abi.encode(uint256(0), int256(0), int256(900));
        result.policy = address(policy);
        result.policyParams = abi.encode(int256(10_000), uint256(1), uint256(100_000));
        result.operator = operator;
        result.grace = GRACE;
        result.challengeWindow = CHALLENGE;
        result.responseTime = RESPONSE;
        result.takeoverDelay = TAKEOVER;
        result.retention = RETENTION;
        result.maxRowsBytes = 4096;
        result.minBond = MIN_BOND;
        result.coverage = COVERAGE;
        result.challengeBond = CHALLENGE_BOND;
    }

    function networkParams() internal view returns (INetworkFactory.NetworkParams memory) {
        return INetworkFactory.NetworkParams({
            name: "Steps",
            symbol: "STEP",
            owner: address(this),
            disputes: address(disputesImplementation),
            isPrivate: isPrivate(),
            windowSeconds: DAY,
            config: config()
        });
    }

    function isPrivate() internal pure virtual returns (bool) {
        return false;
    }

    function bond(address account, uint256 key, uint256 amount) internal {
        (uint256 x, uint256 y) = vm.publicKeyP256(key);
        vm.deal(account, account.balance + amount);
        vm.prank(account);
        settlement.bond{value: amount}(bytes32(x), bytes32(y));
    }

    /// @dev Changes the log key of an account to key `key`.
    function rotate(address account, uint256 key) internal {
        (uint256 x, uint256 y) = vm.publicKeyP256(key);
        vm.prank(account);
        settlement.rotateLogKey(bytes32(x), bytes32(y));
    }

    /// @dev The settlement, for one call of its disputes.
    function asDisputes() internal returns (Settlement) {
        vm.prank(address(disputes));
        return settlement;
    }

    // Devices

    function signedRegistration(uint256 key, address owner_, address membership_)
        internal
        view
        returns (IDeviceRegistry.Registration memory result)
    {
        (uint256 x, uint256 y) = vm.publicKeyP256(key);
        result.x = bytes32(x);
        result.y = bytes32(y);
        result.algorithm = IDeviceRegistry.Algorithm.ES256;
        result.owner = owner_;
        result.membership = membership_;
        result.deadline = type(uint64).max;
        (result.r, result.s) = vm.signP256(key, registry.registrationDigest(result));
    }

    function deviceOf(uint256 key) internal pure returns (address) {
        (uint256 x, uint256 y) = vm.publicKeyP256(key);
        return address(uint160(uint256(keccak256(abi.encode(x, y)))));
    }

    /// @dev Registers the keys from `key` on and joins them.
    function addDevices(uint256 key, uint256 count, address owner_) internal {
        IDeviceRegistry.Registration[] memory registrations =
            new IDeviceRegistry.Registration[](count);
        for (uint256 i = 0; i < count; i++) {
            registrations[i] = signedRegistration(key + i, owner_, address(membership));
        }
        registry.register(registrations);
    }

    // Epochs

    function startOf(uint32 window) internal pure returns (uint256) {
        return uint256(window) * DAY;
    }

    function dueAt(uint32 window) internal pure returns (uint256) {
        return startOf(window + 1) + GRACE;
    }

    function logs(uint256 count) internal pure returns (ISettlement.Log[] memory result) {
        result = new ISettlement.Log[](count);
        for (uint32 i = 0; i < count; i++) {
            result[i] = ISettlement.Log(i, 1000 + i, keccak256(abi.encode("log", i)));
        }
    }

    function posting(uint32 window, Ledger ledger)
        internal
        view
        returns (ISettlement.Posting memory result)
    {
        result.window = window;
        if (window > firstWindow) result.parentHash = settlement.epoch(window - 1).epochHash;
        result.depth = ledger.depth();
        (result.ledgerRoot, result.ledgerTotal) = ledger.root();
        result.logs = logs(1);
    }

    /// @dev Posts when it is time, or now if that is over.
    function post(uint32 window, Ledger ledger) internal {
        if (block.timestamp < dueAt(window)) vm.warp(dueAt(window));
        ISettlement.Posting memory p = posting(window, ledger);
        vm.prank(operator);
        settlement.postEpoch(p);
    }

    function one(ISettlement.Redemption memory redemption)
        internal
        pure
        returns (ISettlement.Redemption[] memory result)
    {
        result = new ISettlement.Redemption[](1);
        result[0] = redemption;
    }
}
