import type { Challenge, Fault, FaultReason, Proof } from '@machinefi/proof'

/** What an auditor makes of an epoch. */
export type Verdict = {
  window: number
  attempt: number
  /** Whether all of it was computed again, and is what was posted: never where steps were only sampled. */
  ok: boolean
  /** How many claims were. */
  claims: number
  /** Whether all that they follow from was at hand: if not, what is wrong may be that. */
  complete: boolean
  /** Whether it is final: nobody can challenge it any more. */
  final: boolean
  /** What is wrong, or could not be seen: what is best to act on first. */
  findings: Finding[]
  /** Where steps are sampled, and nothing is computed: those that are to be asked for are findings. */
  sampled?: Sampled
}

/** Steps of an epoch that this auditor asked for before, at random. */
export type Sampled = {
  /** Of all traces together; null while nobody shows how many there are. */
  steps: number | null
  /** With answers that the contract took. */
  answered: number
  /** Which can still be answered. */
  open: number
}

/** Something that is wrong with an epoch, or kept back. */
export type Finding = {
  /** Stable. */
  why: FindingReason
  /** A sentence for people. */
  text: string
  /** Whether it is fraud for sure. If not, acting on it may cost the bond, and shows more. */
  certain: boolean
  slot?: number
  /** 20 bytes. */
  device?: Uint8Array
  /** What can be done about it on chain. */
  remedy: Challenge | Proof | null
}

/**
 * - `withheld-data`: the operator does not show what it posted, or not all of it
 * - `unknown-node`: the same, where no node is the operator's of whom it is known whose it is
 * - `expired`: it is final, and the rows are older than anyone has to keep them
 * - `unknown-parent`: nobody shows the ledger that the window builds on
 * - `sample`: a step asked for at random
 * - `equivocation`: a device signed two batches with one seq; no fault of the operator's
 * - all others: see `FaultReason` of `@machinefi/proof`
 */
export type FindingReason =
  | FaultReason
  | 'equivocation'
  | 'expired'
  | 'sample'
  | 'unknown-node'
  | 'unknown-parent'
  | 'withheld-data'

export function toFinding(
  fault: Fault<Challenge | Proof>,
  place: { device?: Uint8Array | undefined; slot?: number | undefined } = {},
): Finding {
  const { certain, remedy, text, why } = fault
  const { device, slot } = place
  return {
    ...{ certain, remedy, text, why },
    ...(slot === undefined ? {} : { slot }),
    ...(device === undefined ? {} : { device }),
  }
}

/** Orders findings by what to do first: what is certain, what costs nothing, what is cheap. */
export function sortFindings(findings: readonly Finding[]): Finding[] {
  const rank = ({ certain, remedy }: Finding) =>
    (certain ? 0 : order.length) + (remedy ? order.indexOf(remedy.kind) : order.length - 1)
  return [...findings].sort((a, b) => rank(a) - rank(b))
}

const order: readonly (Challenge['kind'] | Proof['kind'] | undefined)[] = [
  'fork',
  'truncation',
  'equivocation',
  'consistency',
  'checkpoint',
  'carry',
  'omission',
  'step',
  'reveal',
  undefined,
]
