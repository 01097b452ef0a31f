import { normalizeSignature, publicKeyToAddress, type Signer, sha256 } from '@machinefi/core'
import type { Row } from '../record/toRow.js'
import { assertSchema, type Schema } from '../schema/defineSchema.js'
import { decodeBatch, encodeBatch, encodeProtected, type SignedBatch } from './encodeBatch.js'
import { encodeHeader } from './encodeHeader.js'
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
  const first = rows[0]
  const last = rows.at(-1)
  if (!first || !last) throw new InvalidBatchError('A batch has at least one row.')
  if (first.values.length !== schema.fields.length)
    throw new InvalidBatchError(
      `Rows have ${first.values.length} values where schema ${schema.id} has ${schema.fields.length} fields.`,
    )
  const start = first.time
  const records = encodeRows(rows, { tickMs: schema.tickMs, start })
  const payload = encodeHeader({
    schema: schema.id,
    seq,
    start,
    span: last.time - start,
    count: rows.length,
    recordsHash: sha256(records),
    commitment,
  })
  const protectedHeader = encodeProtected(signer.algorithm, publicKeyToAddress(signer.publicKey))
  const message = sigStructure({ protected: protectedHeader, payload }, network)
  const signature = normalizeSignature(await signer.sign(message), signer.algorithm)
  return decodeBatch(encodeBatch({ protected: protectedHeader, payload, signature, records }))
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
