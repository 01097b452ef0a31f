import {
  encodeMetricParams,
  encodePolicyParams,
  encodeState,
  finish,
  fold,
  type Metric,
  reward,
  startState,
  type Window,
} from '@machinefi/proof'
import { encodeRows, type Header, type Row, type Schema } from '@machinefi/telemetry'
import fc from 'fast-check'
import { type Address, type Hex, toHex } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { iMetricAbi, iRewardPolicyAbi } from '../packages/contracts/src/abis/index.js'
import {
  averageMetricBytecode,
  countMetricBytecode,
  coverageMetricBytecode,
  sumMetricBytecode,
  thresholdPolicyBytecode,
} from '../packages/contracts/src/bytecode/index.js'
import { type Chain, deploy, startChain } from '../packages/contracts/test/startChain.js'

// The two implementations of every metric must agree, bit for bit, on any bytes at all.

const contracts = {
  average: averageMetricBytecode,
  count: countMetricBytecode,
  coverage: coverageMetricBytecode,
  sum: sumMetricBytecode,
}
const runs = Number(process.env.FUZZ_RUNS ?? 400)
const window: Window = { start: 86_400_000, end: 2 * 86_400_000 }
const most = Number.MAX_SAFE_INTEGER

let chain: Chain
const addresses = {} as Record<Metric['type'], Address>
beforeAll(async () => {
  chain = await startChain()
  for (const [type, bytecode] of Object.entries(contracts))
    addresses[type as Metric['type']] = await deploy(chain.client, bytecode)
})
afterAll(() => chain?.close())

type Batch = { header: Header; records: Uint8Array }

const integer = fc.oneof(
  fc.integer({ min: -300, max: 300 }),
  fc.maxSafeInteger(),
  fc.constantFrom(0, 23, 24, 255, 256, 65535, 65536, 2 ** 32 - 1, 2 ** 32, most, -most, -24, -25),
)
const value = fc.option(integer, { freq: 5 })

/** Rows that are canonical before `mutation` is applied to their bytes. */
const rowsOf = (fields: number) =>
  fc.array(
    fc.record({
      dt: fc.oneof(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 1, max: 90_000 })),
      values: fc.array(value, { minLength: fields, maxLength: fields }),
    }),
    { minLength: 1, maxLength: 40 },
  )

const mutation = fc.oneof(
  { weight: 6, arbitrary: fc.constant(undefined) },
  fc.record({ type: fc.constant('flip'), at: fc.nat(), bit: fc.nat(7) }),
  fc.record({ type: fc.constant('truncate'), at: fc.nat() }),
  fc.record({ type: fc.constant('append'), bytes: fc.uint8Array({ minLength: 1, maxLength: 9 }) }),
  fc.record({
    type: fc.constant('insert'),
    at: fc.nat(),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 9 }),
  }),
  fc.record({ type: fc.constant('replace'), bytes: fc.uint8Array({ maxLength: 60 }) }),
  // Something longer than needed, or out of range, in the place of an item.
  fc.record({
    type: fc.constant('item'),
    at: fc.nat(),
    hex: fc.constantFrom(
      '1800',
      '1817',
      '190018',
      '1900ff',
      '1a0000ffff',
      '1b00000000ffffffff',
      '1b001fffffffffffff',
      '1b0020000000000000',
      '1bffffffffffffffff',
      '3b001ffffffffffffe',
      '3b001fffffffffffff',
      '3817',
      '3800',
      '1c',
      '1f',
      '3f',
      '40',
      '60',
      '80',
      'a0',
      'c0',
      'f5',
      'f6',
      'f7',
      'f97e00',
      'fb7ff8000000000000',
      'ff',
      '9f',
      '20',
      '00',
    ),
  }),
  fc.record({ type: fc.constant('count'), by: fc.integer({ min: -2, max: 2 }) }),
  fc.record({ type: fc.constant('span'), by: fc.integer({ min: -3, max: 3 }) }),
  fc.record({ type: fc.constant('schema'), by: fc.constantFrom(-1, 1) }),
  fc.record({ type: fc.constant('late'), by: fc.constantFrom(most - 1, most - 2 ** 33) }),
) as fc.Arbitrary<Mutation | undefined>

type Mutation =
  | { type: 'flip'; at: number; bit: number }
  | { type: 'truncate'; at: number }
  | { type: 'append' | 'replace'; bytes: Uint8Array }
  | { type: 'insert'; at: number; bytes: Uint8Array }
  | { type: 'item'; at: number; hex: string }
  | { type: 'count' | 'late' | 'schema' | 'span'; by: number }

