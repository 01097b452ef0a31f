import { BaseError } from '@machinefi/core'

const text = /* @__PURE__ */ new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Reads core deterministic CBOR of a known shape, front to back. What is not
 * in shortest form, of indefinite length, cut short or of another type than
 * asked for is refused, so whatever was read re-encodes to the same bytes.
 * Byte strings are views.
 */
export function createReader(bytes: Uint8Array): Reader {
  let offset = 0

  function fail(what: string): never {
    throw new MalformedCborError(what, offset)
  }

  /** The argument of a head of this major type, which must be `wanted` where that is given. */
  function head(major: number, wanted?: number): number {
    const value = argument(major)
    if (wanted !== undefined && value !== wanted) fail(`not ${majors[major]} of ${wanted}`)
    return value
  }

  function argument(major: number): number {
    const initial = bytes[offset]
    if (initial === undefined) fail('cut short')
    if (initial >> 5 !== major) fail(`not ${majors[major]}`)
    const info = initial & 31
    if (info < 24) {
      offset++
      return info
    }
    if (info > 27) fail('not of definite length')
    const length = 2 ** (info - 24)
    if (offset + 1 + length > bytes.length) fail('cut short')
    let value = 0
    for (let i = 1; i <= length; i++) value = value * 256 + (bytes[offset + i] as number)
    if (value > Number.MAX_SAFE_INTEGER) fail('an integer of 2^53 or more')
    if (value < (length === 1 ? 24 : 2 ** (4 * length))) fail('not in shortest form')
    offset += 1 + length
    return value
  }

  function take(length: number): Uint8Array {
    if (length > bytes.length - offset) fail('cut short')
    offset += length
    return bytes.subarray(offset - length, offset)
  }

  return {
    get offset() {
      return offset
    },
    uint: () => head(0),
    int() {
      if (bytes[offset]! >> 5 !== 1) return head(0)
      const value = head(1)
      if (value === Number.MAX_SAFE_INTEGER) fail('an integer of -2^53 or less')
      return -1 - value
    },
    bytes: (length) => take(head(2, length)),
    text() {
      const encoded = take(head(3))
      try {
        return text.decode(encoded)
      } catch {
        return fail('not UTF-8')
      }
    },
    array(length) {
      const found = head(4, length)
      // Every item takes a byte: a length that cannot be is refused before anyone allocates for it.
      if (found > bytes.length - offset) fail('cut short')
      return found
    },
    map(length) {
      head(5, length)
    },
    tag(number) {
      head(6, number)
    },
    labels(...values) {
      for (const value of values) if (this.int() !== value) fail(`not label ${value}`)
    },
    null() {
      if (bytes[offset] !== 0xf6) fail('not null')
      offset++
    },
    isNull: () => bytes[offset] === 0xf6,
    end() {
      if (offset !== bytes.length) fail('more bytes than expected')
    },
  }
}

export type Reader = {
  readonly offset: number
  uint(): number
  int(): number
  bytes(length?: number): Uint8Array
  text(): string
  array(length?: number): number
  map(length: number): void
  tag(number: number): void
  /** Reads integers that must be these. */
  labels(...values: readonly number[]): void
  null(): void
  /** Whether null comes next. */
  isNull(): boolean
  /** Refuses bytes left over. */
  end(): void
}

/** Major types by number, with what their argument counts. */
const majors = [
  'an unsigned integer',
  'a negative integer',
  'a byte string',
  'a text string',
  'an array',
  'a map',
  'a tag',
]

export class MalformedCborError extends BaseError {
  override readonly name = 'MalformedCborError'
  readonly offset: number
  readonly what: string
  constructor(what: string, offset: number) {
    super(`Byte ${offset}: ${what}.`, { kind: 'integrity' })
    this.offset = offset
    this.what = what
  }
}
