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
  if (value < 0x100) return Uint8Array.of(top | 24, value)
  if (value < 0x10000) return Uint8Array.of(top | 25, value >> 8, value)
  const low = value % 0x100000000
  const tail = [low >>> 24, low >>> 16, low >>> 8, low]
  if (value < 0x100000000) return Uint8Array.of(top | 26, ...tail)
  const high = Math.floor(value / 0x100000000)
  return Uint8Array.of(top | 27, high >>> 24, high >>> 16, high >>> 8, high, ...tail)
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
