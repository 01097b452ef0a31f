import { BaseError, formatDid, fromHex, publicKeyToAddress } from '@machinefi/core'
import { type Schema, verifyBatch } from '@machinefi/telemetry'
import type { Context } from '../../context.js'
import { fetchNetwork, fetchNode } from '../../node/fetchNode.js'
import { parseDuration } from '../../options/parseDuration.js'
import { parseInteger } from '../../options/parseInteger.js'
import { readInput } from '../../options/readInput.js'
import { formatJson } from '../../output/formatJson.js'
import { readBatches } from './readBatches.js'

type Options = {
  fields?: string
  json?: boolean
  network?: string
  node: string
  publicKey?: string
  tick?: string
}

/**
 * `machinefi batch verify`: form, rows and signature. What is not given is
 * asked of the node; with --network, --public-key, --fields and --tick it works offline.
 */
export async function verifyBatches(
  file: string,
  options: Options,
  context: Context,
): Promise<void> {
  const input = await readInput(file, context)
  const network = await resolveNetwork(options)
  const publicKeys = new Map<string, Uint8Array>()
  if (options.publicKey !== undefined) {
    const publicKey = fromHex(options.publicKey)
    publicKeys.set(formatDid(publicKeyToAddress(publicKey)), publicKey)
  }
  let bad = 0
  for (const batch of readBatches(input)) {
    const did = formatDid(batch.device)
    let publicKey = publicKeys.get(did)
    if (publicKey === undefined && options.publicKey === undefined) {
      const device = await fetchNode<{ publicKey: string }>(
        options.node,
        `/networks/${network.id}/devices/${did}`,
      )
      publicKey = fromHex(device.publicKey)
      publicKeys.set(did, publicKey)
    }
    const verdict = await verifyBatch({
      batch,
      network: fromHex(network.id),
      // A key of another device: the verdict names it.
      publicKey: publicKey ?? fromHex(options.publicKey as string),
      schema: { ...network.schema, id: network.schema.id ?? batch.header.schema },
    })
    if (!verdict.ok) bad++
    const { seq } = batch.header
    context.stdout.write(
      options.json
        ? `${formatJson(verdict.ok ? { did, seq, ok: true, rows: verdict.rows.count } : { did, seq, ...verdict }, { indent: 0 })}\n`
        : `${did} seq ${seq}: ${verdict.ok ? `ok, ${verdict.rows.count} rows` : `${verdict.reason}: ${verdict.message}`}\n`,
    )
  }
  if (bad > 0) throw new BatchesRefusedError(bad)
}

async function resolveNetwork(
  options: Options,
): Promise<{ id: string; schema: Omit<Schema, 'id'> & { id?: number } }> {
  const { fields, network, node, tick } = options
  if (network === undefined || fields === undefined || tick === undefined)
    return fetchNetwork(node, network)
  return {
    id: network,
    schema: {
      fields: Array.from(
        { length: parseInteger('--fields', fields, { least: 1, most: 22 }) },
        (_, i) => ({
          name: `f${i}`,
          scale: 0,
          unit: 'count',
        }),
      ),
      tickMs: parseDuration(tick),
    },
  }
}

export class BatchesRefusedError extends BaseError {
  override readonly name = 'BatchesRefusedError'
  constructor(bad: number) {
    super(`${bad} ${bad === 1 ? 'batch does' : 'batches do'} not verify.`, { kind: 'integrity' })
  }
}
