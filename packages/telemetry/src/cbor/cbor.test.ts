import { existsSync, readFileSync } from 'node:fs'
import { concatBytes, fromHex, toHex } from '@machinefi/core'
import { Tag } from 'cbor-x'
import { describe, expect, test } from 'vitest'
import { decodeCbor, encodeCbor, MalformedCborError } from './generic.js'
import { type Reader, readIntOrNull, readUint } from './reader.js'
import { createWriter, writeIntOrNull, writtenBytes } from './writer.js'

const vectors = new URL('../../../../../shared/vectors/cbor/appendix_a.json', import.meta.url)

type Vector = { hex: string; roundtrip: boolean; decoded?: unknown; diagnostic?: string }

describe.skipIf(!existsSync(vectors))('RFC 8949 appendix A', () => {
  const all: Vector[] = existsSync(vectors) ? JSON.parse(readFileSync(vectors, 'utf8')) : []

  /** Of the appendix, the strict reader takes exactly the integers below 2^53 and null. */
  const strict = new Map<string, number | null>([
    ['00', 0],
    ['01', 1],
    ['0a', 10],
    ['17', 23],
    ['1818', 24],
    ['1819', 25],
    ['1864', 100],
    ['1903e8', 1000],
    ['1a000f4240', 1_000_000],
    ['1b000000e8d4a51000', 1_000_000_000_000],
    ['20', -1],
    ['29', -10],
    ['3863', -100],
    ['3903e7', -1000],
    ['f6', null],
  ])

  test('the strict reader', () => {
    const accepted = new Map<string, number | null>()
    for (const { hex } of all) {
      const bytes = fromHex(`0x${hex}`)
      const value = strictly(readIntOrNull, bytes)
      if (value !== undefined) accepted.set(hex, Number.isNaN(value) ? null : value)
      const unsigned = strictly(readUint, bytes)
      expect(unsigned).toBe(value !== undefined && value >= 0 ? value : undefined)
    }
    expect(accepted).toEqual(strict)
    for (const [hex, value] of strict) {
      const writer = createWriter(9)
      writeIntOrNull(writer, value)
      expect(toHex(writtenBytes(writer))).toBe(`0x${hex}`)
    }
  })

  /** What the generic path refuses, each with its reason. */
  const refused = new Set([
    // simple values without a meaning
    'f0',
    'f818',
    'f8ff',
    // strings in chunks
    '5f42010243030405ff',
    '7f657374726561646d696e67ff',
  ])

  test.each(all)('the generic path: $hex', ({ hex, decoded, diagnostic, roundtrip }) => {
    const bytes = fromHex(`0x${hex}`)
    if (refused.has(hex)) {
      expect(() => decodeCbor(bytes)).toThrow(MalformedCborError)
      return
    }
    const value = decodeCbor(bytes)
    const big = bigs[hex]
    if (big !== undefined) expect(value).toBe(big)
    else if (decoded !== undefined) expect(toJson(value)).toEqual(decoded)
    else expect(show(value)).toBe(dates[hex] ?? diagnostic)
    // Half and single floats, dates and tags are read, not written; -2^64 is written as a bignum.
    if (roundtrip && !/^(f9|fa|c[01]|d|3bff)/.test(hex))
      expect(toHex(encodeCbor(value))).toBe(`0x${hex}`)
  })

  const dates: Record<string, string> = {
    c074323031332d30332d32315432303a30343a30305a: '2013-03-21T20:04:00.000Z',
    c11a514b67b0: '2013-03-21T20:04:00.000Z',
    c1fb41d452d9ec200000: '2013-03-21T20:04:00.500Z',
  }
  const bigs: Record<string, bigint> = {
    '1bffffffffffffffff': 18446744073709551615n,
    c249010000000000000000: 18446744073709551616n,
    '3bffffffffffffffff': -18446744073709551616n,
    c349010000000000000000: -18446744073709551617n,
  }
})

describe('decodeCbor', () => {
  test.each([
    ['nothing', '0x'],
    ['a byte after the end', '0x0000'],
    ['a key twice', '0xa201000100'],
    ['a key twice, written in two ways', '0xa2010018 0100'],
    ['a key twice, text', '0xa261610061 6100'],
    ['a key that is an array', '0xa1808000'],
    ['a tag of cbor-x: shared reference', '0xd81d00'],
    ['a tag of cbor-x: generic object', '0xd81b81656572726f72'],
    ['a tag of cbor-x: record', '0xd9dfff83196000816161 01'],
    ['a break alone', '0xff'],
    ['a reserved head', '0x1c'],
    ['an array that claims 2^64 - 1', '0x9bffffffffffffffff'],
    ['a string that claims 2^32', '0x5b0000000100000000'],
    ['a map cut off', '0xa101'],
  ])('error: %s', (_name, hex) => {
    expect(() => decodeCbor(fromHex(hex.replaceAll(' ', '') as '0x'))).toThrow(MalformedCborError)
  })

  test('error: nested too deeply', () => {
    const nested = (depth: number) => Uint8Array.from([...Array(depth).fill(0x81), 0])
    expect(() => decodeCbor(nested(100_000))).toThrow(MalformedCborError)
    expect(() => decodeCbor(nested(17))).toThrow(MalformedCborError)
    expect(decodeCbor(nested(1))).toEqual([0])
  })

  test('error: a bignum that no double can hold', () => {
    const bignum = (tag: number, length: number) =>
      concatBytes(Uint8Array.of(tag, 0x59, length >> 8, length), new Uint8Array(length).fill(255))
    for (const tag of [0xc2, 0xc3])
      expect(() => decodeCbor(bignum(tag, 60_000))).toThrow('a bignum that no double can hold')
    expect(decodeCbor(fromHex('0xc24a01000000000000000000'))).toBe(2n ** 72n)
  })

  test('behavior: leaves no trace on the bytes it reads', () => {
    const bytes = Uint8Array.of(0x01)
    decodeCbor(bytes)
    expect(Object.keys(bytes)).toEqual(['0'])
  })
})

function strictly(read: (reader: Reader) => number, bytes: Uint8Array): number | undefined {
  class Refused extends Error {}
  const fail = () => {
    throw new Refused()
  }
  const reader: Reader = { bytes, at: 0, end: bytes.length, fail }
  try {
    const value = read(reader)
    return reader.at === bytes.length ? value : undefined
  } catch (error) {
    if (error instanceof Refused) return undefined
    throw error
  }
}

function toJson(value: unknown): unknown {
  if (value instanceof Map)
    return Object.fromEntries(Array.from(value, ([key, item]) => [key, toJson(item)]))
  if (Array.isArray(value)) return value.map(toJson)
  return value
}

/** CBOR diagnostic notation of what the appendix does not give as JSON. */
function show(value: unknown): string {
  if (value === undefined) return 'undefined'
  if (value instanceof Uint8Array) return `h'${toHex(value).slice(2)}'`
  if (value instanceof Map)
    return `{${Array.from(value, ([key, item]) => `${show(key)}: ${show(item)}`).join(', ')}}`
  if (value instanceof Tag) return `${value.tag}(${show(value.value)})`
  if (typeof value === 'string') return JSON.stringify(value)
  if (value instanceof Date) return value.toISOString()
  return String(value)
}
