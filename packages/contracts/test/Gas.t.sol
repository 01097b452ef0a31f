// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IDeviceRegistry} from "../solidity/interfaces/IDeviceRegistry.sol";
import {IModelRegistry} from "../solidity/interfaces/IModelRegistry.sol";
import {ISettlement} from "../solidity/interfaces/ISettlement.sol";
import {Ledger} from "./base/Ledger.sol";
import {Run} from "./base/Run.sol";
import {Scene} from "./base/Scene.sol";

/// @dev Gas of whole transactions, calldata included, on a chain with the P-256 precompile, against the budgets of
/// DESIGN §11. Only for what is shipped:
///   FOUNDRY_PROFILE=release npm run forge -- test --match-contract GasTest
/// writes snapshots/Gas.json, and fails on a difference instead if FORGE_SNAPSHOT_CHECK=true.
/// forge-config: release.isolate = true
/// forge-config: release.evm_version = "osaka"
contract GasTest is Scene {
    uint8 private constant DEPTH = 20;
    uint256 private constant BUDGET_POST = 150_000;
    uint256 private constant BUDGET_REDEEM_LONE = 87_000;
    uint256 private constant BUDGET_REDEEM_TEN = 48_000;
    uint256 private constant BUDGET_REDEEM_FLEET = 24_000;
    uint256 private constant BUDGET_REGISTER_LONE = 110_000;
    uint256 private constant BUDGET_REGISTER_FLEET = 65_000;
    uint256 private constant BUDGET_ENDORSED_LONE = 135_000;
    uint256 private constant BUDGET_ENDORSED_FLEET = 75_000;

    function setUp() public {
        string memory profile = vm.envOr("FOUNDRY_PROFILE", string("default"));
        // Gas is of what ships: the gate `gas` of CI runs these in the release profile.
        vm.skip(keccak256(bytes(profile)) != keccak256("release"));
        setUpScene();
    }

    function test_gas_register() public {
        addDevices(1, 1, address(0xa11));

        IDeviceRegistry.Registration[] memory lone = new IDeviceRegistry.Registration[](1);
        lone[0] = signedRegistration(2, address(0xa12), address(membership));
        registry.register(lone);
        // Not within the budget, and cannot be: three new slots (owner, balance, member), the member count,
        // the transaction, its calldata, the precompile, the call and the events are 111,000 together.
        vm.snapshotGasLastCall("Gas", "register and join, first device of an owner");

        lone[0] = signedRegistration(3, address(0xa12), address(membership));
        registry.register(lone);
        _within("register and join, owner of another device", 1, BUDGET_REGISTER_LONE);

        IDeviceRegistry.Registration[] memory fleet = new IDeviceRegistry.Registration[](100);
        for (uint256 i = 0; i < 100; i++) {
            fleet[i] = signedRegistration(10 + i, address(0xa13), address(membership));
        }
        registry.register(fleet);
        _within("register and join, each of 100", 100, BUDGET_REGISTER_FLEET);

        for (uint256 i = 0; i < 100; i++) {
            fleet[i] = signedRegistration(1000 + i, address(0xa13), address(0));
        }
        registry.register(fleet);
        _within("register, each of 100", 100, BUDGET_REGISTER_FLEET);

        address[] memory devices = new address[](100);
        for (uint256 i = 0; i < 100; i++) {
            devices[i] = deviceOf(1000 + i);
        }
        vm.prank(address(0xa13));
        membership.join(devices);
        _within("join, each of 100", 100, BUDGET_REGISTER_FLEET);
    }

    function test_gas_models() public {
        IModelRegistry models = registry.models();
        bytes32 model = models.create("walker", IModelRegistry.Assurance.SecureElement);
        vm.snapshotGasLastCall("Gas", "create a model");
        // A thousand devices, of which the keys from 1 on are used here.
        address[] memory devices = new address[](1000);
        for (uint256 i = 0; i < 1000; i++) {
            devices[i] =
                i < 300 ? deviceOf(1 + i) : address(uint160(uint256(keccak256(abi.encode(i)))));
        }
        Run run = new Run(devices);
        models.endorse(model, run.root());
        vm.snapshotGasLastCall("Gas", "endorse a run, whatever its length");
        membership.acceptModel(model, true);
        vm.snapshotGasLastCall("Gas", "accept a model");
        addDevices(9001, 1, address(0xa11));
        vm.deal(address(this), 1 ether);

        _registerEndorsed(run, model, 1, 1);
        _within(
            "register and join of a run of 1,000, owner of another device", 1, BUDGET_ENDORSED_LONE
        );
        _registerEndorsed(run, model, 2, 100);
        _within("register and join of a run of 1,000, each of 100", 100, BUDGET_ENDORSED_FLEET);

        (address[] memory lone, IModelRegistry.Endorsement memory endorsement) =
            run.endorse(model, _registered(200, 1));
        vm.prank(address(0xa11));
        membership.joinEndorsed(lone, endorsement);
        vm.snapshotGasLastCall("Gas", "join of a run of 1,000");
        address[] memory fleet;
        (fleet, endorsement) = run.endorse(model, _registered(201, 100));
        vm.prank(address(0xa11));
        membership.joinEndorsed(fleet, endorsement);
        _within("join of a run of 1,000, each of 100", 100, BUDGET_ENDORSED_FLEET);
    }

    function test_gas_postEpoch() public {
        Ledger ledger = _largeLedger();
        _post(0, ledger, 1);
        _within("postEpoch, first", 1, BUDGET_POST);
        for (uint32 i = 1; i < 4; i++) {
            _post(i, ledger, 1);
        }
        _post(4, ledger, 1);
        _within("postEpoch, later, 1 shard", 1, BUDGET_POST);
        _post(5, ledger, 8);
        _within("postEpoch, later, 8 shards", 1, BUDGET_POST);
    }

    function test_gas_redeem_lone() public {
        addDevices(1, 1, owner);
        Ledger ledger = _largeLedger();
        ledger.set(777_777, _entry(1, 300 ether));
        _redeemFinal(0, ledger, _each(ledger, 777_777, 1, 1));
        vm.snapshotGasLastCall("Gas", "redeem, lone, first of device, owner and token");
        ledger.set(777_777, _entry(1, 600 ether));
        _redeemFinal(1, ledger, _each(ledger, 777_777, 1, 1));
        _within("redeem, lone, later", 1, BUDGET_REDEEM_LONE);
    }

    function test_gas_redeem_tenTogether() public {
        Ledger ledger = _largeLedger();
        for (uint32 i = 0; i < 10; i++) {
            addDevices(1 + i, 1, address(uint160(0xb000 + i)));
            ledger.set(100_003 * i, _entry(1 + i, 300 ether));
        }
        _redeemFinal(0, ledger, _each(ledger, 0, 100_003, 10));
        for (uint32 i = 0; i < 10; i++) {
            ledger.set(100_003 * i, _entry(1 + i, 600 ether));
        }
        _redeemFinal(1, ledger, _each(ledger, 0, 100_003, 10));
        _within("redeem, later, each of 10", 10, BUDGET_REDEEM_TEN);
    }

    function test_gas_redeem_fleet() public {
        addDevices(1, 100, owner);
        Ledger ledger = _largeLedger();
        for (uint32 i = 0; i < 100; i++) {
            ledger.set(500_005 + i, _entry(1 + i, 300 ether));
        }
        _redeemFinal(0, ledger, _run(ledger, 500_005, 100));
        _set(ledger, 100, 600 ether);
        _redeemFinal(1, ledger, _run(ledger, 500_005, 100));
        _within("redeem, later, each of a fleet of 100", 100, BUDGET_REDEEM_FLEET);
        _set(ledger, 8, 900 ether);
        _redeemFinal(2, ledger, _run(ledger, 500_005, 8));
        _within("redeem, later, each of a fleet of 8", 8, BUDGET_REDEEM_FLEET);
    }

    /// @dev Registers keys, and gives their devices.
    function _registered(uint256 key, uint256 count) private returns (address[] memory devices) {
        devices = new address[](count);
        IDeviceRegistry.Registration[] memory all = new IDeviceRegistry.Registration[](count);
        for (uint256 i = 0; i < count; i++) {
            all[i] = signedRegistration(key + i, address(0xa11), address(0));
            devices[i] = deviceOf(key + i);
        }
        registry.register(all);
    }

    function _registerEndorsed(Run run, bytes32 model, uint256 key, uint256 count) private {
        address[] memory devices = new address[](count);
        for (uint256 i = 0; i < count; i++) {
            devices[i] = deviceOf(key + i);
        }
        (address[] memory ordered, IModelRegistry.Endorsement memory endorsement) =
            run.endorse(model, devices);
        IDeviceRegistry.Registration[] memory all = new IDeviceRegistry.Registration[](count);
        for (uint256 i = 0; i < count; i++) {
            uint256 j = 0;
            while (devices[j] != ordered[i]) j++;
            all[i] = signedRegistration(key + j, address(0xa11), address(membership));
            all[i].model = model;
            (all[i].r, all[i].s) = vm.signP256(key + j, registry.registrationDigest(all[i]));
        }
        registry.registerEndorsed(all, endorsement);
    }

    function _within(string memory name, uint256 count, uint256 budget) private {
        uint256 gasUsed = vm.snapshotGasLastCall("Gas", name);
        if (count > 1) vm.snapshotValue("Gas", name, gasUsed / count);
        assertTrue(gasUsed / count <= budget, name);
    }

    /// @dev A million members, but for their storage.
    function _largeLedger() private returns (Ledger) {
        vm.store(address(membership), bytes32(0), bytes32(uint256(2 ** DEPTH - 1000)));
        vm.deal(operator, 1e30);
        vm.prank(operator);
        (uint256 x, uint256 y) = vm.publicKeyP256(1);
        settlement.bond{value: 1e28}(bytes32(x), bytes32(y));
        return new Ledger(DEPTH, true);
    }

    function _entry(uint256 key, uint128 cumulative)
        private
        pure
        returns (ISettlement.Entry memory)
    {
        return ISettlement.Entry(deviceOf(key), cumulative, keccak256(abi.encode(key, cumulative)));
    }

    function _set(Ledger ledger, uint32 count, uint128 cumulative) private {
        for (uint32 i = 0; i < count; i++) {
            ledger.set(500_005 + i, _entry(1 + i, cumulative));
        }
    }

    function _each(Ledger ledger, uint32 from, uint32 step, uint32 count)
        private
        view
        returns (ISettlement.Redemption[] memory result)
    {
        result = new ISettlement.Redemption[](count);
        for (uint32 i = 0; i < count; i++) {
            result[i] = ledger.redemption(from + i * step, 1);
        }
    }

    function _run(Ledger ledger, uint32 from, uint32 count)
        private
        view
        returns (ISettlement.Redemption[] memory)
    {
        return one(ledger.redemption(from, count));
    }

    function _post(uint32 index, Ledger ledger, uint256 shards) private {
        ISettlement.Posting memory p = posting(firstWindow + index, ledger);
        p.logs = logs(shards);
        vm.warp(dueAt(p.window));
        vm.prank(operator);
        settlement.postEpoch(p);
    }

    function _redeemFinal(uint32 index, Ledger ledger, ISettlement.Redemption[] memory redemptions)
        private
    {
        _post(index, ledger, 1);
        vm.warp(block.timestamp + CHALLENGE);
        settlement.finalize(1);
        settlement.redeem(firstWindow + index, redemptions);
    }
}
