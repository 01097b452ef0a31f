// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IModelRegistry} from "../../solidity/interfaces/IModelRegistry.sol";
import {Test} from "./Test.sol";

/// @dev A production run, with the tree and the multiproofs of OpenZeppelin's StandardMerkleTree over addresses.
contract Run is Test {
    mapping(uint256 leaf => address) private _deviceOf;
    mapping(uint256 leaf => uint256) private _placeOf;
    bytes32[] private _tree;

    constructor(address[] memory devices) {
        uint256 count = devices.length;
        uint256[] memory leaves = _leaves(devices);
        for (uint256 i = 0; i < count; i++) {
            _deviceOf[leaves[i]] = devices[i];
        }
        leaves = vm.sort(leaves);
        bytes32[] memory tree = new bytes32[](2 * count - 1);
        for (uint256 i = 0; i < count; i++) {
            uint256 place = tree.length - 1 - i;
            tree[place] = bytes32(leaves[i]);
            _placeOf[leaves[i]] = place;
        }
        for (uint256 i = count - 1; i > 0; i--) {
            (bytes32 a, bytes32 b) = (tree[2 * i - 1], tree[2 * i]);
            tree[i - 1] = a < b ? keccak256(bytes.concat(a, b)) : keccak256(bytes.concat(b, a));
        }
        _tree = tree;
    }

    function root() external view returns (bytes32) {
        return _tree[0];
    }

    /// @dev Devices in the order of their proof, and that proof.
    function endorse(bytes32 model, address[] memory devices)
        external
        returns (address[] memory ordered, IModelRegistry.Endorsement memory endorsement)
    {
        uint256[] memory leaves = vm.sort(_leaves(devices));
        ordered = new address[](leaves.length);
        // Never longer than twice all of the tree.
        uint256[] memory queue = new uint256[](2 * _tree.length);
        for (uint256 i = 0; i < leaves.length; i++) {
            ordered[i] = _deviceOf[leaves[i]];
            queue[i] = _placeOf[leaves[i]];
        }
        bytes32[] memory proof = new bytes32[](_tree.length);
        bool[] memory flags = new bool[](_tree.length);
        (uint256 proofs, uint256 steps) = (0, 0);
        (uint256 head, uint256 tail) = (0, leaves.length);
        while (queue[head] > 0) {
            uint256 place = queue[head++];
            uint256 sibling = place % 2 == 0 ? place - 1 : place + 1;
            if (head < tail && queue[head] == sibling) {
                flags[steps++] = true;
                head++;
            } else {
                proof[proofs++] = _tree[sibling];
                steps++;
            }
            queue[tail++] = (place - 1) / 2;
        }
        assembly ("memory-safe") {
            mstore(proof, proofs)
            mstore(flags, steps)
        }
        (endorsement.model, endorsement.root) = (model, _tree[0]);
        (endorsement.proof, endorsement.flags) = (proof, flags);
    }

    function _leaves(address[] memory devices) private pure returns (uint256[] memory leaves) {
        leaves = new uint256[](devices.length);
        for (uint256 i = 0; i < devices.length; i++) {
            leaves[i] = uint256(keccak256(bytes.concat(keccak256(abi.encode(devices[i])))));
        }
    }
}
