/** The unsigned integer in bytes, big-endian. */
export function readUint(bytes: Uint8Array): bigint {
  let value = 0n
  for (const byte of bytes) value = (value << 8n) | BigInt(byte)
  return value
}

/** The integer in a word, two's complement. */
export function readInt(word: Uint8Array): bigint {
  return BigInt.asIntN(8 * word.length, readUint(word))
}
