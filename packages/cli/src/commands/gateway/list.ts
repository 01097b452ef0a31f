import { resolve } from 'node:path'
import { formatDid, toHex } from '@machinefi/core'
import { openGatewayStore } from '@machinefi/stream/gateway'
import type { Context } from '../../context.js'
import { formatJson } from '../../output/formatJson.js'
import { formatTable } from '../../output/formatTable.js'

/** `machinefi gateway list`: who may send, who may no longer, and who has when. */
export async function listGatewayDevices(
  options: { addresses?: boolean; data: string; json?: boolean },
  context: Context,
): Promise<void> {
  const store = openGatewayStore(resolve(context.cwd, options.data))
  try {
    const devices = store.list().map(({ address, createdAt, network, newest, revokedAt }) => ({
      did: formatDid(address),
      address: toHex(address),
      network: toHex(network),
      createdAt,
      revokedAt,
      counter: newest?.counter,
      receivedAt: newest?.receivedAt,
    }))
    if (options.addresses) {
      const run = devices.filter(({ revokedAt }) => revokedAt === undefined)
      context.stdout.write(
        options.json
          ? `${formatJson(run.map(({ address }) => address))}\n`
          : run.map(({ address }) => `${address}\n`).join(''),
      )
    } else if (options.json) context.stdout.write(`${formatJson({ devices })}\n`)
    else
      context.stdout.write(
        `${formatTable(
          ['device', 'network', 'created', 'counter', 'newest message', 'revoked'],
          devices.map(({ address, counter, createdAt, network, receivedAt, revokedAt }) => [
            address,
            `${network.slice(0, 10)}…`,
            formatTime(createdAt),
            counter === undefined ? '–' : `${counter}`,
            formatTime(receivedAt),
            formatTime(revokedAt),
          ]),
          { right: [3] },
        )}\n`,
      )
  } finally {
    store.close()
  }
}

function formatTime(time: number | undefined): string {
  return time === undefined ? '–' : new Date(time).toISOString().slice(0, 19)
}
