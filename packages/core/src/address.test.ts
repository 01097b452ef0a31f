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

test('error: not an address', () => {
  for (const text of ['', '0x', 'did:io:', did.slice(0, -1), `${did}0`, did.replace('0x', ''), 'x'])
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
