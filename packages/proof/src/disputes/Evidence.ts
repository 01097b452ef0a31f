import { type Algorithm, publicKeyToAddress } from '@machinefi/core'
import { encodeHeader, encodeProtected, type Header, type SignedBatch } from '@machinefi/telemetry'
import { type DecodedCheckpoint, decodeCheckpoint } from '../checkpoint/signCheckpoint.js'
import type { LogHead } from '../epoch/epochHash.js'
import type { Entry } from '../ledger/Entry.js'
import type { Log } from '../log/createLog.js'

/** What the hash of an epoch is made of, beside what the settlement keeps. */
export type EpochEvidence = {
  /** `abi.encode(Config)`. */
  readonly config: Uint8Array
  /** As posted, shards ascending. */
  readonly logs: readonly LogHead[]
  readonly memberCount: number
  /** 32 bytes, all 0 for a network's first window. */
  readonly parentHash: Uint8Array
}

/** What is in a slot, and its path; `null` is an empty slot. */
export type EntryEvidence = {
  readonly entry: Entry | null
  /** 48 bytes each, from the leaf up. */
  readonly siblings: Uint8Array
}

/** A header and the device's signature; all other signed bytes follow from these. */
export type BatchEvidence = {
  readonly algorithm: Algorithm
  readonly header: Header
  /** X‖Y, 64 bytes. */
  readonly publicKey: Uint8Array
  /** r‖s, 64 bytes. */
  readonly signature: Uint8Array
}

/** Where a batch is in the logs of an epoch. */
export type InclusionEvidence = {
  readonly index: number
  /** 32 bytes a hash, from the leaf up. */
  readonly proof: Uint8Array
  readonly shard: number
}

/** A signed head of a log. */
export type CheckpointEvidence = {
  /** 20 bytes. */
  readonly operator: Uint8Array
  /** The log key, X‖Y, 64 bytes. */
  readonly publicKey: Uint8Array
  readonly root: Uint8Array
  readonly shard: number
  readonly signature: Uint8Array
  readonly size: number
  /** Milliseconds since the epoch, whole seconds. */
  readonly time: number
}

/** What a contract needs of a batch, its rows aside. */
export function toBatchEvidence(batch: SignedBatch, publicKey: Uint8Array): BatchEvidence {
  const { algorithm, header, signature } = batch
  return { algorithm, header, publicKey, signature }
}

/** The bytes that a device is said to have signed, for {@link sigStructure} and {@link batchId}. @throws {InvalidBatchError} */
export function toSigned(batch: BatchEvidence): { payload: Uint8Array; protected: Uint8Array } {
  const { algorithm, header, publicKey } = batch
  return {
    payload: encodeHeader(header),
    protected: encodeProtected(algorithm, publicKeyToAddress(publicKey)),
  }
}

/** What a contract needs of a checkpoint. @throws {MalformedCheckpointError} */
export function toCheckpointEvidence(
  checkpoint: DecodedCheckpoint | Uint8Array,
  publicKey: Uint8Array,
): CheckpointEvidence {
  const decoded = checkpoint instanceof Uint8Array ? decodeCheckpoint(checkpoint) : checkpoint
  const { operator, root, shard, signature, size, time } = decoded
  return { operator, publicKey, root, shard, signature, size, time }
}

/** Where an entry is in the log that an epoch commits to. @throws {LogRangeError} */
export function toInclusionEvidence(
  { index, shard }: { index: number; shard: number },
  epoch: Pick<EpochEvidence, 'logs'>,
  log: Pick<Log, 'inclusionProof'>,
): InclusionEvidence {
  return { index, proof: log.inclusionProof(index, sizeOf(epoch, shard)), shard }
}

/** How many entries of a shard an epoch commits to. */
export function sizeOf({ logs }: Pick<EpochEvidence, 'logs'>, shard: number): number {
  return logs.find((log) => log.shard === shard)?.size ?? 0
}
