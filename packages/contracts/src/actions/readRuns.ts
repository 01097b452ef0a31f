import { type Address, getAbiItem, type Hex } from 'viem'
import { iModelRegistryAbi } from '../abis/iModelRegistryAbi.js'
import { readContract } from '../chain/readContract.js'
import { type BlockRange, readEvents } from '../chain/readEvents.js'
import { readModelRegistry } from '../chain/readModelRegistry.js'
import type { AnyClient } from '../chain/writeContract.js'

/**
 * Reads the runs of a model that were endorsed in a range of blocks, the first endorsed first.
 * The chain has no more of a run than its root.
 */
export async function readRuns(
  client: AnyClient,
  parameters: readRuns.Parameters,
): Promise<readRuns.ReturnType> {
  const { fromBlock, model, registry, toBlock } = parameters
  const address = await readModelRegistry(client, registry)
  const logs = await readEvents(client, {
    address,
    args: { model },
    event: runEndorsed,
    fromBlock,
    toBlock,
  })
  const roots = [...new Set(logs.map(({ args }) => args.root))]
  const runs: readRuns.ReturnType = []
  for (let i = 0; i < roots.length; i += chunk)
    runs.push(
      ...(await Promise.all(
        roots.slice(i, i + chunk).map(async (root) => ({
          root,
          endorsed: await readContract(client, {
            abi: iModelRegistryAbi,
            address,
            functionName: 'isEndorsed',
            args: [model, root],
          }),
        })),
      )),
    )
  return runs
}

export declare namespace readRuns {
  type Parameters = BlockRange & {
    /** Of the devices. */
    registry: Address
    model: Hex
  }
  type ReturnType = {
    root: Hex
    /** Now: false since it was revoked. */
    endorsed: boolean
  }[]
}

/** Calls at a time. */
const chunk = 100

const runEndorsed = getAbiItem({ abi: iModelRegistryAbi, name: 'RunEndorsed' })
