import { decodeRows, type Header, type Rows, type Schema } from '@machinefi/telemetry'
import { reward, type ThresholdPolicy } from '../epoch/reward.js'
import type { Entry } from '../ledger/Entry.js'
import { type Fix, segmentsOf, toMetres } from '../metrics/distance.js'
import { finish, fold, rowsInWindow, type State, startState } from '../metrics/fold.js'
import type { Metric, Window } from '../metrics/Metric.js'
import { hasValue } from '../metrics/sumField.js'
import { isInWindow } from '../trace/selectBatches.js'

/**
 * Says why a window paid a device what it paid: from the rules of the window,
 * the member's times, and the device's batches. Nothing is verified: give it
 * what was. Reasons come in the order in which they apply; each has its numbers
 * and one sentence.
 *
 * @example
 * const { reasons, value } = explainClaim({ batches, logs, member, metric, policy, schema, window })
 * for (const { text } of reasons) console.log(text)
 */
export function explainClaim(parameters: explainClaim.Parameters): ClaimExplanation {
  const { batches, entry, logs, member, metric, policy, schema, window } = parameters
  const reasons = explainMember(member, window)
  const nothing = { paid: false, reward: 0n, steps: 0, value: 0n }
  if (reasons.length > 0) return { ...nothing, reasons }

  const sizeOf = (at: number) => logs.find(({ shard }) => shard === at)?.size ?? 0
  const order = (a: ExplainedBatch, b: ExplainedBatch) =>
    a.header.seq - b.header.seq || a.shard - b.shard || a.index - b.index
  const known = batches.filter(({ header }) => isInWindow(header, window)).sort(order)
  const late: ExplainedBatch[] = []
  const steps: ExplainedBatch[] = []
  for (const batch of known) {
    const { header, index, shard } = batch
    if (header.schema !== schema.id) reasons.push(ignore(batch, 'schema'))
    else if (index >= sizeOf(shard)) late.push(batch)
    else if (steps.at(-1)?.header.seq === header.seq) reasons.push(ignore(batch, 'same-seq'))
    else steps.push(batch)
  }
  if (steps.length === 0)
    reasons.push({ code: 'no-batches', text: 'No batch of the window was in the log in time.' })
  if (late.length > 0) {
    const rows = late.reduce((sum, { header }) => sum + header.count, 0)
    const seqs = late.map(({ header }) => header.seq)
    const text = `${plural(late.length, 'batch', 'batches')} with ${plural(rows, 'reading')} came after the log was cut: seq ${list(seqs)}.`
    reasons.push({ code: 'late', rows, seqs, text })
  }
  reasons.push(...explainGaps(known, steps))

  const folded = foldAll(steps, parameters)
  reasons.push(...folded.reasons)
  const { complete, state } = folded
  const value = complete ? finish({ metric, state, window }) : (entry?.value ?? 0n)
  if (metric.type === 'average' && complete && state.words[2] !== 0n)
    reasons.push({
      code: 'void-average',
      text: 'A batch is missing between the window’s batches, which voids an average.',
    })
  if (metric.type === 'coverage' && complete) {
    const of = Math.ceil((window.end - window.start) / metric.intervalMs)
    const filled = Number(state.words[1])
    const text = `${of - filled} of ${plural(of, 'interval')} have no reading.`
    if (filled < of) reasons.push({ code: 'empty-intervals', empty: of - filled, of, text })
  }
  const earned = reward({ ...policy, value })
  reasons.push(...explainReward(value, earned, policy))
  if (entry != null && complete && (entry.value !== value || entry.steps !== steps.length))
    reasons.push({
      code: 'posted-otherwise',
      text: `The epoch says ${entry.value} of ${plural(entry.steps, 'batch', 'batches')}; these ${steps.length} make ${value}.`,
      value: entry.value,
    })
  return { paid: true, reasons, reward: earned, steps: steps.length, value }
}

export declare namespace explainClaim {
  type Parameters = {
    /** The device's batches that overlap the window by their header: of any schema, late ones too. */
    batches: readonly ExplainedBatch[]
    /** What was posted, to compare with. */
    entry?: Entry | null | undefined
    /** How many entries of each shard the epoch commits to. */
    logs: readonly { readonly shard: number; readonly size: number }[]
    /** In ms; `null` if the device is no member. */
    member: { readonly joinedAt: number; readonly suspendedAt: number | null } | null
    metric: Metric
    policy: ThresholdPolicy
    schema: Schema
    window: Window
  }
}

