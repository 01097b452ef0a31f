import { fromHex } from '@machinefi/core'
import { describe, expect, test } from 'vitest'
import { decodeRows, encodeRows, InvalidBatchError, MalformedRowsError, rowAt } from '../index.js'

const rows = [
  { time: 10_000, values: [5, null] },
  { time: 12_000, values: [-1, 24] },
  { time: 312_000, values: [null, -65_537] },
]
const bytes = encodeRows(rows, { tickMs: 1000, start: 9000 })
const options = { fields: 2, tickMs: 1000, start: 9000, count: 3, span: 303_000 }

test('default', () => {
  expect(bytes).toEqual(
    fromHex('0x83830105f68302201818831901 2cf63a00010000'.replace(' ', '') as '0x'),
  )
  const decoded = decodeRows(bytes, options)
  expect(decoded).toEqual({
    count: 3,
    fields: 2,
    times: Float64Array.of(10_000, 12_000, 312_000),
    values: Float64Array.of(5, Number.NaN, -1, 24, Number.NaN, -65_537),
  })
  expect([0, 1, 2].map((i) => rowAt(decoded, i))).toEqual(rows)
})

test('behavior: every size of integer, at its bounds', () => {
  const edges = [
    0,
    23,
    24,
    255,
    256,
    65_535,
    65_536,
    2 ** 32 - 1,
    2 ** 32,
    2 ** 53 - 2,
    2 ** 53 - 1,
  ]
  const values = [...edges, ...edges.slice(1).map((n) => -n)]
  for (const value of values) {
    const one = encodeRows([{ time: 0, values: [value] }], { tickMs: 1, start: 0 })
    const { values } = decodeRows(one, { fields: 1, tickMs: 1, start: 0, count: 1, span: 0 })
    expect(values[0]).toBe(value)
  }
})

test('behavior: more than 23 rows', () => {
  for (const count of [23, 24, 255, 256, 300]) {
    const many = Array.from({ length: count }, (_, i) => ({ time: i, values: [i] }))
    const encoded = encodeRows(many, { tickMs: 1, start: 0 })
    const decoded = decodeRows(encoded, { fields: 1, tickMs: 1, start: 0, count, span: count - 1 })
    expect(decoded.values).toEqual(Float64Array.from(many, (_, i) => i))
  }
})

describe('error: encodeRows', () => {
  test.each([
    ['tick 0', { tickMs: 0, start: 0 }],
    ['tick 0.5', { tickMs: 0.5, start: 0 }],
    ['start after the first row', { tickMs: 1000, start: 11_000 }],
    ['start off the tick', { tickMs: 1000, start: 9500 }],
    ['negative start', { tickMs: 1000, start: -1000 }],
  ])('%s', (_name, options) => {
    expect(() => encodeRows(rows, options)).toThrow(InvalidBatchError)
  })

  test('number of values', () => {
    const row = (length: number) => [{ time: 0, values: Array(length).fill(0) }]
    const options = { tickMs: 1, start: 0 }
    expect(() => encodeRows(row(0), options)).toThrow(InvalidBatchError)
    expect(() => encodeRows(row(23), options)).toThrow(InvalidBatchError)
    expect(encodeRows(row(22), options)[1]).toBe(0x97)
  })
})

describe('error: decodeRows', () => {
  const one = { fields: 1, tickMs: 1, start: 0, count: 1, span: 0 }
  test.each([
    ['nothing', '0x', one],
    ['no rows', '0x80', { ...one, count: 0 }],
    ['a row too few', '0x81820000', { ...one, count: 2 }],
    ['a row too many', '0x8282000082 0100', one],
    ['a count far beyond the bytes', '0x9a7fffffff820000', { ...one, count: 0x7fffffff }],
    ['a count beyond the bytes', '0x83820000820100', { ...one, count: 3, span: 1 }],
    ['rows of indefinite length', '0x9f820000ff', one],
    ['a row of indefinite length', '0x819f0000ff', one],
    ['a row head in two bytes', '0x8198020000', one],
    ['a long count', '0x9801820000', one],
    ['a null time', '0x8182f600', one],
    ['a negative time', '0x81822000', one],
    ['an undefined value', '0x818200f7', one],
    ['a boolean', '0x818200f5', one],
    ['a float', '0x818200f93c00', one],
    ['a tag', '0x818200c100', one],
    ['text', '0x81820060', one],
    ['a break', '0x818200ff', one],
    ['a value in two bytes for one', '0x8182001817', one],
    ['a negative one in two bytes', '0x8182003817', one],
    ['a value in three bytes for two', '0x8182001900ff', one],
    ['a value in five bytes for three', '0x8182001a0000ffff', one],
    ['a value in nine bytes for five', '0x8182001b00000000ffffffff', one],
    ['2^53', '0x8182001b0020000000000000', one],
    ['-2^53', '0x8182003b001fffffffffffff', one],
    ['2^64 - 1', '0x8182001bffffffffffffffff', one],
    ['cut off in a number', '0x8182001a0000', one],
    ['cut off after a head', '0x81820018', one],
    ['cut off before a value', '0x818200', one],
    ['a byte after the end', '0x8182000000', one],
    ['two rows at one time', '0x82820000820000', { ...one, count: 2 }],
    ['a span too long', '0x82820000820100', { ...one, count: 2, span: 2 }],
    ['a span too short', '0x82820000820200', { ...one, count: 2, span: 1 }],
    ['a span off the tick', '0x82820000820100', { ...one, count: 2, tickMs: 2, span: 1 }],
    [
      'ticks beyond 2^53',
      '0x8282000082 1b001fffffffffffff00',
      { ...one, count: 2, tickMs: 1000, span: 1000 },
    ],
    ['a time beyond 2^53', '0x82820000820100', { ...one, count: 2, start: 2 ** 53 - 1, span: 1 }],
  ])('%s', (_name, hex, options) => {
    expect(() => decodeRows(fromHex(hex.replaceAll(' ', '') as '0x'), options)).toThrow(
      MalformedRowsError,
    )
  })

  test.each([
    ['a value too few', '0x818100'],
    ['a value too many', '0x8183000000'],
    ['none', '0x8180'],
  ])('fields: %s', (_name, hex) => {
    expect(() => decodeRows(fromHex(hex as '0x'), one)).toThrow(
      expect.objectContaining({ reason: 'fields', offset: 1 }),
    )
  })

  test.each([0, 23, Number.NaN])('%s fields', (fields) => {
    expect(() => decodeRows(bytes, { ...one, fields })).toThrow(InvalidBatchError)
  })

  test('cut off anywhere, with bytes of something else behind', () => {
    for (let length = 0; length < bytes.length; length++)
      expect(() => decodeRows(bytes.subarray(0, length), options)).toThrow(MalformedRowsError)
  })
})
