import { sha256 } from '@machinefi/core'
import { createWriter, writeBytes, writeRaw, writtenBytes } from '../cbor/writer.js'
import { InvalidBatchError } from './errors.js'

/**
 * The bytes a device signs (RFC 9052 §4.4): `["Signature1", protected, network, payload]`. The
 * network id is COSE's external data: it is not sent, so that no batch is valid in two networks.
 *
 * @throws {InvalidBatchError} unless the network id has 32 bytes.
 */
export function sigStructure(batch: sigStructure.Batch, network: Uint8Array): Uint8Array {
  if (network.length !== 32) throw new InvalidBatchError('A network id has 32 bytes.')
  const writer = createWriter(
    prefix.length + 3 * 9 + batch.protected.length + 32 + batch.payload.length,
  )
  writeRaw(writer, prefix)
  writeBytes(writer, batch.protected)
  writeBytes(writer, network)
  writeBytes(writer, batch.payload)
  return writtenBytes(writer)
}

export declare namespace sigStructure {
  type Batch = { readonly protected: Uint8Array; readonly payload: Uint8Array }
}

/** SHA-256 of the {@link sigStructure}: the batch's entry in the log. */
export function batchId(batch: sigStructure.Batch, network: Uint8Array): Uint8Array {
  return sha256(sigStructure(batch, network))
}

/** array(4), text(10) "Signature1" */
const prefix = /* @__PURE__ */ Uint8Array.of(
  0x84,
  0x6a,
  0x53,
  0x69,
  0x67,
  0x6e,
  0x61,
  0x74,
  0x75,
  0x72,
  0x65,
  0x31,
)
