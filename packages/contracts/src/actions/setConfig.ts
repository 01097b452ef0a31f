import { parseEventLogs } from 'viem'
import { iSettlementAbi } from '../abis/iSettlementAbi.js'
import {
  type AnyClient,
  type WriteOptions,
  type WriteResult,
  writeContract,
} from '../chain/writeContract.js'
import type { Network } from '../Network.js'
import type { NetworkConfig } from '../NetworkConfig.js'

/** Sets the rules for all windows that begin after the transaction. Only the network's owner. */
export async function setConfig(
  client: AnyClient,
  parameters: setConfig.Parameters,
): Promise<setConfig.ReturnType> {
  const { config, network } = parameters
  const { hash, receipt } = await writeContract(
    client,
    {
      abi: iSettlementAbi,
      address: network.settlement,
      functionName: 'setConfig',
      args: [config],
    },
    parameters,
  )
  const [set] = parseEventLogs({
    abi: iSettlementAbi,
    eventName: 'ConfigSet',
    logs: receipt.logs,
  })
  return { fromWindow: set!.args.fromWindow, hash, receipt }
}

export declare namespace setConfig {
  type Parameters = WriteOptions & { network: Pick<Network, 'settlement'>; config: NetworkConfig }
  type ReturnType = WriteResult & { fromWindow: number }
}
