import { equalBytes } from '@machinefi/core'
import type { Schema, SignedBatch } from '@machinefi/telemetry'
import { reward, type ThresholdPolicy } from '../epoch/reward.js'
import { carryEntry, type Entry, equalEntry } from '../ledger/Entry.js'
import type { Log } from '../log/createLog.js'
import { finish, startState } from '../metrics/fold.js'
import type { Metric, Window } from '../metrics/Metric.js'
import { buildTrace, hashState, type TraceLeaf, traceRoot } from '../trace/buildTrace.js'
import { isInWindow, type LoggedBatch } from '../trace/selectBatches.js'
import { buildOmission, type Challenge } from './Challenge.js'
import type { EpochEvidence } from './Evidence.js'

/** Something that is wrong, and what to do about it. */
export type Fault<remedy = Challenge> = {
  /** Whether the remedy must succeed; else it is a guess that may cost its bond. */
  readonly certain: boolean
  readonly remedy: remedy
  /** One sentence. */
  readonly text: string
  /** Stable. */
  readonly why: FaultReason
}

export type FaultReason =
  | 'double-count'
  | 'empty-slot'
  | 'foreign-batch'
  | 'forged-signature'
  | 'inflated-total'
  | 'omitted-batch'
  | 'out-of-window'
  | 'rewritten-log'
  | 'swapped-device'
  | 'truncated-log'
  | 'forked-log'
  | 'unknown-entry'
  | 'unlogged-batch'
  | 'unpaid-value'
  | 'wrong-carry'
  | 'wrong-fold'
  | 'wrong-schema'
  | 'wrong-trace'
  | 'wrong-value'

/**
 * Compares what was posted in a slot with what the log makes of it, and names
 * the challenges that no answer can refute: what is certain before what is
 * not, what is cheap before what is dear. Nothing where both are equal.
 *
 * What a trace does wrong is only seen in its leaves. Where an operator keeps
 * them back, its steps are named, from the middle outward, to be asked for on
 * chain: each answer shows a leaf, and with that known the next call is twice as
 * close.
 *
 * @throws {MissingRecordsError} a batch of mine has no rows.
 */
export function diffClaim(parameters: diffClaim.Parameters): Fault[] {
  const { mine, slot, theirs } = parameters
  if (theirs.entry === undefined) {
    const text = `What is in slot ${slot} was not shown.`
    return [{ certain: false, remedy: carry(parameters), text, why: 'unknown-entry' }]
  }
  const { entry } = theirs
  const faults = diffCarry(parameters, entry)
  // The day of a member that is not paid has no steps to look at.
  if (entry !== null && mine.entry !== null && parameters.paid)
    faults.push(...diffTrace(parameters, entry, mine.entry))
  return faults.sort((a, b) => Number(b.certain) - Number(a.certain))
}

export declare namespace diffClaim {
  type Parameters = {
    /** What the slot had in the epoch before, as posted; `null` where it was empty. */
    before: Entry | null
    /** The member that has the slot now; `null` where there is none. */
    device: Uint8Array | null
    epoch: EpochEvidence
    /** The batch with an id in the logs that the epoch commits to, and its first place there. */
    find(id: Uint8Array): Found | null
    /** A shard of the log, at least as long as posted. */
    log(shard: number): Pick<Log, 'inclusionProof'>
    metric: Metric
    mine: {
      /** The canonical batches, in order and with their rows. */
      readonly batches: readonly (LoggedBatch & { readonly batch: SignedBatch })[]
      /** What follows from the log; `null` for an empty slot. */
      readonly entry: Entry | null
      /** Of the device, X‖Y; `null` where it signed nothing. */
      readonly publicKey: Uint8Array | null
    }
    /** Whether the window pays the member. */
    paid: boolean
    policy: ThresholdPolicy
    schema: Schema
    slot: number
    theirs: {
      /** The batches that are said to be in the trace, in order. */
      readonly batches?: readonly (LoggedBatch & { readonly batch: SignedBatch })[] | undefined
      /** What was posted, shown by its path; `undefined` where it is not known. */
      readonly entry: Entry | null | undefined
      /** What is known of the trace's leaves, by step. */
      readonly leaves?: readonly (TraceLeaf | null | undefined)[] | undefined
    }
    window: Window
  }
  /** `batch` is `null` where only the id is known. */
  type Found = {
    readonly batch: Pick<SignedBatch, 'device' | 'header'> | null
    readonly index: number
    readonly shard: number
    /** Whether the device signed it; left away where that is not known. */
    readonly signed?: boolean | undefined
  }
}

const carry = ({ device, slot }: diffClaim.Parameters): Challenge => ({
  kind: 'carry',
  device,
  slot,
})

