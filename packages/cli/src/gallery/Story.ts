import { type Algorithm, concatBytes, fromHex, keccak256 } from '@machinefi/core'
import {
  buildLedger,
  type Entry,
  encodeState,
  finish,
  fold,
  type Ledger,
  type LedgerNode,
  type Metric,
  reward,
  type State,
  startState,
  type ThresholdPolicy,
  type Window,
} from '@machinefi/proof'
import type { Schema } from '@machinefi/telemetry'
import type { LogBook, LogEntry } from './LogBook.js'

/** What an operator says of a window: true as {@link readTruth} makes it, until a lie changes it. */
export type Story = {
  readonly window: number
  readonly log: LogBook
  /** By slot; null is an empty one. */
  readonly claims: readonly (ToldClaim | null)[]
  readonly depth: number
  /** Posted in the place of the ledger's sum. */
  readonly total?: bigint
  /** More than there is below a node of the ledger. */
  readonly surplus?: { readonly amount: bigint; readonly height: number; readonly index: number }
}

/** What it says of one member. */
export type ToldClaim = {
  readonly algorithm: Algorithm
  /** Cumulative reward of the window before. */
  readonly before: bigint
  readonly cumulative: bigint
  readonly device: Uint8Array
  readonly paid: boolean
  readonly publicKey: Uint8Array
  readonly steps: readonly ToldStep[]
  readonly value: bigint
}

/** One step of a trace, with the state it is said to lead to. */
export type ToldStep = LogEntry & {
  /** In the log; beyond its end if it is not there. */
  readonly index: number
  readonly state: State
}

/** The rules a network folds and pays by. */
export type Rules = { metric: Metric; policy: ThresholdPolicy; schema: Schema; span: Window }

/** Folds batches one after the other, as anyone would. */
export function foldSteps(
  batches: readonly Omit<ToldStep, 'state'>[],
  { metric, schema, span }: Rules,
): ToldStep[] {
  let state = startState(metric)
  return batches.map((step) => {
    const { header, records } = step.batch
    state = fold({ batch: { header, records: records! }, metric, schema, state, window: span })
    return { ...step, state }
  })
}

/** Folds one more batch, whatever was folded before it: seq and time are not looked at. */
export function foldAnyway(
  steps: readonly ToldStep[],
  step: Omit<ToldStep, 'state'>,
  { metric, schema, span }: Rules,
): ToldStep[] {
  const { words } = steps.at(-1)?.state ?? startState(metric)
  const { header, records } = step.batch
  const batch = { header, records: records! }
  const state = { lastTime: 0, nextSeq: 0, words }
  return [...steps, { ...step, state: fold({ batch, metric, schema, state, window: span }) }]
}

/** A claim with another trace, and what follows from that: its value, and the reward. */
export function retrace(claim: ToldClaim, steps: readonly ToldStep[], rules: Rules): ToldClaim {
  const { metric, span } = rules
  const state = steps.at(-1)?.state ?? startState(metric)
  return revalue({ ...claim, steps }, finish({ metric, state, window: span }), rules)
}

/** A claim with another value, and the reward that follows from it. */
export function revalue(claim: ToldClaim, value: bigint, { policy }: Rules): ToldClaim {
  return { ...claim, cumulative: claim.before + reward({ ...policy, value }), value }
}

/** A story with another claim in a slot. */
export function retell(
  story: Story,
  slot: number,
  change: (claim: ToldClaim) => ToldClaim | null,
): Story {
  const claims = story.claims.map((claim, i) => (i === slot && claim ? change(claim) : claim))
  return { ...story, claims }
}

/** The ledger that the claims make, with the surplus in it. */
export function toLedger({ claims, depth, surplus }: Story): ToldLedger {
  const entries = claims.map(toEntry)
  const ledger = buildLedger(entries, { depth })
  if (surplus === undefined) return ledger
  const levels: LedgerNode[][] = []
  for (let height = 0; height <= depth; height++) {
    const below = levels[height - 1]
    const level = Array.from({ length: 2 ** (depth - height) }, (_, index) =>
      below ? join(below[2 * index]!, below[2 * index + 1]!) : ledger.node(height, index),
    )
    const node = level[surplus.index]
    if (height === surplus.height && node)
      level[surplus.index] = { ...node, sum: node.sum + surplus.amount }
    levels.push(level)
  }
  const path = (height: number, index: number) =>
    concatBytes(
      ...levels.slice(height, depth).map((level, l) => encodeNode(level[(index >> l) ^ 1]!)),
    )
  const [root] = levels[depth]!
  return {
    root: root!.hash,
    total: root!.sum,
    nodeProof(height, index) {
      const below = Math.min(5, height)
      const nodes = levels[height - below]!.slice(index << below, (index + 1) << below)
      return { nodes: concatBytes(...nodes.map(encodeNode)), siblings: path(height, index) }
    },
    proof: (slot) => ({ entry: entries[slot] ?? null, siblings: path(0, slot), slot }),
  }
}

/** What a liar needs of a ledger. */
export type ToldLedger = Pick<Ledger, 'nodeProof' | 'proof' | 'root' | 'total'>

function join(left: LedgerNode, right: LedgerNode): LedgerNode {
  const hash = keccak256(concatBytes(Uint8Array.of(1), encodeNode(left), encodeNode(right)))
  return { hash, sum: left.sum + right.sum }
}

function encodeNode({ hash, sum }: LedgerNode): Uint8Array {
  return concatBytes(hash, fromHex(`0x${sum.toString(16).padStart(32, '0')}`))
}

function toEntry(claim: ToldClaim | null): Entry | null {
  if (claim === null) return null
  const { cumulative, device, steps, value } = claim
  return { cumulative, device, steps: steps.length, traceRoot: toTrace(steps).root, value }
}

/**
 * The Merkle tree over told states (docs/protocol/claims.md). `buildTrace` folds by itself, and so
 * cannot be made to lie.
 */
export function toTrace(steps: readonly ToldStep[]) {
  const leaves = steps.map(({ batch, id, state }) => {
    const seq = new Uint8Array(8)
    new DataView(seq.buffer).setBigUint64(0, BigInt(batch.header.seq))
    return keccak256(concatBytes(Uint8Array.of(0), seq, id, keccak256(encodeState(state))))
  })
  const depth = Math.ceil(Math.log2(Math.max(1, leaves.length)))
  while (leaves.length < 2 ** depth) leaves.push(new Uint8Array(32))
  const levels = [leaves]
  for (let level = leaves; level.length > 1; levels.push(level)) {
    const above: Uint8Array[] = []
    for (let i = 0; i < level.length; i += 2)
      above.push(keccak256(concatBytes(Uint8Array.of(1), level[i]!, level[i + 1]!)))
    level = above
  }
  return {
    root: levels.at(-1)![0]!,
    /** Siblings from the leaf up. */
    proof: (step: number) =>
      concatBytes(...levels.slice(0, -1).map((level, l) => level[(step >> l) ^ 1]!)),
  }
}
