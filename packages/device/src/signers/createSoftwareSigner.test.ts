import { type Algorithm, toHex, verifySignature } from '@machinefi/core'
import { describe, expect, test } from 'vitest'
import { createSoftwareSigner } from '../index.js'

const message = new TextEncoder().encode('12 steps')

/** Key pairs of SEC 2's base points: private key 1 has the generator as its public key. */
const generator = {
  ES256:
    '0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5',
  ES256K:
    '0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8',
}

const order = {
  ES256: 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551',
  ES256K: 'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141',
}

describe.each(['ES256', 'ES256K'] as Algorithm[])('%s', (algorithm) => {
  test('default: a new key', async () => {
    const signer = createSoftwareSigner({ algorithm })
    const { publicKey } = signer
    expect(signer.privateKey).toHaveLength(32)
    for (let i = 0; i < 20; i++) {
      const signature = await signer.sign(message)
      expect(signature).toHaveLength(64)
      expect(await verifySignature({ algorithm, message, publicKey, signature })).toBe(true)
      const other = message.slice(1)
      expect(await verifySignature({ algorithm, message: other, publicKey, signature })).toBe(false)
    }
    expect(createSoftwareSigner({ algorithm }).publicKey).not.toEqual(publicKey)
  })

  test('options: privateKey', () => {
    const privateKey = new Uint8Array(32)
    privateKey[31] = 1
    const signer = createSoftwareSigner({ algorithm, privateKey })
    expect(toHex(signer.publicKey)).toBe(generator[algorithm])
    privateKey.fill(9)
    expect(signer.privateKey[31]).toBe(1)
  })

  test('error: not a private key', () => {
    const n = Uint8Array.from({ length: 32 }, (_, i) =>
      Number.parseInt(order[algorithm].slice(2 * i, 2 * i + 2), 16),
    )
    const bad = [new Uint8Array(32), new Uint8Array(31).fill(1), new Uint8Array(33).fill(1), n]
    for (const privateKey of bad)
      expect(() => createSoftwareSigner({ algorithm, privateKey })).toThrow(
        expect.objectContaining({ kind: 'input', name: 'InvalidPrivateKeyError' }),
      )
    n[31]! -= 1
    expect(createSoftwareSigner({ algorithm, privateKey: n }).publicKey).toHaveLength(64)
  })
})

test('default: P-256', () => {
  expect(createSoftwareSigner().algorithm).toBe('ES256')
})

test('behavior: the private key is not printed', () => {
  const signer = createSoftwareSigner()
  expect(Object.keys(signer)).not.toContain('privateKey')
  expect({ ...signer }).not.toHaveProperty('privateKey')
  expect(JSON.stringify(signer)).not.toContain('privateKey')
})

test('error: unknown algorithm', () => {
  expect(() => createSoftwareSigner({ algorithm: 'EdDSA' as Algorithm })).toThrow(
    expect.objectContaining({ name: 'UnknownAlgorithmError' }),
  )
})