const scenario = fc
  .record({
    fields: fc.oneof(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 22 })),
    tickMs: fc.constantFrom(1, 7, 1000, 60_000, 2 ** 32 - 1),
    min: integer,
    max: integer,
    intervalMs: fc.constantFrom(1, 999, 60_000, 3_600_000, 86_400_000, 2 * 86_400_000, most),
    type: fc.constantFrom('average', 'count', 'coverage', 'sum'),
  })
  .chain((options) =>
    fc.record({
      options: fc.constant(options),
      field: fc.nat(options.fields - 1),
      batches: fc.array(
        fc.record({
          rows: rowsOf(options.fields),
          first: fc.oneof(fc.constant(0), fc.nat(5)),
          /** From the end of the batch before, or from a little before the window. */
          start: fc.integer({ min: -3, max: 20_000 }),
          seqStep: fc.oneof(
            { weight: 5, arbitrary: fc.constant(1) },
            fc.integer({ min: -2, max: 3 }),
          ),
          mutation,
        }),
        { minLength: 1, maxLength: 6 },
      ),
    }),
  )

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

function toMetric(
  { type, min, max, intervalMs }: { type: string; min: number; max: number; intervalMs: number },
  field: number,
): Metric {
  if (type === 'sum') return { type, field, min: Math.min(min, max), max: Math.max(min, max) }
  if (type === 'average') return { type, field }
  if (type === 'coverage') return { type, intervalMs }
  return { type: 'count' }
}

function mutate(batch: Batch, mutation: Mutation | undefined): Batch {
  if (!mutation) return batch
  const { header, records } = batch
  const splice = (at: number, remove: number, insert: Uint8Array): Batch => ({
    header,
    records: Uint8Array.from([...records.slice(0, at), ...insert, ...records.slice(at + remove)]),
  })
  switch (mutation.type) {
    case 'flip': {
      const copy = records.slice()
      copy[mutation.at % copy.length]! ^= 1 << mutation.bit
      return { header, records: copy }
    }
    case 'truncate':
      return { header, records: records.slice(0, mutation.at % records.length) }
    case 'append':
      return splice(records.length, 0, mutation.bytes)
    case 'insert':
      return splice(mutation.at % records.length, 0, mutation.bytes)
    case 'replace':
      return { header, records: mutation.bytes }
    case 'item':
      return splice(
        mutation.at % records.length,
        1,
        Uint8Array.from(Buffer.from(mutation.hex, 'hex')),
      )
    case 'late':
      return { header: { ...header, start: Math.max(0, mutation.by - header.span) }, records }
    default: {
      const changed = Math.max(0, header[mutation.type] + mutation.by)
      return { header: { ...header, [mutation.type]: changed }, records }
    }
  }
}

