import type { FoldedBatch, Metric, MetricRules } from './Metric.js'

/**
 * Words: [uint256 units, uint256 hasFix, int256 lat, int256 lon, uint256 time].
 * A row without a place on the globe is passed over. A segment faster than
 * maxSpeed counts 0 (a receiver's jump), and its end is where the next begins.
 * Whole metres; summed in units, so that slow steady tracks lose nothing.
 */
export const distance: MetricRules<Extract<Metric, { type: 'distance' }>> = {
  words: 5,
  params: ({ latitude, longitude, maxSpeed }) => [latitude, longitude, maxSpeed],
  fold(metric, [units = 0n, hasFix = 0n, lat = 0n, lon = 0n, time = 0n], batch) {
    let last: Fix | null =
      hasFix === 0n ? null : { lat: Number(lat), lon: Number(lon), time: Number(time) }
    let total = units
    for (const segment of segmentsOf(metric, last, batch)) {
      last = segment.to
      if (segment.counts) total += BigInt(segment.units)
    }
    if (last === null) return [total, 0n, 0n, 0n, 0n]
    return [total, 1n, BigInt(last.lat), BigInt(last.lon), BigInt(last.time)]
  },
  finish: (_, [units = 0n]) => toMetres(units),
}

/** Whole metres of a length in units. */
export function toMetres(units: bigint): bigint {
  return (units * BigInt(unit)) / 1_000_000_000n
}

/** A place on the globe, degrees × 10^7, and when. */
export type Fix = { readonly lat: number; readonly lon: number; readonly time: number }

/** The way to a fix from the one before; from nowhere, of no length, to the first. */
export type Segment = {
  readonly from: Fix | null
  readonly to: Fix
  readonly units: number
  /** Whether it is no faster than the metric allows. */
  readonly counts: boolean
}

/** The segments that end in a batch's rows, those of the window. */
export function* segmentsOf(
  metric: Extract<Metric, { type: 'distance' }>,
  before: Fix | null,
  { from, rows, to }: Pick<FoldedBatch, 'from' | 'rows' | 'to'>,
): Generator<Segment> {
  const { latitude, longitude, maxSpeed } = metric
  const { fields, times, values } = rows
  let last = before
  for (let row = from; row < to; row++) {
    const lat = values[row * fields + latitude] as number
    const lon = values[row * fields + longitude] as number
    // NaN, which stands for null, is in no bounds.
    if (!(Math.abs(lat) <= quarterTurn && Math.abs(lon) <= halfTurn)) continue
    const fix = { lat, lon, time: times[row] as number }
    if (last === null) yield { counts: true, from: null, to: fix, units: 0 }
    else {
      const units = measureSegment(last.lat, last.lon, lat, lon)
      yield { counts: isSlow(units, maxSpeed, fix.time - last.time), from: last, to: fix, units }
    }
    last = fix
  }
}

const quarterTurn = 900_000_000
const halfTurn = 1_800_000_000
/** 2^22, the 1 of the fixed-point numbers. */
const one = 4_194_304
/** Length of a unit, in nm: 10^-7 degree of a great circle ÷ 256, at R = 6,371,008.8 m. */
const unit = 43_436

/**
 * Length of the way between two places, degrees × 10^7, in units of 43,436 nm
 * (docs/protocol/claims.md): integers all the way, so that a contract comes to
 * the same.
 */
export function measureSegment(lat1: number, lon1: number, lat2: number, lon2: number): number {
  let turn = Math.abs(lon2 - lon1)
  // Across the antimeridian is shorter.
  if (turn > halfTurn) turn = 2 * halfTurn - turn
  const x = Math.floor((turn * cosine(Math.abs(lat1 + lat2)) + 8192) / 16_384)
  const y = Math.abs(lat2 - lat1) * 256
  // Below 2^26 (2.9 km) the squares and their sum are exact in doubles.
  if (x < 0x4000000 && y < 0x4000000) {
    const n = x * x + y * y
    const root = Math.floor(Math.sqrt(n))
    // The double may have been rounded up to the integer above.
    return root * root > n ? root - 1 : root
  }
  const n = BigInt(x) * BigInt(x) + BigInt(y) * BigInt(y)
  let root = BigInt(Math.floor(Math.sqrt(Number(n))))
  while (root * root > n) root--
  while ((root + 1n) * (root + 1n) <= n) root++
  return Number(root)
}

/** Cosine of half the sum of two latitudes, × 2^22. No product is above 7.55 × 10^15 < 2^53. */
function cosine(sum: number): number {
  const quotient = Math.floor((sum * one) / halfTurn)
  const q = quotient * halfTurn > sum * one ? quotient - 1 : quotient
  const z = multiply(q, q)
  const p = one - multiply(z, 980_186 - multiply(z, 83_630 - multiply(z, 3_550)))
  return multiply(one - z, p)
}

const multiply = (a: number, b: number) => Math.floor((a * b) / one)

/** units × 43,436 nm ≤ maxSpeed mm/s × ms × 1000. */
function isSlow(units: number, maxSpeed: number, ms: number): boolean {
  const length = units * unit
  const most = maxSpeed * ms * 1000
  // A product that is not exact is above 2^53, also as a double.
  if (length <= Number.MAX_SAFE_INTEGER) return length <= most
  return BigInt(units) * BigInt(unit) <= BigInt(maxSpeed) * BigInt(ms) * 1000n
}
