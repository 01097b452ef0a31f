import { BaseError, concatBytes } from '@machinefi/core'
import { createReader } from '../cbor/createReader.js'
import { encodeArray, encodeBytes, encodeHead, encodeInt } from '../cbor/encode.js'
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
  if (proof.length % 32 !== 0 || proof.length > 32 * maxPath) throw new InvalidReceiptError()
  const { protected: header, signature, size } = decodeCheckpoint(checkpoint)
  if (!Number.isSafeInteger(index) || index < 0 || index >= size) throw new InvalidReceiptError()
  const path: Uint8Array[] = []
  for (let i = 0; i < proof.length; i += 32) path.push(encodeBytes(proof.subarray(i, i + 32)))
  const inclusion = encodeArray([encodeInt(size), encodeInt(index), encodeArray(path)])
  return concatBytes(
    cosePrefix,
    encodeBytes(header),
    proofsPrefix,
    encodeBytes(inclusion),
    nullAndSignatureHead,
    signature,
  )
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
    const reader = createReader(bytes)
    reader.tag(18)
    reader.array(4)
    const header = reader.bytes()
    reader.map(1)
    reader.label(396)
    reader.map(1)
    reader.label(-1)
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
  } catch (cause) {
    throw new MalformedCheckpointError('receipt', cause)
  }
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
const nullAndSignatureHead = /* @__PURE__ */ concatBytes(
  /* @__PURE__ */ Uint8Array.of(0xf6),
  /* @__PURE__ */ encodeHead(2, 64),
)
