import { getAbiItem } from 'viem'
import { iSettlementAbi } from '../abis/iSettlementAbi.js'
import { readContract } from '../chain/readContract.js'
import { type BlockRange, readEvents } from '../chain/readEvents.js'
import type { AnyClient } from '../chain/writeContract.js'
import { type Epoch, type EpochStatus, epochStatuses, toEpoch } from '../Epoch.js'
import type { Network } from '../Network.js'

/** Reads the epochs posted in a range of blocks, voided attempts included, oldest first. */
export async function readEpochs(
  client: AnyClient,
  parameters: readEpochs.Parameters,
): Promise<readEpochs.ReturnType> {
  const { fromBlock, network, toBlock, window } = parameters
  const logs = await readEvents(client, {
    address: network.settlement,
    ...(window !== undefined && { args: { window } }),
    event: epochPosted,
    fromBlock,
    toBlock,
  })
  const epochs: readEpochs.ReturnType = []
  for (let i = 0; i < logs.length; i += chunk) {
    epochs.push(
      ...(await Promise.all(
        logs.slice(i, i + chunk).map(async (log) => {
          const epoch = toEpoch(log)
          return { ...epoch, status: await readEpochStatus(client, { network, ...epoch }) }
        }),
      )),
    )
  }
  return epochs
}

export declare namespace readEpochs {
  type Parameters = BlockRange & {
    network: Pick<Network, 'settlement'>
    /** Only the attempts of this one. */
    window?: number | undefined
  }
  type ReturnType = (Epoch & { status: EpochStatus })[]
}

/** Reads the latest attempt of a window; null if it was never posted. */
export async function readEpoch(
  client: AnyClient,
  parameters: readEpoch.Parameters,
): Promise<readEpochs.ReturnType[number] | null> {
  return (await readEpochs(client, parameters)).at(-1) ?? null
}

export declare namespace readEpoch {
  type Parameters = BlockRange & { network: Pick<Network, 'settlement'>; window: number }
}

/** Reads whether an attempt is pending, final or void. */
export async function readEpochStatus(
  client: AnyClient,
  parameters: readEpochStatus.Parameters,
): Promise<EpochStatus> {
  const { attempt, network, window } = parameters
  const status = await readContract(client, {
    abi: iSettlementAbi,
    address: network.settlement,
    functionName: 'statusOf',
    args: [window, attempt],
  })
  return epochStatuses[status]!
}

export declare namespace readEpochStatus {
  type Parameters = { network: Pick<Network, 'settlement'>; window: number; attempt: number }
}

/** Calls at a time. */
const chunk = 100

const epochPosted = getAbiItem({ abi: iSettlementAbi, name: 'EpochPosted' })
