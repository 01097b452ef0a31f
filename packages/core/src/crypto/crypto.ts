import { sha256 as sha256Noble } from '@noble/hashes/sha2.js'
import type { verifySignature as types } from '../signature.js'

/** SHA-256 of the parts one after the other (FIPS 180-4): 32 bytes. */
export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return sha256Noble(parts[0] as Uint8Array)
  const hash = sha256Noble.create()
  for (const part of parts) hash.update(part)
  return hash.digest()
}

export async function verifySignature(parameters: types.Parameters): Promise<boolean> {
  const { algorithm, message, publicKey, signature } = parameters
  if (publicKey.length !== 64 || signature.length !== 64) return false
  const point = new Uint8Array(65)
  point[0] = 4
  point.set(publicKey, 1)
  // `subtle` is absent outside secure contexts, such as a page from a hub on the LAN.
  const subtle = globalThis.crypto?.subtle
  if (algorithm === 'ES256' && subtle !== undefined) {
    try {
      const ecdsa = { name: 'ECDSA', namedCurve: 'P-256' }
      const key = await subtle.importKey('raw', point, ecdsa, false, ['verify'])
      return await subtle.verify(
        { name: 'ECDSA', hash: 'SHA-256' },
        key,
        signature as Uint8Array<ArrayBuffer>,
        message as Uint8Array<ArrayBuffer>,
      )
    } catch {
      // A key that is no point of the curve is a `false`, as in the other builds.
      return false
    }
  }
  const { verifyWithNoble } = await import('./verifyWithNoble.js')
  return verifyWithNoble(algorithm, signature, message, point)
}
