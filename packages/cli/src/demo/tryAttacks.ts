import { type Signer, sha256, toHex } from '@machinefi/core'
import { createSoftwareSigner } from '@machinefi/device'
import {
  checkRecords,
  decodeBatch,
  decodeHeader,
  encodeBatch,
  encodeHeader,
  encodeRows,
  type Row,
  rowAt,
  type Schema,
  signBatch,
} from '@machinefi/telemetry'

export type Attack = {
  name: string
  /** HTTP status of the node's answer. */
  status: number
  /** Whether it was turned away. A replay is answered with the receipt it got before. */
  refused: boolean
  /** What the node said, or what became of it. */
  reason: string
  /** Whether anything came into the log by it: must be false. */
  counted: boolean
}

/**
 * What someone who listens on the wire, or owns a device elsewhere, would try.
 *
 * @param options.captured a batch the node has accepted, as it went over the wire.
 */
export async function tryAttacks(options: tryAttacks.Options): Promise<Attack[]> {
  const { captured, member, network, schema, url } = options
  const batch = decodeBatch(captured)
  const verdict = checkRecords(batch, schema)
  if (!verdict.ok) throw new Error(`captured batch: ${verdict.message}`)
  const rows = Array.from({ length: verdict.rows.count }, (_, i) => rowAt(verdict.rows, i))
  const more = rows.map(
    (row): Row => ({ ...row, values: row.values.map((value) => (value ?? 0) + 500) }),
  )
  const { start } = batch.header
  const fresh = { network, rows, schema, seq: batch.header.seq + 1_000_000 }

  const records = encodeRows(more, { start, tickMs: schema.tickMs })
  const attacks: [string, Uint8Array][] = [
    ['raise the steps of a batch', encodeBatch({ ...batch, records })],
    [
      'raise the steps and mend the hash',
      encodeBatch({
        ...batch,
        payload: encodeHeader({ ...decodeHeader(batch.payload), recordsHash: sha256(records) }),
        records,
      }),
    ],
    ['send a batch again', captured],
    [
      'sign with a key that is not registered',
      (await signBatch({ ...fresh, signer: createSoftwareSigner() })).bytes,
    ],
    [
      'bring a batch of another network',
      (await signBatch({ ...fresh, network: sha256(network), signer: member })).bytes,
    ],
  ]

  const results: Attack[] = []
  for (const [name, bytes] of attacks) {
    const before = await readSize(options)
    const response = await fetch(`${url}/networks/${toHex(network)}/batches`, {
      body: bytes as Uint8Array<ArrayBuffer>,
      headers: { 'content-type': 'application/cose' },
      method: 'POST',
    })
    const problem = response.ok ? undefined : ((await response.json()) as { title: string })
    if (response.ok) await response.arrayBuffer()
    const counted = (await readSize(options)) !== before
    results.push({
      counted,
      name,
      reason: problem ? problem.title : 'already in the log: its first receipt again, counted once',
      refused: !response.ok,
      status: response.status,
    })
  }
  return results
}

export declare namespace tryAttacks {
  type Options = {
    captured: Uint8Array
    /** A registered device's key, used for a network it has not joined. */
    member: Signer
    /** Network id, 32 bytes. */
    network: Uint8Array
    schema: Schema
    /** Of the node. */
    url: string
  }
}

/** How many batches the log has: an attack that counted would show here. */
async function readSize({ network, url }: tryAttacks.Options): Promise<number> {
  const response = await fetch(`${url}/networks/${toHex(network)}`)
  return ((await response.json()) as { size: number }).size
}
