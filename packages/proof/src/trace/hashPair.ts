import { keccak } from '../keccak/keccak.js'

/** Keccak-256(01 ‖ left ‖ right) of two 32-byte hashes, into `out` at an offset. */
export function hashPair(
  left: Uint8Array,
  leftOffset: number,
  right: Uint8Array,
  rightOffset: number,
  out: Uint8Array,
  offset: number,
): void {
  const { input } = keccak
  input[0] = 1
  for (let i = 0; i < 32; i++) {
    input[1 + i] = left[leftOffset + i] as number
    input[33 + i] = right[rightOffset + i] as number
  }
  keccak.hashInput(65, out, offset)
}
