import { BaseError, equalBytes, publicKeyToAddress, sha256, verifySignature } from '@machinefi/core'
import { batchId, maxRecordsBytes, type Schema, sigStructure } from '@machinefi/telemetry'
import { type Config, decodeConfig } from '../epoch/encodeConfig.js'
import { epochHash } from '../epoch/epochHash.js'
import { decodePolicyParams, reward, type ThresholdPolicy } from '../epoch/reward.js'
import { keccak } from '../keccak/keccak.js'
import type { LedgerHead } from '../ledger/buildLedger.js'
import { carryEntry, type Entry, equalEntry } from '../ledger/Entry.js'
import { verifyLedgerProof, verifyRevealed } from '../ledger/verifyLedgerProof.js'
import { verifyConsistency } from '../log/verifyConsistency.js'
import { verifyInclusion } from '../log/verifyInclusion.js'
import { decodeMetricParams } from '../metrics/decodeMetricParams.js'
import { decodeState, finish, fold, type State, startState } from '../metrics/fold.js'
import type { Metric, Window } from '../metrics/Metric.js'
import { hashState } from '../trace/buildTrace.js'
import { isInWindow } from '../trace/selectBatches.js'
import { verifyTraceLeaf } from '../trace/verifyTraceProof.js'
import type { Answer } from './buildAnswer.js'
import type { Point } from './Challenge.js'
import {
  type EntryEvidence,
  type EpochEvidence,
  type InclusionEvidence,
  toSigned,
} from './Evidence.js'

/**
 * Checks an answer by the rules of the disputes contract, before anyone pays
 * for sending it. That the challenge is still open, and before its deadline,
 * is for the chain to say.
 *
 * @example
 * const verdict = await verifyAnswer(point, buildAnswer(point, source), context)
 * if (!verdict.ok) alarm(verdict.reason)
 */
export async function verifyAnswer(
  point: Point,
  answer: Answer,
  context: verifyAnswer.Context,
): Promise<verifyAnswer.Verdict> {
  try {
    if (answer.kind !== point.kind) refuse('WrongKind')
    // The kinds are equal, which TypeScript cannot follow.
    const check = checks[point.kind] as (point: Point, answer: Answer, given: Context) => unknown
    await check(point, answer, context)
    return { ok: true }
  } catch (error) {
    if (error instanceof Refusal) return { ok: false, reason: error.reason }
    throw error
  }
}

export declare namespace verifyAnswer {
  type Context = {
    attempt: number
    /** As posted. */
    epochHash: Uint8Array
    /** As posted. */
    ledger: LedgerHead
    /** The member that a device is, and whether the window pays it. */
    member(device: Uint8Array): { readonly paid: boolean; readonly slot: number } | null
    /** Which metric the contract in the configuration is. */
    metric: Metric['type']
    /** Network id, 32 bytes. */
    network: Uint8Array
    /** As posted for the window before; `null` for a network's first window. */
    parent: LedgerHead | null
    schema: Schema
    window: number
    windowSeconds: number
  }
  /** Named as the errors of the contract, where it has one. */
  type Reason =
    | 'Inconsistent'
    | 'InvalidBatchSignature'
    | 'InvalidHeader'
    | 'NoSuchStep'
    | 'NotCarried'
    | 'NotEarlier'
    | 'NotInLog'
    | 'OutsideWindow'
    | 'SeqNotAfter'
    | 'StepExists'
    | 'WrongCumulative'
    | 'WrongDevice'
    | 'WrongEntry'
    | 'WrongEpoch'
    | 'WrongKind'
    | 'WrongLeaf'
    | 'WrongNodes'
    | 'WrongParentEntry'
    | 'WrongRows'
    | 'WrongSchema'
    | 'WrongTraceRoot'
    | 'WrongValue'
  type Verdict = { ok: true } | { ok: false; reason: Reason }
}

type Context = verifyAnswer.Context
type Kind = Point['kind']
type PointOf<kind extends Kind> = Extract<Point, { kind: kind }>
type AnswerOf<kind extends Kind> = Extract<Answer, { kind: kind }>

