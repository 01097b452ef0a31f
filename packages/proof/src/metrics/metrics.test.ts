import { concatBytes, fromHex, sha256, toHex } from '@machinefi/core'
import { defineSchema, encodeRows, type Header, type Row } from '@machinefi/telemetry'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeMetricParams } from './decodeMetricParams.js'
import {
  decodeState,
  encodeMetricParams,
  encodeState,
  finish,
  fold,
  type State,
  startState,
} from './fold.js'
import { assertMetric, InvalidMetricError, type Metric } from './Metric.js'

const schema = defineSchema({
  id: 7,
  tickMs: 1000,
  fields: { steps: { unit: 'count' }, heart: { unit: 'beat/min' } },
})
const window = { start: 100_000, end: 200_000 }

type Batch = { header: Header; records: Uint8Array }

function batch(seq: number, rows: readonly Row[], change: Partial<Header> = {}): Batch {
  const start = rows[0]!.time
  const records = encodeRows(rows, { start, tickMs: schema.tickMs })
  const header = {
    ...{ commitment: null, count: rows.length, recordsHash: sha256(records) },
    ...{ schema: 7, seq, span: rows.at(-1)!.time - start, start },
    ...change,
  }
  return { header, records }
}
const row = (time: number, ...values: (number | null)[]): Row => ({ time, values })

function run(metric: Metric, batches: readonly Batch[], span = window): [bigint, State] {
  let state = startState(metric)
  for (const each of batches) state = fold({ batch: each, metric, schema, state, window: span })
  return [finish({ metric, state, window: span }), state]
}

const sum: Metric = { type: 'sum', field: 0, max: 500, min: -10 }
const count: Metric = { type: 'count' }
const average: Metric = { type: 'average', field: 0 }
const coverage: Metric = { type: 'coverage', intervalMs: 30_000 }
const metrics = [sum, count, average, coverage]

