import { batchId, type Schema } from '@machinefi/telemetry'
import { keccak } from '../keccak/keccak.js'
import { decodeState, fold, startState } from '../metrics/fold.js'
import type { Metric, Window } from '../metrics/Metric.js'
import { hashState, type TraceLeaf } from '../trace/buildTrace.js'
import type { Answer } from './buildAnswer.js'
import type { Point } from './Challenge.js'
import { toSigned } from './Evidence.js'

/** The leaves of a trace that an answer shows, by step. The answer must have been accepted: nothing is verified. */
export function toLeaves(
  point: Point,
  answer: Answer,
  rules: toLeaves.Rules,
): { leaf: TraceLeaf; step: number }[] {
  if (point.kind === 'omission' && answer.kind === 'omission') {
    const { batchId: id, seq, stateHash } = answer.leaf
    return [{ leaf: { id, seq, stateHash }, step: answer.step }]
  }
  if (point.kind !== 'step' || answer.kind !== 'step' || answer.step === null) return []
  const { metric, network, schema, window } = rules
  const { batch, before, records } = answer.step
  const { header } = batch
  const state = before === null ? startState(metric) : decodeState(before.state, metric)
  if (state === null) return []
  const after = fold({ batch: { header, records }, metric, schema, state, window })
  const id = batchId(toSigned(batch), network)
  const leaf = { id, seq: header.seq, stateHash: hashState(after) }
  const shown = [{ leaf, step: point.step }]
  if (before === null) return shown
  const { batchId: earlier, seq, state: bytes } = before
  const previous = { id: earlier, seq, stateHash: keccak.hash(bytes) }
  return [{ leaf: previous, step: point.step - 1 }, ...shown]
}

export declare namespace toLeaves {
  type Rules = {
    metric: Metric
    /** Network id, 32 bytes. */
    network: Uint8Array
    schema: Schema
    window: Window
  }
}
