import { equalBytes, publicKeyToAddress, sha256, verifySignature } from '@machinefi/core'
import type { Schema } from '../schema/defineSchema.js'
import type { SignedBatch } from './encodeBatch.js'
import { decodeRows, type Rows } from './encodeRows.js'
import { BatchError, type BatchReason } from './errors.js'
import { sigStructure } from './sigStructure.js'

/**
 * Verifies a decoded batch against everything it claims: that it is of this schema, that its
 * records are the ones its header was signed over, and that the device's key signed it for this
 * network. Accepts both forms of s.
 *
 * @returns The rows, or the reason why not.
 */
export async function verifyBatch(options: verifyBatch.Options): Promise<BatchVerdict> {
  const { batch, network, publicKey, schema } = options
  if (publicKey.length !== 64 || !equalBytes(publicKeyToAddress(publicKey), batch.device))
    return no('key', 'The public key is not the one of the batch’s device.')
  const verdict = checkRecords(batch, schema)
  if (!verdict.ok) return verdict
  const { algorithm, signature } = batch
  const message = sigStructure(batch, network)
  if (!(await verifySignature({ algorithm, publicKey, message, signature })))
    return no('signature', 'The signature does not verify: altered, or signed for another network.')
  return verdict
}

export declare namespace verifyBatch {
  type Options = {
    batch: SignedBatch
    /** Network id, 32 bytes. */
    network: Uint8Array
    /** X‖Y, 64 bytes. */
    publicKey: Uint8Array
    schema: Schema
  }
}

export type BatchVerdict =
  | { readonly ok: true; readonly rows: Rows }
  | { readonly ok: false; readonly reason: BatchReason; readonly message: string }

/**
 * Checks a batch's records against its header and its schema, but not its signature.
 *
 * @returns The rows, or the reason why not.
 */
export function checkRecords(batch: SignedBatch, schema: Schema): BatchVerdict {
  const { header, records } = batch
  if (header.schema !== schema.id)
    return no('schema', `The batch is of schema ${header.schema}, not ${schema.id}.`)
  if (!records) return no('records-missing', 'The batch comes without its records.')
  if (!equalBytes(sha256(records), header.recordsHash))
    return no('records-hash', 'The records are not the ones that the header was signed over.')
  const { count, start, span } = header
  const { tickMs, fields } = schema
  try {
    return {
      ok: true,
      rows: decodeRows(records, { fields: fields.length, tickMs, start, count, span }),
    }
  } catch (error) {
    if (error instanceof BatchError) return no(error.reason, error.shortMessage)
    throw error
  }
}

function no(reason: BatchReason, message: string): BatchVerdict {
  return { ok: false, reason, message }
}
