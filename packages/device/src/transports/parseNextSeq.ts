import { TransportError } from './errors.js'
import { type Answer, parseJson, toError } from './request.js'
import { isProblem, toUnknownDevice } from './toDelivery.js'

/**
 * The next seq that a node expects of a device, from what it says of it.
 *
 * @throws {TransportError} the node does not know the device yet, or its answer cannot be read.
 * @throws {RefusedError} the node does not serve the network.
 */
export function parseNextSeq(answer: Answer): number {
  if ('problem' in answer) {
    const { problem } = answer
    // Not taken for new: the node may be behind the chain.
    throw isProblem(problem, 'not-found') ? toUnknownDevice(problem) : toError(answer)
  }
  let nextSeq: unknown
  try {
    nextSeq = parseJson(answer.bytes).nextSeq
  } catch {}
  if (Number.isSafeInteger(nextSeq) && (nextSeq as number) >= 0) return nextSeq as number
  throw new TransportError('The node did not say its next seq.')
}
