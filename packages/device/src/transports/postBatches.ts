import { concatBytes } from '@machinefi/core'
import { readAnswers } from './answers.js'
import { type Answer, isRetryable, toError } from './request.js'
import { isFinal } from './toDelivery.js'
import type { QueuedBatch } from './transport.js'

/**
 * Posts batches where a request has one answer: one batch as `application/cose`,
 * more as a CBOR sequence. One answer for each, in order.
 *
 * @throws {TransportError} nothing is known of any.
 */
export async function postBatches(
  batches: readonly QueuedBatch[],
  post: (body: Uint8Array, options: postBatches.Post) => Promise<Answer>,
): Promise<readonly Answer[]> {
  const single = batches.length === 1
  const answer = await post(concatBytes(...batches.map(({ bytes }) => bytes)), {
    contentType: single ? 'application/cose' : 'application/cbor-seq',
    maxResponseBytes: 8192 * (batches.length + 1),
  })
  if ('bytes' in answer) return single ? [answer] : readAnswers(answer.bytes, batches.length)
  const { problem } = answer
  if (isRetryable(problem.status)) throw toError(answer)
  if (single) return [answer]
  // A whole body refused: too large for this node, or spoilt by one batch. Halves will tell.
  if (isFinal(problem)) {
    const middle = batches.length >> 1
    return [
      ...(await postBatches(batches.slice(0, middle), post)),
      ...(await postBatches(batches.slice(middle), post)),
    ]
  }
  return batches.map(() => answer)
}

export declare namespace postBatches {
  type Post = {
    contentType: 'application/cbor-seq' | 'application/cose'
    maxResponseBytes: number
  }
}
