import { BaseError } from '@machinefi/core'
import {
  type Address,
  decodeErrorResult,
  type Hex,
  HttpRequestError,
  SocketClosedError,
  TimeoutError,
  BaseError as ViemError,
  WaitForTransactionReceiptTimeoutError,
  WebSocketRequestError,
} from 'viem'
import { errorsAbi } from './abis/errorsAbi.js'
import { toLowerCase } from './chain/toLowerCase.js'

/** A contract refused a call: what it was, and the revert by name and arguments. */
export class ContractError extends BaseError {
  override readonly name = 'ContractError'
  readonly address: Address | undefined
  readonly functionName: string
  /** The revert; undefined if the chain gave no reason that any of the contracts has. */
  readonly revert: ContractError.Revert | undefined
  /** The transaction, if the call got so far as to be mined. */
  readonly hash: Hex | undefined

  constructor(parameters: ContractError.Parameters) {
    const { address, cause, functionName, hash, reason, revert } = parameters
    const said = revert ? formatRevert(revert) : (reason ?? 'the call reverted without a reason')
    super(`${functionName} failed: ${said}.`, {
      kind: 'contract',
      cause,
      metaMessages: [
        ...(address ? [`Contract: ${address}`] : []),
        ...(hash ? [`Transaction: ${hash}`] : []),
      ],
    })
    this.address = address
    this.functionName = functionName
    this.hash = hash
    this.revert = revert
  }
}

export declare namespace ContractError {
  type Revert = { name: string; args: readonly unknown[]; data: Hex }
  type Parameters = {
    address?: Address | undefined
    cause?: unknown
    functionName: string
    hash?: Hex | undefined
    reason?: string | undefined
    revert?: Revert | undefined
  }
}

/** The chain could not be asked: no answer, or an answer that says to come again. */
export class ChainUnavailableError extends BaseError {
  override readonly name = 'ChainUnavailableError'
  constructor(functionName: string, cause: ViemError) {
    super(`${functionName}: the chain did not answer.`, {
      kind: 'transport',
      cause,
      metaMessages: [cause.shortMessage],
    })
  }
}

/**
 * A transaction was not taken, or never mined, for a reason that sending it again cures: another one
 * of the account took its nonce, or fees rose meanwhile.
 */
export class TransactionRejectedError extends BaseError {
  override readonly name = 'TransactionRejectedError'
  /** The transaction, if a node had taken it. */
  readonly hash: Hex | undefined
  constructor(
    functionName: string,
    reason: string,
    options: { cause?: unknown; hash?: Hex | undefined } = {},
  ) {
    const { cause, hash } = options
    super(`${functionName}: ${reason}.`, {
      kind: 'transport',
      cause,
      metaMessages: hash ? [`Transaction: ${hash}`] : [],
    })
    this.hash = hash
  }
}

/** A call that sends a transaction needs an account: none was given, and the client has none. */
export class AccountMissingError extends BaseError {
  override readonly name = 'AccountMissingError'
  constructor(functionName: string) {
    super(`${functionName} needs an account.`, {
      kind: 'input',
      metaMessages: ['Create the client with `account`, or pass one.'],
    })
  }
}

/** Something that was looked for is not on the chain. */
export class NotFoundOnChainError extends BaseError {
  override readonly name = 'NotFoundOnChainError'
  constructor(what: string, metaMessages: readonly string[] = []) {
    super(`${what} is not on this chain.`, { kind: 'contract', metaMessages })
  }
}

/** An argument that no contract could accept. */
export class InvalidArgumentError extends BaseError {
  override readonly name = 'InvalidArgumentError'
  constructor(shortMessage: string, metaMessages: readonly string[] = []) {
    super(shortMessage, { kind: 'input', metaMessages })
  }
}

/**
 * Makes an error of the SDK of what viem threw in a call to a contract; errors of the SDK pass
 * through. Every action does; for calls of your own to these contracts.
 */
