import type { Point } from '@machinefi/contracts'
import type { Address } from 'viem'

/** What became of a cheat. Money in wei. */
export type CheatReport = {
  kind: string
  variant: string | null
  title: string
  /** The kind of challenge or proof that ended it; `answers` where the challengers were wrong. */
  caughtBy: string
  /** Whether the operator lost its bond. */
  slashed: boolean
  operatorBond: BeforeAfter
  /** What disputes keep for the operator: half of the stakes of challenges that it answered. */
  operatorCredit: BeforeAfter
  /** What the challenger has, in its account and as credit; the gas of its transactions is apart. */
  challenger: BeforeAfter
  /** Wei that are nobody's any more. */
  burned: bigint
  /** Wei that the challenger's transactions cost. */
  gas: { challenger: bigint }
  /** What the auditor found, in its words. */
  findings: { why: string; text: string }[]
  challenges: PlayedChallenge[]
  /** Everything that was posted of the two days, and what became of it. */
  epochs: { window: number; day: string; attempt: number; operator: Address; status: string }[]
  /** The honest operator: never slashed. */
  honestBond: BeforeAfter
  /** Tokens that the owners got in the end. */
  redeemed: { owner: Address; name: string; tokens: bigint }[]
  elapsedMs: number
}

export type BeforeAfter = { before: bigint; after: bigint }

export type PlayedChallenge = {
  kind: Point['kind']
  /** What it points at. */
  text: string
  stake: bigint
  /** What the contract said to the operator's answer: `accepted`, the name of an error, or null if there was none. */
  answer: string | null
  status: string
}

/** What a challenge points at, in words. */
export function describePoint(point: Point, nameOf: (slot: number) => string): string {
  switch (point.kind) {
    case 'step':
      return `step ${point.step} of ${nameOf(point.slot)}`
    case 'carry':
      return `carry of ${nameOf(point.slot)}`
    case 'omission':
      return `batch ${point.seq} in the log at ${point.index}`
    case 'consistency':
      return `the log with ${point.size} entries that was signed`
    case 'reveal':
      return `ledger node ${point.index} at height ${point.height}`
  }
}
