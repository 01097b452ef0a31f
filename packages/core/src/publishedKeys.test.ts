import { existsSync, readFileSync } from 'node:fs'
import { p256 } from '@noble/curves/nist.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { describe, expect, test } from 'vitest'
import { fromHex, isDevelopmentChain, isPublishedTestKey } from './index.js'

const curves = { ES256: p256, ES256K: secp256k1 }
const publicKey = (algorithm: keyof typeof curves, hex: string) =>
  curves[algorithm].getPublicKey(fromHex(hex.padStart(64, '0')), false).slice(1)

// Private keys as they are printed. Here they are harmless: everyone has them.
test.each([
  ['ES256', '1'],
  ['ES256', '2'],
  ['ES256', '3'],
  ['ES256', '11'.repeat(32)],
  ['ES256K', '1'],
  ['ES256K', '2'],
  ['ES256K', '3'],
  ['ES256K', '11'.repeat(32)],
  // RFC 6979 A.2.5
  ['ES256', 'c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721'],
  // RFC 7515 A.3
  ['ES256', '8e9b109e719098bf980487df1f5d77e9cb29606ebed2263b5f57c213df84f4b2'],
  // RFC 7517 A.2
  ['ES256', 'f3bd0c07a81fb932781ed52752f60cc89a6be5e51934fe01938ddb55d8f77801'],
  // RFC 8392 A.2.3
  ['ES256', '6c1382765aec5358f117733d281c1c7bdc39884d04a45a1e6c67c858bc206c19'],
  // RFC 9500 2.3
  ['ES256', 'e6cb5bdd80aa45ae9c95e8c15476679ffec953c16851e711e743939589c64fc1'],
  // COSE examples: meriadoc.brandybuck, peregrin.took
  ['ES256', 'aff907c99f9ad3aae6c4cdf21122bce2bd68b5283e6907154ad911840fa208cf'],
  ['ES256', '02d1f7e6f26c43d4868d87ceb2353161740aacf1f7163647984b522a848df1c3'],
  // The first two development accounts
  ['ES256K', 'ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80'],
  ['ES256K', '59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d'],
] as const)('behavior: %s %s is published', (algorithm, hex) => {
  expect(isPublishedTestKey(publicKey(algorithm, hex))).toBe(true)
})

test('behavior: other keys are not', () => {
  for (const algorithm of ['ES256', 'ES256K'] as const)
    for (let i = 0; i < 20; i++) {
      const key = curves[algorithm].getPublicKey(curves[algorithm].utils.randomSecretKey(), false)
      expect(isPublishedTestKey(key.slice(1))).toBe(false)
    }
})

test('default: development chains', () => {
  expect([31_337, 31_337n, 1337].map(isDevelopmentChain)).toEqual([true, true, true])
  expect([1, 4689, 4690n, 0, undefined].some(isDevelopmentChain)).toBe(false)
})

const vectors = new URL('../../../../shared/vectors/', import.meta.url)

describe.skipIf(!existsSync(vectors))('published vectors', () => {
  const read = (path: string) => JSON.parse(readFileSync(new URL(path, vectors), 'utf8'))

  test('behavior: the keys of COSE’s and IoTeX’s vectors are known', () => {
    const { x, y } = read('cose/ecdsa-sig-01.json').input.sign0.key
    const text = (part: string) => new Uint8Array(Buffer.from(part, 'base64url'))
    expect(isPublishedTestKey(Buffer.concat([text(x), text(y)]))).toBe(true)
    const { public_key_uncompressed } = read('iotex/pebble-binpackage.json')
    expect(isPublishedTestKey(fromHex(public_key_uncompressed.slice(2)))).toBe(true)
    const { pub_x, pub_y } = read('iotex/pebble-json-2020.json')
    expect(isPublishedTestKey(fromHex(pub_x + pub_y))).toBe(true)
  })
})
