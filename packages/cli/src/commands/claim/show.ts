import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { BaseError, formatDid, parseDid } from '@machinefi/core'
import type { Context } from '../../context.js'
import { fetchNetwork, fetchNode, fetchNodeBytes } from '../../node/fetchNode.js'
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
  window?: string
}

type Claim = {
  cumulative: string
  name: string
  paid: boolean
  reward: string
  steps: number
  value: string
  window: number
}

/** `machinefi claim show`: what a device did in each posted window, and what it earned. */
export async function showClaim(device: string, options: Options, context: Context): Promise<void> {
  const did = formatDid(parseDid(device))
  const network = await fetchNetwork(options.node, options.network)
  const path = `/networks/${network.id}/devices/${did}/claims`
  const window = options.window && parseWindow(options.window, network.windowMs)
  const node = await openReadableNode(options, network, context)
  if (options.out !== undefined) {
    if (window === undefined) throw new WindowMissingError()
    const bundle = `/networks/${network.id}/epochs/${window}/claims/${did}/bundle`
    await writeFile(resolve(context.cwd, options.out), await fetchNodeBytes(node, bundle))
  }
  const { claims } = await fetchNode<{ claims: Claim[] }>(
    node,
    window === undefined ? path : `${path}?from=${window}&limit=1`,
  )
  const shown = window === undefined ? claims : claims.filter((claim) => claim.window === window)
  if (options.json) return context.stdout.write(`${formatJson(shown)}\n`)
  if (shown.length === 0)
    return context.stdout.write(
      `No claim yet: a window is posted after its end and the time for late batches.\nWhat it would be so far: machinefi claim explain ${did} --window ${options.window ?? 'now'}\n`,
    )
  context.stdout.write(
    `${formatTable(
      [
        'window',
        '',
        toMeasure(network.metric, network.schema),
        'reward',
        'earned so far',
        'batches',
        '',
      ],
      shown.map(({ cumulative, name, paid, reward, steps, value, window }) => [
        `${window}`,
        name,
        value,
        reward,
        cumulative,
        `${steps}`,
        paid ? '' : 'not paid: joined during the window, or suspended',
      ]),
      { right: [0, 2, 3, 4, 5] },
    )}\n`,
  )
}

export class WindowMissingError extends BaseError {
  override readonly name = 'WindowMissingError'
  constructor() {
    super('--out needs --window: a bundle is of one window.', { kind: 'input' })
  }
}