describe('fold', () => {
  const rows = [
    // Before the window, at its start, in it, at its end.
    row(99_000, 400, 1),
    row(100_000, 1, null),
    row(110_000, null, null),
    row(120_000, null, 3),
    row(130_000, 500, null),
    row(140_000, 501, null),
    row(150_000, -10, null),
    row(160_000, -11, null),
    row(199_000, 20, null),
    row(200_000, 400, 1),
  ]

  test('behavior: sum counts what is within the bounds, and nothing for null', () => {
    expect(run(sum, [batch(0, rows)])[0]).toBe(1n + 500n - 10n + 20n)
  })

  test('behavior: count has rows with any value', () => {
    expect(run(count, [batch(0, rows)])[0]).toBe(7n)
  })

  test('behavior: average is toward zero', () => {
    expect(run(average, [batch(0, rows)])[0]).toBe((1n + 500n + 501n - 10n - 11n + 20n) / 6n)
    expect(run(average, [batch(0, [row(100_000, -3, 0), row(101_000, -4, 0)])])[0]).toBe(-3n)
    expect(run(average, [batch(0, [row(100_000, null, 5)])])[0]).toBe(0n)
  })

  test('behavior: a gap in seq voids an average', () => {
    const [a, b] = [batch(3, [row(100_000, 10, 0)]), batch(4, [row(101_000, 20, 0)])]
    const late = batch(5, [row(101_000, 20, 0)])
    expect(run(average, [a, b])[0]).toBe(15n)
    expect(run(average, [a, late])[0]).toBe(0n)
    expect(run(average, [a, late, batch(6, [row(102_000, 1, 0)])])[1].words[2]).toBe(1n)
    // What is ignored did not fill the gap.
    const ignored = batch(4, [row(100_000, 1, 0)])
    expect(run(average, [a, ignored, late])[0]).toBe(0n)
    // Nothing is known about before the first batch.
    expect(run(average, [late])[0]).toBe(20n)
  })

  test('behavior: coverage is the share of intervals with a reading, in millionths', () => {
    // Intervals: 100–130, 130–160, 160–190, 190–200 (cut short).
    const at = (...times: number[]) => times.map((time) => row(time, null, 1))
    expect(run(coverage, [batch(0, at(100_000))])[0]).toBe(250_000n)
    expect(run(coverage, [batch(0, at(129_000, 130_000, 131_000))])[0]).toBe(500_000n)
    expect(run(coverage, [batch(0, at(100_000, 190_000)), batch(1, at(199_000))])[0]).toBe(500_000n)
    expect(run(coverage, [batch(0, at(100_000, 135_000, 165_000, 195_000))])[0]).toBe(1_000_000n)
    expect(run(coverage, [batch(0, [row(100_000, null, null)])])[0]).toBe(0n)
    expect(run(coverage, [batch(0, at(99_000, 200_000))])[0]).toBe(0n)
    const third: Metric = { type: 'coverage', intervalMs: 40_000 }
    expect(run(third, [batch(0, at(100_000))])[0]).toBe(333_333n)
    // An interval longer than the window.
    expect(run({ type: 'coverage', intervalMs: 2 ** 52 }, [batch(0, at(150_000))])[0]).toBe(
      1_000_000n,
    )
  })

  test('behavior: an ignored batch leaves the very state', () => {
    const good = batch(5, [row(110_000, 10, 1), row(120_000, 10, 1)])
    for (const metric of metrics) {
      const [, state] = run(metric, [good])
      const next = [row(130_000, 10, 1)]
      const same = (each: Batch) => fold({ batch: each, metric, schema, state, window }) === state
      expect(same(batch(6, next))).toBe(false)
      expect(same(batch(5, next))).toBe(true) // seq again
      expect(same(batch(0, next))).toBe(true) // seq back
      expect(same(batch(6, [row(120_000, 1, 1)]))).toBe(true) // starts at the last row
      expect(same(batch(6, [row(90_000, 1, 1), row(150_000, 1, 1)]))).toBe(true) // before it
      expect(same(batch(6, next, { schema: 8 }))).toBe(true)
      const { header, records } = batch(6, next)
      for (const malformed of [
        { header, records: records.subarray(1) },
        { header, records: new Uint8Array(0) },
        { header, records: concatBytes(records, Uint8Array.of(0)) },
        { header: { ...header, count: 2 }, records },
        { header: { ...header, span: 1000 }, records },
        { header: { ...header, span: 1 }, records },
        { header, records: encodeRows([row(130_000, 1)], { start: 130_000, tickMs: 1000 }) },
      ])
        expect(same(malformed)).toBe(true)
    }
  })

  test('behavior: the first batch is exempt from both tests', () => {
    const early = { start: 0, end: 1000 }
    const [value, state] = run(count, [batch(0, [row(0, 1, 1)])], early)
    expect(value).toBe(1n)
    expect(state).toEqual({ lastTime: 0, nextSeq: 1, words: [1n] })
  })

  test('behavior: rows outside the window move seq and time, nothing else', () => {
    const [value, state] = run(sum, [batch(0, [row(99_000, 5, 0), row(200_000, 5, 0)])])
    expect(value).toBe(0n)
    expect(state).toEqual({ lastTime: 200_000, nextSeq: 1, words: [0n] })
  })

  test('behavior: rows that are decoded already fold to the same', () => {
    const each = batch(0, rows)
    const read = {
      count: 1,
      fields: 2,
      times: Float64Array.of(100_000),
      values: Float64Array.of(3, Number.NaN),
    }
    const state = startState(sum)
    expect(
      fold({ batch: { ...each, rows: read }, metric: sum, schema, state, window }).words,
    ).toEqual([3n])
  })

  test('behavior: sums stay exact beyond 2^53', () => {
    const max = Number.MAX_SAFE_INTEGER
    const wide: Metric = { type: 'sum', field: 0, max, min: -max }
    const values = [max, max, 1, max, -1, -max, max, max - 1, 7]
    const [value] = run(wide, [
      batch(
        0,
        values.map((v, i) => row(100_000 + i * 1000, v, 0)),
      ),
    ])
    expect(value).toBe(values.reduce((total, v) => total + BigInt(v), 0n))
    const [mean] = run(average, [
      batch(
        0,
        values.map((v, i) => row(100_000 + i * 1000, v, 0)),
      ),
    ])
    expect(mean).toBe(value / 9n)
  })

  test('behavior: equals a naive fold on random batches', () => {
    const arbitraryBatch = fc.record({
      gap: fc.integer({ min: -30_000, max: 60_000 }).map((ms) => Math.round(ms / 1000) * 1000),
      rows: fc.array(
        fc.tuple(
          fc.integer({ min: 1, max: 20 }),
          fc.option(fc.integer({ min: -600, max: 600 })),
          fc.option(fc.integer({ min: -9, max: 9 })),
        ),
        { maxLength: 5, minLength: 1 },
      ),
      schema: fc.constantFrom(7, 7, 7, 8),
      seqStep: fc.constantFrom(1, 1, 1, 0, 2),
      spoil: fc.constantFrom(false, false, false, true),
    })
    fc.assert(
      fc.property(fc.array(arbitraryBatch, { maxLength: 8 }), (specs) => {
        let time = 90_000
        let seq = 0
        const batches = specs.map((spec) => {
          time = Math.max(0, time + spec.gap)
          const rows = spec.rows.map(([ticks, ...values]) => {
            time += ticks * 1000
            return row(time, ...values)
          })
          seq += spec.seqStep
          const made = batch(seq, rows, { schema: spec.schema })
          return {
            ...made,
            records: spec.spoil ? made.records.subarray(1) : made.records,
            listed: rows,
            spoil: spec.spoil,
          }
        })
        // What counts, by the text of docs/protocol/claims.md.
        let last: { seq: number; time: number } | null = null
        let gap = false
        const counted: Row[] = []
        for (const { header, listed, spoil } of batches) {
          if (header.schema !== 7 || spoil) continue
          if (last !== null && (header.seq <= last.seq || header.start <= last.time)) continue
          if (last !== null && header.seq !== last.seq + 1) gap = true
          last = { seq: header.seq, time: header.start + header.span }
          counted.push(...listed.filter((r) => r.time >= window.start && r.time < window.end))
        }
        const first = counted.map((r) => r.values[0]!).filter((v) => v !== null)
        const any = counted.filter((r) => r.values.some((v) => v !== null))
        const total = first.reduce((a, b) => a + b, 0)
        const filled = new Set(any.map((r) => Math.floor((r.time - window.start) / 30_000)))
        expect(run(sum, batches)[0]).toBe(
          BigInt(first.filter((v) => v >= -10 && v <= 500).reduce((a, b) => a + b, 0)),
        )
        expect(run(count, batches)[0]).toBe(BigInt(any.length))
        expect(run(average, batches)[0]).toBe(
          gap || first.length === 0 ? 0n : BigInt(Math.trunc(total / first.length)),
        )
        expect(run(coverage, batches)[0]).toBe(BigInt(Math.floor((filled.size * 1e6) / 4)))
      }),
      { numRuns: 500, seed: 1 },
    )
  })
})

