import { sha256 } from '@machinefi/core'
import { defineSchema, encodeRows, type Row } from '@machinefi/telemetry'
import { describe, expect, test } from 'vitest'
import type { Metric } from '../metrics/Metric.js'
import { type ExplainedBatch, explainClaim } from './explainClaim.js'

const schema = defineSchema({
  id: 7,
  tickMs: 1000,
  fields: { lat: { unit: 'lat', scale: 7 }, lon: { unit: 'lon', scale: 7 } },
})
const window = { start: 100_000, end: 200_000 }
const metric: Metric = { type: 'sum', field: 0, max: 500, min: 0 }
const policy = { cap: 1000n, rate: 2n, threshold: 10n }
const member = { joinedAt: 5000, suspendedAt: null }
const logs = [{ shard: 0, size: 100 }]

let index = 0
function batch(
  seq: number,
  rows: readonly Row[],
  change: Partial<ExplainedBatch> = {},
): ExplainedBatch {
  const start = rows[0]!.time
  const span = rows.at(-1)!.time - start
  const records = encodeRows(rows, { start, tickMs: 1000 })
  const header = { count: rows.length, schema: 7, seq, span, start }
  return { header, index: index++ % 100, records, shard: 0, ...change }
}
const row = (seconds: number, lat: number | null, lon: number | null = 0): Row => ({
  time: seconds * 1000,
  values: [lat, lon],
})

type Given = Partial<Parameters<typeof explainClaim>[0]>
const explain = (given: Given) =>
  explainClaim({ batches: [], logs, member, metric, policy, schema, window, ...given })
const texts = (given: Given) => explain(given).reasons.map(({ code, text }) => `${code}: ${text}`)

