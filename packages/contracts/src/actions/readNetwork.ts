import type { Address, Hex } from 'viem'
import { getChainId } from 'viem/actions'
import { iMembershipAbi } from '../abis/iMembershipAbi.js'
import { iNetworkFactoryAbi } from '../abis/iNetworkFactoryAbi.js'
import { iSettlementAbi } from '../abis/iSettlementAbi.js'
import { readContract } from '../chain/readContract.js'
import { toLowerCase } from '../chain/toLowerCase.js'
import type { AnyClient } from '../chain/writeContract.js'
import { NotFoundOnChainError } from '../errors.js'
import { type Network, toNetworkId } from '../Network.js'

/**
 * Reads where a network's contracts are, from its factory.
 *
 * @throws {NotFoundOnChainError} if the factory has no such network.
 */
export async function readNetwork(
  client: AnyClient,
  parameters: readNetwork.Parameters,
): Promise<Network> {
  const factory = toLowerCase(parameters.factory)
  const at = { abi: iNetworkFactoryAbi, address: factory } as const
  const serial =
    parameters.serial ??
    (await readContract(client, { ...at, functionName: 'serialOf', args: [parameters.id] }))
  const count = await readContract(client, { ...at, functionName: 'networkCount' })
  if (serial === 0n || serial > count) {
    throw new NotFoundOnChainError(`Network ${parameters.id ?? serial}`, [`Factory: ${factory}`])
  }
  const [chainId, registry, { disputes, membership, settlement, token }] = await Promise.all([
    client.chain?.id ?? getChainId(client),
    readContract(client, { ...at, functionName: 'registry' }),
    readContract(client, { ...at, functionName: 'network', args: [serial] }),
  ])
  const of = { abi: iSettlementAbi, address: settlement } as const
  const [windowSeconds, firstWindow, isPrivate] = await Promise.all([
    readContract(client, { ...of, functionName: 'windowSeconds' }),
    readContract(client, { ...of, functionName: 'firstWindow' }),
    readContract(client, {
      abi: iMembershipAbi,
      address: membership,
      functionName: 'isPrivate',
    }),
  ])
  const id = toNetworkId({ chainId, factory, serial })
  return {
    ...{ id, chainId, factory, serial, registry, settlement, membership, disputes, token },
    ...{ isPrivate, windowSeconds, firstWindow },
  }
}

export declare namespace readNetwork {
  type Parameters = { factory: Address } & (
    | { id: Hex; serial?: undefined }
    | { id?: undefined; serial: bigint }
  )
}
