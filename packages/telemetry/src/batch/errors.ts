import { BaseError } from '@machinefi/core'
import type { Problem } from '../cbor/reader.js'

/** Why a batch is refused. The codes are stable: nodes answer with them. */
export type BatchReason =
  | 'truncated'
  | 'not-canonical'
  | 'version'
  | 'algorithm'
  | 'header'
  | 'records-missing'
  | 'records-hash'
  | 'records'
  | 'schema'
  | 'fields'
  | 'too-large'
  | 'signature'
  | 'key'

/** The bytes are not a batch; `reason` says why in one word, `offset` where. */
export class BatchError extends BaseError {
  override readonly name: string = 'BatchError'
  readonly reason: BatchReason
  readonly offset: number
  constructor(shortMessage: string, { reason, offset }: { reason: BatchReason; offset: number }) {
    super(shortMessage, { kind: 'integrity' })
    this.reason = reason
    this.offset = offset
  }
}

/** The bytes end before the batch does. */
export class TruncatedBatchError extends BatchError {
  override readonly name = 'TruncatedBatchError'
  constructor(offset: number) {
    super(`The batch is cut off at byte ${offset}.`, { reason: 'truncated', offset })
  }
}

/** The bytes are not in the one form a batch may have. */
export class NotCanonicalBatchError extends BatchError {
  override readonly name = 'NotCanonicalBatchError'
  constructor(expected: string, offset: number) {
    super(`Not a canonical batch: expected ${expected} at byte ${offset}.`, {
      reason: 'not-canonical',
      offset,
    })
  }
}

/** The header is of a version this code does not know. */
export class UnsupportedVersionError extends BatchError {
  override readonly name = 'UnsupportedVersionError'
  constructor(offset: number) {
    super(`The batch header at byte ${offset} is not of version 1.`, { reason: 'version', offset })
  }
}

/** The signature algorithm is neither ES256 (−7) nor ES256K (−47). */
export class UnsupportedAlgorithmError extends BatchError {
  override readonly name = 'UnsupportedAlgorithmError'
  constructor(offset: number) {
    super(`The algorithm at byte ${offset} is neither ES256 (-7) nor ES256K (-47).`, {
      reason: 'algorithm',
      offset,
    })
  }
}

/** The payload is not a header, or a number in it is out of bounds. */
export class MalformedHeaderError extends BatchError {
  override readonly name = 'MalformedHeaderError'
  constructor(expected: string, offset: number) {
    super(`Malformed batch header: expected ${expected} at byte ${offset}.`, {
      reason: 'header',
      offset,
    })
  }
}

/** The records are longer than any network may allow. */
export class BatchTooLargeError extends BatchError {
  override readonly name = 'BatchTooLargeError'
  constructor(maxBytes: number, offset: number) {
    super(`The byte string at byte ${offset} is longer than ${maxBytes} bytes.`, {
      reason: 'too-large',
      offset,
    })
  }
}

/**
 * The records are not the rows that the header describes. `offset` is relative to the first byte
 * of the records; the reason is `fields` where a row has the wrong number of items.
 */
export class MalformedRowsError extends BatchError {
  override readonly name = 'MalformedRowsError'
  constructor(expected: string, offset: number, reason: 'records' | 'fields' = 'records') {
    super(`Malformed records: expected ${expected} at byte ${offset}.`, { reason, offset })
  }
}

/** What a caller asked to encode cannot be a batch. */
export class InvalidBatchError extends BaseError {
  override readonly name = 'InvalidBatchError'
  constructor(shortMessage: string) {
    super(shortMessage, { kind: 'input' })
  }
}

export function failBatch(problem: Problem, expected: string, offset: number): never {
  if (problem === 'truncated') throw new TruncatedBatchError(offset)
  throw new NotCanonicalBatchError(expected, offset)
}

export function failHeader(problem: Problem, expected: string, offset: number): never {
  if (problem === 'not-canonical') throw new NotCanonicalBatchError(expected, offset)
  throw new MalformedHeaderError(expected, offset)
}

export function failRows(_problem: Problem, expected: string, offset: number): never {
  throw new MalformedRowsError(expected, offset)
}
