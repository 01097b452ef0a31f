// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IMetric} from "./interfaces/IMetric.sol";
import {IRewardPolicy} from "./interfaces/IRewardPolicy.sol";
import {ISettlement} from "./interfaces/ISettlement.sol";
import {Rows} from "./metrics/Rows.sol";
import {P256} from "@openzeppelin/contracts/utils/cryptography/P256.sol";

/// @title What every configuration and log key of a network has to keep to
/// @notice Holds the code of these checks, so that the settlement stays under 24 KB.
contract ConfigRules {
    /// @notice Largest records of a batch a network may allow: an answer with the dearest 16 KB there are
    /// costs 11 M gas, and a transaction cannot have more than 16.7 M (EIP-7825).
    uint32 public constant MOST_ROWS_BYTES = 16 * 1024;
    /// @notice Longest of the times that make up the life of an epoch, so that every bond comes back.
    uint32 public constant MOST_TIME = 30 days;
    /// @notice Longest time for which rows may have to be kept.
    uint32 public constant MOST_RETENTION = 366 days;
    /// @notice Shortest time to answer a challenge in: for games and tests. Real networks need hours.
    uint32 public constant LEAST_RESPONSE_TIME = 60;
    /// @notice Largest bond that may be asked for, in wei.
    uint96 public constant MOST_BOND = 10 ** 25;

    /// @notice Reverts with an error of {ISettlement}, of the metric or of the policy.
    function check(ISettlement.Config calldata config) external view {
        _checkTime("grace", config.grace, 0, MOST_TIME);
        _checkTime("challengeWindow", config.challengeWindow, 1, MOST_TIME);
        _checkTime("responseTime", config.responseTime, LEAST_RESPONSE_TIME, MOST_TIME);
        _checkTime("takeoverDelay", config.takeoverDelay, 0, MOST_TIME);
        _checkTime("retention", config.retention, 0, MOST_RETENTION);
        uint256 answered = uint256(config.challengeWindow) + config.responseTime;
        if (answered > config.retention) {
            revert ISettlement.RetentionTooShort(config.retention, answered);
        }
        if (config.maxRowsBytes == 0 || config.maxRowsBytes > MOST_ROWS_BYTES) {
            revert ISettlement.InvalidMaxRowsBytes(config.maxRowsBytes, MOST_ROWS_BYTES);
        }
        if (config.fields == 0 || config.fields > Rows.MAX_FIELDS || config.tickMs == 0) {
            revert ISettlement.InvalidSchema(config.fields, config.tickMs);
        }
        if (config.minBond == 0 || config.minBond > MOST_BOND) {
            revert ISettlement.InvalidMinBond(config.minBond, MOST_BOND);
        }
        if (config.challengeBond == 0 || config.challengeBond > config.minBond) {
            revert ISettlement.InvalidChallengeBond(config.challengeBond, config.minBond);
        }
        // Rules stay what they are for the windows they were set for: with 0, the first of them that
        // earns anything could never be posted, nor could any after it.
        if (config.coverage == 0) revert ISettlement.InvalidCoverage(config.coverage);
        if (config.metric.code.length == 0) revert ISettlement.NotAContract(config.metric);
        if (config.policy.code.length == 0) revert ISettlement.NotAContract(config.policy);
        IMetric(config.metric).checkParams(config.metricParams, config.fields);
        IRewardPolicy(config.policy).checkParams(config.policyParams);
    }

    /// @notice Reverts unless X‖Y is a P-256 key; else returns its address.
    function checkLogKey(bytes32 x, bytes32 y) external pure returns (address logKey) {
        if (!P256.isValidPublicKey(x, y)) revert ISettlement.InvalidLogKey(x, y);
        return address(uint160(uint256(keccak256(abi.encodePacked(x, y)))));
    }

    function _checkTime(string memory name, uint32 time, uint32 least, uint32 most) private pure {
        if (time < least || time > most) revert ISettlement.InvalidTime(name, time, least, most);
    }
}
