import { BaseError } from '@machinefi/core'
import { readBatch, type SignedBatch } from '@machinefi/telemetry'

/** Batches one after the other, as a CBOR sequence (RFC 8742): a single one is a sequence too. */
export function* readBatches(bytes: Uint8Array): Generator<SignedBatch> {
  if (bytes.length === 0) throw new NoBatchError()
  for (let offset = 0; offset < bytes.length; ) {
    const { batch, end } = readBatch(bytes, offset)
    yield batch
    offset = end
  }
}

export class NoBatchError extends BaseError {
  override readonly name = 'NoBatchError'
  constructor() {
    super('There is no batch in it: the input is empty.', { kind: 'input' })
  }
}
