import { equalBytes, publicKeyToAddress, type Signer } from '@machinefi/core'
import { decodeCheckpoint, signCheckpoint } from '@machinefi/proof'
import type { NetworkState } from '../ingest/createPipeline.js'
import type { Store } from '../store/openStore.js'

/**
 * Signs the last head of a log again if another key has signed it, before the
 * operator changed its key: so there always is a head of the whole log under
 * the key of now, for whoever knows no other. It promises what the one before
 * did, from now on: same network, shard, size and root.
 */
export async function renewHead(
  state: NetworkState,
  { clock, operator, signer, store }: renewHead.Options,
): Promise<void> {
  const last = store.lastCheckpoint(state.number)
  if (!last) return
  const { logKey, root, shard, size } = decodeCheckpoint(last.bytes)
  if (equalBytes(logKey, publicKeyToAddress(signer.publicKey))) return
  const time = Math.floor(Math.max(clock(), state.arrived) / 1000) * 1000
  const head = { network: state.id, operator, root, shard, signer, size, time }
  store.renewCheckpoint(state.number, { bytes: await signCheckpoint(head), size, time })
  state.arrived = Math.max(state.arrived, time)
}

export declare namespace renewHead {
  type Options = {
    clock: () => number
    /** The operator's account, 20 bytes. */
    operator: Uint8Array
    /** The log key, ES256. */
    signer: Signer
    store: Store
  }
}