export function toContractError(
  error: unknown,
  call: { address?: Address | undefined; functionName: string },
): BaseError {
  if (error instanceof BaseError) return error
  if (!(error instanceof ViemError)) {
    return new ContractError({ ...call, cause: error, reason: String((error as Error)?.message) })
  }
  const data = findRevertData(error)
  if (data === undefined && error.walk(isTransportError)) {
    return new ChainUnavailableError(call.functionName, error)
  }
  const rejected = data === undefined && rejectionOf(error)
  if (rejected) return new TransactionRejectedError(call.functionName, rejected, { cause: error })
  const revert = data && decodeRevert(data)
  return new ContractError({
    ...call,
    cause: error,
    revert: revert || undefined,
    reason: data && data !== '0x' ? `an unknown error ${data.slice(0, 10)}` : reasonOf(error),
  })
}

/** Decodes the revert data of any of the contracts, or of Solidity itself. */
export function decodeRevert(data: Hex): ContractError.Revert | undefined {
  try {
    // viem adds Error(string) and Panic(uint256) by itself.
    const { errorName, args = [] } = decodeErrorResult({ abi: errorsAbi, data })
    return { name: errorName, args: toLowerCase(args), data }
  } catch {
    return undefined
  }
}

function findRevertData(error: ViemError): Hex | undefined {
  let found: Hex | undefined
  error.walk((cause) => {
    const { data, raw } = cause as { data?: unknown; raw?: unknown }
    // viem's decoded error has the bytes as `raw`, a node's answer as `data`, some nest it.
    const nested = (data as { data?: unknown } | undefined)?.data
    for (const value of [raw, data, nested]) {
      if (typeof value === 'string' && /^0x([0-9a-f]{2}){4,}$/i.test(value)) found ??= value as Hex
    }
    return found !== undefined
  })
  return found
}

/** Why a node did not take a transaction that it might take next time. */
function rejectionOf(error: ViemError): string | undefined {
  const said = messagesOf(error)
  if (/nonce too low|nonce is lower|replacement .*underpriced/.test(said)) {
    return 'another transaction of the account took its nonce'
  }
  if (/underpriced|less than block base ?fee|lower than .*base ?fee|outdated/.test(said)) {
    return 'fees rose before it was sent'
  }
  return undefined
}

/** Whether a node has the very transaction that was sent to it. */
export function isKnownTransaction(error: unknown): boolean {
  return (
    error instanceof ViemError &&
    /already known|known transaction|already imported/.test(messagesOf(error))
  )
}

/** What the node said, which viem keeps as `details`. */
function messagesOf(error: ViemError): string {
  const said: string[] = []
  error.walk((cause) => {
    const { details, message } = cause as { details?: string; message?: string }
    said.push(details ?? message ?? '')
    return false
  })
  return said.join('\n').toLowerCase()
}

/** No answer, or one that says to come again. */
function isTransportError(error: unknown): boolean {
  const { code } = error as { code?: unknown }
  return isSilence(error) || code === -32005 || code === 429
}

function isSilence(error: unknown): boolean {
  // Some nodes refuse what is too much with an HTTP status.
  if (error instanceof HttpRequestError) return error.status !== 400 && error.status !== 413
  return (
    error instanceof TimeoutError ||
    error instanceof SocketClosedError ||
    // Sent, and perhaps mined later: no contract has refused anything.
    error instanceof WaitForTransactionReceiptTimeoutError ||
    error instanceof WebSocketRequestError
  )
}

/** Whether a node answered, and might answer otherwise if asked for less. */
export function isRefusal(error: unknown): boolean {
  return error instanceof ViemError && !error.walk(isSilence)
}

/** The innermost of viem's short messages: the outer ones repeat the call. */
function reasonOf(error: ViemError): string {
  let reason = error.shortMessage
  error.walk((cause) => {
    if (cause instanceof ViemError) reason = cause.shortMessage
    return false
  })
  return reason.replace(/\.$/, '')
}

function formatRevert({ name, args }: ContractError.Revert): string {
  const values = args.map((arg) =>
    JSON.stringify(arg, (_, value) => (typeof value === 'bigint' ? value.toString() : value)),
  )
  return `${name}(${values.join(', ').replaceAll('"', '')})`
}
