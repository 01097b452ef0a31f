import { PebbleError } from './errors.js'

/** A field of a protobuf message: a varint as a number, a length-delimited one as a view. */
export type ProtobufField = { readonly field: number; readonly value: number | Uint8Array }

/**
 * The fields of a protobuf message in the order they are in: varints and length-delimited ones,
 * which is all that Pebble's messages have, each in its shortest form.
 *
 * A protobuf library takes fields in any order, twice, unknown, or longer than need be. Then one
 * signature fits many packets; here it fits one.
 *
 * @throws {PebbleError} `malformed`.
 */
export function readProtobuf(bytes: Uint8Array): ProtobufField[] {
  const fields: ProtobufField[] = []
  for (let at = 0; at < bytes.length; ) {
    const tag = readVarint(bytes, at)
    const first = readVarint(bytes, tag.end)
    const field = Math.floor(tag.value / 8)
    const type = tag.value % 8
    if (type === 0) {
      fields.push({ field, value: first.value })
      at = first.end
    } else if (type === 2) {
      at = first.end + first.value
      if (at > bytes.length) fail(first.end, 'as many bytes as it says')
      fields.push({ field, value: bytes.subarray(first.end, at) })
    } else fail(at, 'a varint or a length-delimited field')
  }
  return fields
}

/** The varints of a packed repeated field. */
export function readPacked(bytes: Uint8Array): number[] {
  const values: number[] = []
  for (let at = 0; at < bytes.length; ) {
    const { end, value } = readVarint(bytes, at)
    values.push(value)
    at = end
  }
  return values
}

/** A varint below 2^53, in its shortest form. */
function readVarint(bytes: Uint8Array, start: number): { value: number; end: number } {
  let value = 0
  for (let at = start, scale = 1; at < bytes.length && at < start + 8; at++, scale *= 128) {
    const byte = bytes[at] as number
    value += (byte & 0x7f) * scale
    if (byte >= 0x80) continue
    if ((byte === 0 && at > start) || !Number.isSafeInteger(value)) break
    return { value, end: at + 1 }
  }
  return fail(start, 'a varint below 2^53 in its shortest form')
}

function fail(at: number, expected: string): never {
  throw new PebbleError('malformed', `Not a Pebble package: expected ${expected} at byte ${at}.`)
}
