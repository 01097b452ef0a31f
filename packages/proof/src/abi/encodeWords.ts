/**
 * Encodes static values as Solidity's `abi.encode` does: 32 bytes a word,
 * integers big-endian in two's complement, bytes of less than 32 (an address)
 * at the right.
 */
export function encodeWords(...values: readonly (bigint | number | Uint8Array)[]): Uint8Array {
  const words = new Uint8Array(32 * values.length)
  for (const [i, value] of values.entries()) {
    const end = 32 * (i + 1)
    if (typeof value === 'object') words.set(value, end - value.length)
    else writeInteger(words, end, BigInt(value))
  }
  return words
}

/** Writes the low 256 bits of an integer so that they end at an offset. */
function writeInteger(words: Uint8Array, end: number, value: bigint) {
  let rest = BigInt.asUintN(256, value)
  for (let i = end - 1; rest > 0n; i--) {
    words[i] = Number(rest & 0xffn)
    rest >>= 8n
  }
}
