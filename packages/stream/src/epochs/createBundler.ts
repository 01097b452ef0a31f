import { createHash } from 'node:crypto'
import { fromHex } from '@machinefi/core'
import {
  type ClaimEvidence,
  decodeCheckpoint,
  type EpochBundle,
  encodeBundle,
  encodeBundleHead,
  encodeBundleTail,
  encodeClaim,
} from '@machinefi/proof'
import type { OpenNetwork } from '../network/openNetwork.js'
import type { Store } from '../store/openStore.js'
import { findBatches, greatestSkewMs, readTrace } from './buildClaims.js'
import type { Settler } from './createSettler.js'
import type { Claim, EpochStore, StoredEpoch } from './openEpochStore.js'

/**
 * Makes bundles when they are asked for: all that is in them is durable
 * elsewhere. After the rows have expired, batches are in them without their
 * rows.
 */
export function createBundler(options: createBundler.Options): Bundler {
  const { epochs, settler, store } = options

  function createFrame(open: OpenNetwork, epoch: StoredEpoch): Omit<EpochBundle, 'claims'> {
    const { network, schemas, state } = open
    const { chainId, factory, serial, windowSeconds } = network
    const head = epoch.size === 0 ? undefined : store.checkpoint(state.number, epoch.size)!.bytes
    return {
      attempt: epoch.attempt,
      checkpoints: head ? [head] : [],
      config: fromHex(epoch.config),
      epochHash: fromHex(epoch.posted!.epochHash),
      ledgerRoot: fromHex(epoch.ledgerRoot),
      ledgerTotal: epoch.ledgerTotal,
      // Perhaps one that was changed since.
      logKey: head ? store.logKey(decodeCheckpoint(head).logKey)! : options.logKey,
      memberCount: epoch.posted!.memberCount,
      metric: epoch.metric.type,
      network: { chainId, factory: fromHex(factory), serial, windowSeconds },
      parentHash: fromHex(epoch.parentHash),
      policy: 'threshold',
      schema: schemas.find(({ id }) => id === epoch.schema)!,
      window: epoch.window,
    }
  }

  function createEvidence(
    open: OpenNetwork,
    epoch: StoredEpoch,
    claim: Claim,
    indexes: readonly number[],
  ): ClaimEvidence {
    const { state, windowOf } = open
    const { cumulative, device, reward, slot, steps, traceRoot, value } = claim
    const member = state.members.get(device)!
    const { algorithm, publicKey } = member
    const trace =
      steps === 0
        ? []
        : readTrace({
            device,
            indexes,
            network: state.number,
            schema: epoch.schema,
            store,
            window: windowOf(epoch.window),
          })
    return {
      batches: trace.map(({ batch, index, shard }) => ({
        bytes: batch.bytes,
        index,
        proof: state.log.inclusionProof(index, epoch.size),
        shard,
      })),
      before: cumulative - reward,
      entry: { cumulative, device, steps, traceRoot, value },
      key: steps === 0 ? null : { algorithm, publicKey },
      siblings: settler.ledgerOf(open, epoch).proof(slot).siblings,
      slot,
    }
  }

  return {
    claim(open, epoch, claim) {
      const { state, windowOf } = open
      const from = store.firstArrivedSince(
        state.number,
        windowOf(epoch.window).start - greatestSkewMs,
      )
      const { number } = state.members.get(claim.device)!
      const indexes = store.indexesOf(state.number, number, from, epoch.size)
      const evidence = createEvidence(open, epoch, claim, indexes)
      return encodeBundle({ ...createFrame(open, epoch), claims: [evidence] })
    },
    async *epoch(open, epoch) {
      const { state, windowOf } = open
      // Nothing can be proven of an entry that is not of the member of its slot.
      const claims = epochs
        .claims(state.number, epoch)
        .filter(({ device, slot }) => state.members.get(device)?.slot === slot)
      const window = windowOf(epoch.window)
      const { schema, size } = epoch
      const { number: network } = state
      const found = await findBatches({ network, schema, size, store, window })
      // The claims come last but for the digest: what is before them is written first, and they one
      // by one, so that an epoch of any size is never in memory as a whole.
      const frame = createFrame(open, epoch)
      const digest = createHash('sha256')
      const part = (bytes: Uint8Array) => {
        digest.update(bytes)
        return bytes
      }
      yield part(encodeBundleHead(frame, claims.length))
      for (const claim of claims) {
        const { number } = state.members.get(claim.device)!
        const evidence = createEvidence(open, epoch, claim, found.get(number) ?? [])
        yield part(encodeClaim(evidence))
      }
      yield encodeBundleTail(digest.digest())
    },
  }
}

export declare namespace createBundler {
  type Options = {
    epochs: EpochStore
    /** Of now, X‖Y. */
    logKey: Uint8Array
    settler: Settler
    store: Store
  }
}

export type Bundler = {
  /** The bundle of one claim. */
  claim(network: OpenNetwork, epoch: StoredEpoch, claim: Claim): Uint8Array
  /** The bundle of a whole epoch, in parts. */
  epoch(network: OpenNetwork, epoch: StoredEpoch): AsyncGenerator<Uint8Array>
}
