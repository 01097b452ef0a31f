import { verifySignature as verify } from '#crypto'
import { fromHex, toHex } from './bytes.js'
import { BaseError } from './errors.js'

/** COSE names: ECDSA with SHA-256 over P-256 (RFC 9053) and over secp256k1 (RFC 8812). */
export type Algorithm = 'ES256' | 'ES256K'

/**
 * Anything that can sign: software, WebCrypto, a secure element. `sign` hashes
 * the message once with SHA-256 and returns r‖s, 64 bytes, s in either form.
 */
export type Signer = {
  readonly algorithm: Algorithm
  /** X‖Y, 64 bytes. */
  readonly publicKey: Uint8Array
  sign(message: Uint8Array): Promise<Uint8Array>
}

/** Orders n of the two groups (SEC 2). */
const order = {
  ES256: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  ES256K: 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n,
} as const

/**
 * The same signature with s ≤ n/2. Chips do not normalise, OpenZeppelin's
 * verifier and ecrecover users refuse the other form.
 *
 * @param signature r‖s, 64 bytes.
 * @throws {InvalidSignatureError} not 64 bytes, or s ≥ n.
 */
export function normalizeSignature(signature: Uint8Array, algorithm: Algorithm): Uint8Array {
  if (signature.length !== 64) throw new InvalidSignatureError('it does not have 64 bytes')
  // A clear top bit means s < n/2 for both groups; most signatures end here.
  if ((signature[32] as number) < 0x7f) return signature
  const n = order[algorithm]
  const s = BigInt(toHex(signature.subarray(32)))
  if (s >= n) throw new InvalidSignatureError('s is not below the group order')
  if (s <= n >> 1n) return signature
  const normalized = Uint8Array.from(signature)
  normalized.set(fromHex((n - s).toString(16).padStart(64, '0')), 32)
  return normalized
}

/**
 * Verifies an ECDSA signature over SHA-256 of the message. Both forms of s are
 * accepted (published COSE vectors and real chips are high-s), so nothing may
 * ever be keyed on a signature. Malformed keys and signatures are `false`.
 *
 * In Node this is OpenSSL; elsewhere WebCrypto for ES256 where the page is a
 * secure context, and @noble/curves, loaded on first use, for the rest.
 */
export function verifySignature(parameters: verifySignature.Parameters): Promise<boolean> {
  return verify(parameters)
}

export declare namespace verifySignature {
  type Parameters = {
    algorithm: Algorithm
    message: Uint8Array
    /** X‖Y, 64 bytes. */
    publicKey: Uint8Array
    /** r‖s, 64 bytes. */
    signature: Uint8Array
  }
}

export class InvalidSignatureError extends BaseError {
  override readonly name = 'InvalidSignatureError'
  constructor(reason: string) {
    super(`Not a signature: ${reason}.`, { kind: 'integrity' })
  }
}
