import type { Algorithm, Hex } from '@machinefi/core'
import type { LogHead, Metric } from '@machinefi/proof'

/**
 * What a node needs of the chain for one network. One implementation talks to
 * the contracts ({@link openChain}); the seam keeps viem out of everything else.
 */
export type Chain = {
  /** The account that posts. */
  readonly operator: Hex
  /** Hash of block 0: what tells one chain from another with the same id. */
  genesisHash(): Promise<Hex>
  /** Address of the log key that the operator is bonded with, if it ever was. */
  logKey(): Promise<Hex | undefined>
  head(): Promise<{ block: number; time: number }>
  /** Members whose state changed in blocks [from, to], as it was at the end of them. */
  members(from: number, to: number): Promise<ChainMember[]>
  memberCount(): Promise<number>
  /** The rules of a window. */
  config(window: number): Promise<ChainConfig>
  /** The window to be posted next, and the first that is not final. */
  progress(): Promise<{ nextWindow: number; nextFinalWindow: number }>
  /** The latest attempt at a window, if there is one. */
  epoch(window: number): Promise<PostedEpoch | undefined>
  /** Resolves once the transaction is in a block. */
  post(posting: Posting): Promise<PostedEpoch>
}

export type ChainMember = {
  device: Uint8Array
  slot: number
  /** Unix seconds. */
  joinedAt: number
  /** Unix seconds, 0 if never. */
  suspendedAt: number
  assurance: number
  algorithm: Algorithm
  publicKey: Uint8Array
}

/** A network's configuration for a window, times in ms. */
export type ChainConfig = {
  /** `abi.encode(Config)`: what epochs commit to by its hash. */
  bytes: Uint8Array
  /** keccak256 of `bytes`. */
  hash: Hex
  schema: number
  schemaHash: Uint8Array
  metric: Metric
  threshold: bigint
  rate: bigint
  cap: bigint
  operator: Hex
  graceMs: number
  challengeWindowMs: number
  responseTimeMs: number
  retentionMs: number
  maxRowsBytes: number
}

export type Posting = {
  window: number
  /** Epoch hash of the standing epoch of the window before; 32 zero bytes for the first window. */
  parentHash: Hex
  depth: number
  ledgerRoot: Uint8Array
  ledgerTotal: bigint
  logs: readonly LogHead[]
}

export type PostedEpoch = {
  window: number
  attempt: number
  parentHash: Hex
  operator: Hex
  depth: number
  memberCount: number
  configHash: Hex
  epochHash: Hex
  ledgerRoot: Uint8Array
  ledgerTotal: bigint
  logs: readonly LogHead[]
  challengeEndsAt: number
  transaction: Hex
  block: number
  gasUsed: bigint
}
