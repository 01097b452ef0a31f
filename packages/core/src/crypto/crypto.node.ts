import { createHash, createPublicKey, hash, type KeyObject, verify } from 'node:crypto'
import { keccak_256 } from '@noble/hashes/sha3.js'
import type { verifySignature as types } from '../signature.js'

/** SHA-256 of the parts one after the other (FIPS 180-4): 32 bytes. */
export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  // Without an object to collect parts in, a short hash costs half.
  if (parts.length === 1) return hash('sha256', parts[0] as Uint8Array, 'buffer')
  const all = createHash('sha256')
  for (const part of parts) all.update(part)
  return all.digest()
}

/** Keccak-256 as Ethereum uses it (the padding of 2011, not of FIPS 202): 32 bytes. */
export function keccak256(message: Uint8Array): Uint8Array {
  return keccak_256(message)
}

/**
 * Importing a key costs one to two verifications, so the last ones
 * imported are kept: 2.9 kB each, 30 MB at the most.
 */
const keys = new Map<string, KeyObject>()
const maxKeys = 10_000

const curves = { ES256: 'P-256', ES256K: 'secp256k1' } as const

function importKey(algorithm: 'ES256' | 'ES256K', publicKey: Uint8Array): KeyObject {
  const bytes = Buffer.from(publicKey.buffer, publicKey.byteOffset, 64)
  const id = (algorithm === 'ES256' ? 'p' : 'k') + bytes.toString('latin1')
  const known = keys.get(id)
  if (known !== undefined) return known
  const key = createPublicKey({
    format: 'jwk',
    key: {
      kty: 'EC',
      crv: curves[algorithm],
      x: bytes.subarray(0, 32).toString('base64url'),
      y: bytes.subarray(32).toString('base64url'),
    },
  })
  // Oldest first out: a Map keeps the order of insertion.
  if (keys.size >= maxKeys) keys.delete(keys.keys().next().value as string)
  keys.set(id, key)
  return key
}

/** Scratch for the DER form, the fast one in OpenSSL: 2 + 2 × (2 + 33) bytes. */
const der = new Uint8Array(72)

/** Writes one DER INTEGER from 32 big-endian bytes and returns the offset behind it. */
function writeInteger(signature: Uint8Array, from: number, offset: number): number {
  let start = from
  const end = from + 32
  while (start < end - 1 && signature[start] === 0) start++
  const pad = (signature[start] as number) >= 0x80 ? 1 : 0
  der[offset] = 2
  der[offset + 1] = end - start + pad
  if (pad) der[offset + 2] = 0
  for (let i = start; i < end; i++) der[offset + 2 + pad + i - start] = signature[i] as number
  return offset + 2 + pad + end - start
}

/** {@link verifySignature}, at once: for the node's ingest path. */
export function verifySignatureSync(parameters: types.Parameters): boolean {
  const { algorithm, message, publicKey, signature } = parameters
  if (publicKey.length !== 64 || signature.length !== 64) return false
  let key: KeyObject
  try {
    key = importKey(algorithm, publicKey)
  } catch {
    return false
  }
  const end = writeInteger(signature, 32, writeInteger(signature, 0, 2))
  der[0] = 0x30
  der[1] = end - 2
  return verify('sha256', message, key, der.subarray(0, end))
}

export async function verifySignature(parameters: types.Parameters): Promise<boolean> {
  return verifySignatureSync(parameters)
}
