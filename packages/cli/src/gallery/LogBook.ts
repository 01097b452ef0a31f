import { concatBytes, equalBytes } from '@machinefi/core'
import { createLog, decodeCheckpoint, type Log, signCheckpoint } from '@machinefi/proof'
import { readBatch, type SignedBatch } from '@machinefi/telemetry'
import type { Hex } from 'viem'
import { fetchNodeBytes, NodeProblemError } from '../node/fetchNode.js'

/** A log as somebody tells it: its batches, and the heads that were signed. */
export type LogBook = {
  readonly entries: readonly LogEntry[]
  /** By size, ascending. */
  readonly checkpoints: readonly SignedHead[]
}

export type LogEntry = {
  readonly batch: SignedBatch
  /** Batch id under the network. */
  readonly id: Uint8Array
}

export type SignedHead = {
  readonly bytes: Uint8Array
  readonly size: number
  readonly time: number
}

/** The Merkle log of the entries. */
export function toLog({ entries }: Pick<LogBook, 'entries'>): Log {
  return createLog(concatBytes(...entries.map(({ id }) => id)))
}

/** Reads the whole log of a node. */
export async function readLogBook(node: string, network: Hex): Promise<LogBook> {
  const path = `/networks/${network}/log`
  const checkpoints: SignedHead[] = []
  for (;;) {
    const from = (checkpoints.at(-1)?.size ?? 0) + 1
    const bytes = await fetchNodeBytes(node, `${path}/checkpoint?size=${from}`).catch((error) => {
      if (error instanceof NodeProblemError && error.status === 404) return undefined
      throw error
    })
    if (bytes === undefined) break
    checkpoints.push(toSignedHead(bytes))
  }
  const entries: LogEntry[] = []
  const size = checkpoints.at(-1)?.size ?? 0
  while (entries.length < size) {
    const from = entries.length
    const ids = await fetchNodeBytes(node, `${path}/entries?from=${from}&to=${size}`)
    const bytes = await fetchNodeBytes(node, `${path}/batches?from=${from}&to=${size}`)
    for (let at = 0, i = 0; at < bytes.length; i++) {
      const { batch, end } = readBatch(bytes, at)
      entries.push({ batch, id: ids.slice(32 * i, 32 * (i + 1)) })
      at = end
    }
  }
  return { checkpoints, entries }
}

/** The log with other entries, and those heads that agree with them, and one over all of them. */
export async function rewriteLog(
  book: LogBook,
  entries: readonly LogEntry[],
  head: Omit<signCheckpoint.Parameters, 'root' | 'size'>,
): Promise<LogBook> {
  const log = toLog({ entries })
  const kept = book.checkpoints.filter(
    ({ bytes, size }) =>
      size <= log.size && equalBytes(decodeCheckpoint(bytes).root, log.root(size)),
  )
  if (kept.at(-1)?.size === log.size) return { checkpoints: kept, entries }
  const signed = await signCheckpoint({ ...head, root: log.root(), size: log.size })
  return { checkpoints: [...kept, toSignedHead(signed)], entries }
}

function toSignedHead(bytes: Uint8Array): SignedHead {
  const { size, time } = decodeCheckpoint(bytes)
  return { bytes, size, time }
}

/** What `GET …/log/…` answers to a reader of this log; undefined where that is no path of a log. */
export function serveLog(
  book: LogBook,
  path: string,
  query: URLSearchParams,
): { body: Uint8Array; type: string } | null | undefined {
  const log = toLog(book)
  const number = (name: string, otherwise: number) => Number(query.get(name) ?? otherwise)
  const octets = (body: Uint8Array) => ({ body, type: 'application/octet-stream' })
  const [name = '', index] = path.split('/')
  switch (name) {
    case 'checkpoint': {
      const size = number('size', log.size)
      const head = book.checkpoints.find((head) => head.size >= size)
      return head ? { body: head.bytes, type: 'application/cose' } : null
    }
    case 'checkpoints': {
      const heads = book.checkpoints.filter(({ size }) => size >= number('from', 0))
      const body = concatBytes(...heads.slice(0, number('limit', 1000)).map(({ bytes }) => bytes))
      return { body, type: 'application/cbor-seq' }
    }
    case 'entries':
      return octets(log.ids(number('from', 0), Math.min(log.size, number('to', log.size))))
    case 'inclusion':
      return octets(log.inclusionProof(number('index', 0), number('size', log.size)))
    case 'consistency':
      return octets(log.consistencyProof(number('from', 0), number('to', log.size)))
    case 'batches': {
      const from = index === undefined ? number('from', 0) : Number(index)
      const to = index === undefined ? number('to', log.size) : from + 1
      const batches = book.entries.slice(from, to).map(({ batch }) => batch.bytes)
      if (index !== undefined && batches.length === 0) return null
      const type = index === undefined ? 'application/cbor-seq' : 'application/cose'
      return { body: concatBytes(...batches), type }
    }
    default:
      return undefined
  }
}
