// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @dev Roots and proofs by the recursive words of RFC 9162 §2.1, with none of the contracts' code. Entries are
/// `ids[from]` to `ids[to - 1]`.
library LogTree {
    function root(bytes32[] memory ids, uint256 from, uint256 to) internal pure returns (bytes32) {
        if (from == to) return sha256("");
        if (to - from == 1) return sha256(bytes.concat(hex"00", ids[from]));
        uint256 k = from + _split(to - from);
        return sha256(bytes.concat(hex"01", root(ids, from, k), root(ids, k, to)));
    }

    /// @dev §2.1.3.1: the path of entry `index` in the tree of these.
    function path(bytes32[] memory ids, uint256 index, uint256 from, uint256 to)
        internal
        pure
        returns (bytes32[] memory)
    {
        if (to - from == 1) return new bytes32[](0);
        uint256 k = from + _split(to - from);
        return index < k
            ? _append(path(ids, index, from, k), root(ids, k, to))
            : _append(path(ids, index, k, to), root(ids, from, k));
    }

    /// @dev §2.1.4.1: that the first `first` are the beginning of all; 0 < first < all.
    function consistency(bytes32[] memory ids, uint256 first)
        internal
        pure
        returns (bytes32[] memory)
    {
        return _subproof(ids, first, 0, ids.length, true);
    }

    function _subproof(bytes32[] memory ids, uint256 first, uint256 from, uint256 to, bool complete)
        private
        pure
        returns (bytes32[] memory)
    {
        if (from + first == to) {
            bytes32[] memory none = new bytes32[](0);
            return complete ? none : _append(none, root(ids, from, to));
        }
        uint256 k = _split(to - from);
        return first <= k
            ? _append(_subproof(ids, first, from, from + k, complete), root(ids, from + k, to))
            : _append(_subproof(ids, first - k, from + k, to, false), root(ids, from, from + k));
    }

    /// @dev The largest power of two below n.
    function _split(uint256 n) private pure returns (uint256 k) {
        k = 1;
        while (2 * k < n) k *= 2;
    }

    function _append(bytes32[] memory list, bytes32 item)
        private
        pure
        returns (bytes32[] memory longer)
    {
        longer = new bytes32[](list.length + 1);
        for (uint256 i = 0; i < list.length; i++) {
            longer[i] = list[i];
        }
        longer[list.length] = item;
    }
}
