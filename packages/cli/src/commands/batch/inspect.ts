import { formatAddress, formatDid, toHex } from '@machinefi/core'
import type { SignedBatch } from '@machinefi/telemetry'
import { decode } from 'cbor-x'
import type { Context } from '../../context.js'
import { readInput } from '../../options/readInput.js'
import { formatJson } from '../../output/formatJson.js'
import { formatTable } from '../../output/formatTable.js'
import { readBatches } from './readBatches.js'

/** `machinefi batch inspect`: what is inside, as far as it can be told without a schema. */
export async function inspectBatch(
  file: string,
  options: { json?: boolean },
  context: Context,
): Promise<void> {
  for (const batch of readBatches(await readInput(file, context))) {
    const summary = summarize(batch)
    context.stdout.write(options.json ? `${formatJson(summary, { indent: 0 })}\n` : format(summary))
  }
}

type Summary = ReturnType<typeof summarize>

function summarize(batch: SignedBatch) {
  const { header, records } = batch
  const rows = records ? decodeRaw(records) : null
  const ticks = rows?.reduce((sum, row) => sum + Number(row[0]), 0)
  return {
    did: formatDid(batch.device),
    device: formatAddress(batch.device),
    algorithm: batch.algorithm,
    schema: header.schema,
    seq: header.seq,
    start: formatTime(header.start),
    end: formatTime(header.start + header.span),
    /** Told from the rows: the schema itself is not in a batch. */
    tickMs: ticks ? header.span / ticks : null,
    count: header.count,
    bytes: batch.bytes.length,
    recordsHash: toHex(header.recordsHash),
    commitment: header.commitment ? toHex(header.commitment) : null,
    signature: toHex(batch.signature),
    rows,
  }
}

/** Rows as they are: ticks since the row before, then the scaled values. Not checked here. */
function decodeRaw(records: Uint8Array): (number | bigint | null)[][] | null {
  try {
    const rows: unknown = decode(records)
    return isRows(rows) ? rows : null
  } catch {
    return null
  }
}

function isRows(value: unknown): value is (number | bigint | null)[][] {
  const isCell = (cell: unknown) =>
    cell === null || typeof cell === 'number' || typeof cell === 'bigint'
  return Array.isArray(value) && value.every((row) => Array.isArray(row) && row.every(isCell))
}

/** Headers may claim times that no calendar has. */
function formatTime(time: number): string {
  return time <= 8.64e15 ? new Date(time).toISOString() : `${time} ms`
}

function format(summary: Summary): string {
  const { bytes, count, rows, ...facts } = summary
  const lines = Object.entries({
    ...facts,
    size: `${bytes} bytes, ${count} rows, ${(bytes / count).toFixed(1)} bytes a row`,
  }).map(([name, value]) => `${name.padEnd(12)} ${value ?? '–'}`)
  if (rows === null) return `${lines.join('\n')}\nrows         none, or not readable\n\n`
  const width = rows[0]?.length ?? 1
  const header = ['ticks', ...Array.from({ length: width - 1 }, (_, i) => `field ${i}`)]
  const table = formatTable(
    header,
    rows.map((row) => row.map((value) => `${value ?? '–'}`)),
    { right: header.map((_, i) => i) },
  )
  return `${lines.join('\n')}\n\n${table}\n\n`
}
