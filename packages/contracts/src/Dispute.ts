import type { Algorithm } from '@machinefi/core'
import {
  type Address,
  bytesToHex,
  decodeAbiParameters,
  encodeAbiParameters,
  type Hex,
  hexToBytes,
  keccak256,
  zeroAddress,
  zeroHash,
} from 'viem'
import { toLowerCase } from './chain/toLowerCase.js'
import { InvalidArgumentError } from './errors.js'
import { algorithms } from './Registration.js'

// Shapes of evidence are those of @machinefi/proof: bytes, numbers and milliseconds. What an action
// gives back about a challenge has the shapes of this package, but for its point, which is an
// argument of `buildAnswer`.

/** What the hash of an epoch is made of, beside what the settlement keeps. */
export type EpochEvidence = {
  /** Zero for the network's first window. */
  readonly parentHash: Uint8Array
  readonly memberCount: number
  /** abi.encode(Config), as `encodeConfig` of @machinefi/proof makes it. */
  readonly config: Uint8Array
  readonly logs: readonly {
    readonly shard: number
    readonly size: number
    readonly root: Uint8Array
  }[]
}

/** What a ledger has in a slot, and its path. */
export type EntryEvidence = {
  /** null in an empty slot. */
  readonly entry: ShownEntry | null
  /** 48 bytes each: hash ‖ uint128 sum. */
  readonly siblings: Uint8Array
}

/** A ledger entry, in bytes. */
export type ShownEntry = {
  readonly device: Uint8Array
  readonly cumulative: bigint
  readonly value: bigint
  readonly steps: number
  readonly traceRoot: Uint8Array
}

/** A header that a device signed. */
export type BatchEvidence = {
  readonly algorithm: Algorithm
  /** X‖Y. */
  readonly publicKey: Uint8Array
  readonly header: {
    readonly schema: number
    readonly seq: number
    readonly start: number
    readonly span: number
    readonly count: number
    readonly recordsHash: Uint8Array
    readonly commitment: Uint8Array | null
  }
  readonly signature: Uint8Array
}

/** Where a batch is in a log. */
export type InclusionEvidence = {
  readonly shard: number
  readonly index: number
  /** 32 bytes each. */
  readonly proof: Uint8Array
}

/** The head of a shard that an operator signed. */
export type CheckpointEvidence = {
  readonly operator: Uint8Array
  /** Milliseconds, of a whole second. */
  readonly time: number
  readonly shard: number
  readonly size: number
  readonly root: Uint8Array
  /** X‖Y of the log key. */
  readonly publicKey: Uint8Array
  readonly signature: Uint8Array
}

/** What a challenge points at: what the operator has to show. */
export type Point =
  | { readonly kind: 'step'; readonly slot: number; readonly step: number }
  | {
      readonly kind: 'carry'
      readonly slot: number
      /** The member with this slot; null where there is none. */
      readonly device: Uint8Array | null
    }
  | {
      readonly kind: 'omission'
      readonly device: Uint8Array
      readonly seq: number
      readonly batchId: Uint8Array
      readonly shard: number
      readonly index: number
    }
  | {
      readonly kind: 'consistency'
      readonly shard: number
      readonly size: number
      readonly root: Uint8Array
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
      readonly epoch: EpochEvidence
      readonly batch: BatchEvidence
      readonly inclusion: InclusionEvidence
    }
  | {
      readonly kind: 'consistency'
      readonly shard: number
      /** An epoch of the same operator that stands. */
      readonly earlier: { readonly window: number; readonly epoch: EpochEvidence }
    }
  | {
      readonly kind: 'checkpoint'
      readonly epoch: EpochEvidence
      readonly checkpoint: CheckpointEvidence
    }

