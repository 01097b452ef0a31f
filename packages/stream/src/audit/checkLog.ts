import { concatBytes, equalBytes } from '@machinefi/core'
import {
  type CheckpointEvidence,
  createLog,
  decodeCheckpoint,
  diffLog,
  type EpochEvidence,
  type Log,
  type LogHead,
  toCheckpointEvidence,
} from '@machinefi/proof'
import { type NodeReader, NodeRefusedError } from './createNodeReader.js'
import type { AuditedEpoch, LogKeys } from './openAuditChain.js'
import type { AuditStore, KeptCheckpoint } from './openAuditStore.js'
import type { LogCopy } from './openLogCopy.js'
import { maxEntries, readEntries } from './syncLog.js'
import { type Finding, toFinding } from './Verdict.js'
import { verifyHead } from './verifyHead.js'

/**
 * Holds the logs of an epoch against everything that their operator signed and
 * posted before, as far as it was seen.
 */
export async function checkLog(options: checkLog.Options): Promise<LogVerdict> {
  const { copyOf, cutoff, earlier, epoch, evidence, logKeys, network, readers, signal, store } =
    options
  const shards = [...new Set([0, ...epoch.logs.map(({ shard }) => shard)])]
  const checkpoints: CheckpointEvidence[] = []
  const logs = new Map<number, Log>()
  /** A head that its operator may not be able to go on from, and whether it shows others now. */
  let suspect: { checkpoint: CheckpointEvidence; shard: number; shown: boolean } | undefined
  let covered = true
  for (const shard of shards) {
    const copy = copyOf(shard)
    const posted = epoch.logs.find((head) => head.shard === shard)
    const size = posted?.size ?? 0
    const odd = store.oddCheckpoints(copy.number)
    const last = await findSigned(copy, () => store.checkpointUpTo(copy.number, size))
    const promised = await findSigned(copy, () => store.checkpointAbove(copy.number, size, cutoff))
    for (const head of [last, promised, ...odd]) {
      const publicKey = head && (await findKey(copy, head))
      if (publicKey) checkpoints.push(toCheckpointEvidence(head.bytes, publicKey))
    }
    if (!posted) continue
    if (isAt(copy.log, copy.size, posted)) {
      logs.set(shard, copy.log)
      continue
    }
    covered = false
    const other = await readLog(posted)
    if (other) logs.set(shard, other)
    // The history that was copied, to guess by.
    else if (copy.size >= size) logs.set(shard, copy.log)
    else if (last) {
      const checkpoint = toCheckpointEvidence(last.bytes, (await findKey(copy, last))!)
      suspect = { checkpoint, shard, shown: odd.length > 0 }
    }
  }

  const findings = diffLog({
    checkpoints,
    cutoff,
    earlier: earlier ? [earlier] : [],
    epoch: evidence,
    log: (shard) => logs.get(shard) ?? null,
  }).map((fault) => toFinding(fault))
  // Where the log is kept back, one question is whether there still is the one that was seen.
  if (suspect && !findings.some(({ why }) => why === 'rewritten-log')) {
    const { checkpoint, shard, shown } = suspect
    findings.push({
      certain: false,
      remedy: { kind: 'checkpoint', checkpoint, epoch: evidence },
      text: shown
        ? `Shard ${shard} may not begin with the ${checkpoint.size} entries that its operator signed: it shows other ones now.`
        : `The operator does not show whether shard ${shard} still begins with the ${checkpoint.size} entries that it signed: that is asked for on chain.`,
      why: shown ? 'rewritten-log' : 'withheld-data',
    })
  }
  return { covered, findings }

  /** The entries that were posted, if a node shows them. */
  async function readLog(posted: LogHead): Promise<Log | undefined> {
    if (posted.size > maxEntries) return undefined
    for (const reader of readers) {
      const parts: Uint8Array[] = []
      try {
        const onIds = (ids: Uint8Array) => parts.push(ids)
        await readEntries({ from: 0, onIds, reader, signal, to: posted.size })
      } catch (error) {
        if (!(error instanceof NodeRefusedError)) throw error
        signal?.throwIfAborted()
        continue
      }
      const log = createLog(concatBytes(...parts))
      if (isAt(log, log.size, posted)) return log
    }
    return undefined
  }

  /** The first head that a query gives and that was signed; those that were not are forgotten. */
  async function findSigned(
    copy: LogCopy,
    query: () => KeptCheckpoint | undefined,
  ): Promise<KeptCheckpoint | undefined> {
    if (!logKeys) return undefined
    for (let head = query(); head; head = query()) {
      if (await findKey(copy, head)) return head
      store.dropCheckpoint(copy.number, head)
    }
    return undefined
  }

  /** The key that a head was signed with; undefined if it is none that its operator answers for. */
  async function findKey(copy: LogCopy, head: KeptCheckpoint): Promise<Uint8Array | undefined> {
    if (!logKeys) return undefined
    if (head.verified) return logKeys(decodeCheckpoint(head.bytes))
    const { operator } = copy
    const signed = await verifyHead(head.bytes, { logKeys, network, operator })
    if (signed) store.putCheckpoints(copy.number, [{ ...head, verified: true }])
    return signed?.publicKey
  }
}

export declare namespace checkLog {
  type Options = {
    copyOf: (shard: number) => LogCopy
    /** End of the window and grace, ms. */
    cutoff: number
    /** The last epoch before that the same operator posted and that stands. */
    earlier: { epoch: EpochEvidence; window: number } | undefined
    epoch: AuditedEpoch
    evidence: EpochEvidence
    /** Of the operator. */
    logKeys: LogKeys | undefined
    /** Network id, 32 bytes. */
    network: Uint8Array
    /** Nodes of the operator. */
    readers: readonly NodeReader[]
    signal?: AbortSignal | undefined
    store: AuditStore
  }
}

export type LogVerdict = {
  /** Whether the copies have all entries that were posted. */
  covered: boolean
  findings: Finding[]
}

function isAt(log: Log, size: number, head: LogHead): boolean {
  return head.size <= size && equalBytes(log.root(head.size), head.root)
}
