import { type Hex, parseEventLogs } from 'viem'
import { iSettlementAbi } from '../abis/iSettlementAbi.js'
import {
  type AnyClient,
  type WriteOptions,
  type WriteResult,
  writeContract,
} from '../chain/writeContract.js'
import { type Epoch, type LogHead, toEpoch } from '../Epoch.js'
import type { Network } from '../Network.js'

/**
 * Posts the epoch of the next window. Only a bonded operator whose turn it is,
 * after the window's end and grace.
 *
 * @throws {ContractError} e.g. `WindowOutOfOrder`, `WindowNotOver`, `ParentMismatch`,
 * `InvalidDepth`, `StepNotCovered`.
 */
export async function postEpoch(
  client: AnyClient,
  parameters: postEpoch.Parameters,
): Promise<postEpoch.ReturnType> {
  const { depth, ledgerRoot, ledgerTotal, logs, network, parentHash, window } = parameters
  const { hash, receipt } = await writeContract(
    client,
    {
      abi: iSettlementAbi,
      address: network.settlement,
      functionName: 'postEpoch',
      args: [{ depth, ledgerRoot, ledgerTotal, logs, parentHash, window }],
    },
    parameters,
  )
  const [posted] = parseEventLogs({
    abi: iSettlementAbi,
    eventName: 'EpochPosted',
    logs: receipt.logs,
  })
  return { epoch: toEpoch(posted!), hash, receipt }
}

export declare namespace postEpoch {
  type Parameters = WriteOptions & {
    network: Pick<Network, 'settlement'>
    window: number
    /**
     * Epoch hash of the window before: of the very epoch that the ledger builds on, so that the
     * posting never lands on another one. Zero in the network's first window.
     */
    parentHash: Hex
    /** Of the ledger: the least with 2^depth ≥ members, or one more. */
    depth: number
    ledgerRoot: Hex
    /** Sum at the root: all rewards ever earned. */
    ledgerTotal: bigint
    /** At most 8, shards ascending. */
    logs: readonly LogHead[]
  }
  type ReturnType = WriteResult & { epoch: Epoch }
}
