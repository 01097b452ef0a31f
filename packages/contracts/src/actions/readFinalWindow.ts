import { iSettlementAbi } from '../abis/iSettlementAbi.js'
import { readContract } from '../chain/readContract.js'
import type { AnyClient } from '../chain/writeContract.js'
import type { Network } from '../Network.js'

/** Reads the last window that can be redeemed from; null while there is none. */
export async function readFinalWindow(
  client: AnyClient,
  parameters: readFinalWindow.Parameters,
): Promise<number | null> {
  const { network } = parameters
  const next = await readContract(client, {
    abi: iSettlementAbi,
    address: network.settlement,
    functionName: 'nextFinalWindow',
  })
  return next > network.firstWindow ? next - 1 : null
}

export declare namespace readFinalWindow {
  type Parameters = { network: Pick<Network, 'settlement' | 'firstWindow'> }
}

/** Reads the window to be posted next: the first one, or the one after the latest that stands. */
export function readNextWindow(
  client: AnyClient,
  parameters: readNextWindow.Parameters,
): Promise<number> {
  const { network } = parameters
  return readContract(client, {
    abi: iSettlementAbi,
    address: network.settlement,
    functionName: 'nextWindow',
  })
}

export declare namespace readNextWindow {
  type Parameters = { network: Pick<Network, 'settlement'> }
}
