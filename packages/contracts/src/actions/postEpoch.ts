import { type Hex, parseEventLogs } from 'viem'
import { iSettlementAbi } from '../abis/iSettlementAbi.js'
import { readContract } from '../chain/readContract.js'
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
  const { depth, ledgerRoot, ledgerTotal, logs, network, window } = parameters
  const address = network.settlement
  const parentAttempt = parameters.parentAttempt ?? (await readAttempt(client, network, window - 1))
  const { hash, receipt } = await writeContract(
    client,
    {
      abi: iSettlementAbi,
      address,
      functionName: 'postEpoch',
      args: [{ depth, ledgerRoot, ledgerTotal, logs, parentAttempt, window }],
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
    network: Pick<Network, 'settlement' | 'firstWindow'>
    window: number
    /** Attempt of the epoch before that the ledger builds on. @default read from the chain */
    parentAttempt?: number | undefined
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

async function readAttempt(
  client: AnyClient,
  network: postEpoch.Parameters['network'],
  window: number,
): Promise<number> {
  if (window < network.firstWindow) return 0
  const { attempt } = await readContract(client, {
    abi: iSettlementAbi,
    address: network.settlement,
    functionName: 'epoch',
    args: [window],
  })
  return attempt
}