class Refusal extends BaseError {
  override readonly name = 'Refusal'
  readonly reason: verifyAnswer.Reason
  constructor(reason: verifyAnswer.Reason) {
    super(reason, { kind: 'integrity' })
    this.reason = reason
  }
}

function refuse(reason: verifyAnswer.Reason): never {
  throw new Refusal(reason)
}

const checks: {
  [kind in Kind]: (
    point: PointOf<kind>,
    answer: AnswerOf<kind>,
    context: Context,
  ) => Promise<void> | void
} = {
  async step(point, answer, context) {
    const rules = readRules(answer.epoch, context)
    const entry = checkEntry(answer.entry, point.slot, context.ledger)
    if (answer.step !== null) return checkStep(point, answer, entry, rules, context)
    if (entry === null) return
    if (point.step < entry.steps) refuse('StepExists')
    if (entry.steps > 0) return
    if (!isZero(entry.traceRoot)) refuse('WrongTraceRoot')
    const paid = context.member(entry.device)?.paid === true
    const { metric, window } = rules
    const value = paid ? finish({ metric, state: startState(metric), window }) : 0n
    if (entry.value !== value) refuse('WrongValue')
  },

  carry(point, answer, context) {
    const { policy } = readRules(answer.epoch, context)
    const entry = checkEntry(answer.entry, point.slot, context.ledger)
    const before = checkBefore(answer.before, point.slot, context.parent)
    const device = point.device !== null && context.member(point.device)?.paid ? point.device : null
    if (device === null) {
      // Whatever was there before goes on as it is, even where that was wrong.
      if (!equalEntry(entry, carryEntry(before))) refuse('NotCarried')
      return
    }
    if (entry === null || !equalBytes(entry.device, device)) refuse('WrongDevice')
    const earned = reward({ ...policy, value: entry.value })
    if (entry.cumulative !== (before?.cumulative ?? 0n) + earned) refuse('WrongCumulative')
  },

  omission(point, answer, context) {
    readRules(answer.epoch, context)
    const member = context.member(point.device)
    if (member === null) refuse('WrongDevice')
    const entry = checkEntry(answer.entry, member.slot, context.ledger)
    if (entry === null || !equalBytes(entry.device, point.device)) refuse('WrongDevice')
    const { earlier, leaf, step } = answer
    const { batchId: id, proof, stateHash } = leaf
    const { steps, traceRoot: root } = entry
    const inTrace = { index: step, leaf: { id, seq: point.seq, stateHash }, proof, root, steps }
    if (!verifyTraceLeaf(inTrace)) refuse('WrongLeaf')
    if (equalBytes(id, point.batchId)) return
    if (earlier === null) refuse('NotInLog')
    const { index, shard } = earlier
    if (shard > point.shard || (shard === point.shard && index >= point.index)) refuse('NotEarlier')
    checkInclusion(id, earlier, answer.epoch)
  },

  consistency(point, answer, context) {
    readRules(answer.epoch, context)
    const { root: fromRoot, shard, size: from } = point
    const head = answer.epoch.logs.find((log) => log.shard === shard)
    if (head === undefined) refuse('Inconsistent')
    const { root: toRoot, size: to } = head
    const { proof } = answer
    if (!verifyConsistency({ from, fromRoot, proof, to, toRoot })) refuse('Inconsistent')
  },

  reveal(point, answer, context) {
    const { height, index } = point
    const { nodes, siblings } = answer
    if (!verifyRevealed({ ...context.ledger, height, index, nodes, siblings })) refuse('WrongNodes')
  },
}

