import { existsSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeCbor } from '../cbor/generic.js'
import { defineSchema, type TelemetryRecord, toRow } from '../index.js'
import {
  decodeSenml,
  encodeSenml,
  formatSenml,
  fromRecords,
  parseSenml,
  SenmlError,
  type SenmlRecord,
  toRecords,
} from '../senml.js'

const vectors = new URL('../../../../../shared/vectors/senml/', import.meta.url)

describe.skipIf(!existsSync(vectors))('published vectors', () => {
  const read = (name: string) => readFileSync(new URL(name, vectors))
  type Resolved = { n: string; u: string; t: number; v: number }[]
  // The examples of times relative to now were resolved at this moment.
  const now = 1_498_780_179_000

  test.each([1, 2, 3, 4, 5, 6])('ex%i.json', (number) => {
    const resolved: Resolved = JSON.parse(read(`ex${number}.resolved.json`).toString())
    const records = parseSenml(read(`ex${number}.json`).toString(), { now })
    // The published order is that of the pack where times are equal.
    expect(
      records.map(({ name, unit, time, value }) => ({ n: name, u: unit, t: time, v: value })),
    ).toEqual(resolved.toSorted((a, b) => a.t - b.t))
    expect(parseSenml(formatSenml(records))).toEqual(records)
    expect(decodeSenml(encodeSenml(records))).toEqual(records)
  })

  test('ex3.cbor', () => {
    expect(decodeSenml(read('ex3.cbor'))).toEqual(parseSenml(read('ex3.json').toString()))
  })
})

test('behavior: all kinds of values, in JSON and in CBOR', () => {
  const text = JSON.stringify([
    { bn: 'dev:', bt: 1.7e9, bv: 10, bs: 5, n: 'a', u: 'Cel', v: 1.5, ut: 60 },
    { n: 'text', vs: 'on', t: 1 },
    { n: 'flag', vb: true, t: 2 },
    { n: 'data', vd: '_-8', t: 3 },
    { n: 'sum', s: 2, t: 4 },
    { n: 'base', t: 5, extra: { ignored: [1] } },
  ])
  const records: SenmlRecord[] = [
    { name: 'dev:a', unit: 'Cel', time: 1.7e9, value: 11.5, sum: 5, updateTime: 60 },
    { name: 'dev:text', time: 1.7e9 + 1, value: 'on', sum: 5 },
    { name: 'dev:flag', time: 1.7e9 + 2, value: true, sum: 5 },
    { name: 'dev:data', time: 1.7e9 + 3, value: Uint8Array.of(255, 239), sum: 5 },
    { name: 'dev:sum', time: 1.7e9 + 4, sum: 7 },
    { name: 'dev:base', time: 1.7e9 + 5, sum: 5 },
  ]
  expect(parseSenml(text)).toEqual(records)
  expect(parseSenml(formatSenml(records))).toEqual(records)
  expect(decodeSenml(encodeSenml(records))).toEqual(records)
  const withoutSum = parseSenml(
    JSON.stringify([
      { bn: 'dev:', bv: 3 },
      { n: 'x', t: 1.7e9 },
    ]),
  )
  expect(withoutSum).toEqual([{ name: 'dev:x', time: 1.7e9, value: 3 }])
})

test('behavior: a pack shares what its records have in common', () => {
  const schema = defineSchema({ id: 1, fields: { steps: { unit: 'count' } } })
  const records = [0, 1, 2].map((i) => ({ time: 1_700_000_000_001 + i * 60_000, steps: i }))
  const senml = fromRecords(records, { schema, baseName: 'urn:dev:1:' })
  expect(formatSenml(senml)).toBe(
    '[{"bn":"urn:dev:1:steps","bt":1700000000.001,"bu":"count","v":0},{"t":60,"v":1},{"t":120,"v":2}]',
  )
})

test('behavior: times below 2^28 are relative to now', () => {
  const [past] = parseSenml('[{"n":"a","v":1,"t":-5}]', { now: 1_700_000_000_500 })
  expect(past?.time).toBe(1_699_999_995.5)
  const [absolute] = parseSenml('[{"n":"a","v":1,"t":268435456}]', { now: 1_700_000_000_500 })
  expect(absolute?.time).toBe(268435456)
  expect(() => formatSenml([{ name: 'a', time: 1000, value: 1 }])).toThrow(SenmlError)
})

