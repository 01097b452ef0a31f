import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Context } from '../../context.js'
import { fetchLedger } from '../../node/buildRedemptions.js'
import { fetchNetwork, fetchNodeBytes } from '../../node/fetchNode.js'
import { openReadableNode } from '../../node/openReadableNode.js'
import { parseWindow } from '../../options/parseWindow.js'
import { formatJson } from '../../output/formatJson.js'
import { formatTable } from '../../output/formatTable.js'
import { toMeasure } from '../../output/toMeasure.js'

type Options = {
  account?: string
  json?: boolean
  network?: string
  node: string
  out?: string
}

/** `machinefi epoch show`: the entries of a posted window, and its bundle as a file. */
export async function showEpoch(text: string, options: Options, context: Context): Promise<void> {
  const network = await fetchNetwork(options.node, options.network)
  const window = parseWindow(text, network.windowMs)
  const node = await openReadableNode(options, network, context)
  const ledger = await fetchLedger(node, network.id, window)
  if (options.out !== undefined) {
    const path = `/networks/${network.id}/epochs/${window}/bundle`
    await writeFile(resolve(context.cwd, options.out), await fetchNodeBytes(node, path))
  }
  if (options.json) return context.stdout.write(`${formatJson(ledger)}\n`)
  // The encoded configuration is for programs; its hash says the same.
  const { config: _, entries, ...facts } = ledger
  const table = formatTable(
    [
      'slot',
      'device',
      toMeasure(network.metric, network.schema),
      'reward',
      'cumulative',
      'batches',
    ],
    entries.map(({ cumulative, did, reward, slot, steps, value }) => [
      `${slot}`,
      did,
      value,
      reward,
      cumulative,
      `${steps}`,
    ]),
    { right: [0, 2, 3, 4, 5] },
  )
  context.stdout.write(
    `${Object.entries(facts)
      .map(
        ([name, value]) =>
          `${name.padEnd(16)} ${typeof value === 'object' ? JSON.stringify(value) : value}`,
      )
      .join('\n')}\n\n${table}\n`,
  )
}