describe('explainClaim', () => {
  test('default', () => {
    const batches = [batch(4, [row(110, 20), row(120, 30)]), batch(5, [row(130, 50)])]
    expect(explain({ batches })).toEqual({
      paid: true,
      reasons: [],
      reward: 200n,
      steps: 2,
      value: 100n,
    })
  })

  test('behavior: members that the window does not pay', () => {
    const batches = [batch(0, [row(110, 20)])]
    for (const [given, expected] of [
      [null, 'not-a-member: The device is no member of the network.'],
      [
        { joinedAt: 100_000, suspendedAt: null },
        'joined-late: The device joined 1970-01-01T00:01:40.000Z, not before the window began.',
      ],
      [
        { joinedAt: 0, suspendedAt: 199_999 },
        'suspended: The device was suspended 1970-01-01T00:03:19.999Z, before the window ended.',
      ],
    ] as const) {
      expect(texts({ batches, member: given })).toEqual([expected])
      expect(explain({ batches, member: given })).toMatchObject({
        paid: false,
        reward: 0n,
        steps: 0,
      })
    }
    const suspendedLater = { joinedAt: 99_999, suspendedAt: 200_000 }
    expect(explain({ batches, member: suspendedLater }).paid).toBe(true)
  })

  test('behavior: late batches, and gaps', () => {
    const batches = [
      batch(9, [row(170, 40)], { index: 3 }),
      batch(3, [row(110, 20)], { index: 0 }),
      batch(4, [row(120, 20), row(125, 20)], { index: 100 }),
      batch(7, [row(150, 20)], { index: 2 }),
    ]
    expect(texts({ batches })).toEqual([
      'late: 1 batch with 2 readings came after the log was cut: seq 4.',
      'gap: No batch of the window has seq 5 to 6.',
      'gap: No batch of the window has seq 8.',
    ])
    expect(explain({ batches })).toMatchObject({ steps: 3, value: 80n })
    // Another shard that the epoch does not have.
    expect(texts({ batches: [batch(0, [row(110, 20)], { shard: 1 })] })).toEqual([
      'no-batches: No batch of the window was in the log in time.',
      'late: 1 batch with 1 reading came after the log was cut: seq 0.',
      'below-threshold: The value 0 is below the threshold 10.',
    ])
  })

  test('behavior: a gap voids an average', () => {
    const average: Metric = { type: 'average', field: 0 }
    const batches = [batch(3, [row(110, 20)]), batch(5, [row(120, 20)])]
    expect(texts({ batches, metric: average })).toEqual([
      'gap: No batch of the window has seq 4.',
      'void-average: A batch is missing between the window’s batches, which voids an average.',
      'below-threshold: The value 0 is below the threshold 10.',
    ])
  })

  test('behavior: batches that are ignored', () => {
    const other = { ...batch(6, [row(180, 1)]) }
    const broken = batch(7, [row(190, 50)])
    const batches = [
      batch(3, [row(110, 20), row(140, 30)], { index: 0 }),
      batch(3, [row(115, 70)], { index: 1 }),
      batch(4, [row(140, 30)], { index: 2 }),
      { ...other, header: { ...other.header, schema: 8 }, index: 3 },
      { ...broken, index: 4, records: Uint8Array.of(0x80) },
      batch(8, [row(195, 7)], { index: 5 }),
      // Of another time: not asked about.
      batch(9, [row(300, 7)], { index: 6 }),
    ]
    expect(texts({ batches })).toEqual([
      'ignored: The batch with seq 3 does not count: another one with this seq was first in the log.',
      'ignored: The batch with seq 6 does not count: it is of another schema.',
      'gap: No batch of the window has seq 5.',
      'ignored: The batch with seq 4 does not count: it starts at or before the last reading of the batch before.',
      'ignored: The batch with seq 7 does not count: its rows are malformed.',
    ])
    expect(explain({ batches })).toMatchObject({ steps: 4, value: 57n })
  })

  test('behavior: rows that do not count', () => {
    const rows = [
      row(90, 400),
      row(110, 400),
      row(120, null),
      row(130, 501),
      row(140, 900),
      row(200, 1),
    ]
    expect(texts({ batches: [batch(0, rows)] })).toEqual([
      'outside-window: 2 readings of its batches are outside the window.',
      'missing-values: 1 reading has no value.',
      'out-of-bounds: 2 readings are not from 0 to 500.',
    ])
    const bare = [batch(0, [row(110, null, null), row(120, 3)])]
    expect(
      texts({ batches: bare, metric: { type: 'count' }, policy: { ...policy, threshold: 0n } }),
    ).toEqual(['missing-values: 1 reading has no value.'])
    const coverage: Metric = { type: 'coverage', intervalMs: 30_000 }
    expect(
      texts({ batches: bare, metric: coverage, policy: { ...policy, cap: 10n ** 9n } }),
    ).toEqual([
      'missing-values: 1 reading has no value.',
      'empty-intervals: 3 of 4 intervals have no reading.',
    ])
  })

  test('behavior: jumps of a receiver', () => {
    const distance: Metric = { type: 'distance', latitude: 0, longitude: 1, maxSpeed: 10_000 }
    const batches = [
      batch(0, [row(110, 0), row(120, 5000), row(121, null), row(122, 9_000_000)]),
      batch(1, [row(130, 5000), row(140, 10_000)]),
    ]
    expect(texts({ batches, metric: distance })).toEqual([
      'missing-values: 1 reading has no place.',
      'too-fast: 2 segments of 200041 m in all are faster than 10 m/s.',
    ])
    expect(explain({ batches, metric: distance }).value).toBe(111n)
  })

  test('behavior: threshold and cap', () => {
    const batches = [batch(0, [row(110, 400), row(120, 400)])]
    expect(explain({ batches })).toMatchObject({ reward: 1000n, value: 800n })
    expect(texts({ batches })).toEqual(['capped: The reward would be 1600, and is at most 1000.'])
    expect(texts({ batches, policy: { ...policy, threshold: 801n } })).toEqual([
      'below-threshold: The value 800 is below the threshold 801.',
    ])
    const none = { ...policy, threshold: -5n }
    expect(texts({ batches: [batch(0, [row(110, 0)])], policy: none })).toEqual([
      'not-positive: The value 0 is not above 0: nothing is paid.',
    ])
  })

  test('behavior: what was posted is something else', () => {
    const batches = [batch(0, [row(110, 20)])]
    const entry = {
      cumulative: 40n,
      device: new Uint8Array(20),
      steps: 1,
      traceRoot: sha256(Uint8Array.of(1)),
      value: 20n,
    }
    expect(texts({ batches, entry })).toEqual([])
    expect(texts({ batches, entry: { ...entry, value: 90n } })).toEqual([
      'posted-otherwise: The epoch says 90 of 1 batch; these 1 make 20.',
    ])
  })

  test('behavior: rows that have expired', () => {
    const batches = [batch(0, [row(110, 20)], { records: null }), batch(1, [row(120, 20)])]
    const entry = {
      cumulative: 80n,
      device: new Uint8Array(20),
      steps: 2,
      traceRoot: new Uint8Array(32),
      value: 40n,
    }
    expect(explain({ batches, entry })).toMatchObject({ reward: 80n, steps: 2, value: 40n })
    expect(texts({ batches, entry })).toEqual([
      'rows-not-at-hand: The rows of 1 batch are not at hand: seq 0.',
    ])
  })
})
