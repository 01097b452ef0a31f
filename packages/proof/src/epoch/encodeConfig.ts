import { BaseError, concatBytes, equalBytes } from '@machinefi/core'
import { encodeWords } from '../abi/encodeWords.js'
import { readUint } from '../abi/readWord.js'
import { keccak } from '../keccak/keccak.js'

/** The rules of a network from some window on, as its settlement contract has them: times in seconds, bytes for addresses. */
export type Config = {
  /** Id of the schema whose batches count. */
  readonly schema: number
  /** SHA-256 of the encoded schema. */
  readonly schemaHash: Uint8Array
  /** How many values a row has. */
  readonly fields: number
  readonly tickMs: number
  /** Address of the metric's contract. */
  readonly metric: Uint8Array
  readonly metricParams: Uint8Array
  /** Address of the reward policy's contract. */
  readonly policy: Uint8Array
  readonly policyParams: Uint8Array
  readonly operator: Uint8Array
  readonly grace: number
  readonly challengeWindow: number
  readonly responseTime: number
  readonly takeoverDelay: number
  readonly retention: number
  readonly maxRowsBytes: number
  /** Wei. */
  readonly minBond: bigint
  /** Units of not yet final reward that one wei of bond covers. */
  readonly coverage: bigint
  /** Least bond of a challenge, wei. */
  readonly challengeBond: bigint
}

/** Encodes a configuration as `abi.encode(Config)`: an epoch commits to the keccak256 of these bytes. */
export function encodeConfig(config: Config): Uint8Array {
  const metricParams = encodeDynamic(config.metricParams)
  const policyParams = encodeDynamic(config.policyParams)
  const head = 18 * 32
  return concatBytes(
    encodeWords(32),
    encodeWords(
      ...[config.schema, config.schemaHash, config.fields, config.tickMs],
      ...[config.metric, head, config.policy, head + metricParams.length],
      ...[config.operator, config.grace, config.challengeWindow, config.responseTime],
      ...[config.takeoverDelay, config.retention, config.maxRowsBytes],
      ...[config.minBond, config.coverage, config.challengeBond],
    ),
    metricParams,
    policyParams,
  )
}

/**
 * Decodes what {@link encodeConfig} writes, and nothing else.
 *
 * @throws {MalformedConfigError}
 */
export function decodeConfig(bytes: Uint8Array): Config {
  const word = (i: number) => bytes.slice(32 * (i + 1), 32 * (i + 2))
  const integer = (i: number) => readUint(word(i))
  const number = (i: number) => Number(integer(i))
  const address = (i: number) => word(i).slice(12)
  const dynamic = (i: number) => {
    const offset = 32 + number(i)
    const length = Number(readUint(bytes.slice(offset, offset + 32)))
    return bytes.slice(offset + 32, offset + 32 + length)
  }
  const config = {
    schema: number(0),
    schemaHash: word(1),
    fields: number(2),
    tickMs: number(3),
    metric: address(4),
    metricParams: dynamic(5),
    policy: address(6),
    policyParams: dynamic(7),
    operator: address(8),
    grace: number(9),
    challengeWindow: number(10),
    responseTime: number(11),
    takeoverDelay: number(12),
    retention: number(13),
    maxRowsBytes: number(14),
    minBond: integer(15),
    coverage: integer(16),
    challengeBond: integer(17),
  }
  // Numbers that are too large for their type, offsets and padding: one way to write each is left.
  const numbers = Object.values(config).filter((value) => typeof value === 'number')
  if (bytes.length < 19 * 32 || !numbers.every(Number.isSafeInteger))
    throw new MalformedConfigError()
  if (!equalBytes(encodeConfig(config), bytes)) throw new MalformedConfigError()
  return config
}

/** keccak256(abi.encode(Config)). */
export function configHash(config: Config): Uint8Array {
  return keccak.hash(encodeConfig(config))
}

/** Bytes are not the ABI encoding of a configuration. */
export class MalformedConfigError extends BaseError {
  override readonly name = 'MalformedConfigError'
  constructor() {
    super('Not the ABI encoding of a network’s configuration.', { kind: 'integrity' })
  }
}

function encodeDynamic(bytes: Uint8Array): Uint8Array {
  const padded = new Uint8Array(32 * Math.ceil(bytes.length / 32))
  padded.set(bytes)
  return concatBytes(encodeWords(bytes.length), padded)
}
