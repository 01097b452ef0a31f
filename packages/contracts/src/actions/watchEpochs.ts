import type { BaseError } from '@machinefi/core'
import { getAbiItem, type Hash } from 'viem'
import { getBlock } from 'viem/actions'
import { iSettlementAbi } from '../abis/iSettlementAbi.js'
import { readEventsOf } from '../chain/readEvents.js'
import type { AnyClient } from '../chain/writeContract.js'
import { type Epoch, toEpoch } from '../Epoch.js'
import { toContractError } from '../errors.js'
import type { Network } from '../Network.js'

/**
 * Calls back when epochs are posted, become final or are voided, in the order of the chain: first
 * what happened from `fromBlock` on, then what is new. Returns a function that ends it.
 *
 * Polls, so that it works with any node. After a reorganisation of up to 64 blocks, what is in the
 * new ones is told as well; what was in the old ones is not taken back. Finality is noticed when
 * somebody posts, finalizes or redeems: `readFinalWindow` tells it to the second.
 */
export function watchEpochs(client: AnyClient, parameters: watchEpochs.Parameters): () => void {
  const { network, onError, onFinal, onPosted, onVoided } = parameters
  const { fromBlock, pollingInterval = client.pollingInterval } = parameters
  const address = network.settlement
  /** Events told, by block and place, and the number of their block. */
  const told = new Map<string, bigint>()
  let first = fromBlock
  let read: { hash: Hash; number: bigint } | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let ended = false

  async function poll(): Promise<void> {
    const { hash, number } = await getBlock(client)
    first ??= number + 1n
    if (hash === read?.hash) return
    const again = (read?.number ?? 0n) - reorganisation
    const from = again > first ? again : first
    const logs = await readEventsOf(client, { address, events, fromBlock: from, toBlock: number })
    for (const log of logs) {
      const key = `${log.blockHash} ${log.logIndex}`
      if (ended || told.has(key)) continue
      told.set(key, log.blockNumber)
      if (log.eventName === 'EpochPosted') onPosted?.(toEpoch(log))
      if (log.eventName === 'Finalized') onFinal?.(log.args)
      if (log.eventName === 'EpochsVoided') onVoided?.(log.args)
    }
    read = { hash, number }
    for (const [key, block] of told) if (block < number - reorganisation) told.delete(key)
  }

  async function run(): Promise<void> {
    try {
      await poll()
    } catch (error) {
      onError?.(toContractError(error, { address, functionName: 'watchEpochs' }))
    }
    if (!ended) timer = setTimeout(run, pollingInterval)
  }
  void run()
  return () => {
    ended = true
    clearTimeout(timer)
  }
}

export declare namespace watchEpochs {
  type Parameters = {
    network: Pick<Network, 'settlement'>
    /** @default the block after the latest */
    fromBlock?: bigint | undefined
    /** Milliseconds. @default the client's */
    pollingInterval?: number | undefined
    onPosted?: ((epoch: Epoch) => void) | undefined
    /** All windows up to this one are final. */
    onFinal?: ((finality: { window: number; ledgerTotal: bigint }) => void) | undefined
    /** These windows, both included, pay nothing and are to be posted again. */
    onVoided?: ((range: { fromWindow: number; toWindow: number }) => void) | undefined
    onError?: ((error: BaseError) => void) | undefined
  }
}

/** Blocks that are read again, since they may have become others. */
const reorganisation = 64n

const events = [
  getAbiItem({ abi: iSettlementAbi, name: 'EpochPosted' }),
  getAbiItem({ abi: iSettlementAbi, name: 'Finalized' }),
  getAbiItem({ abi: iSettlementAbi, name: 'EpochsVoided' }),
] as const
