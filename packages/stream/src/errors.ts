import { ContractError } from '@machinefi/contracts'
import { BaseError } from '@machinefi/core'
import type { ChainChallenge } from './chain/chain.js'

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

/** The clock of the chain is behind what a node has signed: another key now would leave that without anyone who answers for it. */
export class ChainBehindError extends BaseError {
  override readonly name = 'ChainBehindError'
  constructor(behindMs: number) {
    super(
      `The chain's latest block is ${Math.ceil(behindMs / 1000)} s older than the last checkpoint.`,
      {
        kind: 'transport',
        metaMessages: [
          'What the key before signed would be dated after its change, and bind nobody.',
          'Try again when there is a later block.',
        ],
      },
    )
  }
}

/** A broker that somebody else runs cannot be used; its address is named without what may be secret in it. */
export class BrokerError extends BaseError {
  override readonly name = 'BrokerError'
  constructor(host: string, reason: string, cause?: unknown) {
    super(`The broker ${host} ${reason}.`, { kind: 'transport', cause })
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

/** A challenge of an epoch of this operator is not answered: the bond is at stake until it is. */
export class ChallengeError extends BaseError {
  override readonly name = 'ChallengeError'
  readonly challenge: ChainChallenge
  constructor(challenge: ChainChallenge, reason: string, cause?: unknown) {
    super(`${describeChallenge(challenge)} is not answered: ${reason}`, {
      kind: 'integrity',
      cause,
      docsPath: 'protocol/disputes.md',
      metaMessages: [`Challenge: ${challenge.id}`],
    })
    this.challenge = challenge
  }
}

/** There is no answer to a challenge that the contract would take. */
export class NoAnswerError extends BaseError {
  override readonly name = 'NoAnswerError'
  constructor(shortMessage: string) {
    super(shortMessage, { kind: 'integrity' })
  }
}

/** Another node cannot be used; its address is named without what may be secret in it. */
export class PeerError extends BaseError {
  override readonly name = 'PeerError'
  constructor(peer: URL, reason: string, cause?: unknown) {
    super(`The peer ${peer.host} was asked for a ledger: ${reason}.`, { kind: 'transport', cause })
  }
}

/** What may be told to anyone: nothing that the SDK has not written itself. */
export function tellError(error: unknown): string {
  if (error instanceof ContractError && !error.revert) return `${error.functionName} failed.`
  return error instanceof BaseError ? error.shortMessage : 'An unexpected error.'
}

function describeChallenge({ deadline, point, window }: ChainChallenge): string {
  return `A challenge of window ${window} (${placeOf(point)}, until ${new Date(deadline).toISOString()})`
}

function placeOf(point: ChainChallenge['point']): string {
  switch (point.kind) {
    case 'step':
      return `step ${point.step} in slot ${point.slot}`
    case 'carry':
      return `carry in slot ${point.slot}`
    case 'omission':
      return `omission of entry ${point.index}`
    case 'consistency':
      return `consistency with size ${point.size}`
    case 'reveal':
      return `reveal of node ${point.index} at height ${point.height}`
  }
}
