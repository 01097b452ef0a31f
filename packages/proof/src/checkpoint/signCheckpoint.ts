import {
  BaseError,
  concatBytes,
  equalBytes,
  formatAddress,
  fromHex,
  normalizeSignature,
  publicKeyToAddress,
  type Signer,
  verifySignature,
} from '@machinefi/core'
import { encodeSigStructure } from '@machinefi/telemetry'
import { createReader, type Reader } from '../cbor/createReader.js'
import { encodeBytes, encodeInt, encodeMap, encodeText } from '../cbor/encode.js'

/** A log's signed head: what an operator promises about its log at a time. */
export type Checkpoint = {
  /** 32 bytes. */
  network: Uint8Array
  /** The operator's account, 20 bytes. */
  operator: Uint8Array
  /** Root of the log's first `size` entries, 32 bytes. */
  root: Uint8Array
  /** Which of the operator's logs for this network, below 2^32. */
  shard: number
  size: number
  /** Milliseconds since the epoch, whole seconds. */
  time: number
}

/**
 * Signs a log's head as a COSE_Sign1 whose payload is the root and whose
 * protected header names log key, operator, date, network, shard and size.
 * The bytes are the same for every builder (docs/protocol/log.md).
 *
 * @throws {InvalidCheckpointError} a field out of bounds, or a key that is not P-256.
 */
export async function signCheckpoint(parameters: signCheckpoint.Parameters): Promise<Uint8Array> {
  const { signer, ...checkpoint } = parameters
  assertCheckpoint(checkpoint)
  if (signer.algorithm !== 'ES256') throw new InvalidCheckpointError('the log key must be P-256')
  const header = encodeCheckpointHeader(checkpoint, publicKeyToAddress(signer.publicKey))
  const message = checkpointMessage(header, checkpoint.root)
  const signature = normalizeSignature(await signer.sign(message), 'ES256')
  return concatBytes(
    cosePrefix,
    encodeBytes(header),
    emptyMap,
    encodeBytes(checkpoint.root),
    encodeBytes(signature),
  )
}

export declare namespace signCheckpoint {
  type Parameters = Checkpoint & {
    /** The operator's log key, ES256. */
    signer: Signer
  }
}

/**
 * Reads a checkpoint, strictly: exactly the bytes that {@link signCheckpoint}
 * writes, the signature unchecked.
 *
 * @throws {MalformedCheckpointError}
 */
export function decodeCheckpoint(bytes: Uint8Array): DecodedCheckpoint {
  try {
    const reader = createReader(bytes)
    reader.tag(18)
    reader.array(4)
    const header = reader.bytes()
    reader.map(0)
    const root = reader.bytes(32)
    const signature = reader.bytes(64)
    reader.end()
    return { ...decodeCheckpointHeader(header), protected: header, root, signature }
  } catch (cause) {
    throw new MalformedCheckpointError('checkpoint', cause)
  }
}

/** Decoded, not verified. Byte strings are views of the bytes that were read. */
export type DecodedCheckpoint = Checkpoint & {
  /** Address of the log key, 20 bytes. */
  logKey: Uint8Array
  /** The protected header as it was signed. */
  protected: Uint8Array
  /** r‖s, 64 bytes. */
  signature: Uint8Array
}

/** Verifies a checkpoint against the operator's log key and, where given, what it must be about. */
export async function verifyCheckpoint(
  bytes: Uint8Array,
  options: verifyCheckpoint.Options,
): Promise<verifyCheckpoint.Verdict> {
  const { publicKey } = options
  let checkpoint: DecodedCheckpoint
  try {
    checkpoint = decodeCheckpoint(bytes)
  } catch {
    return { ok: false, reason: 'malformed' }
  }
  const reason = checkCheckpoint(checkpoint, options)
  if (reason !== null) return { ok: false, reason }
  const message = checkpointMessage(checkpoint.protected, checkpoint.root)
  const { signature } = checkpoint
  const ok = await verifySignature({ algorithm: 'ES256', message, publicKey, signature })
  return ok ? { ok, checkpoint } : { ok, reason: 'signature' }
}

export declare namespace verifyCheckpoint {
  type Options = {
    /** With `now`: the largest difference of the checkpoint's date, in ms. @default 300_000 */
    maxSkewMs?: number | undefined
    network?: Uint8Array | undefined
    /** Milliseconds since the epoch; without it the date is not judged. */
    now?: number | undefined
    operator?: Uint8Array | undefined
    /** The operator's log key, X‖Y, 64 bytes. */
    publicKey: Uint8Array
  }
  type Reason = 'date' | 'key' | 'malformed' | 'network' | 'operator' | 'signature'
  type Verdict = { ok: true; checkpoint: DecodedCheckpoint } | { ok: false; reason: Reason }
}

/** A field of a checkpoint is out of bounds. */
export class InvalidCheckpointError extends BaseError {
  override readonly name = 'InvalidCheckpointError'
  constructor(reason: string) {
    super(`Not a checkpoint: ${reason}.`, { kind: 'input' })
  }
}

