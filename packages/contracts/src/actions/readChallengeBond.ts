import { getBlock } from 'viem/actions'
import { disputesAbi } from '../abis/disputesAbi.js'
import { iSettlementAbi } from '../abis/iSettlementAbi.js'
import { disputesOf } from '../chain/disputesCall.js'
import { readContract } from '../chain/readContract.js'
import type { AnyClient } from '../chain/writeContract.js'
import { toContractError } from '../errors.js'
import type { Network } from '../Network.js'

/**
 * Reads the least stake of a challenge to an epoch of a window, in wei: what the rules say, or, where
 * gas is dear, several times what the dearest answer costs.
 */
export async function readChallengeBond(
  client: AnyClient,
  parameters: readChallengeBond.Parameters,
): Promise<bigint> {
  const { network, window } = parameters
  const disputes = { abi: disputesAbi, address: disputesOf(network) } as const
  const { baseFee = await readBaseFee(client) } = parameters
  // The contract's own `challengeBond` cannot be asked: nodes have a base fee of 0 in calls without
  // a gas price.
  const [{ challengeBond, maxRowsBytes }, gas, gasPerByte, factor] = await Promise.all([
    readContract(client, {
      abi: iSettlementAbi,
      address: network.settlement,
      functionName: 'versionAt',
      args: [window],
    }),
    readContract(client, { ...disputes, functionName: 'ANSWER_GAS' }),
    readContract(client, { ...disputes, functionName: 'ANSWER_GAS_PER_BYTE' }),
    readContract(client, { ...disputes, functionName: 'BOND_FACTOR' }),
  ])
  const answer = factor * (gas + gasPerByte * BigInt(maxRowsBytes)) * baseFee
  return answer > challengeBond ? answer : challengeBond
}

export declare namespace readChallengeBond {
  type Parameters = {
    network: Pick<Network, 'disputes' | 'settlement'>
    window: number
    /** Of the block in which the challenge is mined, wei. @default the latest block's */
    baseFee?: bigint | undefined
  }
}

export async function readBaseFee(client: AnyClient): Promise<bigint> {
  try {
    return (await getBlock(client)).baseFeePerGas ?? 0n
  } catch (error) {
    throw toContractError(error, { functionName: 'challengeBond' })
  }
}
