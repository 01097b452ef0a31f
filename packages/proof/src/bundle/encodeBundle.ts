import { type Algorithm, BaseError, concatBytes, sha256 } from '@machinefi/core'
import { decodeSchema, encodeSchema, type Schema } from '@machinefi/telemetry'
import { encodeWords } from '../abi/encodeWords.js'
import { readInt, readUint } from '../abi/readWord.js'
import { createReader, MalformedCborError, type Reader } from '../cbor/createReader.js'
import {
  encodeArray,
  encodeBytes,
  encodedNull,
  encodeHead,
  encodeInt,
  encodeText,
  IntegerRangeError,
} from '../cbor/encode.js'
import type { Entry } from '../ledger/Entry.js'
import type { Metric } from '../metrics/Metric.js'

/**
 * The evidence for the claims of one epoch, or for some of them: all that an
 * auditor needs to re-check them without the node, except what shows that a
 * batch was left out, which takes the whole log.
 */
export type EpochBundle = {
  readonly attempt: number
  /** The operator's signed log heads that were posted, shards ascending. */
  readonly checkpoints: readonly Uint8Array[]
  /** Evidence by slot, ascending. */
  readonly claims: readonly ClaimEvidence[]
  /** `abi.encode(Config)`, as {@link encodeConfig} writes it. */
  readonly config: Uint8Array
  /** What the contract committed to. */
  readonly epochHash: Uint8Array
  readonly ledgerRoot: Uint8Array
  readonly ledgerTotal: bigint
  /** The key that signed the checkpoints, X‖Y, 64 bytes. */
  readonly logKey: Uint8Array
  readonly memberCount: number
  /** Which metric the contract in the configuration is. */
  readonly metric: Metric['type']
  /** What the network id is hashed from, and the length of its windows. */
  readonly network: {
    readonly chainId: number
    readonly factory: Uint8Array
    readonly serial: bigint
    readonly windowSeconds: number
  }
  /** Epoch hash of the epoch before, all 0 where there is none. */
  readonly parentHash: Uint8Array
  /** Which reward policy the contract in the configuration is. */
  readonly policy: 'threshold'
  readonly schema: Schema
  readonly window: number
}

/** What shows that one ledger entry is right. */
export type ClaimEvidence = {
  /** The canonical trace's batches, in order, with their rows. */
  readonly batches: readonly {
    /** The signed batch as received. */
    readonly bytes: Uint8Array
    readonly index: number
    /** Inclusion path under the shard's checkpoint, 32 bytes a hash. */
    readonly proof: Uint8Array
    readonly shard: number
  }[]
  /** Cumulative reward in the epoch before. */
  readonly before: bigint
  readonly entry: Entry
  /** The device's key; `null` where there are no batches to check with it. */
  readonly key: { readonly algorithm: Algorithm; readonly publicKey: Uint8Array } | null
  /** Siblings in the ledger, 48 bytes each. */
  readonly siblings: Uint8Array
  readonly slot: number
}

/**
 * Encodes a bundle as deterministic CBOR (docs/protocol/claims.md). Nothing is verified.
 *
 * @throws {IntegerRangeError} a number that does not fit its place.
 */
export function encodeBundle(bundle: EpochBundle): Uint8Array {
  const { claims } = bundle
  const body = concatBytes(encodeBundleHead(bundle, claims.length), ...claims.map(encodeClaim))
  return concatBytes(body, encodeBundleTail(sha256(body)))
}

/**
 * The bytes of a bundle before its claims. With as many {@link encodeClaim}
 * behind it, and {@link encodeBundleTail}, a bundle of any size can be written
 * without ever being in memory as a whole.
 *
 * @throws {IntegerRangeError}
 */
export function encodeBundleHead(bundle: Omit<EpochBundle, 'claims'>, claims: number): Uint8Array {
  const { network } = bundle
  return concatBytes(
    encodeHead(4, 9),
    encodeInt(version),
    encodeArray([
      encodeInt(network.chainId),
      encodeBytes(network.factory),
      encodeInt(Number(network.serial)),
      encodeInt(network.windowSeconds),
    ]),
    encodeArray([
      encodeBytes(bundle.config),
      encodeBytes(encodeSchema(bundle.schema)),
      encodeText(bundle.metric),
      encodeText(bundle.policy),
    ]),
    encodeArray([
      encodeInt(bundle.window),
      encodeInt(bundle.attempt),
      encodeBytes(bundle.parentHash),
      encodeInt(bundle.memberCount),
    ]),
    encodeArray([
      encodeBytes(bundle.logKey),
      encodeArray(bundle.checkpoints.map((bytes) => encodeBytes(bytes))),
    ]),
    encodeArray([encodeBytes(bundle.ledgerRoot), encodeUint128(bundle.ledgerTotal)]),
    encodeBytes(bundle.epochHash),
    encodeHead(4, claims),
  )
}

/** The bytes of a bundle after its claims: SHA-256 of all before. */
export const encodeBundleTail: (digest: Uint8Array) => Uint8Array = encodeBytes

