import { iSettlementAbi } from '../abis/iSettlementAbi.js'
import {
  type AnyClient,
  type WriteOptions,
  type WriteResult,
  writeContract,
} from '../chain/writeContract.js'
import type { Network } from '../Network.js'

/**
 * Moves the finality pointer. Seldom needed: posting and redeeming move it too,
 * by up to 2 and 32 windows.
 */
export async function finalizeEpochs(
  client: AnyClient,
  parameters: finalizeEpochs.Parameters,
): Promise<WriteResult> {
  const { most = 256, network } = parameters
  const { hash, receipt } = await writeContract(
    client,
    { abi: iSettlementAbi, address: network.settlement, functionName: 'finalize', args: [most] },
    parameters,
  )
  return { hash, receipt }
}

export declare namespace finalizeEpochs {
  type Parameters = WriteOptions & {
    network: Pick<Network, 'settlement'>
    /** Most windows to pass. @default 256 */
    most?: number | undefined
  }
}
