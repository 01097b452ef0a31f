import { BaseError } from '@machinefi/core'

/** The data directory cannot be used: held by a process, foreign, or damaged. */
export class DataDirectoryError extends BaseError {
  override readonly name = 'DataDirectoryError'
  constructor(shortMessage: string, options: DataDirectoryError.Options = {}) {
    super(shortMessage, { kind: 'integrity', ...options })
  }
}

export declare namespace DataDirectoryError {
  type Options = Partial<BaseError.Options>
}

/** The configuration of a node contradicts itself or the chain. */
export class NodeConfigurationError extends BaseError {
  override readonly name = 'NodeConfigurationError'
  constructor(shortMessage: string, options: { metaMessages?: readonly string[] } = {}) {
    super(shortMessage, { kind: 'input', ...options })
  }
}

/**
 * A write could not be made durable. What the disk holds is unknown from here
 * on, so the node takes nothing more in until it is started again.
 */
export class StoreFailedError extends BaseError {
  override readonly name = 'StoreFailedError'
  constructor(cause: unknown) {
    super('The store failed; the node takes nothing in until it is restarted.', {
      kind: 'internal',
      cause,
    })
  }
}

/** An epoch on chain contradicts what this node would post. */
export class EpochConflictError extends BaseError {
  override readonly name = 'EpochConflictError'
  constructor(shortMessage: string, options: { metaMessages?: readonly string[] } = {}) {
    super(shortMessage, { kind: 'integrity', ...options })
  }
}