/**
 * Decodes a bundle, strictly: exactly the bytes that {@link encodeBundle}
 * writes. Nothing is verified, not even the digest at the end.
 *
 * @throws {MalformedBundleError}
 */
export function decodeBundle(bytes: Uint8Array): EpochBundle {
  try {
    const reader = createReader(bytes)
    reader.array(9)
    reader.labels(version)
    reader.array(4)
    const network = {
      chainId: reader.uint(),
      factory: reader.bytes(20),
      serial: BigInt(reader.uint()),
      windowSeconds: reader.uint(),
    }
    reader.array(4)
    const config = reader.bytes()
    const schema = readSchema(reader)
    const metric = reader.text() as Metric['type']
    const policy = reader.text() as 'threshold'
    reader.array(4)
    const [window, attempt] = [reader.uint(), reader.uint()]
    const [parentHash, memberCount] = [reader.bytes(32), reader.uint()]
    reader.array(2)
    const logKey = reader.bytes(64)
    const checkpoints = readArray(reader, () => reader.bytes())
    reader.array(2)
    const ledgerRoot = reader.bytes(32)
    const ledgerTotal = readUint(reader.bytes(16))
    const epochHash = reader.bytes(32)
    const claims = readArray(reader, () => readClaim(reader))
    reader.bytes(32)
    reader.end()
    return {
      ...{ attempt, checkpoints, claims, config, epochHash, ledgerRoot, ledgerTotal, logKey },
      ...{ memberCount, metric, network, parentHash, policy, schema, window },
    }
  } catch (cause) {
    if (cause instanceof MalformedCborError) throw new MalformedBundleError(cause)
    throw cause
  }
}

/** Bytes are no bundle in its one encoding. */
export class MalformedBundleError extends BaseError {
  override readonly name = 'MalformedBundleError'
  readonly offset: number
  readonly what: string
  constructor(cause: MalformedCborError) {
    super(`Not a bundle in its canonical encoding: byte ${cause.offset}: ${cause.what}.`, {
      cause,
      docsPath: 'protocol/claims.md',
      kind: 'integrity',
    })
    this.offset = cause.offset
    this.what = cause.what
  }
}

const version = 1

/** COSE's numbers for the algorithms (RFC 9053, RFC 8812). */
const algorithms = { ES256: -7, ES256K: -47 } as const

/** The bytes of a claim in a bundle. @throws {IntegerRangeError} */
export function encodeClaim(claim: ClaimEvidence): Uint8Array {
  const { before, entry, key, siblings, slot } = claim
  return encodeArray([
    encodeInt(slot),
    key === null
      ? encodedNull
      : encodeArray([encodeInt(algorithms[key.algorithm]), encodeBytes(key.publicKey)]),
    encodeArray([
      encodeBytes(entry.device),
      encodeBytes(encodeWords(entry.value)),
      encodeInt(entry.steps),
      encodeBytes(entry.traceRoot),
      encodeUint128(entry.cumulative),
    ]),
    encodeUint128(before),
    encodeBytes(siblings),
    encodeArray(
      claim.batches.map(({ bytes, index, proof, shard }) =>
        encodeArray([encodeInt(shard), encodeInt(index), encodeBytes(bytes), encodeBytes(proof)]),
      ),
    ),
  ])
}

function readClaim(reader: Reader): ClaimEvidence {
  reader.array(6)
  const slot = reader.uint()
  const key = readKey(reader)
  reader.array(5)
  const device = reader.bytes(20)
  const value = readInt(reader.bytes(32))
  const steps = reader.uint()
  const traceRoot = reader.bytes(32)
  const cumulative = readUint(reader.bytes(16))
  const before = readUint(reader.bytes(16))
  const siblings = reader.bytes()
  const batches = readArray(reader, () => {
    reader.array(4)
    const [shard, index] = [reader.uint(), reader.uint()]
    const [bytes, proof] = [reader.bytes(), reader.bytes()]
    return { bytes, index, proof, shard }
  })
  return {
    ...{ batches, before, key, siblings, slot },
    entry: { cumulative, device, steps, traceRoot, value },
  }
}

function readKey(reader: Reader): ClaimEvidence['key'] {
  if (reader.isNull()) {
    reader.null()
    return null
  }
  reader.array(2)
  const { offset } = reader
  const number = reader.int()
  const publicKey = reader.bytes(64)
  if (number === algorithms.ES256) return { algorithm: 'ES256', publicKey }
  if (number === algorithms.ES256K) return { algorithm: 'ES256K', publicKey }
  throw new MalformedCborError('no algorithm that devices sign with', offset)
}

function readSchema(reader: Reader): Schema {
  const bytes = reader.bytes()
  try {
    return decodeSchema(bytes)
  } catch {
    throw new MalformedCborError('not a schema', reader.offset - bytes.length)
  }
}

function readArray<item>(reader: Reader, read: () => item): item[] {
  const length = reader.array()
  const items: item[] = []
  for (let i = 0; i < length; i++) items.push(read())
  return items
}

function encodeUint128(value: bigint): Uint8Array {
  if (BigInt.asUintN(128, value) !== value) throw new IntegerRangeError(value)
  return encodeBytes(encodeWords(value).subarray(16))
}
