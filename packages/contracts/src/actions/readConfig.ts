import { getAbiItem } from 'viem'
import { iSettlementAbi } from '../abis/iSettlementAbi.js'
import { readContract } from '../chain/readContract.js'
import { type BlockRange, readEvents } from '../chain/readEvents.js'
import type { AnyClient } from '../chain/writeContract.js'
import { NotFoundOnChainError } from '../errors.js'
import type { Network } from '../Network.js'
import { configHash, type NetworkConfig } from '../NetworkConfig.js'

/**
 * Reads the rules of a window. The contract keeps their hash; the rules are in
 * an event, and are checked against it.
 *
 * @throws {NotFoundOnChainError} if the event is not in the range of blocks.
 */
export async function readConfig(
  client: AnyClient,
  parameters: readConfig.Parameters,
): Promise<readConfig.ReturnType> {
  const { fromBlock, network, toBlock } = parameters
  const address = network.settlement
  const window = Math.max(parameters.window ?? network.firstWindow, network.firstWindow)
  const version = await readContract(client, {
    abi: iSettlementAbi,
    address,
    functionName: 'versionAt',
    args: [window],
  })
  const logs = await readEvents(client, {
    address,
    args: { configHash: version.configHash },
    event: configSet,
    fromBlock,
    toBlock,
  })
  // The same rules may have been set again later.
  const log = logs.findLast(({ args }) => args.fromWindow <= window)
  if (!log) throw new NotFoundOnChainError(`Configuration ${version.configHash}`)
  const { config } = log.args
  if (configHash(config) !== version.configHash) {
    throw new NotFoundOnChainError(`Configuration ${version.configHash}`, [
      'The event with this hash has other contents: the RPC endpoint is not honest.',
    ])
  }
  return { ...config, fromWindow: log.args.fromWindow, hash: version.configHash }
}

export declare namespace readConfig {
  type Parameters = BlockRange & {
    network: Pick<Network, 'settlement' | 'firstWindow'>
    /** @default the first */
    window?: number | undefined
  }
  type ReturnType = NetworkConfig & {
    /** The first window it applied to. */
    fromWindow: number
    /** Of the configuration: what epochs commit to. */
    hash: NetworkConfig['schemaHash']
  }
}

const configSet = getAbiItem({ abi: iSettlementAbi, name: 'ConfigSet' })
