import { normalizeSignature, publicKeyToAddress, type Signer, sha256 } from '@machinefi/core'
import type { Row } from '../record/toRow.js'
import { assertSchema, type Schema } from '../schema/defineSchema.js'
import { encodeBatch, encodeProtected, type SignedBatch } from './encodeBatch.js'
import { encodeHeader, type Header } from './encodeHeader.js'
import { encodeRows } from './encodeRows.js'
import { InvalidBatchError } from './errors.js'
import { sigStructure } from './sigStructure.js'

/**
 * Signs consecutive rows as one batch for one network. The batch starts at its first row, and its
 * signature is low-s.
 *
 * @throws {InvalidSchemaError} if the schema is out of bounds.
 * @throws {InvalidBatchError} if the rows do not fit the schema, are not in order or not on its
 * ticks, or if `seq`, `network` or `commitment` are out of bounds.
 */
export async function signBatch(options: signBatch.Options): Promise<SignedBatch> {
  const { signer, network, schema, seq, rows, commitment = null } = options
  assertSchema(schema)
  const { id, tickMs, fields } = schema
  const start = rows[0]?.time ?? 0
  const records = encodeRows(rows, { tickMs, start })
  const { time, values } = rows.at(-1)!
  if (values.length !== fields.length)
    throw new InvalidBatchError(
      `Rows have ${values.length} values where schema ${id} has ${fields.length} fields.`,
    )
  const header: Header = {
    schema: id,
    seq,
    start,
    span: time - start,
    count: rows.length,
    recordsHash: Uint8Array.from(sha256(records)),
    commitment,
  }
  const payload = encodeHeader(header)
  const { algorithm } = signer
  const { device, protectedHeader } = identify(signer)
  const message = sigStructure({ protected: protectedHeader, payload }, network)
  const signature = Uint8Array.from(normalizeSignature(await signer.sign(message), algorithm))
  const parts = { protected: protectedHeader, payload, signature, records }
  return { bytes: encodeBatch(parts), algorithm, device, header, ...parts }
}

export declare namespace signBatch {
  type Options = {
    signer: Signer
    /** Network id, 32 bytes. */
    network: Uint8Array
    schema: Schema
    seq: number
    rows: readonly Row[]
    /** 32 bytes, for zero-knowledge claims. */
    commitment?: Uint8Array | null | undefined
  }
}

type Identity = { readonly device: Uint8Array; readonly protectedHeader: Uint8Array }

/** A signer's are the same in every batch, and Keccak outside of OpenSSL is slow. */
const identities = /* @__PURE__ */ new WeakMap<Signer, Identity>()

function identify(signer: Signer): Identity {
  let identity = identities.get(signer)
  if (identity === undefined) {
    const device = publicKeyToAddress(signer.publicKey)
    identity = { device, protectedHeader: encodeProtected(signer.algorithm, device) }
    identities.set(signer, identity)
  }
  return identity
}
