import { p256 } from '@noble/curves/nist.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import type { Algorithm } from '../signature.js'

/**
 * Apart from its caller, so that bundlers load it only where it is needed; and
 * with static imports, so that they leave out the curves it does not use.
 */
export function verifyWithNoble(
  algorithm: Algorithm,
  signature: Uint8Array,
  message: Uint8Array,
  point: Uint8Array,
): boolean {
  const curve = algorithm === 'ES256' ? p256 : secp256k1
  try {
    return curve.verify(signature, message, point, { lowS: false })
  } catch {
    return false
  }
}
