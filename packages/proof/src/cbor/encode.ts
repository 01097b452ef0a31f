import { BaseError, concatBytes } from '@machinefi/core'

// Core deterministic CBOR (RFC 8949 §4.2.1), the few types that proofs need:
// shortest integers below 2^53, definite lengths. Map keys come in the order
// in which they are given: the layouts of this package fix it.

const text = /* @__PURE__ */ new TextEncoder()

/** The initial byte of a major type and its argument, shortest form. */
export function encodeHead(major: number, value: number): Uint8Array {
  if (!Number.isSafeInteger(value) || value < 0) throw new IntegerRangeError(value)
  const top = major << 5
  if (value < 24) return Uint8Array.of(top | value)
  let info = 24
  while (info < 27 && value >= 2 ** (8 << (info - 24))) info++
  const bytes = new Uint8Array(1 + (1 << (info - 24)))
  bytes[0] = top | info
  for (let i = bytes.length - 1, rest = value; i > 0; i--, rest = Math.floor(rest / 256))
    bytes[i] = rest
  return bytes
}

export const encodeInt = (value: number): Uint8Array =>
  value < 0 ? encodeHead(1, -1 - value) : encodeHead(0, value)

export const encodeBytes = (bytes: Uint8Array): Uint8Array =>
  concatBytes(encodeHead(2, bytes.length), bytes)

export function encodeText(value: string): Uint8Array {
  const bytes = text.encode(value)
  return concatBytes(encodeHead(3, bytes.length), bytes)
}

export const encodeArray = (items: readonly Uint8Array[]): Uint8Array =>
  concatBytes(encodeHead(4, items.length), ...items)

export const encodeMap = (entries: readonly (readonly [Uint8Array, Uint8Array])[]): Uint8Array =>
  concatBytes(encodeHead(5, entries.length), ...entries.flat())

export const encodedNull: Uint8Array = /* @__PURE__ */ Uint8Array.of(0xf6)

/** A number does not fit where it is to be encoded. */
export class IntegerRangeError extends BaseError {
  override readonly name = 'IntegerRangeError'
  constructor(value: number | bigint) {
    super(`${value} is not an integer in range.`, { kind: 'input' })
  }
}
