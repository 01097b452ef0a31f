// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ISettlement} from "../solidity/interfaces/ISettlement.sol";
import {Ledger} from "./base/Ledger.sol";
import {Scene} from "./base/Scene.sol";
import {Test} from "./base/Test.sol";

/// @dev Everybody who can touch a network, acting at random: an operator that is not always honest, a
/// disputes contract, owners that sell their devices, and strangers that redeem with whatever was ever posted.
contract Actors is Scene {
    uint32 private constant DEVICES = 6;
    uint8 private constant DEPTH = 3;

    struct Attempt {
        uint32 window;
        uint32 attempt;
    }

    address[3] private _owners = [address(0xa11), address(0xa12), address(0xa13)];
    mapping(uint32 window => mapping(uint32 attempt => Ledger)) private _ledgers;
    mapping(uint32 window => mapping(uint32 attempt => uint128[DEVICES])) private _cumulative;
    mapping(uint32 window => bytes32) private _finalHash;
    Attempt[] private _voided;
    uint32 private _lastFinal;
    Attempt[] private _postedBeforeRequest;
    bool private _fraud;
    address private immutable _checker = msg.sender;
    mapping(bytes32 action => uint256) public done;

    constructor() {
        setUpScene();
        _lastFinal = firstWindow;
        for (uint256 i = 0; i < DEVICES; i++) {
            addDevices(1 + i, 1, _owners[i % 3]);
        }
    }

    // Actions

    function post(uint256 seed) external {
        uint32 window = settlement.nextWindow();
        if (block.timestamp < dueAt(window)) vm.warp(dueAt(window));
        uint32 parent = settlement.epoch(window - 1).attempt;
        uint32 attempt = settlement.epoch(window).attempt + 1;
        Ledger ledger = new Ledger(DEPTH, false);
        uint128[DEVICES] storage cumulative = _cumulative[window][attempt];
        for (uint32 i = 0; i < DEVICES; i++) {
            uint128 gain = uint128(uint256(keccak256(abi.encode(seed, i))) % 3) * 1e18;
            cumulative[i] = _cumulative[window - 1][parent][i] + gain;
            // Now and then the operator moves what one device had to another; the total does not fall.
            if (i > 0 && seed % 4 == 0 && gain > 0) {
                (cumulative[i], cumulative[i - 1]) = (cumulative[i] + cumulative[i - 1], 0);
                _fraud = true;
            }
        }
        for (uint32 i = 0; i < DEVICES; i++) {
            if (cumulative[i] == 0 && seed % 2 == 0) continue;
            ledger.set(i, ISettlement.Entry(deviceOf(1 + i), cumulative[i], bytes32(seed)));
        }
        _ledgers[window][attempt] = ledger;
        ISettlement.Posting memory p = posting(window, ledger);
        vm.prank(operator);
        settlement.postEpoch(p);
        done["post"]++;
    }

    function challenge(uint256 seed) external {
        (bool any, uint32 window, ISettlement.Epoch memory epoch) = _pending(seed);
        if (!any || block.timestamp >= epoch.challengeEndsAt || seed % 2 == 0) return;
        asDisputes().openChallenge(window, epoch.attempt);
        done["challenge"]++;
    }

    function close(uint256 seed) external {
        (bool any, uint32 window, ISettlement.Epoch memory epoch) = _pending(seed);
        if (!any || epoch.openChallenges == 0) return;
        if (seed % 2 == 0) asDisputes().extendChallengeTime(window, epoch.attempt);
        asDisputes().closeChallenge(window, epoch.attempt);
        done["close"]++;
    }

    function slash(uint256 seed) external {
        if (seed % 6 != 0) return;
        uint32 next = settlement.nextWindow();
        asDisputes().slash(operator);
        for (uint32 w = settlement.nextWindow(); w < next; w++) {
            _voided.push(Attempt(w, settlement.epoch(w).attempt));
        }
        bond(operator, 1, 10 ether);
        settlement.listOperator(operator, true);
        done["slash"]++;
    }

    /// @dev The operator takes out what it may, and puts in as much.
    function withdraw(uint256 seed) external {
        ISettlement.Operator memory state = settlement.operator(operator);
        if (state.leaving == 0) {
            uint128 amount = uint128(1 + seed % state.bond);
            vm.prank(operator);
            settlement.requestWithdrawal(amount);
            bond(operator, 1, amount);
            delete _postedBeforeRequest;
            for (uint32 w = settlement.nextFinalWindow(); w < settlement.nextWindow(); w++) {
                _postedBeforeRequest.push(Attempt(w, settlement.epoch(w).attempt));
            }
            return;
        }
        // A third of the time it waits as long as it takes.
        if (seed % 3 == 0 && block.timestamp < state.leavesAt) vm.warp(state.leavesAt);
        vm.prank(operator);
        try settlement.withdraw() {
            done["withdraw"]++;
        } catch {
            return;
        }
        for (uint256 i = 0; i < _postedBeforeRequest.length; i++) {
            Attempt storage attempt = _postedBeforeRequest[i];
            assertTrue(
                settlement.statusOf(attempt.window, attempt.attempt) != ISettlement.Status.Pending,
                "left before what it stood for was final"
            );
        }
    }

    function wait(uint256 seed) external {
        vm.warp(block.timestamp + seed % 3 days);
    }

    function finalize(uint256 seed) external {
        settlement.finalize(uint32(seed % 4));
    }

    function sell(uint256 seed) external {
        uint256 tokenId = uint160(deviceOf(1 + seed % DEVICES));
        address seller = registry.ownerOf(tokenId);
        vm.prank(seller);
        registry.transferFrom(seller, _owners[(seed >> 8) % 3], tokenId);
    }

    /// @dev Any run of any ledger that was ever posted, voided ones included.
    function redeem(uint256 seed) external {
        // Half of the time among the windows that can be redeemed.
        uint32 known = (seed >> 200) % 2 == 0
            ? settlement.nextFinalWindow() - firstWindow
            : settlement.nextWindow() - firstWindow + 2;
        if (known == 0) return;
        uint32 window = firstWindow + uint32(seed % known);
        uint32 attempts = settlement.epoch(window).attempt;
        if (attempts == 0) return;
        uint32 attempt = 1 + uint32((seed >> 32) % attempts);
        uint32 slot = uint32((seed >> 64) % 8);
        uint32 count = 1 + uint32((seed >> 96) % (8 - slot));
        if ((seed >> 208) % 2 == 0) (slot, count) = (0, 8);
        ISettlement.Redemption[] memory all = new ISettlement.Redemption[](2);
        all[0] = _ledgers[window][attempt].redemption(slot, count);
        all[1] = _ledgers[window][attempt].redemption((slot + 1) % 8, 1);
        bool isFinal = settlement.statusOf(window, attempt) == ISettlement.Status.Final;
        try settlement.redeem(window, all) returns (uint256 amount) {
            (bytes32 root,) = _ledgers[window][attempt].root();
            assertTrue(
                isFinal || settlement.epoch(window).ledgerRoot == root, "paid what is not final"
            );
            if (amount > 0) done["redeem"]++;
        } catch {
            // Fraud may run into the total; without it, what is final is paid.
            assertTrue(!isFinal || _fraud, "refused what is final");
        }
    }

    // Checks

    function checkSupply() external view {
        uint256 paid;
        uint256 balances;
        for (uint256 i = 0; i < DEVICES; i++) {
            paid += settlement.paid(deviceOf(1 + i));
        }
        for (uint256 i = 0; i < 3; i++) {
            balances += token.balanceOf(_owners[i]);
        }
        assertEq(token.totalSupply(), paid, "supply is what devices were paid");
        assertEq(token.totalSupply(), balances, "supply is what owners have");
        uint32 next = settlement.nextFinalWindow();
        uint128 total = next == firstWindow ? 0 : settlement.epoch(next - 1).ledgerTotal;
        assertTrue(paid <= total, "never more than the total that is final");
    }

    /// @dev No device has more than the most that a final ledger says.
    function checkPaid() external view {
        uint32 next = settlement.nextFinalWindow();
        for (uint256 i = 0; i < DEVICES; i++) {
            uint128 most;
            for (uint32 w = firstWindow; w < next; w++) {
                uint128 cumulative = _cumulative[w][settlement.epoch(w).attempt][i];
                if (cumulative > most) most = cumulative;
            }
            assertTrue(settlement.paid(deviceOf(1 + i)) <= most, "paid twice");
        }
    }

    function checkVoided() external view {
        for (uint256 i = 0; i < _voided.length; i++) {
            assertTrue(
                settlement.statusOf(_voided[i].window, _voided[i].attempt)
                    == ISettlement.Status.Void,
                "void for good"
            );
        }
    }

    /// @dev What was final stays, to the bit.
    function checkFinal() external {
        if (msg.sender != _checker) return; // no action
        uint32 next = settlement.nextFinalWindow();
        assertTrue(next >= _lastFinal, "final windows");
        for (uint32 w = firstWindow; w < next; w++) {
            ISettlement.Epoch memory epoch = settlement.epoch(w);
            assertEq(epoch.openChallenges, 0, "final under challenge");
            bytes32 hash = keccak256(abi.encode(epoch));
            assertTrue(w >= _lastFinal || _finalHash[w] == hash, "final epoch changed");
            _finalHash[w] = hash;
        }
        _lastFinal = next;
    }

    function checkBonds() external view {
        ISettlement.Operator memory state = settlement.operator(operator);
        assertEq(address(settlement).balance, state.bond + state.leaving, "bonds");
    }

    function _pending(uint256 seed)
        private
        view
        returns (bool any, uint32 window, ISettlement.Epoch memory epoch)
    {
        uint32 from = settlement.nextFinalWindow();
        uint32 to = settlement.nextWindow();
        if (from == to) return (false, 0, epoch);
        window = from + uint32((seed >> 16) % (to - from));
        return (true, window, settlement.epoch(window));
    }
}

/// forge-config: default.invariant.fail-on-revert = true
/// forge-config: default.invariant.depth = 128
/// forge-config: release.invariant.fail-on-revert = true
/// forge-config: release.invariant.depth = 128
contract InvariantTest is Test {
    Actors private _actors;

    function setUp() public {
        _actors = new Actors();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_actors);
    }

    /// @dev One campaign for all, since each costs seconds; the message says which does not hold.
    function invariant_books() public {
        _actors.checkSupply();
        _actors.checkPaid();
        _actors.checkVoided();
        _actors.checkFinal();
        _actors.checkBonds();
    }
}
