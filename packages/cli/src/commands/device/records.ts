import { formatDid, parseDid } from '@machinefi/core'
import type { Context } from '../../context.js'
import { fetchNetwork, fetchNode } from '../../node/fetchNode.js'
import { openReadableNode } from '../../node/openReadableNode.js'
import { formatJson } from '../../output/formatJson.js'

type Options = {
  account?: string
  from?: string
  json?: boolean
  network?: string
  node: string
  to?: string
}

type Page = { records: Record<string, unknown>[]; expiredBatches: number; next: number | null }

/** `machinefi device records`: what a device sent, a line for each reading. */
export async function showRecords(
  device: string,
  options: Options,
  context: Context,
): Promise<void> {
  const did = formatDid(parseDid(device))
  const network = await fetchNetwork(options.node, options.network)
  const node = await openReadableNode(options, network, context)
  const query = new URLSearchParams()
  for (const name of ['from', 'to'] as const)
    if (options[name] !== undefined) query.set(name, options[name])
  const names = network.schema.fields.map(({ name }) => name)
  let expired = 0
  let count = 0
  for (let seq: number | null = 0; seq !== null && !context.signal.aborted; ) {
    query.set('seq', `${seq}`)
    const page: Page = await fetchNode(
      node,
      `/networks/${network.id}/devices/${did}/records?${query}`,
    )
    expired += page.expiredBatches
    for (const record of page.records) {
      if (options.json) context.stdout.write(`${formatJson(record, { indent: 0 })}\n`)
      else {
        if (count === 0) context.stdout.write(`${['time', ...names].join('\t')}\n`)
        const values = names.map((name) => `${record[name] ?? '–'}`)
        const time = new Date(Number(record.time)).toISOString()
        context.stdout.write(`${[time, ...values].join('\t')}\n`)
      }
      count++
    }
    // A node that goes in circles is left.
    seq = page.next !== null && page.next > seq ? page.next : null
  }
  if (expired > 0)
    context.stderr.write(
      `Rows of ${expired} ${expired === 1 ? 'batch have' : 'batches have'} expired.\n`,
    )
  if (count === 0) context.stderr.write('No readings in that time.\n')
}
