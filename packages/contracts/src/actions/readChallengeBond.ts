import { iDisputesAbi } from '../abis/iDisputesAbi.js'
import { readContract } from '../chain/readContract.js'
import type { AnyClient } from '../chain/writeContract.js'
import type { Network } from '../Network.js'

/** Reads the least stake of a challenge to an epoch of a window, in wei. It rises with the base fee. */
export function readChallengeBond(
  client: AnyClient,
  parameters: readChallengeBond.Parameters,
): Promise<bigint> {
  const { network, window } = parameters
  return readContract(client, {
    abi: iDisputesAbi,
    address: network.disputes,
    functionName: 'challengeBond',
    args: [window],
  })
}

export declare namespace readChallengeBond {
  type Parameters = { network: Pick<Network, 'disputes' | 'settlement'>; window: number }
}
