import { existsSync, readFileSync } from 'node:fs'
import { sha256, toHex } from '@machinefi/core'
import { defineSchema, encodeRows, type Header, type Row } from '@machinefi/telemetry'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeMetricParams } from './decodeMetricParams.js'
import { measureSegment } from './distance.js'
import { encodeMetricParams, encodeState, finish, fold, type State, startState } from './fold.js'
import { assertMetric, InvalidMetricError, type Metric } from './Metric.js'

const schema = defineSchema({
  id: 3,
  tickMs: 1000,
  fields: { lat: { unit: 'lat', scale: 7 }, lon: { unit: 'lon', scale: 7 } },
})
const metric: Metric = { type: 'distance', latitude: 0, longitude: 1, maxSpeed: 10_000 }
const window = { start: 0, end: 86_400_000 }

const unitMetres = 43_436e-9
const metres = (...places: [number, number, number, number]) =>
  measureSegment(...places) * unitMetres

function haversine(lat1: number, lon1: number, lat2: number, lon2: number): number {
  const radians = (degrees: number) => (degrees * Math.PI) / 180e7
  const h =
    Math.sin(radians(lat2 - lat1) / 2) ** 2 +
    Math.cos(radians(lat1)) * Math.cos(radians(lat2)) * Math.sin(radians(lon2 - lon1) / 2) ** 2
  return 2 * 6_371_008.8 * Math.asin(Math.min(1, Math.sqrt(h)))
}

/** The formula of docs/protocol/claims.md, in integers without end. */
function naive(lat1: number, lon1: number, lat2: number, lon2: number): bigint {
  const abs = (n: bigint) => (n < 0n ? -n : n)
  const [a, b, c, d] = [BigInt(lat1), BigInt(lon1), BigInt(lat2), BigInt(lon2)]
  let turn = abs(d - b)
  if (turn > 1_800_000_000n) turn = 3_600_000_000n - turn
  const q = (abs(a + c) << 22n) / 1_800_000_000n
  const z = (q * q) >> 22n
  const p =
    (1n << 22n) - ((z * (980_186n - ((z * (83_630n - ((z * 3_550n) >> 22n))) >> 22n))) >> 22n)
  const cosine = (((1n << 22n) - z) * p) >> 22n
  const x = (turn * cosine + 8192n) >> 14n
  const y = abs(c - a) << 8n
  const n = x * x + y * y
  let root = 0n
  for (let bit = 1n << 40n; bit > 0n; bit >>= 1n) if ((root + bit) ** 2n <= n) root += bit
  return root
}

const latitude = fc.oneof(
  fc.integer({ max: 900_000_000, min: -900_000_000 }),
  fc.constantFrom(900_000_000, -900_000_000, 0, 899_999_999),
)
const longitude = fc.oneof(
  fc.integer({ max: 1_800_000_000, min: -1_800_000_000 }),
  fc.constantFrom(1_800_000_000, -1_800_000_000, 0, 1_799_999_999),
)

describe('measureSegment', () => {
  test('behavior: equals the formula in unbounded integers', () => {
    const near = fc
      .tuple(
        latitude,
        longitude,
        fc.integer({ max: 400_000, min: -400_000 }),
        fc.integer({ max: 400_000, min: -400_000 }),
      )
      .map(([lat, lon, dLat, dLon]): [number, number, number, number] => [
        lat,
        lon,
        Math.max(-900_000_000, Math.min(900_000_000, lat + dLat)),
        Math.max(-1_800_000_000, Math.min(1_800_000_000, lon + dLon)),
      ])
    fc.assert(
      fc.property(fc.oneof(fc.tuple(latitude, longitude, latitude, longitude), near), (places) => {
        expect(BigInt(measureSegment(...places))).toBe(naive(...places))
      }),
      { numRuns: 10_000, seed: 1 },
    )
  })

  test('behavior: at the switch of the fast path', () => {
    // 2^26 / 256 = 262,144 along a meridian, and the same along the equator.
    for (let d = 262_140; d <= 262_148; d++) {
      expect(BigInt(measureSegment(0, 0, d, 0))).toBe(naive(0, 0, d, 0))
      expect(BigInt(measureSegment(0, 0, 0, d))).toBe(naive(0, 0, 0, d))
      expect(BigInt(measureSegment(0, 0, d, d))).toBe(naive(0, 0, d, d))
    }
  })

  test('behavior: close to the haversine, as close as the page says', () => {
    // Latitude in degrees, length in m, largest relative error.
    const bounds: [number, number, number][] = [
      [70, 10, 1.3e-5],
      [70, 1000, 1.3e-5],
      [70, 10_000, 1.3e-5],
      [85, 1000, 3e-5],
      [60, 100_000, 5e-5],
      [70, 100_000, 1e-4],
      [60, 500_000, 1e-3],
    ]
    const degree = 111_195.08
    for (const [most, length, error] of bounds)
      for (const lat of [0, most / 3, most / 2, -most, most])
        for (let bearing = 0; bearing < 360; bearing += 15) {
          const radians = (bearing * Math.PI) / 180
          // Toward the equator, so that the latitude stays within its bound.
          const step = -Math.sign(lat || 1) * Math.abs(Math.cos(radians)) * (length / degree)
          const turn = (Math.sin(radians) * length) / degree / Math.cos((lat * Math.PI) / 180)
          const place = [lat, 179.99, lat + step, 179.99 + turn].map((d) =>
            Math.round(d * 1e7),
          ) as [number, number, number, number]
          // Over the antimeridian.
          if (place[3] > 1_800_000_000) place[3] -= 3_600_000_000
          const expected = haversine(...place)
          if (expected === 0) continue
          expect(Math.abs(metres(...place) / expected - 1), `${place}`).toBeLessThan(error)
        }
  })

  test('behavior: the antimeridian and the poles', () => {
    expect(metres(0, 1_799_999_000, 0, -1_799_999_000)).toBeCloseTo(22.239, 2)
    expect(measureSegment(0, 1_800_000_000, 0, -1_800_000_000)).toBe(0)
    // At a pole all longitudes are one place.
    expect(measureSegment(900_000_000, 0, 900_000_000, 1_800_000_000)).toBe(0)
    expect(measureSegment(-900_000_000, 5, -900_000_000, 77)).toBe(0)
    expect(metres(-900_000_000, 0, 900_000_000, 0)).toBeCloseTo(20_015_308.8, 0)
    expect(measureSegment(1, 2, 1, 2)).toBe(0)
  })
})

