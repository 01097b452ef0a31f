import { type Algorithm, BaseError, equalBytes } from '@machinefi/core'
import type { Schema, SignedBatch } from '@machinefi/telemetry'
import type { LogHead } from '../epoch/epochHash.js'
import type { Ledger } from '../ledger/buildLedger.js'
import type { Entry } from '../ledger/Entry.js'
import type { Log } from '../log/createLog.js'
import { verifyConsistency } from '../log/verifyConsistency.js'
import { encodeState } from '../metrics/fold.js'
import type { Metric, Window } from '../metrics/Metric.js'
import { buildTrace, hashState, MissingRecordsError, type Trace } from '../trace/buildTrace.js'
import type { LoggedBatch } from '../trace/selectBatches.js'
import type { Point } from './Challenge.js'
import {
  type BatchEvidence,
  type EntryEvidence,
  type EpochEvidence,
  type InclusionEvidence,
  toBatchEvidence,
} from './Evidence.js'

/** What refutes a challenge. */
export type Answer =
  | {
      readonly kind: 'step'
      readonly entry: EntryEvidence
      readonly epoch: EpochEvidence
      /** `null`: there is no such step, and the entry alone shows it. */
      readonly step: {
        readonly batch: BatchEvidence
        /** The leaf before; `null` at step 0. */
        readonly before: {
          readonly batchId: Uint8Array
          readonly proof: Uint8Array
          readonly seq: number
          /** `abi.encode` of the state after it. */
          readonly state: Uint8Array
        } | null
        readonly inclusion: InclusionEvidence
        /** Path of the leaf of the step, 32 bytes a hash. */
        readonly proof: Uint8Array
        readonly records: Uint8Array
      } | null
    }
  | {
      readonly kind: 'carry'
      readonly before: EntryEvidence
      readonly entry: EntryEvidence
      readonly epoch: EpochEvidence
    }
  | {
      readonly kind: 'omission'
      /** Where the batch of the leaf is, if it is another one that came first. */
      readonly earlier: InclusionEvidence | null
      readonly entry: EntryEvidence
      readonly epoch: EpochEvidence
      readonly leaf: {
        readonly batchId: Uint8Array
        readonly proof: Uint8Array
        readonly seq: number
        readonly stateHash: Uint8Array
      }
      readonly step: number
    }
  | { readonly kind: 'consistency'; readonly epoch: EpochEvidence; readonly proof: Uint8Array }
  | {
      readonly kind: 'reveal'
      /** 48 bytes each, from the left. */
      readonly nodes: Uint8Array
      readonly siblings: Uint8Array
    }

/** What an operator keeps of an epoch until it is final. */
export type AnswerSource = {
  /** The device's key and the canonical batches of its trace, in order and with their rows; `null` where they are not at hand. */
  claim(slot: number): {
    readonly algorithm: Algorithm
    readonly batches: readonly (LoggedBatch & { readonly batch: SignedBatch })[]
    readonly publicKey: Uint8Array
  } | null
  readonly epoch: EpochEvidence
  readonly ledger: Ledger
  /** A shard of the log, at least as long as posted. */
  log(shard: number): Log
  readonly metric: Metric
  /** `null` for a network's first window. */
  readonly parentLedger: Ledger | null
  readonly schema: Schema
  readonly window: Window
}

/**
 * Builds the answer to a challenge from what is stored. An honest epoch has
 * one for every point that can be challenged. {@link verifyAnswer} tells
 * whether a contract will take it.
 *
 * @throws {UnanswerableError} the evidence at hand has no answer.
 *
 * @example
 * const answer = buildAnswer({ kind: 'step', slot: 3, step: 0 }, source)
 */
export function buildAnswer(point: Point, source: AnswerSource): Answer {
  switch (point.kind) {
    case 'carry':
      return answerCarry(point, source)
    case 'consistency':
      return answerConsistency(point, source)
    case 'omission':
      return answerOmission(point, source)
    case 'reveal':
      return { kind: 'reveal', ...source.ledger.nodeProof(point.height, point.index) }
    case 'step':
      return answerStep(point, source)
  }
}

/** There is no answer to a challenge in the evidence at hand. */
export class UnanswerableError extends BaseError {
  override readonly name = 'UnanswerableError'
  readonly reason: UnanswerableReason
  constructor(point: Point, reason: UnanswerableReason) {
    super(`The ${point.kind} challenge cannot be answered: ${reasons[reason]}.`, {
      docsPath: 'protocol/disputes.md',
      kind: 'integrity',
    })
    this.reason = reason
  }
}

export type UnanswerableReason = keyof typeof reasons

const reasons = {
  claim: 'the batches of the trace are not at hand',
  consistency: 'the log that was posted does not begin with the one pointed at',
  log: 'the log at hand is not the one that was posted',
  omitted: 'the batch counts, and the trace does not have it',
  records: 'the rows of a batch have expired',
  slot: 'the device has no entry in the ledger',
  trace: 'the batches at hand fold to another trace than the ledger has',
} as const

