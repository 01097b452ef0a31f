import type { Assurance, SignedFetch, SignedRequest } from '@machinefi/contracts'
import type { Algorithm, Hex } from '@machinefi/core'
import type { Answer, LogHead, Metric, Point } from '@machinefi/proof'

/**
 * What a node needs of the chain for one network. One implementation talks to
 * the contracts ({@link openChain}); the seam keeps viem out of everything else.
 */
export type Chain = {
  /** The account that posts. */
  readonly operator: Hex
  /** Hash of block 0: what tells one chain from another with the same id. */
  genesisHash(): Promise<Hex>
  /** What the settlement knows of the operator. */
  operatorState(): Promise<OperatorState>
  head(): Promise<{ block: number; hash: Hex; time: number }>
  /** Members whose state changed in blocks [from, to], as it was at the end of them. */
  members(from: number, to: number): Promise<ChainMember[]>
  /** What the membership says of a device now; undefined if it is no member. */
  member(device: Uint8Array): Promise<MemberWord | undefined>
  /** How many members there are now; at the end of a block, where the endpoint knows that. */
  memberCount(block?: number): Promise<number>
  /** The rules of a window. */
  config(window: number): Promise<ChainConfig>
  /** The window to be posted next: the epochs of all before it stand. */
  nextWindow(): Promise<number>
  /** The first window that is not final. */
  nextFinalWindow(): Promise<number>
  /** The latest attempt at a window, whether it stands or is void; attempt 0 if there is none. */
  latest(window: number): Promise<{ attempt: number; epochHash: Hex }>
  /** The same as it was posted. */
  epoch(window: number): Promise<PostedEpoch | undefined>
  /** Asks other nodes of the network: signed by the operator, where it is private. */
  readonly fetch: SignedFetch
  /** Since when an account may read a device, or all of them, in Unix seconds; null if it may not. */
  access(account: Hex, device: Hex | null): Promise<number | null>
  /** Whether a request is signed by its account: by its key, or by the word of the contract that it is. */
  isSigned(
    request: Pick<SignedRequest, 'account' | 'message' | 'signature'>,
    by: 'key' | 'contract',
  ): Promise<boolean>
  /** Resolves once the transaction is in a block. */
  post(posting: Posting): Promise<PostedEpoch>
  /**
   * Challenges opened in blocks [from, to], to epochs of any operator, with what they are now; without
   * those that are known.
   */
  challenges(from: number, to: number, isKnown?: (id: Hex) => boolean): Promise<ChainChallenge[]>
  challengeStatus(id: Hex): Promise<ChallengeStatus>
  /** Refutes a challenge. Resolves once the transaction is in a block; says when it is sent. */
  answer(
    answer: ChainAnswer,
    onSent: (transaction: Hex) => void,
  ): Promise<{ transaction: Hex; gasUsed: bigint }>
  /** Whether a transaction, or what took its place, was sent and is in no block. */
  isPending(transaction: Hex): Promise<boolean>
  /** Offers more for what this process has sent and no block has taken: fees may have risen. */
  hasten(): Promise<void>
  /** What the account has to pay for gas, and what gas costs now. */
  funds(): Promise<{ balance: bigint; gasPrice: bigint }>
  /** How many transactions of the account have been sent and are in no block. */
  unmined(): Promise<number>
}

/** A challenge as it was opened, and what became of it. */
export type ChainChallenge = {
  id: Hex
  window: number
  attempt: number
  point: Point
  /** ms; an answer is in a block before it. */
  deadline: number
  status: ChallengeStatus
}

export type ChallengeStatus = 'none' | 'open' | 'answered' | 'upheld' | 'refunded'

export type ChainAnswer = { window: number; attempt: number; point: Point; answer: Answer }

export type OperatorState = {
  /** Address of the log key that the operator is bonded with, if it ever was. */
  logKey: Hex | undefined
  /** wei */
  bond: bigint
  /** Whether it may post at all. */
  listed: boolean
  /** A window that it has posted, the last where that is known without asking for more. */
  posted: number | undefined
}

/** What a membership keeps of a device. */
export type MemberWord = {
  slot: number
  /** Unix seconds. */
  joinedAt: number
  /** Unix seconds, 0 if never. */
  suspendedAt: number
  assurance: Assurance
}

export type ChainMember = MemberWord & {
  device: Uint8Array
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
  /** How much longer than the named operator another one has to wait. */
  takeoverDelayMs: number
  retentionMs: number
  maxRowsBytes: number
  /** wei */
  minBond: bigint
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
