import { createECDH, createPrivateKey, type KeyObject, sign } from 'node:crypto'
import type { Algorithm } from '@machinefi/core'
import type { EcdsaKey } from './ecdsa.js'

const curves = {
  ES256: { openssl: 'prime256v1', jwk: 'P-256' },
  ES256K: { openssl: 'secp256k1', jwk: 'secp256k1' },
} as const

export function generatePrivateKey(algorithm: Algorithm): Uint8Array {
  const ecdh = createECDH(curves[algorithm].openssl)
  ecdh.generateKeys()
  // OpenSSL drops leading zeros.
  const bytes = ecdh.getPrivateKey()
  const privateKey = new Uint8Array(32)
  privateKey.set(bytes, 32 - bytes.length)
  return privateKey
}

export function openPrivateKey(algorithm: Algorithm, privateKey: Uint8Array): EcdsaKey | undefined {
  const publicKey = derivePublicKey(algorithm, privateKey)
  if (publicKey === undefined) return undefined
  const key = { key: toKeyObject(algorithm, privateKey, publicKey), dsaEncoding } as const
  return { publicKey, sign: (message) => new Uint8Array(sign('sha256', message, key)) }
}

/** The same key as OpenSSL's object, for key files. */
export function toKeyObject(
  algorithm: Algorithm,
  privateKey: Uint8Array,
  publicKey: Uint8Array,
): KeyObject {
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url')
  return createPrivateKey({
    format: 'jwk',
    key: {
      kty: 'EC',
      crv: curves[algorithm].jwk,
      d: text(privateKey),
      x: text(publicKey.subarray(0, 32)),
      y: text(publicKey.subarray(32)),
    },
  })
}

const dsaEncoding = 'ieee-p1363'

function derivePublicKey(algorithm: Algorithm, privateKey: Uint8Array): Uint8Array | undefined {
  const ecdh = createECDH(curves[algorithm].openssl)
  try {
    ecdh.setPrivateKey(privateKey)
  } catch {
    return undefined
  }
  return new Uint8Array(ecdh.getPublicKey().subarray(1))
}
