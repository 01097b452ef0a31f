import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import {
  concatBytes,
  formatAddress,
  formatDid,
  parseAddress,
  parseDid,
  publicKeyToAddress,
} from './index.js'

const address = new Uint8Array(20).map((_, i) => i * 13)
const did = 'did:io:0x000d1a2734414e5b6875828f9ca9b6c3d0ddeaf7'

test('default', () => {
  expect(formatDid(address)).toBe(did)
  expect(parseDid(did)).toEqual(address)
  expect(parseDid(formatAddress(address))).toEqual(address)
  expect(parseAddress(formatAddress(address).toUpperCase().replace('0X', '0x'))).toEqual(address)
})

test('behavior: cases', () => {
  // EIP-55's own examples.
  for (const text of [
    '0x52908400098527886E0F7030069857D2E4169EE7',
    '0xde709f2102306220921060314715629080e2fb77',
    '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed',
    '0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359',
    '0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB',
    '0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb',
  ]) {
    for (const cased of [text, text.toLowerCase(), `0x${text.slice(2).toUpperCase()}`]) {
      expect(formatAddress(parseAddress(cased))).toBe(text.toLowerCase())
      expect(formatDid(parseDid(`did:io:${cased}`))).toBe(`did:io:${text.toLowerCase()}`)
    }
    const letter = text.search(/[a-fA-F]/)
    const other = text[letter]! === text[letter]!.toLowerCase() ? 'toUpperCase' : 'toLowerCase'
    const wrong = text.slice(0, letter) + text[letter]![other]() + text.slice(letter + 1)
    expect(() => parseAddress(wrong), wrong).toThrow('must be a right checksum (EIP-55)')
  }
})

test('error: not an address', () => {
  for (const text of [
    '',
    '0x',
    'did:io:',
    did.slice(0, -1),
    `${did}0`,
    did.replace('0x', ''),
    did.replace('0x', '0X'),
    did.replace('did:io', 'DID:IO'),
    did.replace('did:io', 'did:eth'),
    'x',
  ])
    expect(() => parseDid(text), text).toThrow('Not an address')
  expect(() => parseAddress(did)).toThrow('Not an address')
  expect(() => formatAddress(new Uint8Array(19))).toThrow('Not an address')
})

test('error: public key', () => {
  expect(() => publicKeyToAddress(new Uint8Array(65))).toThrow(
    '64 bytes, X then Y; this one has 65',
  )
})

const pairs = new URL('../../../../shared/vectors/iotex/did-io.json', import.meta.url)

describe.skipIf(!existsSync(pairs))('did:io pairs', () => {
  test('default', () => {
    const list: Record<string, { x: string; y: string }> = JSON.parse(readFileSync(pairs, 'utf8'))
    expect(Object.keys(list)).toHaveLength(6)
    for (const [did, { x, y }] of Object.entries(list)) {
      const decode = (text: string) => new Uint8Array(Buffer.from(text, 'base64url'))
      expect(formatDid(publicKeyToAddress(concatBytes(decode(x), decode(y))))).toBe(did)
    }
  })
})