/** What refutes a challenge. */
export type Answer =
  | {
      readonly kind: 'step'
      readonly epoch: EpochEvidence
      readonly entry: EntryEvidence
      /** null where the trace has no such step: the entry alone. */
      readonly step: {
        /** null for step 0. */
        readonly before: {
          readonly seq: number
          readonly batchId: Uint8Array
          readonly state: Uint8Array
          readonly proof: Uint8Array
        } | null
        readonly batch: BatchEvidence
        readonly records: Uint8Array
        readonly inclusion: InclusionEvidence
        readonly proof: Uint8Array
      } | null
    }
  | {
      readonly kind: 'carry'
      readonly epoch: EpochEvidence
      readonly entry: EntryEvidence
      /** In the parent's ledger. */
      readonly before: EntryEvidence
    }
  | {
      readonly kind: 'omission'
      readonly epoch: EpochEvidence
      readonly entry: EntryEvidence
      readonly step: number
      readonly leaf: {
        readonly seq: number
        readonly batchId: Uint8Array
        readonly stateHash: Uint8Array
        readonly proof: Uint8Array
      }
      /** Where the leaf's batch is, if it is not the one that is missed. */
      readonly earlier: InclusionEvidence | null
    }
  | { readonly kind: 'consistency'; readonly epoch: EpochEvidence; readonly proof: Uint8Array }
  | { readonly kind: 'reveal'; readonly nodes: Uint8Array; readonly siblings: Uint8Array }

/** Fraud that needs no answer. */
export type FraudProof =
  | {
      readonly kind: 'fork'
      readonly checkpoints: readonly [CheckpointEvidence, CheckpointEvidence]
    }
  | {
      readonly kind: 'truncation'
      readonly epoch: EpochEvidence
      readonly checkpoint: CheckpointEvidence
    }
  | { readonly kind: 'equivocation'; readonly batches: readonly [BatchEvidence, BatchEvidence] }

/** A challenge as it was opened. */
export type OpenedChallenge = {
  id: Hex
  window: number
  attempt: number
  point: Point
  challenger: Address
  /** Wei. */
  bond: bigint
  /** Unix seconds: answered before, upheld after. */
  deadline: number
}

export type ChallengeStatus = 'none' | 'open' | 'answered' | 'upheld' | 'refunded'

/** As numbered by the contract. */
export const challengeStatuses = ['none', 'open', 'answered', 'upheld', 'refunded'] as const

/** As numbered by the contract. */
export const pointKinds = ['step', 'carry', 'omission', 'consistency', 'reveal'] as const

/** From the arguments of `Challenged`. */
export function toOpenedChallenge(args: {
  id: Hex
  window: number
  attempt: number
  kind: number
  challenger: Address
  bond: bigint
  deadline: bigint
  point: Hex
}): OpenedChallenge {
  const { kind, point, ...rest } = toLowerCase(args)
  return { ...rest, deadline: Number(rest.deadline), point: decodePoint(kind, point) }
}

/** The id that a challenge of a point has, opened or not. */
export function challengeId(parameters: challengeId.Parameters): Hex {
  const { attempt, point, window } = parameters
  return keccak256(
    encodeAbiParameters(
      [{ type: 'uint8' }, { type: 'uint32' }, { type: 'uint32' }, { type: 'bytes' }],
      [pointKinds.indexOf(point.kind), window, attempt, encodePoint(point)],
    ),
  )
}

export declare namespace challengeId {
  type Parameters = { window: number; attempt: number; point: Point }
}

const uint8 = { type: 'uint8' } as const
const uint32 = { type: 'uint32' } as const
const uint64 = { type: 'uint64' } as const
const bytes32 = { type: 'bytes32' } as const
const address = { type: 'address' } as const

/** What a point is on the chain: abi.encode of these. */
const pointParameters = {
  step: [uint32, uint32],
  carry: [uint32, address],
  omission: [address, uint64, bytes32, uint32, uint64],
  consistency: [uint32, uint64, bytes32],
  reveal: [uint8, uint32],
} as const

export function encodePoint(point: Point): Hex {
  switch (point.kind) {
    case 'step':
      return encodeAbiParameters(pointParameters.step, [point.slot, point.step])
    case 'carry':
      return encodeAbiParameters(pointParameters.carry, [point.slot, toDevice(point.device)])
    case 'omission': {
      const { batchId, device, index, seq, shard } = point
      return encodeAbiParameters(pointParameters.omission, [
        toDevice(device),
        BigInt(seq),
        bytesToHex(batchId),
        shard,
        BigInt(index),
      ])
    }
    case 'consistency':
      return encodeAbiParameters(pointParameters.consistency, [
        point.shard,
        BigInt(point.size),
        bytesToHex(point.root),
      ])
    case 'reveal':
      return encodeAbiParameters(pointParameters.reveal, [point.height, point.index])
  }
}

