import { BaseError } from '@machinefi/core'
import type { Header, Rows, Schema } from '@machinefi/telemetry'
import { keccak } from '../keccak/keccak.js'
import { encodeState, finish, fold, type State, startState } from '../metrics/fold.js'
import type { Metric, Window } from '../metrics/Metric.js'
import { hashPair } from './hashPair.js'

/**
 * Folds a device's batches in a window and commits to every state on the way:
 * a Merkle tree whose leaf i is (seq, batch id, state after batch i).
 *
 * @param parameters.batches the canonical ones, in order: what
 * {@link selectBatches} returns.
 * @throws {MissingRecordsError} a batch without its rows: they have expired.
 * @throws {InvalidMetricError}
 */
export function buildTrace(parameters: buildTrace.Parameters): Trace {
  const { batches, metric, schema, window } = parameters
  const steps = batches.length
  const states: State[] = []
  const leaves = new Uint8Array(32 * steps)
  let state = startState(metric)
  for (const [i, { batch, id, rows }] of batches.entries()) {
    const { header, records } = batch
    if (records === null) throw new MissingRecordsError(header.seq)
    state = fold({ batch: { header, records, rows }, metric, schema, state, window })
    states.push(state)
    hashTraceLeaf({ id, seq: header.seq, stateHash: hashState(state) }, leaves, 32 * i)
  }
  const levels = buildLevels(leaves)
  const assertStep = (i: number) => {
    if (!Number.isInteger(i) || i < 0 || i >= steps) throw new TraceRangeError(i, steps)
  }
  return {
    root: steps === 0 ? new Uint8Array(32) : (levels.at(-1) as Uint8Array).slice(),
    states,
    steps,
    value: finish({ metric, state, window }),
    leaf(i) {
      assertStep(i)
      return leaves.slice(32 * i, 32 * (i + 1))
    },
    proof(i) {
      assertStep(i)
      const proof = new Uint8Array(32 * (levels.length - 1))
      for (let l = 0, position = i; l < levels.length - 1; l++, position >>= 1) {
        const level = levels[l] as Uint8Array
        const sibling = 32 * (position ^ 1)
        proof.set(level.subarray(sibling, sibling + 32), 32 * l)
      }
      return proof
    },
  }
}

export declare namespace buildTrace {
  type Parameters = {
    batches: readonly {
      readonly batch: { readonly header: Header; readonly records: Uint8Array | null }
      /** Batch id, 32 bytes. */
      readonly id: Uint8Array
      /** The records decoded, where the caller has done so already. */
      readonly rows?: Rows | undefined
    }[]
    metric: Metric
    schema: Schema
    window: Window
  }
}

export type Trace = {
  /** 32 bytes; all 0 without steps. */
  readonly root: Uint8Array
  /** State after each batch. */
  readonly states: readonly State[]
  /** Number of batches. */
  readonly steps: number
  readonly value: bigint
  /** Leaf hash of a step. @throws {TraceRangeError} */
  leaf(step: number): Uint8Array
  /** Siblings of a step's leaf, from below, 32 bytes each. @throws {TraceRangeError} */
  proof(step: number): Uint8Array
}

/** A leaf of a trace, its state hashed: what a disputed trace is compared by. */
export type TraceLeaf = {
  /** Batch id, 32 bytes. */
  readonly id: Uint8Array
  readonly seq: number
  /** keccak256 of the state, 32 bytes. */
  readonly stateHash: Uint8Array
}

/** What a leaf of a trace commits to. */
export type TraceStep = {
  /** Batch id, 32 bytes. */
  readonly id: Uint8Array
  readonly seq: number
  /** State after the batch. */
  readonly state: State
}

/** keccak256 of a state, as trace leaves have it. */
export function hashState(state: State): Uint8Array {
  return keccak.hash(encodeState(state))
}

/** Root of the trace with these leaves. */
export function traceRoot(leaves: readonly TraceLeaf[]): Uint8Array {
  if (leaves.length === 0) return new Uint8Array(32)
  const hashes = new Uint8Array(32 * leaves.length)
  for (const [i, leaf] of leaves.entries()) hashTraceLeaf(leaf, hashes, 32 * i)
  return (buildLevels(hashes).at(-1) as Uint8Array).slice()
}

/** Leaf hash: keccak(00 ‖ uint64 seq ‖ id ‖ keccak(state)), into `out` at an offset. */
export function hashTraceLeaf(
  { id, seq, stateHash }: TraceLeaf,
  out: Uint8Array,
  offset: number,
): void {
  const { input } = keccak
  input[0] = 0
  for (let i = 8, rest = seq; i > 0; i--) {
    input[i] = rest % 256
    rest = Math.floor(rest / 256)
  }
  input.set(id, 9)
  input.set(stateHash, 41)
  keccak.hashInput(73, out, offset)
}

/** The levels of the tree from the leaves up to the root, each but the last padded to an even number of nodes. */
function buildLevels(leaves: Uint8Array): Uint8Array[] {
  const levels: Uint8Array[] = []
  // What a subtree of padding hashes to, on each level.
  let padding = new Uint8Array(32)
  let level = leaves
  for (let count = leaves.length / 32; count > 1; ) {
    count = Math.ceil(count / 2)
    const padded = new Uint8Array(64 * count)
    padded.set(padding, 64 * count - 32)
    padded.set(level)
    const above = new Uint8Array(32 * count)
    for (let i = 0; i < count; i++) hashPair(padded, 64 * i, padded, 64 * i + 32, above, 32 * i)
    levels.push(padded)
    level = above
    const next = new Uint8Array(32)
    hashPair(padding, 0, padding, 0, next, 0)
    padding = next
  }
  return [...levels, level]
}

/** The rows of a batch have expired: what depends on them cannot be computed any more. */
export class MissingRecordsError extends BaseError {
  override readonly name = 'MissingRecordsError'
  constructor(seq: number) {
    super(`The batch with seq ${seq} has no rows.`, { kind: 'input' })
  }
}

export class TraceRangeError extends BaseError {
  override readonly name = 'TraceRangeError'
  constructor(step: number, steps: number) {
    super(`There is no step ${step} in a trace of ${steps}.`, { kind: 'input' })
  }
}
