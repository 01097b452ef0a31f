import { fromHex, type Signer } from '@machinefi/core'
import { expect, test } from 'vitest'
import { signRegistration } from './index.js'

/** The public key whose private key is 1. */
const published = fromHex(
  '0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5',
)
let signatures = 0
const signer: Signer = {
  algorithm: 'ES256',
  publicKey: published,
  sign: async () => {
    signatures++
    return new Uint8Array(64).fill(1)
  },
}
const owner = '0x1111111111111111111111111111111111111111'
const terms = { deadline: 1, owner, registry: owner, signer } as const

test('error: a published test key, but on a development chain', async () => {
  for (const chainId of [1, 4689, 4690])
    await expect(signRegistration({ ...terms, chainId })).rejects.toMatchObject({
      kind: 'input',
      name: 'PublishedKeyError',
    })
  expect(signatures).toBe(0)
  for (const chainId of [1337, 31_337])
    expect((await signRegistration({ ...terms, chainId })).algorithm).toBe('ES256')
})
