import { existsSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeBech32, encodeBech32, toBytes } from './bech32.js'
import { formatIoAddress, fromHex, parseAddress, parseDid, parseIoAddress } from './index.js'

const bytes20 = fc.uint8Array({ minLength: 20, maxLength: 20 })
const io = 'io187wzp08vnhjjpkydnr97qlh8kh0dpkkytfam8j'
const address = fromHex('0x3f9c20bcec9de520d88d98cbe07ee7b5ded0dac4')

test('default', () => {
  expect(formatIoAddress(address)).toBe(io)
  expect(parseIoAddress(io)).toEqual(address)
  expect(parseIoAddress(io.toUpperCase())).toEqual(address)
  expect(parseDid(io)).toEqual(address)
})

test('behavior: round trip', () => {
  fc.assert(
    fc.property(bytes20, (bytes) => {
      expect(parseIoAddress(formatIoAddress(bytes))).toEqual(bytes)
    }),
    { seed: 1 },
  )
})

test('behavior: one or two wrong characters are found', () => {
  const digit = fc.constantFrom(...'qpzry9x8gf2tvdw0s3jn54khce6mua7l')
  const change = fc.tuple(fc.integer({ min: 3, max: 40 }), digit)
  fc.assert(
    fc.property(bytes20, change, change, (bytes, ...changes) => {
      const right = formatIoAddress(bytes)
      const wrong = Array.from(right)
      for (const [at, character] of changes) wrong[at] = character
      if (wrong.join('') === right) return
      expect(() => parseIoAddress(wrong.join(''))).toThrow('Not an address')
    }),
    { seed: 1 },
  )
})

test('error: not an address', () => {
  for (const text of [
    '',
    'io1',
    io.slice(0, -1),
    `${io}q`,
    `${io.slice(0, -1)}q`,
    io.replace('w', 'W'),
    io.replace('io1', 'bc1'),
    encodeBech32('bc', address),
    encodeBech32('io', address.subarray(1)),
    encodeBech32('io', new Uint8Array(21)),
  ])
    expect(() => parseIoAddress(text), text).toThrow('Not an address')
  expect(() => formatIoAddress(new Uint8Array(19))).toThrow('Not an address')
  // A DID has the address in hex.
  expect(() => parseDid(`did:io:${io}`)).toThrow('Not an address')
  expect(() => parseAddress(io)).toThrow('Not an address')
})

describe('bech32, by the test vectors of BIP-173', () => {
  test.each([
    'A12UEL5L',
    'a12uel5l',
    'an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs',
    'abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw',
    `11${'q'.repeat(82)}c8247j`,
    'split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w',
    '?1ezyfcl',
  ])('%s', (text) => {
    const { groups, prefix } = decodeBech32(text)!
    expect(prefix).toBe(text.slice(0, text.lastIndexOf('1')).toLowerCase())
    const bytes = toBytes(groups)
    if (bytes) expect(encodeBech32(prefix, bytes)).toBe(text.toLowerCase())
  })

  test.each([
    '\x201nwldj5',
    '\x7f1axkwrx',
    '\x801eym55h',
    'an84characterslonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1569pvx',
    'pzry9x0s0muk',
    '1pzry9x0s0muk',
    'x1b4n0q5v',
    'li1dgmt3',
    'de1lg7wt\xff',
    'A1G7SGD8',
    '10a06t8',
    '1qzzfhee',
  ])('error: %j', (text) => {
    expect(decodeBech32(text)).toBeUndefined()
  })

  test('error: bits left over', () => {
    expect(toBytes([0])).toBeUndefined()
    expect(toBytes([0, 1])).toBeUndefined()
    expect(toBytes([0, 0])).toEqual(new Uint8Array(1))
  })
})

const pairs = new URL('../../../../shared/vectors/iotex/io1-address.json', import.meta.url)

describe.skipIf(!existsSync(pairs))('io1 pairs', () => {
  test('default', () => {
    const list: { eth: string; io: string }[] = JSON.parse(readFileSync(pairs, 'utf8'))
    expect(list).toHaveLength(3)
    for (const { eth, io } of list) {
      expect(formatIoAddress(parseAddress(eth))).toBe(io)
      expect(parseIoAddress(io)).toEqual(parseAddress(eth))
    }
  })
})