/** A batch of the device, and where it is in the log. */
export type ExplainedBatch = {
  readonly header: Pick<Header, 'count' | 'schema' | 'seq' | 'span' | 'start'>
  readonly index: number
  /** `null` where they are not at hand. */
  readonly records: Uint8Array | null
  readonly shard: number
}

export type ClaimExplanation = {
  /** Whether the window pays the member at all. */
  paid: boolean
  reasons: ClaimReason[]
  reward: bigint
  /** Batches that counted for the trace, ignored ones included. */
  steps: number
  /** From the batches, or as posted where some rows are not at hand. */
  value: bigint
}

/** Why something did not count, or not as much. */
export type ClaimReason = { text: string } & (
  | { code: 'below-threshold'; threshold: bigint }
  | { cap: bigint; code: 'capped'; uncapped: bigint }
  | { code: 'empty-intervals'; empty: number; of: number }
  | { code: 'gap'; from: number; to: number }
  | {
      code: 'ignored'
      rows: number
      seq: number
      why: 'malformed' | 'overlap' | 'same-seq' | 'schema'
    }
  | { code: 'joined-late'; joinedAt: number }
  | { code: 'late'; rows: number; seqs: number[] }
  | { code: 'missing-values'; rows: number }
  | { code: 'no-batches' }
  | { code: 'not-a-member' }
  | { code: 'not-positive' }
  | { code: 'out-of-bounds'; max: number; min: number; rows: number }
  | { code: 'outside-window'; rows: number }
  | { code: 'posted-otherwise'; value: bigint }
  | { code: 'rows-not-at-hand'; seqs: number[] }
  | { code: 'suspended'; suspendedAt: number }
  | { code: 'too-fast'; metres: bigint; segments: number }
  | { code: 'void-average' }
)

function explainMember(member: explainClaim.Parameters['member'], window: Window): ClaimReason[] {
  if (member === null)
    return [{ code: 'not-a-member', text: 'The device is no member of the network.' }]
  const { joinedAt, suspendedAt } = member
  if (joinedAt >= window.start)
    return [
      {
        code: 'joined-late',
        joinedAt,
        text: `The device joined ${iso(joinedAt)}, not before the window began.`,
      },
    ]
  if (suspendedAt !== null && suspendedAt < window.end)
    return [
      {
        code: 'suspended',
        suspendedAt,
        text: `The device was suspended ${iso(suspendedAt)}, before the window ended.`,
      },
    ]
  return []
}

/** Numbers that no batch of the window has, between some that do. */
function explainGaps(
  known: readonly ExplainedBatch[],
  steps: readonly ExplainedBatch[],
): ClaimReason[] {
  const reasons: ClaimReason[] = []
  const last = steps.at(-1)?.header.seq ?? -1
  for (const [i, { header }] of known.entries()) {
    const previous = known[i - 1]?.header.seq
    if (previous === undefined || header.seq > last || header.seq <= previous + 1) continue
    const [from, to] = [previous + 1, header.seq - 1]
    const seqs = from === to ? `seq ${from}` : `seq ${from} to ${to}`
    reasons.push({ code: 'gap', from, text: `No batch of the window has ${seqs}.`, to })
  }
  return reasons
}

function explainReward(value: bigint, earned: bigint, policy: ThresholdPolicy): ClaimReason[] {
  const { cap, rate, threshold } = policy
  if (value < threshold) {
    const text = `The value ${value} is below the threshold ${threshold}.`
    return [{ code: 'below-threshold', text, threshold }]
  }
  if (value <= 0n)
    return [{ code: 'not-positive', text: `The value ${value} is not above 0: nothing is paid.` }]
  const uncapped = value * rate
  if (uncapped <= cap) return []
  const text = `The reward would be ${uncapped}, and is at most ${earned}.`
  return [{ cap, code: 'capped', text, uncapped }]
}

const ignore = (
  { header }: ExplainedBatch,
  why: Extract<ClaimReason, { code: 'ignored' }>['why'],
): ClaimReason => {
  const { count: rows, seq } = header
  return {
    code: 'ignored',
    rows,
    seq,
    text: `The batch with seq ${seq} does not count: ${whys[why]}.`,
    why,
  }
}

