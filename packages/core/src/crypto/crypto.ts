import type { verifySignature as types } from '../signature.js'

export { keccak256 } from './keccak256.js'
export { sha256 } from './sha256.js'

export async function verifySignature(parameters: types.Parameters): Promise<boolean> {
  const { algorithm, message, publicKey, signature } = parameters
  if (publicKey.length !== 64 || signature.length !== 64) return false
  const point = Uint8Array.of(4, ...publicKey)
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
