// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title The token a network pays its devices' owners in
/// @notice Only the network's settlement mints, and nobody burns: the supply is what was redeemed.
/// Votes are the business of a wrapper (ERC20Votes would add 35-67 k gas to every redemption).
contract NetworkToken is ERC20Permit {
    /// @notice The settlement of the network.
    address public immutable minter;

    error NotMinter(address caller);

    constructor(string memory name_, string memory symbol_, address minter_)
        ERC20(name_, symbol_)
        ERC20Permit(name_)
    {
        minter = minter_;
    }

    /// @notice Mints to an owner. Only the minter.
    /// @return supply The supply after it.
    function mint(address to, uint256 amount) external returns (uint256 supply) {
        if (msg.sender != minter) revert NotMinter(msg.sender);
        _mint(to, amount);
        return totalSupply();
    }
}