/** @param kind as numbered by the contract. */
export function decodePoint(kind: number, data: Hex): Point {
  switch (pointKinds[kind]) {
    case 'step': {
      const [slot, step] = decodeAbiParameters(pointParameters.step, data)
      return { kind: 'step', slot, step }
    }
    case 'carry': {
      const [slot, device] = decodeAbiParameters(pointParameters.carry, data)
      return { kind: 'carry', slot, device: device === zeroAddress ? null : hexToBytes(device) }
    }
    case 'omission': {
      const [device, seq, batchId, shard, index] = decodeAbiParameters(
        pointParameters.omission,
        data,
      )
      return {
        kind: 'omission',
        device: hexToBytes(device),
        seq: Number(seq),
        batchId: hexToBytes(batchId),
        shard,
        index: Number(index),
      }
    }
    case 'consistency': {
      const [shard, size, root] = decodeAbiParameters(pointParameters.consistency, data)
      return { kind: 'consistency', shard, size: Number(size), root: hexToBytes(root) }
    }
    case 'reveal': {
      const [height, index] = decodeAbiParameters(pointParameters.reveal, data)
      return { kind: 'reveal', height, index }
    }
  }
  throw new InvalidArgumentError(`There is no challenge of kind ${kind}.`)
}

export function toDevice(device: Uint8Array | null): Address {
  return device === null ? zeroAddress : bytesToHex(device)
}

// From here on: evidence as the contract takes it.

export function toEpochEvidence(epoch: EpochEvidence) {
  const { config, logs, memberCount, parentHash } = epoch
  return {
    config: bytesToHex(config),
    logs: logs.map(({ root, shard, size }) => ({
      root: bytesToHex(root),
      shard,
      size: BigInt(size),
    })),
    memberCount,
    parentHash: bytesToHex(parentHash),
  }
}

export function toEntryEvidence({ entry, siblings: path }: EntryEvidence) {
  const siblings = bytesToHex(path)
  if (entry === null) {
    const empty = { cumulative: 0n, device: zeroAddress, steps: 0, traceRoot: zeroHash, value: 0n }
    return { ...empty, siblings }
  }
  const { cumulative, device, steps, traceRoot, value } = entry
  return {
    cumulative,
    device: bytesToHex(device),
    siblings,
    steps,
    traceRoot: bytesToHex(traceRoot),
    value,
  }
}

export function toBatchEvidence(batch: BatchEvidence) {
  const { algorithm, header, publicKey, signature } = batch
  const { commitment, count, recordsHash, schema, seq, span, start } = header
  const [x, y] = toWords(publicKey, 2, 'A public key')
  const [r, s] = toWords(signature, 2, 'A signature')
  return {
    algorithm: algorithms.indexOf(algorithm),
    header: {
      commitment: bytesToHex(commitment ?? new Uint8Array()),
      count: BigInt(count),
      recordsHash: bytesToHex(recordsHash),
      schema: BigInt(schema),
      seq: BigInt(seq),
      span: BigInt(span),
      start: BigInt(start),
    },
    ...{ r: r!, s: s!, x: x!, y: y! },
  }
}

export function toInclusionEvidence(inclusion: InclusionEvidence | null) {
  if (inclusion === null) return { index: 0n, proof: [], shard: 0 }
  const { index, proof, shard } = inclusion
  return { index: BigInt(index), proof: toWords(proof), shard }
}

export function toCheckpointEvidence(checkpoint: CheckpointEvidence) {
  const { operator, publicKey, root, shard, signature, size, time } = checkpoint
  if (time % 1000 !== 0) {
    throw new InvalidArgumentError(`A checkpoint is dated to the second, not ${time} ms.`)
  }
  const [x, y] = toWords(publicKey, 2, 'A public key')
  const [r, s] = toWords(signature, 2, 'A signature')
  return {
    operator: bytesToHex(operator),
    root: bytesToHex(root),
    shard,
    size: BigInt(size),
    time: BigInt(time / 1000),
    ...{ r: r!, s: s!, x: x!, y: y! },
  }
}

/** Bytes as words of 32. */
export function toWords(bytes: Uint8Array, count?: number, what = 'A proof'): Hex[] {
  const words = bytes.length / 32
  if (!Number.isInteger(words) || (count !== undefined && words !== count)) {
    const expected = count === undefined ? 'words of 32' : `${32 * count}`
    throw new InvalidArgumentError(`${what} is made of ${expected} bytes, not of ${bytes.length}.`)
  }
  return Array.from({ length: words }, (_, i) => bytesToHex(bytes.subarray(32 * i, 32 * i + 32)))
}
