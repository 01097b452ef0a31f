import {
  encodeMetricParams,
  encodePolicyParams,
  encodeState,
  finish,
  fold,
  type Metric,
  reward,
  type State,
  startState,
  type Window,
} from '@machinefi/proof'
import type { Header, Schema } from '@machinefi/telemetry'
import fc from 'fast-check'
import { type Address, encodeAbiParameters, encodeFunctionData, type Hex, toHex } from 'viem'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { iMetricAbi, iRewardPolicyAbi } from '../packages/contracts/src/abis/index.js'
import {
  averageMetricBytecode,
  countMetricBytecode,
  coverageMetricBytecode,
  distanceMetricBytecode,
  sumMetricBytecode,
  thresholdPolicyBytecode,
} from '../packages/contracts/src/bytecode/index.js'
import { createRandom, type Random } from './attacks/createRandom.js'
import {
  alterBatch,
  type Batch,
  most,
  randomBatch,
  randomSchema,
  randomValue,
} from './evidence/randomBatch.js'
import { type Harness, startHarness } from './evidence/startHarness.js'

// The two implementations of every metric must agree, bit for bit, on any bytes at all.
// FUZZ_RUNS and FUZZ_SEED make it longer, or another one. A failure names the case.

const contracts = {
  average: averageMetricBytecode,
  count: countMetricBytecode,
  coverage: coverageMetricBytecode,
  distance: distanceMetricBytecode,
  sum: sumMetricBytecode,
}
const types = Object.keys(contracts) as Metric['type'][]
const runs = Number(process.env.FUZZ_RUNS ?? 10_000)
const seed = Number(process.env.FUZZ_SEED ?? 1)
const window: Window = { start: 86_400_000, end: 2 * 86_400_000 }

vi.setConfig({ testTimeout: 30_000 + 10 * runs })

let harness: Harness
const addresses = {} as Record<Metric['type'], Address>
beforeAll(async () => {
  harness = await startHarness()
  for (const type of types) addresses[type] = await harness.deploy(contracts[type])
}, 60_000)
afterAll(() => harness?.close())

const oneRow: Header = {
  schema: 1,
  seq: 0,
  start: window.start,
  span: 0,
  count: 1,
  recordsHash: new Uint8Array(32),
  commitment: null,
}

/** Every head byte, with arguments around every border. */
function* items(): Generator<string> {
  for (let head = 0; head < 256; head++) {
    const first = head.toString(16).padStart(2, '0')
    const info = head & 31
    if (info < 24 || info > 27) {
      yield first
      continue
    }
    // Only integers have more to them than their head.
    const size = 2 ** (info - 24)
    const borders = head < 0x40 ? [0n, 24n, 1n << 8n, 1n << 16n, 1n << 32n, 1n << 53n] : [24n]
    const around = borders.flatMap((border) => [border - 2n, border - 1n, border])
    for (const argument of new Set(around.map((one) => BigInt.asUintN(8 * size, one))))
      yield first + argument.toString(16).padStart(2 * size, '0')
  }
}

/** The argument of an item, whatever its type and form. */
function argumentOf(item: string): number {
  const head = Number.parseInt(item.slice(0, 2), 16)
  return item.length === 2 ? head & 31 : Number(BigInt(`0x${item.slice(2)}`))
}

function randomMetric(random: Random, type: Metric['type'], fields: number): Metric {
  const field = random.below(fields)
  if (type === 'sum') {
    const [a, b] = [randomValue(random) ?? -most, randomValue(random) ?? most]
    return { type, field, min: Math.min(a, b), max: Math.max(a, b) }
  }
  if (type === 'average') return { type, field }
  if (type === 'coverage')
    return {
      type,
      intervalMs: random.of([1, 999, 60_000, 3_600_000, 86_400_000, 2 * 86_400_000, most]),
    }
  if (type === 'distance')
    return {
      type,
      latitude: field,
      longitude: (field + 1 + random.below(fields - 1)) % fields,
      maxSpeed: random.of([1, 300, 10_000, 10_000, 2_000_000, most]),
    }
  return { type: 'count' }
}

const [quarterTurn, halfTurn] = [900_000_000, 1_800_000_000]

/** A value of a field: for distances mostly places near one another, and all that is at a border. */
function createValues(random: Random, metric: Metric): (field: number) => number | null {
  if (metric.type !== 'distance') return () => randomValue(random)
  const { latitude } = metric
  const step = random.of([20, 3_000, 500_000, 400_000_000])
  const center = (most: number) => random.of([0, most, -most, random.below(2 * most) - most])
  const [lat, lon] = [center(quarterTurn), center(halfTurn)]
  return (field) => {
    const kind = random.below(16)
    if (kind === 0) return randomValue(random)
    const bound = field === latitude ? quarterTurn : halfTurn
    if (kind === 1) return random.of([-1, 1]) * (bound + random.below(3) - 1)
    const place = (field === latitude ? lat : lon) + random.below(2 * step) - step
    // Around the antimeridian, and not over the pole.
    if (place <= bound && place >= -bound) return place
    return field === latitude ? bound : place - Math.sign(place) * 2 * bound
  }
}

