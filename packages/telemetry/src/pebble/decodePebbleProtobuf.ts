import { concatBytes } from '@machinefi/core'
import type { PebblePacket } from './decodePebble.js'
import { PebbleError } from './errors.js'
import { readProtobuf } from './readProtobuf.js'

/**
 * Decodes a `BinPackage`: type, data, timestamp and signature, in this order and no others, as
 * nanopb writes them. What is signed has the data as it came: nanopb packs arrays that the schema
 * says are not packed, so encoding it again would change it.
 *
 * @throws {PebbleError} `malformed` or `signature-length`.
 */
export function decodePebbleProtobuf(
  bytes: Uint8Array,
): Pick<PebblePacket, 'message' | 'namedKey' | 'signature'> {
  const fields = readProtobuf(bytes)
  const [type, data, timestamp, signature] = fields.map(({ value }) => value)
  if (
    fields.map(({ field }) => field).join() !== '1,2,3,4' ||
    typeof type !== 'number' ||
    typeof data !== 'object' ||
    typeof timestamp !== 'number' ||
    typeof signature !== 'object'
  )
    fail('expected type, data, timestamp and signature')
  if (type > 2) fail(`there is no type ${type}`)
  if (timestamp > 0xffff_ffff) fail('the timestamp does not fit 32 bits')
  if (signature.length !== 64)
    throw new PebbleError('signature-length', 'r and s do not have 32 bytes each.')
  return { message: concatBytes(be32(type), data, be32(timestamp)), namedKey: null, signature }
}

function be32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value)
  return bytes
}

function fail(reason: string): never {
  throw new PebbleError('malformed', `Not a Pebble package: ${reason}.`)
}
