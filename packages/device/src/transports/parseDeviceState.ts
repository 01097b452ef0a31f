import { TransportError } from './errors.js'
import { type Answer, parseJson, toError } from './request.js'
import { isProblem, toUnknownDevice } from './toDelivery.js'
import type { Transport } from './transport.js'

/**
 * What a node says of a device. Of that, only the next seq is checked here.
 *
 * @throws {TransportError} the node does not know the device yet, or its answer cannot be read.
 * @throws {RefusedError} the node does not serve the network.
 */
export function parseDeviceState(answer: Answer): Transport.DeviceState {
  if ('problem' in answer) {
    const { problem } = answer
    // Not taken for new: the node may be behind the chain.
    throw isProblem(problem, 'not-found') ? toUnknownDevice(problem) : toError(answer)
  }
  try {
    const state: Transport.DeviceState = parseJson(answer.bytes)
    if (Number.isSafeInteger(state.nextSeq) && state.nextSeq >= 0) return state
  } catch {}
  throw new TransportError('The node did not say its next seq.')
}
