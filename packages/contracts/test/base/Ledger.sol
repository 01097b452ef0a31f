// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ISettlement} from "../../solidity/interfaces/ISettlement.sol";

/// @dev Builds ledgers by the words of DESIGN §13, with none of the contracts' code. Slots that are not
/// set are empty, or (`crowd`) taken by made-up members, as on a path through a large ledger.
contract Ledger {
    uint8 public depth;
    bool public crowded;
    uint32[] private _slots;
    mapping(uint32 slot => ISettlement.Entry) private _entries;

    constructor(uint8 depth_, bool crowded_) {
        depth = depth_;
        crowded = crowded_;
    }

    function set(uint32 slot, ISettlement.Entry memory entry) external {
        require(slot < 2 ** depth, "slot");
        if (_entries[slot].device == address(0)) _slots.push(slot);
        _entries[slot] = entry;
    }

    function root() external view returns (bytes32 hash, uint128 total) {
        uint256 sum;
        (hash, sum) = _node(depth, 0);
        total = uint128(sum);
        require(sum == total, "total");
    }

    function redemption(uint32 slot, uint32 count)
        external
        view
        returns (ISettlement.Redemption memory result)
    {
        result.slot = slot;
        result.entries = new ISettlement.Entry[](count);
        for (uint32 i = 0; i < count; i++) {
            result.entries[i] = _entries[slot + i];
        }
        uint256 first = slot;
        uint256 last = slot + count - 1;
        for (uint256 level = 0; level < depth; level++) {
            if (first % 2 == 1) result.siblings = _append(result.siblings, level, first - 1);
            if (last % 2 == 0) result.siblings = _append(result.siblings, level, last + 1);
            first /= 2;
            last /= 2;
        }
    }

    /// @dev The nodes min(5, height) levels below a node.
    function nodes(uint8 height, uint32 index) external view returns (bytes memory result) {
        uint256 levels = height < 5 ? height : 5;
        for (uint256 i = 0; i < 1 << levels; i++) {
            result = _append(result, height - levels, (uint256(index) << levels) + i);
        }
    }

    /// @dev The path of a node.
    function siblings(uint8 height, uint32 index) external view returns (bytes memory result) {
        for (uint256 level = height; level < depth; level++) {
            result = _append(result, level, (index >> (level - height)) ^ 1);
        }
    }

    function _append(bytes memory list, uint256 level, uint256 index)
        private
        view
        returns (bytes memory)
    {
        (bytes32 hash, uint256 sum) = _node(level, index);
        return bytes.concat(list, hash, bytes16(uint128(sum)));
    }

    function _node(uint256 level, uint256 index) private view returns (bytes32, uint256) {
        if (crowded && !_isTouched(level, index)) {
            // A day of 10 to 20 tokens for each member below.
            bytes32 made = keccak256(abi.encode(level, index));
            return (made, (10 ether + uint256(made) % 10 ether) << level);
        }
        if (level == 0) {
            ISettlement.Entry memory entry = _entries[uint32(index)];
            if (entry.device == address(0)) return (0, 0);
            return (
                keccak256(
                    bytes.concat(
                        hex"00", bytes20(entry.device), bytes16(entry.cumulative), entry.detail
                    )
                ),
                entry.cumulative
            );
        }
        (bytes32 left, uint256 leftSum) = _node(level - 1, 2 * index);
        (bytes32 right, uint256 rightSum) = _node(level - 1, 2 * index + 1);
        return (
            keccak256(
                bytes.concat(
                    hex"01", left, bytes16(uint128(leftSum)), right, bytes16(uint128(rightSum))
                )
            ),
            leftSum + rightSum
        );
    }

    function _isTouched(uint256 level, uint256 index) private view returns (bool) {
        for (uint256 i = 0; i < _slots.length; i++) {
            if (_slots[i] >> level == index) return true;
        }
        return false;
    }
}
