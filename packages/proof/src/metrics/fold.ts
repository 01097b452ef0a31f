import {
  decodeRows,
  type Header,
  MalformedRowsError,
  type Rows,
  type Schema,
} from '@machinefi/telemetry'
import { encodeWords } from '../abi/encodeWords.js'
import { readInt } from '../abi/readWord.js'
import { assertMetric, type Metric, rulesOf, type Window } from './Metric.js'

/** What a metric knows after some batches of a window. All 0 at the start. */
export type State = {
  /** One above the seq of the last batch folded; 0 while there is none. */
  readonly nextSeq: number
  /** Time of the last row folded, in the window or not, ms. */
  readonly lastTime: number
  /** The metric's own words. */
  readonly words: readonly bigint[]
}

/** The state before the first batch. @throws {InvalidMetricError} */
export function startState(metric: Metric): State {
  assertMetric(metric)
  return { nextSeq: 0, lastTime: 0, words: new Array<bigint>(rulesOf(metric).words).fill(0n) }
}

/**
 * Folds one batch into a state (docs/protocol/claims.md). Total: a batch of
 * another schema, one whose seq or start does not lie behind what was folded
 * before, and one whose rows are malformed leaves the state as it was, the
 * very same object. Rows outside the window do not count.
 *
 * That the records are those of the header (by their hash) and that the batch
 * was signed is for the caller to know.
 */
export function fold(parameters: fold.Parameters): State {
  const { batch, metric, schema, state, window } = parameters
  const { header } = batch
  if (header.schema !== schema.id) return state
  const first = state.nextSeq === 0
  if (!first && (header.seq < state.nextSeq || header.start <= state.lastTime)) return state
  const rows = batch.rows ?? readRows(batch, schema)
  if (rows === null) return state
  const gap = !first && header.seq !== state.nextSeq
  const folded = { ...rowsInWindow(rows, window), gap, rows, window }
  return {
    nextSeq: header.seq + 1,
    lastTime: header.start + header.span,
    words: rulesOf(metric).fold(metric, state.words, folded),
  }
}

export declare namespace fold {
  type Batch = {
    readonly header: Header
    readonly records: Uint8Array
    /** The records decoded, where the caller has done so already. */
    readonly rows?: Rows | undefined
  }
  type Parameters = {
    batch: Batch
    metric: Metric
    schema: Schema
    state: State
    window: Window
  }
}

/** The value of a window, from the state after its last batch. */
export function finish(parameters: finish.Parameters): bigint {
  const { metric, state, window } = parameters
  return rulesOf(metric).finish(metric, state.words, window)
}

export declare namespace finish {
  type Parameters = { metric: Metric; state: State; window: Window }
}

/** Encodes a state as `abi.encode(uint64 nextSeq, uint64 lastTime, words …)`: what trace leaves hash. */
export function encodeState(state: State): Uint8Array {
  return encodeWords(state.nextSeq, state.lastTime, ...state.words)
}

/** Decodes what {@link encodeState} writes for a metric; `null` for anything else. */
export function decodeState(bytes: Uint8Array, metric: Metric): State | null {
  const { words: count } = rulesOf(metric)
  if (bytes.length !== 32 * (2 + count)) return null
  const [nextSeq, lastTime, ...words] = Array.from({ length: 2 + count }, (_, i) =>
    readInt(bytes.subarray(32 * i, 32 * (i + 1))),
  ) as [bigint, bigint, ...bigint[]]
  const state = { nextSeq: Number(nextSeq), lastTime: Number(lastTime), words }
  // One above the greatest seq is 2^53, the one integer above the safe ones that can be here.
  const fits = (n: bigint, most: number) => n >= 0n && n <= BigInt(most)
  return fits(nextSeq, 2 ** 53) && fits(lastTime, Number.MAX_SAFE_INTEGER) ? state : null
}

/**
 * Encodes a metric's parameters as its contract takes them: sum `(uint256
 * field, int256 min, int256 max)`, count nothing, average `(uint256 field)`,
 * coverage `(uint256 intervalMs)`, distance `(uint256 latitude, uint256
 * longitude, uint256 maxSpeed)`.
 *
 * @throws {InvalidMetricError}
 */
export function encodeMetricParams(metric: Metric): Uint8Array {
  assertMetric(metric)
  return encodeWords(...rulesOf(metric).params(metric))
}

/** The rows that are in a window: [from, to). */
export function rowsInWindow(rows: Rows, window: Window): { from: number; to: number } {
  const from = rows.times.findIndex((time) => time >= window.start)
  const end = rows.times.findIndex((time) => time >= window.end)
  const to = end === -1 ? rows.count : end
  return { from: from === -1 ? to : from, to }
}

function readRows({ header, records }: fold.Batch, schema: Schema): Rows | null {
  const { count, span, start } = header
  const { fields, tickMs } = schema
  try {
    return decodeRows(records, { count, fields: fields.length, span, start, tickMs })
  } catch (error) {
    if (error instanceof MalformedRowsError) return null
    throw error
  }
}
