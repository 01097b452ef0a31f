import { existsSync, readFileSync } from 'node:fs'
import { p256 } from '@noble/curves/nist.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { describe, expect, test } from 'vitest'
import { fromHex, isPublishedTestKey } from './index.js'

const publicKey = (curve: typeof p256 | typeof secp256k1, privateKey: string) =>
  curve.getPublicKey(fromHex(privateKey), false).slice(1)

test('default', () => {
  expect(isPublishedTestKey(publicKey(secp256k1, '11'.repeat(32)))).toBe(true)
  expect(isPublishedTestKey(publicKey(p256, '11'.repeat(32)))).toBe(true)
  expect(isPublishedTestKey(publicKey(p256, `${'00'.repeat(31)}01`))).toBe(true)
  // The first of anvil's accounts; RFC 6979 §A.2.5.
  const anvil = 'ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80'
  const rfc6979 = 'C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721'
  expect(isPublishedTestKey(publicKey(secp256k1, anvil))).toBe(true)
  expect(isPublishedTestKey(publicKey(p256, rfc6979))).toBe(true)
  // A number on the other curve is another key.
  expect(isPublishedTestKey(publicKey(secp256k1, rfc6979))).toBe(false)
  expect(isPublishedTestKey(publicKey(p256, '12'.repeat(32)))).toBe(false)
})

test('error: not a key', () => {
  expect(() => isPublishedTestKey(new Uint8Array(65))).toThrow('64 bytes')
})

const vectors = new URL('../../../../shared/vectors/', import.meta.url)

describe.skipIf(!existsSync(vectors))('keys of the vectors', () => {
  const read = (file: string) => JSON.parse(readFileSync(new URL(file, vectors), 'utf8'))

  test('default', () => {
    const { pub_x, pub_y } = read('iotex/pebble-json-2020.json')
    expect(isPublishedTestKey(fromHex(pub_x + pub_y))).toBe(true)
    const { public_key_uncompressed } = read('iotex/pebble-binpackage.json')
    expect(isPublishedTestKey(fromHex(public_key_uncompressed.slice(2)))).toBe(true)
    const { x, y } = read('cose/sign-pass-01.json').input.sign0.key
    const key = Buffer.concat([Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')])
    expect(isPublishedTestKey(new Uint8Array(key))).toBe(true)
  })
})
