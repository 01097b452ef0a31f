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
  return encodeSigStructure(batch, network)
}

export declare namespace sigStructure {
  type Batch = { readonly protected: Uint8Array; readonly payload: Uint8Array }
}

/** The Sig_structure of any COSE_Sign1: what is signed, and the external data that is not sent. */
export function encodeSigStructure(signed: sigStructure.Batch, external: Uint8Array): Uint8Array {
  const writer = createWriter(
    prefix.length + 3 * 9 + signed.protected.length + external.length + signed.payload.length,
  )
  writeRaw(writer, prefix)
  writeBytes(writer, signed.protected)
  writeBytes(writer, external)
  writeBytes(writer, signed.payload)
  return writtenBytes(writer)
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