describe('encodeState', () => {
  test('default', () => {
    expect(
      toHex(encodeState({ lastTime: 2 ** 53 - 1, nextSeq: 2 ** 53, words: [-1n, 2n ** 255n] })),
    ).toBe(
      `0x${'20000000000000'.padStart(64, '0')}${'1fffffffffffff'.padStart(64, '0')}${'f'.repeat(64)}80${'0'.repeat(62)}`,
    )
  })

  test('behavior: all 0 at the start', () => {
    const lengths = metrics.map((metric) => encodeState(startState(metric)).length / 32)
    expect(lengths).toEqual([3, 3, 5, 4])
    for (const metric of metrics)
      expect(encodeState(startState(metric)).every((b) => b === 0)).toBe(true)
  })
})

describe('decodeState', () => {
  test('behavior: decodes to what was encoded', () => {
    const states: [Metric, State][] = [
      [sum, { lastTime: 2 ** 53 - 1, nextSeq: 2 ** 53, words: [-5n] }],
      [count, { lastTime: 0, nextSeq: 1, words: [2n ** 200n] }],
      [average, { lastTime: 7, nextSeq: 3, words: [-(2n ** 255n), 9n, 1n] }],
    ]
    for (const [metric, state] of states) {
      expect(decodeState(encodeState(state), metric)).toEqual(state)
      expect(decodeState(encodeState(startState(metric)), metric)).toEqual(startState(metric))
    }
  })

  test('behavior: null for anything else', () => {
    const bytes = encodeState(startState(average))
    expect(decodeState(bytes, sum)).toBe(null)
    expect(decodeState(bytes.subarray(1), average)).toBe(null)
    for (const [at, value] of [
      [0, 0xff],
      [23, 1],
      [32, 0x80],
      [57, 0x20],
    ] as const) {
      const bad = bytes.slice()
      bad[at] = value
      expect(decodeState(bad, average)).toBe(null)
    }
  })
})

describe('encodeMetricParams', () => {
  test('default', () => {
    const words = (...hex: string[]) => fromHex(hex.map((h) => h.padStart(64, '0')).join(''))
    expect(encodeMetricParams(sum)).toEqual(words('0', `${'f'.repeat(63)}6`, '1f4'))
    expect(encodeMetricParams(count)).toEqual(new Uint8Array(0))
    expect(encodeMetricParams(average)).toEqual(words('0'))
    expect(encodeMetricParams(coverage)).toEqual(words('7530'))
  })

  test('behavior: decodes to what was encoded', () => {
    for (const metric of metrics)
      expect(decodeMetricParams(metric.type, encodeMetricParams(metric))).toEqual(metric)
  })

  test('error: parameters out of bounds', () => {
    for (const bad of [
      { type: 'sum', field: 0, max: 1, min: 2 },
      { type: 'sum', field: 0, max: 2 ** 53, min: 0 },
      { type: 'sum', field: -1, max: 2, min: 0 },
      { type: 'average', field: 0.5 },
      { type: 'coverage', intervalMs: 0 },
      { type: 'coverage', intervalMs: 2 ** 53 },
      { type: 'distance' },
      { type: 'toString' },
    ])
      expect(() => encodeMetricParams(bad as Metric)).toThrow(InvalidMetricError)
    expect(() => assertMetric({ type: 'average', field: 2 }, schema)).toThrow(InvalidMetricError)
    expect(() => decodeMetricParams('sum', encodeMetricParams(average))).toThrow(InvalidMetricError)
    expect(() => decodeMetricParams('count', new Uint8Array(1))).toThrow(InvalidMetricError)
    expect(() => decodeMetricParams('median', new Uint8Array(0))).toThrow(InvalidMetricError)
    const huge = new Uint8Array(32).fill(0x11)
    expect(() => decodeMetricParams('coverage', huge)).toThrow(InvalidMetricError)
  })
})
