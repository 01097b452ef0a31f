import { resolve } from 'node:path'
import { formatDid, toHex } from '@machinefi/core'
import { createStoreState } from './createStoreState.js'
import { StoreMissingError } from './fileStoreErrors.js'
import { readSegments } from './readSegments.js'
import type { Store } from './store.js'

/**
 * What a store in a directory holds. Nothing is locked or changed, so that a
 * device may be at work there: what it has not synced yet is not seen.
 *
 * @throws {StoreMissingError}
 * @throws {StoreMismatchError} field `format`: the store is of another version.
 * @throws {StoreDamagedError}
 */
export async function readFileStore(directory: string): Promise<readFileStore.ReturnType> {
  const path = resolve(directory)
  for (let attempt = 0; ; attempt++) {
    // Its bounds are the device's to know: what it forgot, and is on disk still, counts here.
    const state = createStoreState({ keepDeliveredBytes: Infinity, keepDeliveredMs: Infinity })
    try {
      const { segments } = await readSegments(path, state.apply)
      const identity = state.identity()
      if (identity === undefined) throw new StoreMissingError(path)
      const { finalAt, finalBefore, lastTime, nextSeq } = state.position()
      const held = Array.from(state.held(), ({ until }) => until).filter((until) => until > 0)
      return {
        device: formatDid(identity.device),
        network: toHex(identity.network),
        schema: identity.schema,
        nextSeq: Number.isNaN(nextSeq) ? undefined : nextSeq,
        lastTime: Number.isNaN(lastTime) ? undefined : lastTime,
        ...state.size(),
        held: held.length === 0 ? undefined : { first: held.reduce(min), last: held.reduce(max) },
        final: Number.isNaN(finalBefore) ? undefined : { before: finalBefore, at: finalAt },
        diskBytes: segments.reduce((sum, { end }) => sum + end, 0),
      }
    } catch (error) {
      if (!['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
      // A segment was deleted meanwhile, or there never was one.
      if (attempt === maxAttempts) throw new StoreMissingError(path)
    }
  }
}

export declare namespace readFileStore {
  type ReturnType = Store.Size & {
    /** `did:io:0x…` */
    device: string
    /** Network id. */
    network: `0x${string}`
    /** Id of the schema. */
    schema: number
    /** Seq of the next batch; undefined until the node was asked. */
    nextSeq: number | undefined
    /** Time of the newest reading, ms. */
    lastTime: number | undefined
    /**
     * When the first and the last of the kept batches can be final at the earliest, ms: none of them
     * is given up before on the node's word. Undefined where nothing is kept.
     */
    held: { first: number; last: number } | undefined
    /** Windows that end by `before` are final: the node said so at `at`, ms. */
    final: { before: number; at: number } | undefined
    /** Bytes of all segments. */
    diskBytes: number
  }
}

const maxAttempts = 10
const min = (a: number, b: number) => Math.min(a, b)
const max = (a: number, b: number) => Math.max(a, b)
