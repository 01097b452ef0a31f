import type { AnyClient } from '@machinefi/contracts'
import type { Address } from 'viem'
import type { Context } from '../../context.js'
import { openNetwork } from '../../network/openNetwork.js'
import { parseAccountAddress } from '../../options/parseAccountAddress.js'

/** Options of all commands about models. */
export type ModelOptions = {
  json?: boolean
  network?: string
  node: string
  registry?: string
  rpc: string
}

/** The registry of the devices whose models a command is about: as named, else the network's. */
export async function findRegistry(
  client: AnyClient,
  options: ModelOptions,
  context: Context,
): Promise<Address> {
  if (options.registry !== undefined) return parseAccountAddress(options.registry)
  return (await openNetwork(client, options, context)).network.registry
}