/** What is to be compared: a call, what it must return, and where it comes from. */
type Case = { readonly call: Hex; readonly expected: Hex; readonly from: string }

async function check(type: Metric['type'], cases: Case[]) {
  const returned = await harness.callMany(
    addresses[type],
    cases.map(({ call }) => call),
  )
  for (const [i, { expected, from }] of cases.splice(0).entries())
    expect(returned[i], from).toBe(expected)
}

describe('metrics in TypeScript and Solidity', () => {
  test.each(types)('behavior: %s folds any bytes to the same state', async (type) => {
    const cases: Case[] = []
    const count = { folded: 0, ignored: 0, worth: 0 }
    const least = type === 'distance' ? 2 : 1
    for (let scenario = 0; count.folded + count.ignored < runs; scenario++) {
      const random = createRandom(seed * 0x9e3779b1 + scenario * 0x85ebca6b + type.length)
      const fields = random.oneIn(8) ? least + random.below(23 - least) : least + random.below(2)
      const schema = randomSchema(random, fields)
      const metric = randomMetric(random, type, fields)
      const value = createValues(random, metric)
      const from = `${type}, scenario ${scenario} of seed ${seed}`
      let seq = 0
      let end = window.start - 5_000
      let state = startState(metric)
      for (let step = 0; step < 6; step++) {
        // From the end of the batch before, or from a little before the window.
        const start = end + random.below(20_000) - 3
        const genuine = randomBatch(random, { schema, seq, start, value })
        if (genuine === null) break
        const batch = random.oneIn(3) ? alterBatch(random, genuine) : genuine
        const next = fold({ metric, schema, state, batch, window })
        cases.push({
          call: foldCall(metric, schema, state, batch),
          expected: encodeBytes(encodeState(next)),
          from: `${from}, step ${step}`,
        })
        if (next === state) count.ignored++
        else count.folded++
        state = next
        seq = Math.max(0, seq + random.of([1, 1, 1, 1, 1, -2, 0, 2, 3]))
        end = Math.min(batch.header.start + batch.header.span, window.end)
      }
      const value_ = finish({ metric, state, window })
      if (value_ !== 0n) count.worth++
      cases.push({
        call: finishCall(metric, state, schema),
        expected: encodeAbiParameters([{ type: 'int256' }], [value_]),
        from,
      })
      if (cases.length >= 1_000) await check(type, cases)
    }
    await check(type, cases)
    // The test is worth something only if all of them happen a lot.
    expect(count.folded).toBeGreaterThan(runs / 3)
    expect(count.ignored).toBeGreaterThan(runs / 6)
    expect(count.worth).toBeGreaterThan(runs / 30)
  })

  test('behavior: distance at exactly the speed that is allowed', async () => {
    const fields = ['latitude', 'longitude'].map((name) => ({ name, unit: 'deg', scale: 7 }))
    const schema: Schema = { id: 1, tickMs: 1, fields }
    // 125 × 256 units of 43,436 nm in 1 ms.
    const records = Uint8Array.from(Buffer.from('82830000008301187d00', 'hex'))
    const batch = { header: { ...oneRow, count: 2, span: 1 }, records }
    const cases = [1_389_952, 1_389_951].map((maxSpeed, i): Case => {
      const metric: Metric = { type: 'distance', latitude: 0, longitude: 1, maxSpeed }
      const state = startState(metric)
      const next = fold({ metric, schema, state, batch, window })
      expect(next.words[0]).toBe(i === 0 ? 32_000n : 0n)
      return {
        call: foldCall(metric, schema, state, batch),
        expected: encodeBytes(encodeState(next)),
        from: `${maxSpeed} mm/s`,
      }
    })
    await check('distance', cases)
  })

  // Random bytes seldom get past the first row: here one item at a time is put where it counts.
  test('behavior: every kind of item', async () => {
    const metric: Metric = { type: 'sum', field: 0, min: -most, max: most }
    const schema: Schema = { id: 1, tickMs: 1, fields: [{ name: 'f', unit: '1', scale: 0 }] }
    const cases: Case[] = []
    let folded = 0
    const add = (hex: string, header: Partial<Header> = {}) => {
      const records = Uint8Array.from(Buffer.from(hex, 'hex'))
      const batch = { header: { ...oneRow, ...header }, records }
      const state = startState(metric)
      const next = fold({ metric, schema, state, batch, window })
      cases.push({
        call: foldCall(metric, schema, state, batch),
        expected: encodeBytes(encodeState(next)),
        from: hex,
      })
      if (next !== state) folded++
    }
    for (const item of items()) {
      add(`818200${item}`)
      add(`828200018201${item}`, { count: 2, span: 1 })
      // As dt, with the span it would have if it were read, canonical or not.
      const span = argumentOf(item)
      if (span <= most) {
        add(`8182${item}05`, { span })
        add(`8282000582${item}06`, { count: 2, span })
        add(`8182${item}05`, { span, start: most - span })
        add(`8182${item}05`, { span, start: Math.min(most, most - span + 1) })
      }
    }
    const row = '820105'
    for (const count of [1, 23, 24, 255, 256, 257, 1000]) {
      const rows = `820005${row.repeat(count - 1)}`
      const span = count - 1
      for (const size of [0, 1, 2, 4, 8]) {
        const head =
          size === 0
            ? (0x80 + Math.min(count, 23)).toString(16)
            : (0x98 + Math.log2(size)).toString(16) +
              count
                .toString(16)
                .padStart(2 * size, '0')
                .slice(-2 * size)
        add(head + rows, { count, span })
      }
      add(`9f${rows}ff`, { count, span })
    }
    for (const bad of [
      '8181008205',
      '81830005',
      '8183000506',
      '8198020005',
      '8180',
      '80',
      '',
      '81',
    ])
      add(bad)
    const { length } = cases
    await check('sum', cases)
    expect(folded).toBeGreaterThan(200)
    expect(length - folded).toBeGreaterThan(1_000)
  })

  test('behavior: rewards', async () => {
    const address = await harness.deploy(thresholdPolicyBytecode)
    const int256 = fc.oneof(
      fc.bigInt(-(2n ** 255n), 2n ** 255n - 1n),
      fc.bigInt(-50n, 50n),
      fc.constantFrom(-(2n ** 255n), 2n ** 255n - 1n, 0n),
    )
    const uint = (bits: bigint) =>
      fc.oneof(fc.bigInt(0n, 2n ** bits - 1n), fc.bigInt(0n, 50n), fc.constant(2n ** bits - 1n))
    const policies = fc.record({ cap: uint(128n), rate: uint(256n), threshold: int256 })
    const samples = fc.sample(fc.tuple(policies, int256), { numRuns: runs, seed })
    const encoded = samples.map(([policy, value]) => {
      const params = toHex(encodePolicyParams(policy))
      return encodeFunctionData({
        abi: iRewardPolicyAbi,
        functionName: 'reward',
        args: [value, params],
      })
    })
    const returned = await harness.callMany(address, encoded)
    for (const [i, [policy, value]] of samples.entries())
      expect(BigInt(returned[i]!), `sample ${i}`).toBe(reward({ ...policy, value }))
    const word = (value: bigint) => value.toString(16).padStart(64, '0')
    for (const params of [`${word(0n)}${word(0n)}${word(2n ** 128n)}`, word(0n).repeat(4), ''])
      await expect(
        harness.client.readContract({
          abi: iRewardPolicyAbi,
          address,
          functionName: 'checkParams',
          args: [`0x${params}`],
        }),
      ).rejects.toThrow('InvalidPolicyParams')
  })

  test('behavior: parameters', async () => {
    const check = (metric: Metric, fields: number) =>
      harness.client.readContract({
        abi: iMetricAbi,
        address: addresses[metric.type],
        functionName: 'checkParams',
        args: [toHex(encodeMetricParams(metric)), fields],
      })
    await check({ type: 'count' }, 1)
    await check({ type: 'sum', field: 1, min: -most, max: most }, 2)
    await check({ type: 'average', field: 0 }, 1)
    await check({ type: 'coverage', intervalMs: most }, 1)
    await check({ type: 'distance', latitude: 1, longitude: 0, maxSpeed: most }, 2)
    for (const [metric, fields] of [
      [{ type: 'sum', field: 2, min: 0, max: 1 }, 2],
      [{ type: 'average', field: 1 }, 1],
      [{ type: 'distance', latitude: 0, longitude: 1, maxSpeed: 1 }, 1],
      [{ type: 'distance', latitude: 1, longitude: 0, maxSpeed: 1 }, 1],
    ] as const)
      await expect(check(metric, fields)).rejects.toThrow('InvalidMetricParams')
  })

  test('behavior: start', async () => {
    for (const type of types) {
      const metric = randomMetric(createRandom(seed), type, 2)
      const start = await harness.client.readContract({
        abi: iMetricAbi,
        address: addresses[type],
        functionName: 'start',
      })
      expect(start).toBe(toHex(encodeState(startState(metric))))
    }
  })
})

function frame(schema: Schema) {
  return {
    schema: BigInt(schema.id),
    fields: schema.fields.length,
    tickMs: schema.tickMs,
    start: BigInt(window.start),
    end: BigInt(window.end),
  }
}

function foldCall(metric: Metric, schema: Schema, state: State, { header, records }: Batch): Hex {
  const { schema: id, seq, start, span, count } = header
  return encodeFunctionData({
    abi: iMetricAbi,
    functionName: 'fold',
    args: [
      toHex(encodeState(state)),
      {
        schema: BigInt(id),
        seq: BigInt(seq),
        start: BigInt(start),
        span: BigInt(span),
        count: BigInt(count),
      },
      toHex(records),
      toHex(encodeMetricParams(metric)),
      frame(schema),
    ],
  })
}

function finishCall(metric: Metric, state: State, schema: Schema): Hex {
  return encodeFunctionData({
    abi: iMetricAbi,
    functionName: 'finish',
    args: [toHex(encodeState(state)), toHex(encodeMetricParams(metric)), frame(schema)],
  })
}

const encodeBytes = (bytes: Uint8Array) => encodeAbiParameters([{ type: 'bytes' }], [toHex(bytes)])
