import { type CheckpointCache, verifyReceipt } from '@machinefi/proof'
import { ReceiptError, TransportError, toDetails } from './errors.js'
import { type Answer, isRetryable, toError } from './request.js'
import type { Problem, QueuedBatch, Transport } from './transport.js'

/**
 * What a node's answer means for a batch, whichever way it came: `delivered`
 * only with a receipt whose signed head covers this batch id, for this network,
 * under a log key that counts, dated not before the batch and not after the
 * device's clock, give or take `maxSkewMs`.
 */
export async function toDelivery(
  answer: Answer,
  batch: QueuedBatch,
  options: toDelivery.Options,
): Promise<Transport.Delivery> {
  const { cache, clock, logKeys, maxSkewMs, network, operator } = options
  if ('problem' in answer) {
    const { problem } = answer
    if (isProblem(problem, 'unknown-device'))
      return { status: 'failed', error: toUnknownDevice(problem) }
    if (isRetryable(problem.status)) return { status: 'failed', error: toError(answer) }
    return { status: 'refused', problem, final: isFinal(problem) }
  }
  const { id, end, seq } = batch
  const receipt = answer.bytes
  const verify = (publicKey: Uint8Array) =>
    verifyReceipt(receipt, { cache, id, network, operator, publicKey })
  let verdict = await verify(logKeys[0]!)
  if (!verdict.ok && verdict.reason === 'key')
    // Once in years: loaded when it is needed.
    verdict = await (await import('./followLogKey.js')).followLogKey(options, verify)
  const reason = verdict.ok
    ? checkTime(verdict.checkpoint.time, end, clock(), maxSkewMs)
    : verdict.reason
  if (!verdict.ok || reason !== null)
    return { status: 'failed', error: new ReceiptError(String(reason), { seq }) }
  return { status: 'delivered', receipt, index: verdict.index }
}

export declare namespace toDelivery {
  type Options = LogKeys & {
    cache: CheckpointCache
    /** The device's, ms. */
    clock: () => number
    /** How far clocks of node and device may be apart. */
    maxSkewMs: number
    /** Network id, 32 bytes. */
    network: Uint8Array
  }
}

/** Whose receipts count. */
export type LogKeys = {
  /** P-256 X‖Y: the key that counts, and those that may take its place. Each loses it to a later one. */
  readonly logKeys: Uint8Array[]
  /** The account, 20 bytes, where it is known. */
  readonly operator: Uint8Array | undefined
  /** Asks for the key of now, where nobody else says which it is. */
  readonly ask?: (() => Promise<{ logKey: Uint8Array }>) | undefined
}

/** Registration takes its time, and a node may be behind the chain: what waits goes on waiting. */
export function toUnknownDevice(problem: Problem): TransportError {
  return new TransportError('The node does not know the device yet.', {
    metaMessages: [...toDetails(problem), 'Is it registered, and a member of this network?'],
  })
}

export function isProblem({ type }: Problem, reason: string): boolean {
  return type === problemBase + reason
}

/**
 * Whether the batch itself can never pass. That its device is not registered
 * yet, that the node does not serve the network yet or speaks otherwise, or
 * that a clock is ahead, is no verdict on the batch; nor is a proxy's.
 */
export function isFinal({ status, type }: Problem): boolean {
  if (type.startsWith(problemBase)) return !passing.includes(type.slice(problemBase.length))
  return [400, 409, 410, 413, 422].includes(status)
}

/**
 * A duplicate gets its first receipt again, however long ago that was, so the batch itself is
 * the lower bound. A date to come would let the operator cut the log before it.
 */
function checkTime(time: number, end: number, now: number, maxSkewMs: number): string | null {
  if (time > now + maxSkewMs) return 'dated in the future'
  // Receipts are dated in whole seconds.
  return time + 1000 <= end - maxSkewMs ? 'dated before the batch' : null
}

const problemBase = 'https://machinefi.dev/problems/'
const passing = [
  'encoding',
  'future',
  'media-type',
  'method',
  'not-found',
  'unknown-device',
  'unknown-network',
]