async function checkStep(
  point: PointOf<'step'>,
  answer: AnswerOf<'step'>,
  entry: Entry | null,
  rules: Rules,
  context: Context,
) {
  const { before, batch, inclusion, proof, records } = answer.step!
  if (entry === null || point.step >= entry.steps) refuse('NoSuchStep')
  const { steps, traceRoot: root } = entry
  const { metric, window } = rules
  const { schema } = context

  let state: State | null = startState(metric)
  if (point.step > 0) {
    if (before === null) refuse('WrongLeaf')
    const { batchId: id, seq } = before
    const leaf = { id, seq, stateHash: keccak.hash(before.state) }
    const { proof } = before
    if (!verifyTraceLeaf({ index: point.step - 1, leaf, proof, root, steps })) refuse('WrongLeaf')
    state = decodeState(before.state, metric)
    if (state === null) refuse('WrongLeaf')
  }

  const { algorithm, header, publicKey, signature } = batch
  if (publicKey.length !== 64) refuse('InvalidBatchSignature')
  if (!equalBytes(publicKeyToAddress(publicKey), entry.device)) refuse('WrongDevice')
  if (header.schema !== rules.config.schema) refuse('WrongSchema')
  if (!isInWindow(header, window)) refuse('OutsideWindow')
  if (point.step > 0 && header.seq <= before!.seq) refuse('SeqNotAfter')
  if (records.length > maxRecordsBytes || !equalBytes(sha256(records), header.recordsHash))
    refuse('WrongRows')
  const signed = readSigned(batch)
  const id = batchId(signed, context.network)
  checkInclusion(id, inclusion, answer.epoch)
  const message = sigStructure(signed, context.network)
  if (!(await verifySignature({ algorithm, message, publicKey, signature })))
    refuse('InvalidBatchSignature')

  state = fold({ batch: { header, records }, metric, schema, state, window })
  const leaf = { id, seq: header.seq, stateHash: hashState(state) }
  if (!verifyTraceLeaf({ index: point.step, leaf, proof, root, steps })) refuse('WrongLeaf')
  if (point.step === steps - 1 && finish({ metric, state, window }) !== entry.value)
    refuse('WrongValue')
}

function readSigned(batch: Parameters<typeof toSigned>[0]): ReturnType<typeof toSigned> {
  try {
    return toSigned(batch)
  } catch {
    return refuse('InvalidHeader')
  }
}

type Rules = { config: Config; metric: Metric; policy: ThresholdPolicy; window: Window }

/** What the epoch was computed by, once its hash has shown that this is what was posted. */
function readRules(epoch: EpochEvidence, context: Context): Rules {
  const { attempt, ledger, network, schema, window, windowSeconds } = context
  const { config: bytes, logs, memberCount, parentHash } = epoch
  const hash = epochHash({
    ...{ attempt, logs, memberCount, network, parentHash, window, windowSeconds },
    ...{ ledgerRoot: ledger.root, ledgerTotal: ledger.total },
    configHash: keccak.hash(bytes),
  })
  if (!equalBytes(hash, context.epochHash)) refuse('WrongEpoch')
  const config = decodeConfig(bytes)
  const fits =
    config.schema === schema.id &&
    config.fields === schema.fields.length &&
    config.tickMs === schema.tickMs
  if (!fits) refuse('WrongSchema')
  const start = window * windowSeconds * 1000
  return {
    config,
    metric: decodeMetricParams(context.metric, config.metricParams),
    policy: decodePolicyParams(config.policyParams),
    window: { end: start + windowSeconds * 1000, start },
  }
}

function checkEntry({ entry, siblings }: EntryEvidence, slot: number, ledger: LedgerHead) {
  if (!verifyLedgerProof({ ...ledger, entry, proof: siblings, slot })) refuse('WrongEntry')
  return entry
}

/** The entry in the ledger before, which may have had no such slot. */
function checkBefore(evidence: EntryEvidence, slot: number, parent: LedgerHead | null) {
  if (parent === null || slot >= 2 ** parent.depth) return null
  const { entry, siblings } = evidence
  if (!verifyLedgerProof({ ...parent, entry, proof: siblings, slot })) refuse('WrongParentEntry')
  return entry
}

function checkInclusion(id: Uint8Array, inclusion: InclusionEvidence, epoch: EpochEvidence) {
  const { index, proof, shard } = inclusion
  const head = epoch.logs.find((log) => log.shard === shard)
  if (head === undefined) refuse('NotInLog')
  const { root, size } = head
  if (!verifyInclusion({ id, index, proof, root, size })) refuse('NotInLog')
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0)
}
