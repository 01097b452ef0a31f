import type { Algorithm } from '@machinefi/core'
import { p256 } from '@noble/curves/nist.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'

/** A private key ready to sign: what the two builds have in common. */
export type EcdsaKey = {
  /** X‖Y, 64 bytes. */
  readonly publicKey: Uint8Array
  /** SHA-256 once, then ECDSA: r‖s, 64 bytes, s in either form. */
  sign(message: Uint8Array): Uint8Array
}

/** 32 random bytes that are a private key. */
export function generatePrivateKey(algorithm: Algorithm): Uint8Array {
  return curveOf(algorithm).utils.randomSecretKey()
}

/** `undefined` unless the 32 bytes are a private key: in 1 … n − 1. */
export function openPrivateKey(algorithm: Algorithm, privateKey: Uint8Array): EcdsaKey | undefined {
  const curve = curveOf(algorithm)
  if (!curve.utils.isValidSecretKey(privateKey)) return undefined
  return {
    publicKey: curve.getPublicKey(privateKey, false).slice(1),
    sign: (message) => curve.sign(message, privateKey),
  }
}

function curveOf(algorithm: Algorithm) {
  return algorithm === 'ES256' ? p256 : secp256k1
}
