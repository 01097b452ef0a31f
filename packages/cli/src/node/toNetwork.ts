import type { Network } from '@machinefi/contracts'
import { getAddress } from 'viem'
import type { NodeNetwork } from './fetchNode.js'

/** The contracts of a network, as its node names them. */
export function toNetwork(description: NodeNetwork): Network {
  const { chainId, firstWindow, id, windowMs } = description
  return {
    chainId,
    disputes: getAddress(description.disputes),
    factory: getAddress(description.factory),
    firstWindow,
    id,
    isPrivate: description.isPrivate,
    membership: getAddress(description.membership),
    registry: getAddress(description.registry),
    serial: BigInt(description.serial),
    settlement: getAddress(description.settlement),
    token: getAddress(description.token),
    windowSeconds: windowMs / 1000,
  }
}