const at = (seconds: number, lat: number | null, lon: number | null): Row => ({
  time: seconds * 1000,
  values: [lat, lon],
})

function batch(seq: number, rows: readonly Row[]): { header: Header; records: Uint8Array } {
  const start = rows[0]!.time
  const records = encodeRows(rows, { start, tickMs: schema.tickMs })
  const header = {
    ...{ commitment: null, count: rows.length, recordsHash: sha256(records), schema: schema.id },
    ...{ seq, span: rows.at(-1)!.time - start, start },
  }
  return { header, records }
}

function run(batches: readonly Row[][], used: Metric = metric, span = window): [bigint, State] {
  let state = startState(used)
  for (const [seq, rows] of batches.entries())
    state = fold({ batch: batch(seq, rows), metric: used, schema, state, window: span })
  return [finish({ metric: used, state, window: span }), state]
}

describe('distance', () => {
  // 100 units of 10^-7 degree of latitude a second are 1.11 m/s.
  const walk = Array.from({ length: 100 }, (_, i) => at(10 * i, 1000 * i, 7))

  test('default', () => {
    const [value, state] = run([walk])
    expect(value).toBe(1100n)
    expect(state.words).toEqual([99n * 1000n * 256n, 1n, 99_000n, 7n, 990_000n])
  })

  test('behavior: it does not matter how the rows are cut into batches', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ max: 99, min: 1 })), (cuts) => {
        const ends = [...cuts.sort((a, b) => a - b), 100]
        const parts = ends.map((end, i) => walk.slice(ends[i - 1] ?? 0, end))
        expect(run(parts)[1].words).toEqual(run([walk])[1].words)
      }),
      { numRuns: 50, seed: 1 },
    )
  })

  test('behavior: slow tracks lose nothing', () => {
    // One unit of 10^-7 degree a second, 1.1 cm, for a day: 960.7 m.
    const rows = Array.from({ length: 40_000 }, (_, i) => at(i, i % 2, 0))
    expect(run([rows])[0]).toBe((39_999n * 256n * 43_436n) / 10n ** 9n)
  })

  test('behavior: a segment that is too fast counts 0, and its end begins the next', () => {
    const slow = run([[at(0, 0, 0), at(1, 899, 0)]])[1].words[0]
    expect(slow).toBe(899n * 256n)
    // 900 × 256 × 43,436 nm is 10.0077 m.
    expect(run([[at(0, 0, 0), at(1, 900, 0)]])[1].words).toEqual([0n, 1n, 900n, 0n, 1000n])
    // A jump and back: neither counts; from there on all does.
    const jump = [at(0, 0, 0), at(1, 5_000_000, 0), at(2, 0, 0), at(3, 100, 0)]
    expect(run([jump])[1].words[0]).toBe(25_600n)
  })

  test('behavior: exactly the greatest speed counts', () => {
    // One unit in 1 s is 43,436 nm × 256: no whole mm/s, so 1 mm/s more or less decides.
    const units = 1000 * 256
    const speed = (units * 43_436) / 1e6
    const rows = [at(0, 0, 0), at(1, 1000, 0)]
    expect(run([rows], { ...metric, maxSpeed: Math.ceil(speed) })[1].words[0]).toBe(BigInt(units))
    expect(run([rows], { ...metric, maxSpeed: Math.floor(speed) })[1].words[0]).toBe(0n)
    // 15,625 × 256 units are 173,744 m to the mm.
    const exact = [at(0, 0, 0), at(1, 15_625_000, 0)]
    expect((15_625_000 * 256 * 43_436) / 1e6).toBe(173_744_000)
    expect(run([exact], { ...metric, maxSpeed: 173_744_000 })[1].words[0]).toBe(4_000_000_000n)
    expect(run([exact], { ...metric, maxSpeed: 173_743_999 })[1].words[0]).toBe(0n)
  })

  test('behavior: beyond 2^53 the comparison is still exact', () => {
    // Half around the globe is 2.0 × 10^16 nm.
    const rows = [at(0, -900_000_000, 0), at(1, 900_000_000, 0)]
    const units = 460_800_000_000n
    const least = (units * 43_436n + 999_999n) / 1_000_000n
    expect(run([rows], { ...metric, maxSpeed: Number(least) })[1].words[0]).toBe(units)
    expect(run([rows], { ...metric, maxSpeed: Number(least) - 1 })[1].words[0]).toBe(0n)
    const all = { ...metric, maxSpeed: Number.MAX_SAFE_INTEGER }
    expect(run([rows], all)[1].words[0]).toBe(units)
  })

  test('behavior: rows without a place are passed over', () => {
    const rows = [
      at(0, null, 0),
      at(1, 0, 0),
      at(2, 500, null),
      at(3, 900_000_001, 0),
      at(4, -900_000_001, 0),
      at(5, 0, 1_800_000_001),
      at(6, Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER),
      at(7, 1000, 0),
    ]
    expect(run([rows])[1].words).toEqual([256_000n, 1n, 1000n, 0n, 7000n])
    expect(run([rows.slice(2, 5)])[1].words).toEqual([0n, 0n, 0n, 0n, 0n])
  })

  test('behavior: rows outside the window neither count nor begin a segment', () => {
    const rows = [at(0, 0, 0), at(10, 100, 0), at(20, 200, 0), at(30, 300, 0)]
    const [, state] = run([rows], metric, { start: 10_000, end: 30_000 })
    expect(state).toEqual({ lastTime: 30_000, nextSeq: 1, words: [25_600n, 1n, 200n, 0n, 20_000n] })
  })

  test('behavior: places south and west are in the state in two’s complement', () => {
    const hex = toHex(encodeState(run([[at(0, -1, -2)]])[1]))
    expect(hex.slice(2 + 64 * 4)).toBe(`${'f'.repeat(64)}${'f'.repeat(63)}e${'0'.repeat(64)}`)
  })

  // `distance(latitude,longitude,10)` over the recorded walk.
  const recorded = new URL('../../../../../shared/data/gps/walk.csv', import.meta.url)
  test.skipIf(!existsSync(recorded))('behavior: a recorded walk', () => {
    const rows = readFileSync(recorded, 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => {
        const [time, lat, lon] = line.split(',') as [string, string, string]
        return at(
          Date.parse(time) / 1000,
          Math.round(Number(lat) * 1e7),
          Math.round(Number(lon) * 1e7),
        )
      })
    const day = Math.floor(rows[0]!.time / 86_400_000) * 86_400_000
    expect(rows.length).toBe(908)
    expect(run([rows], metric, { start: day, end: day + 86_400_000 })[0]).toBe(12_497n)
  })
})

