import { type Reader, readArgument, readExactly, readUint, view } from '../cbor/reader.js'
import {
  createWriter,
  isUint,
  writeBytes,
  writeBytesOrNull,
  writeHead,
  writeIntOrNull,
  writtenBytes,
} from '../cbor/writer.js'
import {
  failHeader,
  InvalidBatchError,
  MalformedHeaderError,
  UnsupportedVersionError,
} from './errors.js'

/** What a device signs about its records. Times are ms since the Unix epoch, all numbers < 2^53. */
export type Header = {
  /** Schema id. */
  readonly schema: number
  /** Number of this batch among all of the device in the network, from 0. */
  readonly seq: number
  readonly start: number
  /** From `start` to the last row. */
  readonly span: number
  /** Rows, at least 1. */
  readonly count: number
  /** SHA-256 of the records. */
  readonly recordsHash: Uint8Array
  /** Poseidon2 over the rows and a salt, for zero-knowledge claims. */
  readonly commitment: Uint8Array | null
}

/** The longest a header can be. */
export const maxHeaderBytes = 115

/**
 * Encodes a header as `[1, schema, seq, start, span, count, recordsHash, commitment]`.
 *
 * @throws {InvalidBatchError} if a number or a hash is out of bounds.
 */
export function encodeHeader(header: Header): Uint8Array {
  const { schema, seq, start, span, count, recordsHash, commitment } = header
  for (const [name, value] of Object.entries({ schema, seq, start, span, count }))
    if (!isUint(value))
      throw new InvalidBatchError(`Header: ${name} ${value} is not an integer in 0 … 2^53 − 1.`)
  if (count === 0) throw new InvalidBatchError('Header: a batch has at least one row.')
  if (start + span > Number.MAX_SAFE_INTEGER)
    throw new InvalidBatchError('Header: start + span is not below 2^53.')
  if (recordsHash.length !== 32 || (commitment !== null && commitment.length !== 32))
    throw new InvalidBatchError('Header: recordsHash and commitment have 32 bytes.')
  const writer = createWriter(maxHeaderBytes)
  writeHead(writer, 4, 8)
  for (const value of [1, schema, seq, start, span, count]) writeIntOrNull(writer, value)
  writeBytes(writer, recordsHash)
  writeBytesOrNull(writer, commitment)
  return writtenBytes(writer)
}

/**
 * Decodes a header, strictly: canonical, or refused.
 *
 * @throws {BatchError} with reason `version`, `header` or `not-canonical`.
 */
export function decodeHeader(bytes: Uint8Array): Header {
  return readHeader(bytes, 0, bytes.length)
}

/** Reads the header between two offsets; errors give offsets in `bytes`. */
export function readHeader(bytes: Uint8Array, from: number, end: number): Header {
  const reader: Reader = { bytes, at: from, end, fail: failHeader }
  readExactly(reader, 0x88, 'an array of 8')
  if (readUint(reader) !== 1) throw new UnsupportedVersionError(from + 1)
  const schema = readUint(reader)
  const seq = readUint(reader)
  const start = readUint(reader)
  const span = readUint(reader)
  if (start + span > Number.MAX_SAFE_INTEGER)
    throw new MalformedHeaderError('start + span below 2^53', from)
  const { at } = reader
  const count = readUint(reader)
  if (count === 0) throw new MalformedHeaderError('at least one row', at)
  const recordsHash = readHash(reader)
  let commitment: Uint8Array | null = null
  if (reader.at < end && bytes[reader.at] === 0xf6) reader.at++
  else commitment = readHash(reader)
  if (reader.at !== end) throw new MalformedHeaderError('its end', reader.at)
  return { schema, seq, start, span, count, recordsHash, commitment }
}

function readHash(reader: Reader): Uint8Array {
  const { at } = reader
  const length = readArgument(reader, 2)
  if (length !== 32) throw new MalformedHeaderError('a byte string of 32', at)
  const start = reader.at
  if (start + 32 > reader.end) throw new MalformedHeaderError('32 bytes', start)
  reader.at = start + 32
  return view(reader.bytes, start, start + 32)
}
