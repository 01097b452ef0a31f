import type { BaseError } from '@machinefi/core'
import { watchContractEvent } from 'viem/actions'
import { iSettlementAbi } from '../abis/iSettlementAbi.js'
import type { AnyClient } from '../chain/writeContract.js'
import { type Epoch, toEpoch } from '../Epoch.js'
import { toContractError } from '../errors.js'
import type { Network } from '../Network.js'

/**
 * Calls back when epochs are posted, become final or are voided. Returns a
 * function that ends it. Finality is noticed when somebody posts, finalizes or
 * redeems: `readFinalWindow` tells it to the second.
 */
export function watchEpochs(client: AnyClient, parameters: watchEpochs.Parameters): () => void {
  const { fromBlock, network, onError, onFinal, onPosted, onVoided, pollingInterval } = parameters
  return watchContractEvent(client, {
    abi: iSettlementAbi,
    address: network.settlement,
    strict: true,
    ...(fromBlock !== undefined && { fromBlock }),
    ...(pollingInterval !== undefined && { pollingInterval }),
    onError: (error) =>
      onError?.(
        toContractError(error, { address: network.settlement, functionName: 'watchEpochs' }),
      ),
    onLogs: (logs) => {
      for (const log of logs) {
        // Nodes report what a reorganisation took back as the same log once more.
        if (log.removed) continue
        if (log.eventName === 'EpochPosted') onPosted?.(toEpoch(log))
        if (log.eventName === 'Finalized') onFinal?.(log.args)
        if (log.eventName === 'EpochsVoided') onVoided?.(log.args)
      }
    },
  })
}

export declare namespace watchEpochs {
  type Parameters = {
    network: Pick<Network, 'settlement'>
    /** @default the latest block */
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