/** Bytes are no checkpoint, or no receipt, in the one encoding there is. */
export class MalformedCheckpointError extends BaseError {
  override readonly name = 'MalformedCheckpointError'
  constructor(what: 'checkpoint' | 'receipt', cause: unknown) {
    super(`Not a ${what} in its canonical encoding.`, {
      cause,
      docsPath: 'protocol/log.md',
      kind: 'integrity',
      metaMessages: cause instanceof BaseError ? [cause.shortMessage] : [],
    })
  }
}

/** Tag 18 and an array of four. */
export const cosePrefix: Uint8Array = /* @__PURE__ */ Uint8Array.of(0xd2, 0x84)
const emptyMap = /* @__PURE__ */ Uint8Array.of(0xa0)
const noBytes = /* @__PURE__ */ new Uint8Array(0)

/** What is wrong with a checkpoint, its signature aside. */
export function checkCheckpoint(
  checkpoint: Omit<DecodedCheckpoint, 'root'>,
  options: verifyCheckpoint.Options,
): Exclude<verifyCheckpoint.Reason, 'malformed' | 'signature'> | null {
  const { maxSkewMs = 300_000, network, now, operator, publicKey } = options
  if (publicKey.length !== 64) return 'key'
  if (network !== undefined && !equalBytes(checkpoint.network, network)) return 'network'
  if (operator !== undefined && !equalBytes(checkpoint.operator, operator)) return 'operator'
  if (!equalBytes(checkpoint.logKey, publicKeyToAddress(publicKey))) return 'key'
  // Written so that a date or a skew that is no number is refused.
  if (now !== undefined && !(Math.abs(checkpoint.time - now) <= maxSkewMs)) return 'date'
  return null
}

/** The Sig_structure of RFC 9052 §4.4: what the log key signs. */
export function checkpointMessage(header: Uint8Array, root: Uint8Array): Uint8Array {
  return encodeSigStructure({ protected: header, payload: root }, noBytes)
}

// Labels: RFC 9052 (1 alg, 4 kid), RFC 9942 (395 vds, 1 = RFC9162_SHA256),
// RFC 9597 (15 CWT claims: 1 iss, 6 iat), private use below -65536 for the rest.
const algorithm = -7
const treeAlgorithm = 1

function encodeCheckpointHeader(
  checkpoint: Omit<Checkpoint, 'root'>,
  logKey: Uint8Array,
): Uint8Array {
  const { network, operator, shard, size, time } = checkpoint
  return encodeMap([
    [encodeInt(1), encodeInt(algorithm)],
    [encodeInt(4), encodeBytes(logKey)],
    [encodeInt(395), encodeInt(treeAlgorithm)],
    [
      encodeInt(15),
      encodeMap([
        [encodeInt(1), encodeText(formatAddress(operator))],
        [encodeInt(6), encodeInt(time / 1000)],
      ]),
    ],
    [encodeInt(-65537), encodeBytes(network)],
    [encodeInt(-65538), encodeInt(shard)],
    [encodeInt(-65539), encodeInt(size)],
  ])
}

export function decodeCheckpointHeader(
  header: Uint8Array,
): Omit<DecodedCheckpoint, 'protected' | 'root' | 'signature'> {
  const reader = createReader(header)
  reader.map(7)
  reader.labels(1, algorithm, 4)
  const logKey = reader.bytes(20)
  reader.labels(395, treeAlgorithm, 15)
  reader.map(2)
  reader.labels(1)
  const operator = readOperator(reader)
  reader.labels(6)
  const time = reader.uint() * 1000
  reader.labels(-65537)
  const network = reader.bytes(32)
  reader.labels(-65538)
  const shard = reader.uint()
  reader.labels(-65539)
  const size = reader.uint()
  reader.end()
  if (shard >= 2 ** 32) throw new InvalidCheckpointError('the shard is 2^32 or more')
  if (!Number.isSafeInteger(time)) throw new InvalidCheckpointError('the date is out of range')
  return { logKey, network, operator, shard, size, time }
}

function readOperator(reader: Reader): Uint8Array {
  const text = reader.text()
  const operator = fromHex(text)
  if (text !== formatAddress(operator))
    throw new InvalidCheckpointError('the operator is not 0x and lower case')
  return operator
}

function assertCheckpoint(checkpoint: Checkpoint) {
  const { network, operator, root, shard, size, time } = checkpoint
  const problem =
    network.length !== 32
      ? 'the network id must have 32 bytes'
      : operator.length !== 20
        ? 'the operator must have 20 bytes'
        : root.length !== 32
          ? 'the root must have 32 bytes'
          : !Number.isInteger(shard) || shard < 0 || shard >= 2 ** 32
            ? 'the shard must be an integer below 2^32'
            : !Number.isSafeInteger(size) || size < 0
              ? 'the size must be an integer below 2^53'
              : !Number.isSafeInteger(time) || time < 0 || time % 1000 !== 0
                ? 'the time must be whole seconds, in ms'
                : null
  if (problem !== null) throw new InvalidCheckpointError(problem)
}
