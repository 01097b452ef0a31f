import { BaseError } from './errors.js'

/** Bytes as text: `0x` and two lower-case digits a byte. */
export type Hex = `0x${string}`

const digits = /* @__PURE__ */ Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).padStart(2, '0'),
)

/** Formats bytes as `0x` and lower-case hex digits. */
export function toHex(bytes: Uint8Array): Hex {
  let hex = '0x'
  for (const byte of bytes) hex += digits[byte]
  return hex as Hex
}

/**
 * Parses hex digits, either case, with or without `0x`.
 *
 * @throws {InvalidHexError} odd length, or a character that is no hex digit.
 */
export function fromHex(hex: string): Uint8Array {
  const body = hex.startsWith('0x') ? hex.slice(2) : hex
  if (body.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(body)) throw new InvalidHexError()
  const bytes = new Uint8Array(body.length / 2)
  for (let i = 0; i < bytes.length; i++)
    bytes[i] = Number.parseInt(body.slice(2 * i, 2 * i + 2), 16)
  return bytes
}

/** Joins byte strings into a new one. */
export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) length += part.length
  const bytes = new Uint8Array(length)
  let offset = 0
  for (const part of parts) {
    bytes.set(part, offset)
    offset += part.length
  }
  return bytes
}

/** Whether two byte strings are equal. Not constant time: never for secrets. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

/** Bytewise lexicographic order, a prefix first: negative, zero or positive. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const difference = (a[i] as number) - (b[i] as number)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

export class InvalidHexError extends BaseError {
  override readonly name = 'InvalidHexError'
  constructor() {
    super('Not hex: an even number of hex digits is needed, with or without 0x.', {
      kind: 'input',
    })
  }
}
