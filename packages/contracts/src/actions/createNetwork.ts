import { type Address, parseEventLogs } from 'viem'
import { iNetworkFactoryAbi } from '../abis/iNetworkFactoryAbi.js'
import {
  type AnyClient,
  type WriteOptions,
  type WriteResult,
  writeContract,
} from '../chain/writeContract.js'
import type { Network } from '../Network.js'
import type { NetworkConfig } from '../NetworkConfig.js'
import { readNetwork } from './readNetwork.js'

/**
 * Creates a network: its token, settlement, membership and disputes. Anyone may.
 *
 * @throws {ContractError} e.g. `RetentionTooShort`, `InvalidMetricParams`.
 */
export async function createNetwork(
  client: AnyClient,
  parameters: createNetwork.Parameters,
): Promise<createNetwork.ReturnType> {
  const { config, disputes, factory, isPrivate = false } = parameters
  const { name, owner, symbol, windowSeconds } = parameters
  const { hash, receipt } = await writeContract(
    client,
    {
      abi: iNetworkFactoryAbi,
      address: factory,
      functionName: 'createNetwork',
      args: [{ config, disputes, isPrivate, name, owner, symbol, windowSeconds }],
    },
    parameters,
  )
  const [created] = parseEventLogs({
    abi: iNetworkFactoryAbi,
    eventName: 'NetworkCreated',
    logs: receipt.logs,
  })
  const network = await readNetwork(client, { factory, serial: created!.args.serial })
  return { ...network, hash, receipt }
}

export declare namespace createNetwork {
  type Parameters = WriteOptions & {
    factory: Address
    /** Of the token. */
    name: string
    symbol: string
    /** Sets the configuration, lists operators, suspends members. */
    owner: Address
    /**
     * The deployment's disputes: the network gets a clone of its own, and lying costs its operators
     * their bond. The zero address makes an attested network: its operators' word stands.
     */
    disputes: Address
    /**
     * Records and daily values are for owners, grantees and the auditors that the network names;
     * never changes. Otherwise they are open to everyone.
     * @default false
     */
    isPrivate?: boolean | undefined
    /** Length of a window, e.g. 86400 for UTC days; never changes. */
    windowSeconds: number
    config: NetworkConfig
  }
  type ReturnType = Network & WriteResult
}