const whys = {
  malformed: 'its rows are malformed',
  overlap: 'it starts at or before the last reading of the batch before',
  'same-seq': 'another one with this seq was first in the log',
  schema: 'it is of another schema',
} as const

/** Folds the steps as the node did, and looks at what each row came to. */
function foldAll(steps: readonly ExplainedBatch[], parameters: explainClaim.Parameters) {
  const { metric, schema, window } = parameters
  const reasons: ClaimReason[] = []
  const unread = steps.filter(({ records }) => records === null).map(({ header }) => header.seq)
  let state = startState(metric)
  if (unread.length > 0) {
    const text = `The rows of ${plural(unread.length, 'batch', 'batches')} are not at hand: seq ${list(unread)}.`
    return {
      complete: false,
      reasons: [{ code: 'rows-not-at-hand' as const, seqs: unread, text }],
      state,
    }
  }
  const tally = createTally(metric)
  for (const step of steps) {
    const header = { ...step.header, commitment: null, recordsHash: none }
    const records = step.records!
    const after: State = fold({ batch: { header, records }, metric, schema, state, window })
    if (after === state) {
      const overlaps = state.nextSeq > 0 && header.start <= state.lastTime
      reasons.push(ignore(step, overlaps ? 'overlap' : 'malformed'))
      continue
    }
    state = after
    const { count, span, start } = header
    const { fields, tickMs } = schema
    tally.add(decodeRows(records, { count, fields: fields.length, span, start, tickMs }), window)
  }
  return { complete: true, reasons: [...reasons, ...tally.reasons()], state }
}

const none = /* @__PURE__ */ new Uint8Array(32)

/** Counts the rows that did not count, and why. */
function createTally(metric: Metric) {
  let outside = 0
  let missing = 0
  let beyond = 0
  let jumps = 0
  let units = 0n
  let last: Fix | null = null
  return {
    add(rows: Rows, window: Window) {
      const { from, to } = rowsInWindow(rows, window)
      outside += rows.count - (to - from)
      if (metric.type === 'distance') {
        let fixes = 0
        for (const segment of segmentsOf(metric, last, { from, rows, to })) {
          last = segment.to
          fixes++
          if (segment.counts) continue
          jumps++
          units += BigInt(segment.units)
        }
        missing += to - from - fixes
        return
      }
      for (let row = from; row < to; row++) {
        if (metric.type === 'count' || metric.type === 'coverage') {
          if (!hasValue(rows, row)) missing++
          continue
        }
        const value = rows.values[row * rows.fields + metric.field] as number
        if (Number.isNaN(value)) missing++
        else if (metric.type === 'sum' && (value < metric.min || value > metric.max)) beyond++
      }
    },
    reasons(): ClaimReason[] {
      const reasons: ClaimReason[] = []
      if (outside > 0)
        reasons.push({
          code: 'outside-window',
          rows: outside,
          text: `${plural(outside, 'reading')} of its batches ${outside === 1 ? 'is' : 'are'} outside the window.`,
        })
      if (missing > 0) {
        const what = metric.type === 'distance' ? 'no place' : 'no value'
        const text = `${plural(missing, 'reading')} ${missing === 1 ? 'has' : 'have'} ${what}.`
        reasons.push({ code: 'missing-values', rows: missing, text })
      }
      if (beyond > 0 && metric.type === 'sum') {
        const { max, min } = metric
        const text = `${plural(beyond, 'reading')} ${beyond === 1 ? 'is' : 'are'} not from ${min} to ${max}.`
        reasons.push({ code: 'out-of-bounds', max, min, rows: beyond, text })
      }
      if (jumps > 0 && metric.type === 'distance') {
        const metres = toMetres(units)
        const text = `${plural(jumps, 'segment')} of ${metres} m in all ${jumps === 1 ? 'is' : 'are'} faster than ${metric.maxSpeed / 1000} m/s.`
        reasons.push({ code: 'too-fast', metres, segments: jumps, text })
      }
      return reasons
    },
  }
}

function plural(n: number, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`
}

/** The first few numbers of a list. */
function list(numbers: readonly number[]): string {
  const most = 5
  const shown = numbers.slice(0, most).join(', ')
  return numbers.length > most ? `${shown} and ${numbers.length - most} more` : shown
}

const iso = (time: number) => new Date(time).toISOString()
