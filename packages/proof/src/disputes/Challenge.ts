import { publicKeyToAddress } from '@machinefi/core'
import { batchId, type SignedBatch } from '@machinefi/telemetry'
import type { Log } from '../log/createLog.js'
import {
  type BatchEvidence,
  type CheckpointEvidence,
  type EpochEvidence,
  type InclusionEvidence,
  toBatchEvidence,
  toInclusionEvidence,
  toSigned,
} from './Evidence.js'

/** What a challenge points at: all that has to be answered. */
export type Point =
  | { readonly kind: 'step'; readonly slot: number; readonly step: number }
  | {
      readonly kind: 'carry'
      /** The member with this slot; `null` where there is none. */
      readonly device: Uint8Array | null
      readonly slot: number
    }
  | {
      readonly kind: 'omission'
      readonly batchId: Uint8Array
      readonly device: Uint8Array
      readonly index: number
      readonly seq: number
      readonly shard: number
    }
  | {
      readonly kind: 'consistency'
      readonly root: Uint8Array
      readonly shard: number
      readonly size: number
    }
  | { readonly kind: 'reveal'; readonly height: number; readonly index: number }

/** What a challenger opens. */
export type Challenge =
  | Extract<Point, { kind: 'carry' | 'reveal' }>
  | (Extract<Point, { kind: 'step' }> & {
      /**
       * The member with this slot. In a private network only who may read it may ask; an auditor of
       * the network may leave it out.
       */
      readonly device?: Uint8Array | null | undefined
    })
  | {
      readonly kind: 'omission'
      readonly batch: BatchEvidence
      readonly epoch: EpochEvidence
      readonly inclusion: InclusionEvidence
    }
  | {
      readonly kind: 'consistency'
      /** A window before, posted by the same operator. */
      readonly earlier: { readonly epoch: EpochEvidence; readonly window: number }
      readonly epoch: EpochEvidence
      readonly shard: number
    }
  | {
      readonly kind: 'checkpoint'
      readonly checkpoint: CheckpointEvidence
      readonly epoch: EpochEvidence
    }

/** Fraud that needs no answer. */
export type Proof =
  | {
      readonly kind: 'fork'
      readonly checkpoints: readonly [CheckpointEvidence, CheckpointEvidence]
    }
  | {
      readonly kind: 'truncation'
      readonly checkpoint: CheckpointEvidence
      readonly epoch: EpochEvidence
    }
  | { readonly kind: 'equivocation'; readonly batches: readonly [BatchEvidence, BatchEvidence] }

/** Challenges an epoch for leaving a batch out of its device's trace. @throws {LogRangeError} */
export function buildOmission(
  parameters: buildOmission.Parameters,
): Extract<Challenge, { kind: 'omission' }> {
  const { batch, epoch, index, log, publicKey, shard } = parameters
  return {
    kind: 'omission',
    batch: toBatchEvidence(batch, publicKey),
    epoch,
    inclusion: toInclusionEvidence({ index, shard }, epoch, log),
  }
}

export declare namespace buildOmission {
  type Parameters = {
    batch: SignedBatch
    epoch: EpochEvidence
    /** Of the batch in the shard. */
    index: number
    /** The shard, at least as long as the epoch has it. */
    log: Pick<Log, 'inclusionProof'>
    /** Of the device, X‖Y. */
    publicKey: Uint8Array
    shard: number
  }
}

/**
 * What a challenge points at, as `Challenged` will say.
 *
 * @param network id of the network, 32 bytes.
 */
export function toPoint(challenge: Challenge, network: Uint8Array): Point {
  switch (challenge.kind) {
    case 'omission': {
      const { batch, inclusion } = challenge
      const { index, shard } = inclusion
      return {
        kind: 'omission',
        // A copy, since core’s hashes are Buffers in Node.
        batchId: Uint8Array.from(batchId(toSigned(batch), network)),
        device: publicKeyToAddress(batch.publicKey),
        ...{ index, seq: batch.header.seq, shard },
      }
    }
    case 'consistency': {
      const { earlier, shard } = challenge
      const head = earlier.epoch.logs.find((log) => log.shard === shard)
      return { kind: 'consistency', root: head?.root ?? zero, shard, size: head?.size ?? 0 }
    }
    case 'checkpoint': {
      const { root, shard, size } = challenge.checkpoint
      return { kind: 'consistency', root, shard, size }
    }
    default:
      return challenge
  }
}

const zero = /* @__PURE__ */ new Uint8Array(32)
