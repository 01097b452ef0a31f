import { createECDH, createPrivateKey, sign } from 'node:crypto'
import type { Algorithm, Signer } from '@machinefi/core'

/** A software signer over node:crypto, for tests: the key follows from a number. */
export function createTestSigner(number: number, algorithm: Algorithm = 'ES256'): Signer {
  const ecdh = createECDH(algorithm === 'ES256' ? 'prime256v1' : 'secp256k1')
  const d = Buffer.alloc(32)
  d.writeUInt32BE(number + 1, 28)
  ecdh.setPrivateKey(d)
  const point = ecdh.getPublicKey()
  const url = (bytes: Buffer) => bytes.toString('base64url')
  const key = createPrivateKey({
    format: 'jwk',
    key: {
      kty: 'EC',
      crv: algorithm === 'ES256' ? 'P-256' : 'secp256k1',
      d: url(d),
      x: url(point.subarray(1, 33)),
      y: url(point.subarray(33)),
    },
  })
  return {
    algorithm,
    publicKey: Uint8Array.from(point.subarray(1)),
    sign: async (message) =>
      Uint8Array.from(sign('sha256', message, { key, dsaEncoding: 'ieee-p1363' })),
  }
}