/** What the entry must be, given the one before, whatever its trace is. */
function diffCarry(parameters: diffClaim.Parameters, entry: Entry | null): Fault[] {
  const { before, device, paid, policy, slot } = parameters
  const fault = (why: FaultReason, text: string): Fault[] => [
    { certain: true, remedy: carry(parameters), text, why },
  ]
  if (!paid) {
    if (equalEntry(entry, carryEntry(before))) return []
    if (entry === null) return fault('empty-slot', `Slot ${slot} is empty, and was not before.`)
    const same = before !== null && equalBytes(entry.device, before.device)
    if (before !== null && !same)
      return fault('swapped-device', `Slot ${slot} has another device than before.`)
    return same && entry.value === 0n && entry.steps === 0
      ? fault('wrong-carry', `Slot ${slot} is not as it was before, and its member is not paid.`)
      : fault('unpaid-value', `Slot ${slot} has a value, and its member is not paid.`)
  }
  if (entry === null) return fault('empty-slot', `Slot ${slot} is empty, and its member is paid.`)
  if (device === null || !equalBytes(entry.device, device))
    return fault('swapped-device', `Slot ${slot} has a device that is not its member.`)
  const expected = (before?.cumulative ?? 0n) + reward({ ...policy, value: entry.value })
  if (entry.cumulative === expected) return []
  const text = `Slot ${slot} has earned ${entry.cumulative} in all, and ${expected} follows from its value.`
  return fault('wrong-carry', text)
}

/** What is wrong with value and trace of a member that is paid. */
function diffTrace(parameters: diffClaim.Parameters, entry: Entry, expected: Entry): Fault[] {
  const { metric, mine, slot, window } = parameters
  const { steps, value } = entry
  const rootIsZero = entry.traceRoot.every((byte) => byte === 0)
  if (steps === 0) {
    // The entry alone says all: there is nothing to fold.
    const start = finish({ metric, state: startState(metric), window })
    const text = `Slot ${slot} has no steps, and a ${rootIsZero ? 'value' : 'trace'}.`
    if (!rootIsZero || value !== start)
      return [suspect(parameters, 0, rootIsZero ? 'wrong-value' : 'wrong-trace', text)]
    return mine.batches.length > 0 ? [omit(parameters, 0)] : []
  }
  if (steps === expected.steps && equalBytes(entry.traceRoot, expected.traceRoot)) {
    if (value === expected.value) return []
    const text = `The value in slot ${slot} is ${value}, and its trace ends in ${expected.value}.`
    return [suspect(parameters, steps - 1, 'wrong-value', text)]
  }
  if (mine.batches.length === 0) {
    const text = `Slot ${slot} has a trace, and its device no batch in the log.`
    return [suspect(parameters, 0, 'wrong-trace', text)]
  }

  const own = readLeaves(parameters, mine.batches)
  const leaves = readTheirs(parameters, entry)
  const all = leaves.length === steps && leaves.every((leaf) => leaf != null)
  const faults: Fault[] = []
  for (const [i, leaf] of leaves.entries()) {
    const fault = leaf && diffLeaf(parameters, { all, i, leaves, own })
    if (!fault) continue
    faults.push(fault)
    break
  }
  if (all) {
    // Each is a batch that may count, and seq ascends: so some of mine are not among them. It is certain
    // unless one that is not known takes its place.
    const missing = own.flatMap(({ id, seq }, i) => {
      if (leaves.some((leaf) => equalBytes(leaf!.id, id))) return []
      return [{ certain: faults.length === 0 || !leaves.some((leaf) => leaf!.seq === seq), i }]
    })
    const omitted = missing
      .slice(0, maxProbes)
      .map(({ certain, i }) => omit(parameters, i, certain))
    return [...faults, ...omitted]
  }
  if (faults.length > 0) return faults

  // Between a leaf that is as it should be and one that is not lies what can be shown.
  let low = -1
  let high = Math.min(steps, own.length)
  for (let i = 0; i < high; i++)
    if (leaves[i] != null) {
      if (isSame(leaves[i]!, own[i]!)) low = i
      else high = i
    }
  if (low + 1 === high && high < own.length) return [omit(parameters, high, false)]
  const text = `The trace in slot ${slot} is not that of the log.`
  const guess = (step: number) => suspect(parameters, step, 'wrong-trace', text, false)
  // No batch is left for the step after the last of mine.
  if (low + 1 === high && steps > high)
    return [suspect(parameters, high, 'wrong-trace', `${text.slice(0, -1)}: it goes on after it.`)]
  // What went wrong was put right again before the last step.
  if (low + 1 === high) return betweens(-1, low).map(guess)
  return betweens(low, Math.min(high + 1, steps)).map(guess)
}

