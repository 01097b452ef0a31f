import { keccak_256 } from '@noble/hashes/sha3.js'

export { sha256 } from '#crypto'

/** Keccak-256 as Ethereum uses it (the padding of 2011, not of FIPS 202): 32 bytes. */
export function keccak256(bytes: Uint8Array): Uint8Array {
  return keccak_256(bytes)
}