describe('error: reasons', () => {
  test.each([
    ['syntax', 'nonsense'],
    ['syntax', '{}'],
    ['syntax', '[1]'],
    ['syntax', '[null]'],
    ['version', '[{"bver":11,"n":"a","v":1}]'],
    ['version', '[{"n":"a","v":1},{"bver":5,"n":"a","v":1}]'],
    ['must-understand', '[{"n":"a","v":1,"new_":1}]'],
    ['type', '[{"n":"a","v":"1"}]'],
    ['type', '[{"n":1,"v":1}]'],
    ['type', '[{"n":"a","vb":1}]'],
    ['type', '[{"n":"a","vd":"a="}]'],
    ['type', '[{"n":"a","v":1e999}]'],
    ['name', '[{"v":1}]'],
    ['name', '[{"n":"_a","v":1}]'],
    ['name', '[{"n":"a b","v":1}]'],
    ['value', '[{"n":"a"}]'],
    ['value', '[{"n":"a","v":1,"vs":"x"}]'],
  ])('%s: %s', (reason, text) => {
    expect(() => parseSenml(text)).toThrow(expect.objectContaining({ name: 'SenmlError', reason }))
  })

  test.each([
    ['syntax', Uint8Array.of(0xff)],
    ['syntax', Uint8Array.of(0xa0)],
    ['syntax', encodeCbor([1])],
    [
      'must-understand',
      encodeCbor([
        new Map<unknown, unknown>([
          [0, 'a'],
          [2, 1],
          ['x_', 1],
        ]),
      ]),
    ],
    [
      'type',
      encodeCbor([
        new Map<unknown, unknown>([
          [0, 'a'],
          [2, 'x'],
        ]),
      ]),
    ],
  ])('CBOR, %s', (reason, bytes) => {
    expect(() => decodeSenml(bytes)).toThrow(
      expect.objectContaining({ name: 'SenmlError', reason }),
    )
  })

  test('no records', () => {
    expect(() => formatSenml([])).toThrow(SenmlError)
    expect(parseSenml('[]')).toEqual([])
  })
})

describe('toRecords', () => {
  const schema = defineSchema({
    id: 7,
    fields: {
      temp: { unit: 'Cel', scale: 1 },
      door: { unit: '/' },
      lat: { unit: 'lat', scale: 7 },
    },
  })
  const baseName = 'urn:dev:ow:10e2:'
  const pack = (...records: object[]) =>
    parseSenml(JSON.stringify([{ bn: baseName, bt: 1.7e9 }, ...records]))

  test('default', () => {
    const senml = pack(
      { n: 'temp', v: 20.5, u: 'Cel', t: 60 },
      { n: 'door', vb: true },
      { n: 'temp', v: 0.1 + 0.2 },
    )
    const records: TelemetryRecord<typeof schema>[] = toRecords(senml, { schema, baseName })
    expect(records).toEqual([
      { time: 1.7e12, door: 1, temp: 0.1 + 0.2 },
      { time: 1.7e12 + 60_000, temp: 20.5 },
    ])
    expect(toRow(schema, records[0]!).values).toEqual([3, 1, null])
  })

  test.each([
    ['field', { n: 'other', v: 1 }],
    ['unit', { n: 'temp', v: 1, u: 'K' }],
    ['value', { n: 'temp', vs: '1' }],
    ['value', { n: 'temp', vd: 'AA' }],
    ['value', { n: 'temp', s: 1 }],
    ['value', { n: 'temp', v: 1, s: 1 }],
    ['time', { n: 'temp', v: 1, t: 1e14 }],
  ])('error: %s %o', (reason, record) => {
    expect(() => toRecords(pack(record), { schema, baseName })).toThrow(
      expect.objectContaining({ name: 'SenmlError', reason, record: 0 }),
    )
  })

  test('error: two values of one field at one time', () => {
    const senml = pack({ n: 'temp', v: 1 }, { n: 'temp', v: 2 })
    expect(() => toRecords(senml, { schema, baseName })).toThrow(
      expect.objectContaining({ reason: 'duplicate', record: 1 }),
    )
  })

  test('behavior: there and back, through JSON and CBOR', () => {
    const record = fc.record({
      // Microseconds of a double reach to the year 2255: ms always come back.
      time: fc.integer({ min: 2 ** 28 * 1000, max: 9_000_000_000_000 }),
      temp: fc.option(fc.integer({ min: -1e12, max: 1e12 }).map((n) => n / 10)),
      door: fc.constantFrom(0, 1),
      lat: fc.option(fc.integer({ min: -9e8, max: 9e8 }).map((n) => n / 1e7)),
    })
    const records = fc.uniqueArray(record, { selector: ({ time }) => time, minLength: 1 })
    fc.assert(
      fc.property(records, (unsorted) => {
        const sorted = unsorted.toSorted((a, b) => a.time - b.time)
        const senml = fromRecords(sorted, { schema, baseName })
        const rows = sorted.map((record) => toRow(schema, record))
        for (const back of [parseSenml(formatSenml(senml)), decodeSenml(encodeSenml(senml))])
          expect(
            toRecords(back, { schema, baseName }).map((record) => toRow(schema, record)),
          ).toEqual(rows)
      }),
      { seed: 1 },
    )
  })
})

test('behavior: garbage gives nothing but typed errors', () => {
  fc.assert(
    fc.property(fc.json(), fc.uint8Array({ maxLength: 60 }), (text, bytes) => {
      for (const parse of [
        () => parseSenml(text),
        () => parseSenml(`[${text}]`),
        () => decodeSenml(bytes),
        () => decodeSenml(Uint8Array.of(0x81, 0xa3, ...bytes)),
      ])
        try {
          parse()
        } catch (error) {
          expect(error).toBeInstanceOf(SenmlError)
        }
    }),
    { seed: 1, numRuns: 2000 },
  )
})
