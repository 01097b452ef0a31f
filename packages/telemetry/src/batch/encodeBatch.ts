import { type Algorithm, concatBytes } from '@machinefi/core'
import { type Reader, readArgument, readExactly, view } from '../cbor/reader.js'
import {
  createWriter,
  writeBytes,
  writeBytesOrNull,
  writeHead,
  writtenBytes,
} from '../cbor/writer.js'
import { type Header, maxHeaderBytes, readHeader } from './encodeHeader.js'
import {
  BatchTooLargeError,
  failBatch,
  InvalidBatchError,
  NotCanonicalBatchError,
  UnsupportedAlgorithmError,
} from './errors.js'

/** A signed batch, decoded: every byte string is a view of the bytes it was decoded from. */
export type SignedBatch = {
  /** The batch as received. */
  readonly bytes: Uint8Array
  readonly algorithm: Algorithm
  /** Address of the device, 20 bytes. */
  readonly device: Uint8Array
  readonly header: Header
  /** Protected COSE header, as signed. */
  readonly protected: Uint8Array
  /** Encoded {@link Header}, as signed. */
  readonly payload: Uint8Array
  /** r‖s, 64 bytes. */
  readonly signature: Uint8Array
  /** Encoded rows; null once they have expired. */
  readonly records: Uint8Array | null
}

/** No network may allow longer records: with them, every length in a batch fits two bytes. */
export const maxRecordsBytes = 65_535

/**
 * Encodes a batch from its parts: `[[protected, {}, payload, signature], records]`. With records
 * null, this is the envelope that is kept after its rows have expired.
 *
 * @throws {InvalidBatchError} if the signature is not of 64 bytes, or the records are too long.
 */
export function encodeBatch(parts: encodeBatch.Options): Uint8Array {
  const { payload, signature, records } = parts
  if (signature.length !== 64) throw new InvalidBatchError('A signature has 64 bytes.')
  if (records && records.length > maxRecordsBytes)
    throw new InvalidBatchError(`Records have at most ${maxRecordsBytes} bytes.`)
  const writer = createWriter(
    16 + parts.protected.length + payload.length + signature.length + (records?.length ?? 0),
  )
  writeHead(writer, 4, 2)
  writeHead(writer, 4, 4)
  writeBytes(writer, parts.protected)
  writeHead(writer, 5, 0)
  writeBytes(writer, payload)
  writeBytes(writer, signature)
  writeBytesOrNull(writer, records)
  return writtenBytes(writer)
}

export declare namespace encodeBatch {
  type Options = {
    protected: Uint8Array
    payload: Uint8Array
    signature: Uint8Array
    records: Uint8Array | null
  }
}

/** Encodes the protected header of a batch: the algorithm and the device's address. */
export function encodeProtected(algorithm: Algorithm, device: Uint8Array): Uint8Array {
  if (device.length !== 20) throw new InvalidBatchError('A device address has 20 bytes.')
  return concatBytes(algorithm === 'ES256' ? es256Prefix : es256kPrefix, device)
}

/**
 * Decodes a signed batch, strictly: the one canonical form, exactly to the last byte, or refused.
 * Neither the signature nor the records are checked here: see {@link verifyBatch}.
 *
 * @throws {BatchError} whose `reason` says why.
 */
export function decodeBatch(bytes: Uint8Array): SignedBatch {
  const { batch, end } = readBatch(bytes, 0)
  if (end !== bytes.length) throw new NotCanonicalBatchError('the end', end)
  return batch
}

/**
 * Reads one batch of a CBOR sequence (RFC 8742) and returns where the next one starts.
 *
 * @throws {BatchError} whose `reason` says why; its offset counts from the first byte of `bytes`.
 */
export function readBatch(bytes: Uint8Array, offset: number): { batch: SignedBatch; end: number } {
  const reader: Reader = { bytes, at: offset, end: bytes.length, fail: failBatch }
  readExactly(reader, 0x82, 'an array of 2')
  readExactly(reader, 0x84, 'an untagged COSE_Sign1')

  const protectedEnd = readLength(reader, 26)
  const protectedStart = reader.at
  const algorithm = readAlgorithm(reader, protectedEnd)
  const device = view(bytes, protectedEnd - 20, protectedEnd)

  readExactly(reader, 0xa0, 'an empty unprotected header')
  const payloadEnd = readLength(reader, maxHeaderBytes)
  const payloadStart = reader.at
  const header = readHeader(bytes, payloadStart, payloadEnd)
  reader.at = payloadEnd

  readExactly(reader, 0x58, 'a signature of 64 bytes')
  readExactly(reader, 0x40, 'a signature of 64 bytes')
  const signatureStart = reader.at
  reader.at += 64
  if (reader.at > reader.end) failBatch('truncated', '', reader.end)

  let records: Uint8Array | null = null
  if (reader.at < reader.end && bytes[reader.at] === 0xf6) reader.at++
  else {
    const end = readLength(reader, maxRecordsBytes)
    records = view(bytes, reader.at, end)
    reader.at = end
  }
  const end = reader.at
  const batch: SignedBatch = {
    bytes: view(bytes, offset, end),
    algorithm,
    device,
    header,
    protected: view(bytes, protectedStart, protectedEnd),
    payload: view(bytes, payloadStart, payloadEnd),
    signature: view(bytes, signatureStart, signatureStart + 64),
    records,
  }
  return { batch, end }
}

const es256Prefix = /* @__PURE__ */ Uint8Array.of(0xa2, 0x01, 0x26, 0x04, 0x54)
const es256kPrefix = /* @__PURE__ */ Uint8Array.of(0xa2, 0x01, 0x38, 0x2e, 0x04, 0x54)

/** Reads the head of a byte string within bounds and returns where the string ends. */
function readLength(reader: Reader, maxBytes: number): number {
  const { at } = reader
  const length = readArgument(reader, 2)
  if (length > maxBytes) throw new BatchTooLargeError(maxBytes, at)
  const end = reader.at + length
  if (end > reader.end) failBatch('truncated', '', reader.end)
  return end
}

function readAlgorithm(reader: Reader, end: number): Algorithm {
  const { bytes } = reader
  const start = reader.at
  const inside: Reader = { bytes, at: start, end, fail: failProtected }
  readExactly(inside, 0xa2, 'a protected header of two entries')
  readExactly(inside, 0x01, 'alg (1) first')
  const at = inside.at
  if (at >= end) failProtected('truncated', 'an algorithm', at)
  let algorithm: Algorithm
  if (bytes[at] === 0x26) {
    inside.at = at + 1
    algorithm = 'ES256'
  } else if (bytes[at] === 0x38 && bytes[at + 1] === 0x2e) {
    inside.at = at + 2
    algorithm = 'ES256K'
  } else throw new UnsupportedAlgorithmError(at)
  readExactly(inside, 0x04, 'kid (4) second')
  readExactly(inside, 0x54, 'a kid of 20 bytes')
  if (end - inside.at !== 20) failProtected('type', 'a kid of 20 bytes', inside.at)
  reader.at = end
  return algorithm
}

function failProtected(_problem: unknown, expected: string, offset: number): never {
  throw new NotCanonicalBatchError(expected, offset)
}
