import type { Context } from '../../context.js'
import { fetchNetwork, fetchNode } from '../../node/fetchNode.js'
import { formatJson } from '../../output/formatJson.js'
import { formatTable } from '../../output/formatTable.js'

type Epoch = {
  attempt: number
  challengeEndsAt: number
  epochHash: string
  ledgerTotal: string
  name: string
  size: number
  window: number
}

/** `machinefi epoch list` */
export async function listEpochs(
  options: { json?: boolean; network?: string; node: string },
  context: Context,
): Promise<void> {
  const network = await fetchNetwork(options.node, options.network)
  const epochs: Epoch[] = []
  for (let from = 0; ; ) {
    const page = await fetchNode<{ epochs: Epoch[] }>(
      options.node,
      `/networks/${network.id}/epochs?from=${from}&limit=1000`,
    )
    epochs.push(...page.epochs)
    if (page.epochs.length < 1000) break
    from = (page.epochs.at(-1) as Epoch).window + 1
  }
  context.stdout.write(
    options.json
      ? `${formatJson(epochs)}\n`
      : `${formatTable(
          ['window', '', 'attempt', 'batches in the log', 'total', 'epoch hash'],
          epochs.map(({ attempt, epochHash, ledgerTotal, name, size, window }) => [
            `${window}`,
            name,
            `${attempt}`,
            `${size}`,
            ledgerTotal,
            epochHash,
          ]),
          { right: [0, 2, 3, 4] },
        )}\n`,
  )
}