describe('metrics in TypeScript and Solidity', () => {
  test('behavior: fold and finish agree on any bytes', async () => {
    let folded = 0
    let ignored = 0
    await fc.assert(
      fc.asyncProperty(scenario, async ({ options, field, batches }) => {
        const schema: Schema = {
          id: 7,
          tickMs: options.tickMs,
          fields: Array.from({ length: options.fields }, (_, i) => ({
            name: `f${i}`,
            unit: '1',
            scale: 0,
          })),
        }
        const metric = toMetric(options, field)
        let seq = 0
        let end = window.start - 5_000
        let state = startState(metric)
        for (const { rows, first, start: after, seqStep, mutation } of batches) {
          const start = end + after
          let time = start + first * schema.tickMs
          const timed: Row[] = rows.map(({ dt, values }, i) => {
            if (i > 0) time += dt * schema.tickMs
            return { time, values }
          })
          if (time > most) return
          const header: Header = {
            schema: schema.id,
            seq,
            start,
            span: time - start,
            count: rows.length,
            recordsHash: new Uint8Array(32),
            commitment: null,
          }
          const records = encodeRows(timed, { tickMs: schema.tickMs, start })
          const batch = mutate({ header, records }, mutation)
          // No header can say this: it does not decode.
          if (batch.header.count === 0) return
          const next = fold({ metric, schema, state, batch, window })
          expect(await foldOnChain(metric, schema, encodeState(state), batch)).toBe(
            toHex(encodeState(next)),
          )
          if (next === state) ignored++
          else folded++
          state = next
          seq = Math.max(0, seq + seqStep)
          end = Math.min(time, window.end)
        }
        expect(await finishOnChain(metric, encodeState(state), schema)).toBe(
          finish({ metric, state, window }),
        )
      }),
      { numRuns: runs, seed: 7 },
    )
    // The test is worth something only if both happen a lot.
    expect(folded).toBeGreaterThan(runs / 2)
    expect(ignored).toBeGreaterThan(runs / 4)
  })

  // Random bytes seldom get past the first row: here one item at a time is put where it counts.
  test('behavior: every kind of item', async () => {
    const metric: Metric = { type: 'sum', field: 0, min: -most, max: most }
    const schema: Schema = { id: 1, tickMs: 1, fields: [{ name: 'f', unit: '1', scale: 0 }] }
    let folded = 0
    let cases = 0
    const check = async (hex: string, header: Partial<Header> = {}) => {
      const records = Uint8Array.from(Buffer.from(hex, 'hex'))
      const batch = { header: { ...oneRow, ...header }, records }
      const state = startState(metric)
      const next = fold({ metric, schema, state, batch, window })
      const onChain = await foldOnChain(metric, schema, encodeState(state), batch)
      expect(onChain, hex).toBe(toHex(encodeState(next)))
      cases++
      if (next !== state) folded++
    }
    const pending: (() => Promise<void>)[] = []
    for (const item of items()) {
      pending.push(() => check(`818200${item}`))
      pending.push(() => check(`828200018201${item}`, { count: 2, span: 1 }))
      // As dt, with the span it would have if it were read, canonical or not.
      const span = argumentOf(item)
      if (span <= most) {
        pending.push(() => check(`8182${item}05`, { span }))
        pending.push(() => check(`82820005${'82'}${item}06`, { count: 2, span }))
        pending.push(() => check(`8182${item}05`, { span, start: most - span }))
        pending.push(() => check(`8182${item}05`, { span, start: Math.min(most, most - span + 1) }))
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
        pending.push(() => check(head + rows, { count, span }))
      }
      pending.push(() => check(`9f${rows}ff`, { count, span }))
    }
    for (const bad of [
      '8181008205',
      '81830005',
      '8183000506',
      '819802 0005',
      '8180',
      '80',
      '',
      '81',
    ])
      pending.push(() => check(bad.replace(' ', '')))
    while (pending.length > 0) await Promise.all(pending.splice(0, 40).map((run) => run()))
    expect(folded).toBeGreaterThan(200)
    expect(cases - folded).toBeGreaterThan(1_000)
  })

  test('behavior: rewards', async () => {
    const address = await deploy(chain.client, thresholdPolicyBytecode)
    const read = { abi: iRewardPolicyAbi, address } as const
    const int256 = fc.oneof(
      fc.bigInt(-(2n ** 255n), 2n ** 255n - 1n),
      fc.bigInt(-50n, 50n),
      fc.constantFrom(-(2n ** 255n), 2n ** 255n - 1n, 0n),
    )
    const uint = (bits: bigint) =>
      fc.oneof(fc.bigInt(0n, 2n ** bits - 1n), fc.bigInt(0n, 50n), fc.constant(2n ** bits - 1n))
    const policies = fc.record({ cap: uint(128n), rate: uint(256n), threshold: int256 })
    await fc.assert(
      fc.asyncProperty(policies, int256, async (policy, value) => {
        const params = toHex(encodePolicyParams(policy))
        await chain.client.readContract({ ...read, functionName: 'checkParams', args: [params] })
        expect(
          await chain.client.readContract({
            ...read,
            functionName: 'reward',
            args: [value, params],
          }),
        ).toBe(reward({ ...policy, value }))
      }),
      { numRuns: runs, seed: 7 },
    )
    const word = (value: bigint) => value.toString(16).padStart(64, '0')
    for (const params of [`${word(0n)}${word(0n)}${word(2n ** 128n)}`, word(0n).repeat(4), ''])
      await expect(
        chain.client.readContract({
          ...read,
          functionName: 'checkParams',
          args: [`0x${params}`],
        }),
      ).rejects.toThrow('InvalidPolicyParams')
  })

  test('behavior: parameters', async () => {
    const check = (metric: Metric, fields: number) =>
      chain.client.readContract({
        abi: iMetricAbi,
        address: addresses[metric.type],
        functionName: 'checkParams',
        args: [toHex(encodeMetricParams(metric)), fields],
      })
    await check({ type: 'count' }, 1)
    await check({ type: 'sum', field: 1, min: -most, max: most }, 2)
    await check({ type: 'average', field: 0 }, 1)
    await check({ type: 'coverage', intervalMs: most }, 1)
    await expect(check({ type: 'sum', field: 2, min: 0, max: 1 }, 2)).rejects.toThrow(
      'InvalidMetricParams',
    )
    await expect(check({ type: 'average', field: 1 }, 1)).rejects.toThrow('InvalidMetricParams')
  })

  test('behavior: start', async () => {
    for (const type of ['average', 'count', 'coverage', 'sum'] as const) {
      const metric = toMetric({ type, min: 0, max: 1, intervalMs: 1 }, 0)
      const start = await chain.client.readContract({
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

function foldOnChain(
  metric: Metric,
  schema: Schema,
  state: Uint8Array,
  batch: Batch,
): Promise<Hex> {
  const { schema: id, seq, start, span, count } = batch.header
  const header = {
    schema: BigInt(id),
    seq: BigInt(seq),
    start: BigInt(start),
    span: BigInt(span),
    count: BigInt(count),
  }
  return chain.client.readContract({
    abi: iMetricAbi,
    address: addresses[metric.type],
    functionName: 'fold',
    args: [
      toHex(state),
      header,
      toHex(batch.records),
      toHex(encodeMetricParams(metric)),
      frame(schema),
    ],
  })
}

function finishOnChain(metric: Metric, state: Uint8Array, schema: Schema): Promise<bigint> {
  return chain.client.readContract({
    abi: iMetricAbi,
    address: addresses[metric.type],
    functionName: 'finish',
    args: [toHex(state), toHex(encodeMetricParams(metric)), frame(schema)],
  })
}
