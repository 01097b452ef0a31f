import { BaseError, concatBytes, equalBytes } from '@machinefi/core'
import { createReader } from '../cbor/createReader.js'
import { encodeBytes, encodeHead, encodeInt } from '../cbor/encode.js'
import {
  cosePrefix,
  type DecodedCheckpoint,
  decodeCheckpoint,
  decodeCheckpointHeader,
  MalformedCheckpointError,
} from './signCheckpoint.js'

/**
 * Encodes a receipt: a COSE Receipt of inclusion (RFC 9942 §5.2), that is a
 * checkpoint with its payload detached and the inclusion proof in the
 * unprotected header. One signature serves every receipt of a commit.
 *
 * @throws {InvalidReceiptError} a path that is not made of 32-byte hashes, or too long.
 * @throws {MalformedCheckpointError}
 */
export function encodeReceipt(parameters: encodeReceipt.Parameters): Uint8Array {
  const { checkpoint, index, proof } = parameters
  const { header, signature, size } = readSigned(checkpoint)
  const hashes = proof.length / 32
  if (!Number.isInteger(hashes) || hashes > maxPath) throw new InvalidReceiptError()
  if (!Number.isSafeInteger(index) || index < 0 || index >= size) throw new InvalidReceiptError()

  // Written in one go: a node makes one of these for every batch it takes in.
  const place = concatBytes(
    encodeHead(4, 3),
    encodeInt(size),
    encodeInt(index),
    encodeHead(4, hashes),
  )
  const inclusionLength = place.length + hashes * 34
  const head = encodeHead(2, inclusionLength)
  const receipt = new Uint8Array(header.length + head.length + inclusionLength + 67)
  let at = 0
  const write = (part: Uint8Array) => {
    receipt.set(part, at)
    at += part.length
  }
  write(header)
  write(head)
  write(place)
  for (let i = 0; i < proof.length; i += 32) {
    receipt[at++] = 0x58
    receipt[at++] = 32
    for (let j = i; j < i + 32; j++) receipt[at++] = proof[j] as number
  }
  write(nullAndSignatureHead)
  write(signature)
  return receipt
}

export declare namespace encodeReceipt {
  type Parameters = {
    /** The checkpoint as {@link signCheckpoint} made it. */
    checkpoint: Uint8Array
    index: number
    /** Inclusion path of `index` under the checkpoint's size, 32 bytes a hash. */
    proof: Uint8Array
  }
}

/**
 * Reads a receipt, strictly: exactly the bytes that {@link encodeReceipt}
 * writes. Nothing is verified.
 *
 * @throws {MalformedCheckpointError}
 */
export function decodeReceipt(bytes: Uint8Array): DecodedReceipt {
  try {
    return readReceipt(bytes)
  } catch (cause) {
    throw new MalformedCheckpointError('receipt', cause)
  }
}

/** The same for who says nothing of why: a page loads the words of no error that it never shows. */
export function readReceipt(bytes: Uint8Array): DecodedReceipt {
  const reader = createReader(bytes)
  reader.tag(18)
  reader.array(4)
  const header = reader.bytes()
  reader.map(1)
  reader.labels(396)
  reader.map(1)
  reader.labels(-1)
  reader.array(1)
  const inclusion = createReader(reader.bytes())
  reader.null()
  const signature = reader.bytes(64)
  reader.end()

  inclusion.array(3)
  const size = inclusion.uint()
  const index = inclusion.uint()
  const length = inclusion.array()
  if (length > maxPath) throw new InvalidReceiptError()
  const proof = new Uint8Array(32 * length)
  for (let i = 0; i < length; i++) proof.set(inclusion.bytes(32), 32 * i)
  inclusion.end()
  const checkpoint = decodeCheckpointHeader(header)
  if (size !== checkpoint.size || index >= size) throw new InvalidReceiptError()
  return { ...checkpoint, index, proof, protected: header, signature }
}

/** Decoded, not verified: a checkpoint without its root, and a place in the log. */
export type DecodedReceipt = Omit<DecodedCheckpoint, 'root'> & {
  index: number
  /** Inclusion path, 32 bytes a hash. */
  proof: Uint8Array
}

export class InvalidReceiptError extends BaseError {
  override readonly name = 'InvalidReceiptError'
  constructor() {
    super('The index or the inclusion path does not fit the size of the log.', { kind: 'input' })
  }
}

/** A log has fewer than 2^53 entries. */
const maxPath = 53

/** {396: {-1: [ one byte string */
const proofsPrefix = /* @__PURE__ */ Uint8Array.of(0xa1, 0x19, 0x01, 0x8c, 0xa1, 0x20, 0x81)
const nullAndSignatureHead = /* @__PURE__ */ Uint8Array.of(0xf6, 0x58, 64)

type Signed = { header: Uint8Array; signature: Uint8Array; size: number }
let last: (Signed & { checkpoint: Uint8Array }) | null = null

/** What all receipts of a checkpoint share; the last one is kept, since a commit makes many. */
function readSigned(checkpoint: Uint8Array): Signed {
  if (last !== null && equalBytes(last.checkpoint, checkpoint)) return last
  const copy = Uint8Array.from(checkpoint)
  const { protected: header, signature, size } = decodeCheckpoint(copy)
  last = {
    checkpoint: copy,
    header: concatBytes(cosePrefix, encodeBytes(header), proofsPrefix),
    signature,
    size,
  }
  return last
}