function answerStep(point: Extract<Point, { kind: 'step' }>, source: AnswerSource): Answer {
  const { epoch, ledger } = source
  const entry = entryAt(ledger, point.slot)
  const found = entry.entry
  if (found === null || point.step >= found.steps) return { kind: 'step', entry, epoch, step: null }

  const { batches, publicKey, trace } = readTrace(point, point.slot, found, source)
  const { batch, index, shard } = batches[point.step]!
  const previous = batches[point.step - 1]
  return {
    kind: 'step',
    entry,
    epoch,
    step: {
      batch: toBatchEvidence(batch, publicKey),
      before:
        previous === undefined
          ? null
          : {
              batchId: previous.id,
              proof: trace.proof(point.step - 1),
              seq: previous.batch.header.seq,
              state: encodeState(trace.states[point.step - 1]!),
            },
      inclusion: include(point, { index, shard }, source),
      proof: trace.proof(point.step),
      // The trace could not have been built without them.
      records: batch.records!,
    },
  }
}

function answerCarry(point: Extract<Point, { kind: 'carry' }>, source: AnswerSource): Answer {
  const { epoch, ledger, parentLedger } = source
  const before =
    parentLedger === null || point.slot >= 2 ** parentLedger.depth
      ? { entry: null, siblings: new Uint8Array(0) }
      : entryAt(parentLedger, point.slot)
  return { kind: 'carry', before, entry: entryAt(ledger, point.slot), epoch }
}

function answerOmission(point: Extract<Point, { kind: 'omission' }>, source: AnswerSource): Answer {
  const { epoch, ledger } = source
  const slot = ledger.slotOf(point.device)
  if (slot === null) throw new UnanswerableError(point, 'slot')
  const entry = entryAt(ledger, slot)
  if (entry.entry === null) throw new UnanswerableError(point, 'slot')
  if (entry.entry.steps === 0) throw new UnanswerableError(point, 'omitted')
  const { batches, trace } = readTrace(point, slot, entry.entry, source)
  const step = batches.findIndex(({ batch }) => batch.header.seq === point.seq)
  const found = batches[step]
  if (found === undefined) throw new UnanswerableError(point, 'omitted')
  const same = equalBytes(found.id, point.batchId)
  const { index, shard } = found
  if (!same && (shard > point.shard || (shard === point.shard && index >= point.index)))
    throw new UnanswerableError(point, 'omitted')
  return {
    kind: 'omission',
    earlier: same ? null : include(point, { index, shard }, source),
    entry,
    epoch,
    leaf: {
      batchId: found.id,
      proof: trace.proof(step),
      seq: point.seq,
      stateHash: hashState(trace.states[step]!),
    },
    step,
  }
}

function answerConsistency(
  point: Extract<Point, { kind: 'consistency' }>,
  source: AnswerSource,
): Answer {
  const { epoch } = source
  const { root: fromRoot, shard, size: from } = point
  const { log, root: toRoot, size: to } = openLog(point, shard, source)
  if (from > to) throw new UnanswerableError(point, 'consistency')
  const proof = log.consistencyProof(from, to)
  if (!verifyConsistency({ from, fromRoot, proof, to, toRoot }))
    throw new UnanswerableError(point, 'consistency')
  return { kind: 'consistency', epoch, proof }
}

function entryAt(ledger: Ledger, slot: number): EntryEvidence {
  const { entry, siblings } = ledger.proof(slot)
  return { entry, siblings }
}

type ReadTrace = NonNullable<ReturnType<AnswerSource['claim']>> & { trace: Trace }

function readTrace(point: Point, slot: number, entry: Entry, source: AnswerSource): ReadTrace {
  const { metric, schema, window } = source
  const claim = source.claim(slot)
  if (claim === null) throw new UnanswerableError(point, 'claim')
  try {
    const trace = buildTrace({ batches: claim.batches, metric, schema, window })
    const same = trace.steps === entry.steps && equalBytes(trace.root, entry.traceRoot)
    if (!same) throw new UnanswerableError(point, 'trace')
    return { ...claim, trace }
  } catch (error) {
    if (error instanceof MissingRecordsError) throw new UnanswerableError(point, 'records')
    throw error
  }
}

function openLog(point: Point, shard: number, source: AnswerSource): LogHead & { log: Log } {
  const head = source.epoch.logs.find((log) => log.shard === shard)
  if (head === undefined) throw new UnanswerableError(point, 'log')
  const log = source.log(shard)
  if (log.size < head.size || !equalBytes(log.root(head.size), head.root))
    throw new UnanswerableError(point, 'log')
  return { ...head, log }
}

function include(
  point: Point,
  { index, shard }: { index: number; shard: number },
  source: AnswerSource,
): InclusionEvidence {
  const { log, size } = openLog(point, shard, source)
  if (index >= size) throw new UnanswerableError(point, 'log')
  return { index, proof: log.inclusionProof(index, size), shard }
}
