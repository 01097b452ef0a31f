import { type Address, encodeAbiParameters, getAbiItem, type Hex, keccak256 } from 'viem'
import { iSettlementAbi } from './abis/iSettlementAbi.js'

/** The rules of a network from some window on. All times in seconds. */
export type NetworkConfig = {
  /** Id of the schema whose batches count. */
  schema: bigint
  /** SHA-256 of the schema's canonical bytes. */
  schemaHash: Hex
  /** How many values a row has, 1 … 22. */
  fields: number
  /** Length of the schema's tick, in milliseconds. */
  tickMs: number
  /** Contract that folds batches into a value. */
  metric: Address
  /** As `encodeMetricParams` of @machinefi/proof makes them. */
  metricParams: Hex
  /** Contract that turns a value into a reward. */
  policy: Address
  /** As {@link encodePolicyParams} makes them for the threshold policy. */
  policyParams: Hex
  /** Posts the windows; the zero address leaves them to the listed operators. */
  operator: Address
  /** From the end of a window until its epoch may be posted. */
  grace: number
  /** From the posting of an epoch until it can be final. */
  challengeWindow: number
  /** An operator has to answer a challenge. */
  responseTime: number
  /** After which a listed operator may post instead of the named one. */
  takeoverDelay: number
  /** For which rows and receipts are kept; at least challengeWindow + responseTime. */
  retention: number
  /** Largest records of a batch, so that it fits into an answer. */
  maxRowsBytes: number
  /** Least bond to post, wei. */
  minBond: bigint
  /** Units of not yet final reward that one wei of bond covers; not 0. */
  coverage: bigint
  /** Least stake of a challenge, wei; at most minBond. Gas prices can ask for more. */
  challengeBond: bigint
}

/** keccak256(abi.encode(config)): what an epoch commits to. */
export function configHash(config: NetworkConfig): Hex {
  return keccak256(encodeAbiParameters([configParameter], [config]))
}

/** Parameters of the threshold policy: value < threshold ? 0 : min(value × rate, cap). */
export function encodePolicyParams(parameters: encodePolicyParams.Parameters): Hex {
  const { cap, rate, threshold } = parameters
  return encodeAbiParameters(
    [{ type: 'int256' }, { type: 'uint256' }, { type: 'uint256' }],
    [threshold, rate, cap],
  )
}

export declare namespace encodePolicyParams {
  type Parameters = {
    /** Values below it earn nothing, as negative ones do. */
    threshold: bigint
    /** Units of the token for one unit of value. */
    rate: bigint
    /** Most units of the token for one window, below 2^128. */
    cap: bigint
  }
}

const [configParameter] = getAbiItem({ abi: iSettlementAbi, name: 'setConfig' }).inputs
