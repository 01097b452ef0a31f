import type { Address, Hash, Hex } from 'viem'
import { toLowerCase } from './chain/toLowerCase.js'

/** The signed head of one shard of an operator's log. */
export type LogHead = { shard: number; size: bigint; root: Hex }

/** An epoch as it was posted. Times in Unix seconds. */
export type Epoch = {
  window: number
  /** Counts up from 1; attempts below the latest were voided. */
  attempt: number
  /** Epoch hash of the window before; zero in the first window. */
  parentHash: Hex
  operator: Address
  depth: number
  /** Members at the time of the posting; slots from here on are empty. */
  memberCount: number
  /** When the challenge window ended as it was posted; challenges can move it. */
  challengeEndsAt: number
  configHash: Hex
  epochHash: Hex
  ledgerRoot: Hex
  ledgerTotal: bigint
  logs: readonly LogHead[]
  blockNumber: bigint
  transactionHash: Hash
}

export type EpochStatus = 'none' | 'pending' | 'final' | 'void'

/** As numbered by the contract. */
export const epochStatuses = ['none', 'pending', 'final', 'void'] as const

/** From the arguments of `EpochPosted`. */
export function toEpoch(log: {
  args: Omit<Epoch, 'challengeEndsAt' | 'blockNumber' | 'transactionHash'> & {
    challengeEndsAt: bigint
  }
  blockNumber: bigint
  transactionHash: Hash
}): Epoch {
  const { blockNumber, transactionHash } = log
  const args = toLowerCase(log.args)
  return { ...args, blockNumber, challengeEndsAt: Number(args.challengeEndsAt), transactionHash }
}
