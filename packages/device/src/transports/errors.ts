import { BaseError } from '@machinefi/core'
import type { Problem } from './transport.js'

/** The node could not be reached, is overloaded, or its answer cannot be read: try again. */
export class TransportError extends BaseError {
  override readonly name = 'TransportError'
  /** How long the node asked to be left alone, ms. */
  readonly retryAfterMs: number | undefined
  constructor(shortMessage: string, options: TransportError.Options = {}) {
    const { retryAfterMs, ...rest } = options
    super(shortMessage, { kind: 'transport', ...rest })
    this.retryAfterMs = retryAfterMs
  }
}

export declare namespace TransportError {
  type Options = {
    cause?: unknown
    metaMessages?: readonly string[]
    retryAfterMs?: number | undefined
  }
}

/** The node answered, but not with a receipt for this batch: the data is still the device's to keep. */
export class ReceiptError extends BaseError {
  override readonly name = 'ReceiptError'
  readonly reason: string
  constructor(reason: string, options: { seq: number }) {
    super(`The receipt for batch ${options.seq} is not valid: ${reason}.`, {
      kind: 'integrity',
      metaMessages: [
        'The batch is kept and will be sent again.',
        'Is this the node, and its log key the one expected?',
      ],
    })
    this.reason = reason
  }
}

/** The node refused a batch, or the whole request. */
export class RefusedError extends BaseError {
  override readonly name = 'RefusedError'
  readonly problem: Problem
  constructor(problem: Problem, options: { final: boolean }) {
    super(`The node refused: ${problem.title}.`, {
      kind: 'input',
      metaMessages: [
        ...toDetails(problem),
        `Status ${problem.status}, ${problem.type}`,
        options.final
          ? 'The batch is kept: see device.refused().'
          : 'The batch is kept and will be sent again.',
      ],
    })
    this.problem = problem
  }
}

/** What a node says of a problem beside its title, as lines. */
export function toDetails({ detail }: Problem): readonly string[] {
  return detail === undefined ? [] : [detail]
}
