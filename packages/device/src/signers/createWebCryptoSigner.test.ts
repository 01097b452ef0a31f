import { type Algorithm, verifySignature } from '@machinefi/core'
import { describe, expect, test } from 'vitest'
import { testSigner } from '../../test/testSigner.js'
import { createSoftwareSigner } from '../index.js'
import { createWebCryptoSigner } from '../webcrypto.js'
import { isUnusedKey } from './knownKeys.js'

const p256 = { name: 'ECDSA', namedCurve: 'P-256' }
const generate = (algorithm = p256) =>
  crypto.subtle.generateKey(algorithm, false, ['sign', 'verify']) as Promise<CryptoKeyPair>
const network = new Uint8Array(32)

testSigner('webcrypto', () => createWebCryptoSigner())
for (const algorithm of ['ES256', 'ES256K'] as Algorithm[])
  testSigner(`software, ${algorithm}`, async () => createSoftwareSigner({ algorithm }))

describe('createWebCryptoSigner', () => {
  test('default: a new key, that nobody has used', async () => {
    const signer = await createWebCryptoSigner()
    expect(isUnusedKey(signer.publicKey, network)).toBe(true)
    expect((await createWebCryptoSigner()).publicKey).not.toEqual(signer.publicKey)
  })

  test('options: keys', async () => {
    const keys = await generate()
    const [signer, again] = [
      await createWebCryptoSigner({ keys }),
      await createWebCryptoSigner({ keys }),
    ]
    expect(again.publicKey).toEqual(signer.publicKey)
    expect(isUnusedKey(signer.publicKey, network)).toBe(false)
    const message = new Uint8Array(3)
    const signature = await again.sign(message)
    expect(await verifySignature({ ...signer, message, signature })).toBe(true)
  })

  test('error: not a P-256 pair that signs', async () => {
    const [one, other] = [await generate(), await generate()]
    const ecdh = await crypto.subtle.generateKey({ ...p256, name: 'ECDH' }, false, ['deriveBits'])
    const pairs = [
      { privateKey: one.privateKey, publicKey: other.publicKey },
      { privateKey: one.publicKey, publicKey: one.publicKey },
      await generate({ ...p256, namedCurve: 'P-384' }),
      ecdh as CryptoKeyPair,
      {} as CryptoKeyPair,
    ]
    for (const keys of pairs)
      await expect(createWebCryptoSigner({ keys })).rejects.toMatchObject({
        kind: 'input',
        name: 'WebCryptoKeyError',
        reason: 'not-a-key',
      })
  })
})
