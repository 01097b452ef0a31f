import { sha256, toHex, verifySignature } from '@machinefi/core'
import { hashLeaf } from '../log/treeHash.js'
import { foldInclusionPath } from '../log/verifyInclusion.js'
import { type DecodedReceipt, readReceipt } from './encodeReceipt.js'
import {
  type Checkpoint,
  checkCheckpoint,
  checkpointMessage,
  type DecodedCheckpoint,
  type verifyCheckpoint,
} from './signCheckpoint.js'

/**
 * Verifies a receipt: the entry is at its place in the log whose root the log
 * key signed, for this network, and dated close to `now` where that is given
 * (a receipt dated wrongly promises nothing, so devices refuse it).
 *
 * @example
 * const cache = createCheckpointCache()
 * const verdict = await verifyReceipt(bytes, { cache, id: batchId(batch, network), network, now: Date.now(), publicKey })
 */
export async function verifyReceipt(
  bytes: Uint8Array,
  options: verifyReceipt.Options,
): Promise<verifyReceipt.Verdict> {
  const { cache, id, publicKey } = options
  let receipt: DecodedReceipt
  try {
    receipt = readReceipt(bytes)
  } catch {
    return { ok: false, reason: 'malformed' }
  }
  const reason = checkCheckpoint(receipt, options)
  if (reason !== null) return { ok: false, reason }
  const root = foldReceipt(receipt, id)
  if (root === null) return { ok: false, reason: 'inclusion' }
  const message = checkpointMessage(receipt.protected, root)
  const verify = () =>
    verifySignature({ algorithm: 'ES256', message, publicKey, signature: receipt.signature })
  const ok = await (cache === undefined
    ? verify()
    : cache.verify(toHex(sha256(publicKey, receipt.signature, message)), verify))
  if (!ok) return { ok: false, reason: 'signature' }
  const { index, network, operator, shard, size, time } = receipt
  return { ok: true, checkpoint: { network, operator, root, shard, size, time }, index }
}

export declare namespace verifyReceipt {
  type Options = verifyCheckpoint.Options & {
    /** Receipts of one commit share a signature; a cache checks it once. */
    cache?: CheckpointCache | undefined
    /** The entry that the receipt must be for: the batch id, 32 bytes. */
    id: Uint8Array
    network: Uint8Array
  }
  /** `signature` is also what another entry, index or path ends in: the root it leads to was never signed. */
  type Reason = verifyCheckpoint.Reason | 'inclusion'
  type Verdict = { ok: true; checkpoint: Checkpoint; index: number } | { ok: false; reason: Reason }
}

/**
 * The checkpoint that a receipt was made from: with the entry, a receipt is the
 * operator's signature under its whole log, and so a proof against it. `null`
 * where entry and path do not fit. The signature is not verified.
 */
export function toCheckpoint(receipt: DecodedReceipt, id: Uint8Array): DecodedCheckpoint | null {
  const { index: _, proof: __, ...checkpoint } = receipt
  const root = foldReceipt(receipt, id)
  return root && { ...checkpoint, root }
}

/** The root that a receipt leads to from an entry, or `null` where they do not fit. */
function foldReceipt(receipt: DecodedReceipt, id: Uint8Array): Uint8Array | null {
  return id.length === 32 ? foldInclusionPath({ ...receipt, leafHash: hashLeaf(id) }) : null
}

/**
 * Remembers which checkpoint signatures were found valid, the last `maxEntries`
 * of them. Keyed by key, signature and signed bytes together, so it can be
 * shared by everything.
 */
export function createCheckpointCache(
  options: createCheckpointCache.Options = {},
): CheckpointCache {
  const { maxEntries = 64 } = options
  const verdicts = new Map<string, Promise<boolean>>()
  return {
    verify(key, verify) {
      const known = verdicts.get(key)
      if (known !== undefined) return known
      // The promise is kept, not its outcome, so that receipts checked at once share it too.
      const verdict = verify()
      if (verdicts.size >= maxEntries) verdicts.delete(verdicts.keys().next().value as string)
      verdicts.set(key, verdict)
      const forget = () => {
        if (verdicts.get(key) === verdict) verdicts.delete(key)
      }
      // Forgeries must not push out what is valid for longer than their check takes.
      verdict.then((ok) => ok || forget(), forget)
      return verdict
    },
  }
}

export declare namespace createCheckpointCache {
  type Options = {
    /** @default 64 */
    maxEntries?: number | undefined
  }
}

export type CheckpointCache = {
  /** The verdict known for a key, or that of `verify`. */
  verify(key: string, verify: () => Promise<boolean>): Promise<boolean>
}