describe('assertMetric', () => {
  test('behavior: parameters encode to what decodes to them', () => {
    expect(decodeMetricParams('distance', encodeMetricParams(metric))).toEqual(metric)
    expect(toHex(encodeMetricParams(metric))).toBe(
      `0x${'0'.padStart(64, '0')}${'1'.padStart(64, '0')}${'2710'.padStart(64, '0')}`,
    )
    expect(() => decodeMetricParams('distance', new Uint8Array(96))).toThrow(InvalidMetricError)
  })

  test('error: out of bounds, or not degrees × 10^7', () => {
    for (const bad of [
      { latitude: 1 },
      { latitude: -1 },
      { longitude: 0.5 },
      { maxSpeed: 0 },
      { maxSpeed: 2 ** 53 },
      { maxSpeed: 1.5 },
    ])
      expect(() => assertMetric({ ...metric, ...bad } as Metric)).toThrow(InvalidMetricError)
    expect(() => assertMetric(metric, schema)).not.toThrow()
    expect(() => assertMetric({ ...metric, longitude: 2 } as Metric, schema)).toThrow(
      InvalidMetricError,
    )
    const coarse = defineSchema({
      id: 3,
      fields: { lat: { unit: 'lat', scale: 7 }, lon: { unit: 'lon', scale: 6 } },
    })
    expect(() => assertMetric(metric, coarse)).toThrow(/field 1 has scale 6/)
  })
})