/** What is wrong with one leaf, given the one before where it is known. */
function diffLeaf(
  parameters: diffClaim.Parameters,
  trace: {
    all: boolean
    i: number
    leaves: readonly (TraceLeaf | null | undefined)[]
    own: readonly TraceLeaf[]
  },
): Fault | null {
  const { all, i, leaves, own } = trace
  const { find, mine, schema, slot, window } = parameters
  const leaf = leaves[i]!
  const previous = leaves[i - 1]
  const fault = (why: FaultReason, what: string, certain = true) =>
    suspect(parameters, i, why, `Step ${i} of the trace in slot ${slot} has ${what}.`, certain)

  if (previous != null && leaf.seq <= previous.seq)
    return leaves.slice(0, i).some((each) => each != null && equalBytes(each.id, leaf.id))
      ? fault('double-count', 'a batch that was counted before')
      : fault('wrong-trace', 'a seq that is not above the one before')
  const canonical = own.findIndex(({ seq }) => seq === leaf.seq)
  if (canonical !== -1 && equalBytes(own[canonical]!.id, leaf.id)) {
    const follows = i === 0 || (previous != null && own[i - 1] && isSame(previous, own[i - 1]!))
    return canonical === i && follows && !isSame(leaf, own[i]!)
      ? fault('wrong-fold', 'a state that its batch does not fold to')
      : null
  }
  const found = find(leaf.id)
  if (found === null) return fault('unlogged-batch', 'a batch that is not in the log')
  if (found.batch === null) return fault('wrong-trace', 'a batch that nobody shows', false)
  const { device, header } = found.batch
  if (!equalBytes(device, mine.entry!.device))
    return fault('foreign-batch', 'a batch of another device')
  if (header.schema !== schema.id) return fault('wrong-schema', 'a batch of another schema')
  if (!isInWindow(header, window)) return fault('out-of-window', 'a batch of another time')
  if (header.seq !== leaf.seq) return fault('wrong-trace', 'another seq than its batch')
  const first = found.signed === false ? undefined : mine.batches[canonical]
  // Of two with one seq the later, whether it was signed or not.
  if (
    first &&
    (found.shard > first.shard || (found.shard === first.shard && found.index > first.index))
  )
    return omit(parameters, canonical, all && leaves[i + 1]?.seq !== leaf.seq)
  return fault('forged-signature', 'a batch that its device has not signed')
}

function suspect(
  { device, slot }: diffClaim.Parameters,
  step: number,
  why: FaultReason,
  text: string,
  certain = true,
): Fault {
  return { certain, remedy: { kind: 'step', device, slot, step }, text, why }
}

function omit({ epoch, log, mine, slot }: diffClaim.Parameters, i: number, certain = true): Fault {
  const { batch, index, shard } = mine.batches[i]!
  const publicKey = mine.publicKey!
  return {
    certain,
    remedy: buildOmission({ batch, epoch, index, log: log(shard), publicKey, shard }),
    text: `The trace in slot ${slot} leaves out the batch with seq ${batch.header.seq}.`,
    why: 'omitted-batch',
  }
}

/** The leaves that batches fold to. */
function readLeaves(
  { metric, schema, window }: Pick<diffClaim.Parameters, 'metric' | 'schema' | 'window'>,
  batches: diffClaim.Parameters['mine']['batches'],
): TraceLeaf[] {
  const { states } = buildTrace({ batches, metric, schema, window })
  return batches.map(({ batch, id }, i) => ({
    id,
    seq: batch.header.seq,
    stateHash: hashState(states[i]!),
  }))
}

/** The leaves that are known to be in a trace. */
function readTheirs(parameters: diffClaim.Parameters, entry: Entry) {
  const { batches, leaves = [] } = parameters.theirs
  const isWhole = (each: readonly (TraceLeaf | null | undefined)[]): each is TraceLeaf[] =>
    each.length === entry.steps && each.every((leaf) => leaf != null)
  const fits = (each: readonly TraceLeaf[]) => equalBytes(traceRoot(each), entry.traceRoot)
  if (isWhole(leaves) && fits(leaves)) return leaves
  if (batches?.length === entry.steps && batches.every(({ batch }) => batch.records !== null)) {
    const folded = readLeaves(parameters, batches)
    if (fits(folded)) return folded
  }
  // Those that answers have shown are right one by one; a whole list that does not fit is made up.
  return isWhole(leaves) ? [] : leaves
}

function isSame(a: TraceLeaf, b: TraceLeaf): boolean {
  return a.seq === b.seq && equalBytes(a.id, b.id) && equalBytes(a.stateHash, b.stateHash)
}

/** The steps between two, of which one is right and the other not: the middle, the middles of the halves, and so on. */
function betweens(low: number, high: number): number[] {
  const spans: [number, number][] = [[low, high]]
  const found: number[] = []
  for (let span = spans.shift(); span && found.length < maxProbes; span = spans.shift()) {
    const [from, to] = span
    if (to - from < 2) continue
    const middle = Math.floor((from + to) / 2)
    found.push(middle)
    spans.push([from, middle], [middle, to])
  }
  return found
}

const maxProbes = 32
