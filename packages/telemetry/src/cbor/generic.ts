import { BaseError } from '@machinefi/core'
import { Decoder, Encoder, Tag } from 'cbor-x'
import { view } from './reader.js'

/**
 * CBOR of any shape, for COSE headers and SenML: cbor-x behind a check that the bytes are one
 * well-formed item, without duplicate keys and without the tags that cbor-x gives meanings of its
 * own (records, references, packed values). The batch path never comes here.
 *
 * Maps become `Map`, byte strings `Uint8Array`, integers `number` where they are safe and `bigint`
 * where not, tagged dates, bignums and decimal fractions what they mean.
 *
 * @throws {MalformedCborError}
 */
export function decodeCbor(bytes: Uint8Array): unknown {
  try {
    const end = skipItem(bytes, 0, 0)
    if (end !== bytes.length) throw new MalformedCborError('bytes after the end', end)
    // A view of its own: cbor-x leaves a property on the array it reads.
    return fromCborX(decoder.decode(view(bytes, 0, end)))
  } catch (cause) {
    if (cause instanceof MalformedCborError) throw cause
    throw new MalformedCborError('not supported', 0, cause)
  }
}

/**
 * Encodes numbers, bigints below 2^64, strings, booleans, null, byte strings, arrays and Maps, in
 * the order given and with definite lengths; integers in their shortest form, all other numbers
 * as 64-bit floats.
 */
export function encodeCbor(value: unknown): Uint8Array {
  return new Uint8Array(encoder.encode(toCborX(value)))
}

/** The bytes are not CBOR, or of a kind that neither COSE nor SenML needs. */
export class MalformedCborError extends BaseError {
  override readonly name = 'MalformedCborError'
  readonly offset: number
  constructor(problem: string, offset: number, cause?: unknown) {
    super(`Malformed CBOR: ${problem} at byte ${offset}.`, { kind: 'integrity', cause })
    this.offset = offset
  }
}

const maxDepth = 16
/** A head, and 2^1024: cbor-x takes time that grows with the square of a bignum's length. */
const maxBignumBytes = 2 + 128
/** Dates, bignums, decimal fractions, bigfloats, expected encodings, CBOR in CBOR, URIs, texts. */
const allowedTags = new Set([0, 1, 2, 3, 4, 5, 21, 22, 23, 24, 32, 33, 34, 55799])

const options = { mapsAsObjects: false, useRecords: false, tagUint8Array: false }
const decoder = /* @__PURE__ */ new Decoder(options)
const encoder = /* @__PURE__ */ new Encoder(options)

/**
 * Checks that one well-formed item (RFC 8949 §5.3.1) starts at an offset and returns where it
 * ends. The limits keep hostile bytes from costing more than they weigh.
 */
function skipItem(bytes: Uint8Array, at: number, depth: number): number {
  if (depth > maxDepth) throw new MalformedCborError(`nested deeper than ${maxDepth}`, at)
  if (at >= bytes.length) throw new MalformedCborError('cut off', at)
  const head = bytes[at]!
  const major = head >> 5
  const info = head & 31
  let next = at + 1
  let argument = info
  if (info >= 24 && info <= 27) {
    const length = 1 << (info - 24)
    if (next + length > bytes.length) throw new MalformedCborError('cut off', bytes.length)
    argument = 0
    for (let i = 0; i < length; i++) argument = argument * 256 + bytes[next + i]!
    next += length
  } else if (info === 31 && major >= 2 && major <= 5) argument = Number.POSITIVE_INFINITY
  else if (info > 27) throw new MalformedCborError('a reserved head', at)

  if (major <= 1 || major === 7) return next
  if (major <= 3) {
    // cbor-x knows no strings in chunks, and no COSE or SenML sender writes them.
    if (argument > bytes.length - next)
      throw new MalformedCborError('a string that is cut off or in chunks', at)
    return next + argument
  }
  if (major === 6) {
    if (!allowedTags.has(argument)) throw new MalformedCborError(`tag ${argument}`, at)
    const end = skipItem(bytes, next, depth + 1)
    if ((argument === 2 || argument === 3) && end - next > maxBignumBytes)
      throw new MalformedCborError('a bignum that no double can hold', at)
    return end
  }
  const keys = new Set<string>()
  for (let i = 0; i < argument; i++) {
    if (argument === Number.POSITIVE_INFINITY && bytes[next] === 0xff) return next + 1
    if (major === 5) {
      const end = skipItem(bytes, next, depth + 1)
      if (bytes[next]! >> 5 > 3) throw new MalformedCborError('a key of this type', next)
      const key = fromCborX(decoder.decode(view(bytes, next, end)))
      const unique = `${typeof key} ${key}`
      if (keys.has(unique)) throw new MalformedCborError('a key twice', next)
      keys.add(unique)
      next = end
    }
    next = skipItem(bytes, next, depth + 1)
  }
  return next
}

/** cbor-x returns Buffers in Node and a bigint for every 64-bit integer. */
function fromCborX(value: unknown): unknown {
  if (typeof value === 'bigint') {
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : value
  }
  if (value instanceof Uint8Array) return new Uint8Array(value)
  if (value instanceof Tag) return new Tag(fromCborX(value.value), value.tag)
  if (Array.isArray(value)) return value.map(fromCborX)
  if (value instanceof Map)
    return new Map(Array.from(value, ([key, item]) => [fromCborX(key), fromCborX(item)]))
  return value
}

/** cbor-x writes numbers from 2^32 and below −2^31 as floats, and every bigint in nine bytes. */
function toCborX(value: unknown): unknown {
  if (typeof value === 'number' && Number.isSafeInteger(value))
    return value >= 2 ** 32 || value < -(2 ** 31) ? BigInt(value) : value
  if (typeof value === 'bigint' && BigInt.asIntN(54, value) === value) return toCborX(Number(value))
  if (Array.isArray(value)) return value.map(toCborX)
  if (value instanceof Map)
    return new Map(Array.from(value, ([key, item]) => [toCborX(key), toCborX(item)]))
  return value
}
