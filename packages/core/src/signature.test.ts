import { existsSync, readFileSync } from 'node:fs'
import { p256 } from '@noble/curves/nist.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import fc from 'fast-check'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { type Algorithm, fromHex, normalizeSignature, verifySignature } from './index.js'

const curves = { ES256: p256, ES256K: secp256k1 } as const
const message = new TextEncoder().encode('72 steps')

function sign(algorithm: Algorithm, lowS: boolean, seed = 7) {
  const privateKey = new Uint8Array(32).fill(seed)
  const curve = curves[algorithm]
  return {
    algorithm,
    message,
    publicKey: curve.getPublicKey(privateKey, false).slice(1),
    signature: curve.sign(message, privateKey, { lowS }),
  }
}

/** The other of the two valid signatures: n − s. */
function flip(algorithm: Algorithm, signature: Uint8Array) {
  const { Signature, Point } = curves[algorithm] as typeof p256
  const { r, s } = Signature.fromBytes(signature)
  return new Signature(r, Point.Fn.ORDER - s).toBytes('compact')
}

afterEach(() => vi.unstubAllGlobals())

describe.each(['ES256', 'ES256K'] as const)('verifySignature %s', (algorithm) => {
  test('default', async () => {
    expect(await verifySignature(sign(algorithm, true))).toBe(true)
  })

  test('behavior: without a secure context', async () => {
    const signed = sign(algorithm, true)
    vi.stubGlobal('crypto', { getRandomValues: crypto.getRandomValues.bind(crypto) })
    expect(await verifySignature(signed)).toBe(true)
    expect(await verifySignature({ ...signed, message: new Uint8Array() })).toBe(false)
    expect(await verifySignature({ ...signed, publicKey: new Uint8Array(64) })).toBe(false)
  })

  test('behavior: both forms of s', async () => {
    const signed = sign(algorithm, true)
    const signature = flip(algorithm, signed.signature)
    expect(signature).not.toEqual(signed.signature)
    expect(await verifySignature({ ...signed, signature })).toBe(true)
  })

  test('behavior: any flipped bit is false', async () => {
    const signed = sign(algorithm, true)
    for (const field of ['message', 'publicKey', 'signature'] as const)
      for (let i = 0; i < signed[field].length; i++) {
        const bytes = signed[field].slice()
        bytes[i] = (bytes[i] as number) ^ (1 << (i % 8))
        expect(await verifySignature({ ...signed, [field]: bytes }), `${field} ${i}`).toBe(false)
      }
  })

  test('behavior: malformed input is false', async () => {
    const signed = sign(algorithm, true)
    const bad = [0, 1, 63, 65].map((length) => new Uint8Array(length))
    for (const bytes of [...bad, new Uint8Array(64), new Uint8Array(64).fill(255)]) {
      expect(await verifySignature({ ...signed, signature: bytes })).toBe(false)
      expect(await verifySignature({ ...signed, publicKey: bytes })).toBe(false)
    }
  })

  test('behavior: normalised', async () => {
    for (let seed = 1; seed <= 40; seed++) {
      const signed = sign(algorithm, true, seed)
      const high = flip(algorithm, signed.signature)
      expect(normalizeSignature(high, algorithm)).toEqual(signed.signature)
      expect(normalizeSignature(signed.signature, algorithm)).toEqual(signed.signature)
    }
  })

  test('error: not a signature', () => {
    expect(() => normalizeSignature(new Uint8Array(63), algorithm)).toThrow('64 bytes')
    expect(() => normalizeSignature(new Uint8Array(64).fill(255), algorithm)).toThrow('order')
  })

  test('behavior: garbage never throws', async () => {
    const bytes = fc.uint8Array({ maxLength: 80 })
    await fc.assert(
      fc.asyncProperty(bytes, bytes, bytes, async (message, publicKey, signature) => {
        expect(await verifySignature({ algorithm, message, publicKey, signature })).toBe(false)
      }),
      { seed: 1, numRuns: 100 },
    )
  })
})

const wycheproof = new URL(
  '../../../../shared/vectors/wycheproof/ecdsa_secp256r1_sha256_p1363_test.json',
  import.meta.url,
)

describe.skipIf(!existsSync(wycheproof))('Wycheproof P-256, P1363', () => {
  test('default', async () => {
    const { testGroups } = JSON.parse(readFileSync(wycheproof, 'utf8'))
    let checked = 0
    for (const group of testGroups) {
      const publicKey = fromHex(group.publicKey.uncompressed).slice(1)
      for (const { comment, msg, result, sig, tcId } of group.tests) {
        const parameters = { algorithm: 'ES256', publicKey } as const
        expect(
          await verifySignature({ ...parameters, message: fromHex(msg), signature: fromHex(sig) }),
          `${tcId} ${comment}`,
        ).toBe(result !== 'invalid')
        checked++
      }
    }
    expect(checked).toBeGreaterThan(200)
  })
})
