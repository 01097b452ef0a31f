import { concatBytes, keccak256, sha256 } from '@machinefi/core'
import { describe, expect, test } from 'vitest'
import {
  createTestBatch,
  createTestEpoch,
  metric,
  schema,
  window,
} from '../../test/createTestEpoch.js'
import { createTestSigner } from '../../test/createTestSigner.js'
import { encodeState } from '../metrics/fold.js'
import { buildTrace, MissingRecordsError, TraceRangeError } from './buildTrace.js'
import { isInWindow, type LoggedBatch, selectBatches } from './selectBatches.js'
import { verifyTraceProof } from './verifyTraceProof.js'

const signer = createTestSigner(1)
const batches = await Promise.all(
  Array.from({ length: 17 }, (_, seq) =>
    createTestBatch(signer, seq, [
      { time: window.start + seq * 60_000, values: [seq, null] },
      { time: window.start + seq * 60_000 + 30_000, values: [1, 1] },
    ]),
  ),
)
const logged = batches.map((batch, index): LoggedBatch & { batch: typeof batch } => ({
  batch,
  id: Uint8Array.from(sha256(Uint8Array.of(index))),
  index,
  shard: 0,
}))
const { device } = batches[0]!

describe('buildTrace', () => {
  test('behavior: equals the definition written naively', () => {
    for (let steps = 0; steps <= 17; steps++) {
      const some = logged.slice(0, steps)
      const trace = buildTrace({ batches: some, metric, schema, window })
      let level = some.map(({ batch, id }, i) => {
        const seq = new Uint8Array(8)
        seq[7] = batch.header.seq
        return keccak256(
          concatBytes(Uint8Array.of(0), seq, id, keccak256(encodeState(trace.states[i]!))),
        )
      })
      expect(level.map((_, i) => trace.leaf(i))).toEqual(level)
      while (level.length & (level.length - 1)) level.push(new Uint8Array(32))
      while (level.length > 1)
        level = Array.from({ length: level.length / 2 }, (_, i) =>
          keccak256(concatBytes(Uint8Array.of(1), level[2 * i]!, level[2 * i + 1]!)),
        )
      expect(trace.root).toEqual(level[0] ?? new Uint8Array(32))
      expect(trace.steps).toBe(steps)
      expect(trace.value).toBe(BigInt((steps * (steps - 1)) / 2 + steps))
    }
  })

  test('error: rows that have expired', () => {
    const [first] = logged
    const expired = { ...first!, batch: { ...first!.batch, records: null } }
    expect(() => buildTrace({ batches: [expired], metric, schema, window })).toThrow(
      MissingRecordsError,
    )
  })

  test('error: no such step', () => {
    const trace = buildTrace({ batches: logged.slice(0, 3), metric, schema, window })
    for (const step of [-1, 3, 0.5]) {
      expect(() => trace.leaf(step)).toThrow(TraceRangeError)
      expect(() => trace.proof(step)).toThrow(TraceRangeError)
    }
  })
})

describe('verifyTraceProof', () => {
  test('behavior: every step of every length', () => {
    for (let steps = 1; steps <= 17; steps++) {
      const trace = buildTrace({ batches: logged.slice(0, steps), metric, schema, window })
      for (let index = 0; index < steps; index++) {
        const step = { id: logged[index]!.id, seq: index, state: trace.states[index]! }
        const good = { index, proof: trace.proof(index), root: trace.root, step, steps }
        expect(verifyTraceProof(good)).toBe(true)
        expect(verifyTraceProof({ ...good, index: index + 1 })).toBe(false)
      }
    }
  })

  test('behavior: false on garbage, never an exception', () => {
    const trace = buildTrace({ batches: logged.slice(0, 5), metric, schema, window })
    const step = { id: logged[4]!.id, seq: 4, state: trace.states[4]! }
    const good = { index: 4, proof: trace.proof(4), root: trace.root, step, steps: 5 }
    expect(verifyTraceProof(good)).toBe(true)
    for (const bad of [
      { index: -1 },
      { index: 5, steps: 6 },
      { steps: 4 },
      { steps: 9 },
      { steps: 2 ** 32 },
      { steps: Number.NaN },
      { proof: good.proof.subarray(32) },
      { proof: good.proof.subarray(1) },
      { root: new Uint8Array(31) },
      { step: { ...step, id: new Uint8Array(31) } },
      { step: { ...step, seq: -1 } },
      { step: { ...step, seq: 3 } },
      { step: { ...step, state: trace.states[3]! } },
    ])
      expect(verifyTraceProof({ ...good, ...bad })).toBe(false)
  })
})

describe('selectBatches', () => {
  const options = { device, schema: schema.id, window }

  test('default', async () => {
    const shuffled = [3, 0, 4, 1, 2].map((i) => logged[i]!)
    expect(selectBatches(shuffled, options)).toEqual(logged.slice(0, 5))
    const { logged: all, signers } = await createTestEpoch({ algorithms: ['ES256', 'ES256K'] })
    const selected = selectBatches(all, { ...options, device: all[2]!.batch.device })
    expect(selected).toEqual(all.slice(2))
    expect(signers.length).toBe(2)
  })

  test('behavior: of one seq the first in the logs, by shard and index', () => {
    const [a, b] = [logged[0]!, logged[1]!]
    const copies = [
      { ...a, index: 9, shard: 1 },
      { ...a, index: 7, shard: 1 },
      { ...a, index: 8, shard: 0 },
      b,
    ]
    for (const order of [copies, copies.toReversed()])
      expect(selectBatches(order, options)).toEqual([copies[2], b])
  })

  test('behavior: another schema, device or time is not in it', () => {
    expect(selectBatches(logged, { ...options, schema: 8 })).toEqual([])
    expect(selectBatches(logged, { ...options, device: new Uint8Array(20) })).toEqual([])
    const after = { start: window.end, end: window.end + 1 }
    expect(selectBatches(logged, { ...options, window: after })).toEqual([])
  })

  test('behavior: overlap is start < end of the window and last row ≥ its start', () => {
    const span = { start: 100, end: 200 }
    const overlaps = (start: number, length: number) => isInWindow({ span: length, start }, span)
    expect([overlaps(0, 99), overlaps(0, 100), overlaps(199, 0), overlaps(200, 0)]).toEqual([
      false,
      true,
      true,
      false,
    ])
    expect([overlaps(0, 1000), overlaps(150, 10)]).toEqual([true, true])
  })
})
