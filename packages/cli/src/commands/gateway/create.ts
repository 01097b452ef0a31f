import { relative, resolve } from 'node:path'
import { formatDid, fromHex, toHex } from '@machinefi/core'
import { readNodeNetwork } from '@machinefi/device'
import { openGatewayStore } from '@machinefi/stream/gateway'
import type { Context } from '../../context.js'
import { fetchNetwork } from '../../node/fetchNode.js'
import { formatJson } from '../../output/formatJson.js'

type Options = { data: string; json?: boolean; network?: string; node: string }

/** `machinefi gateway create`: a key to sign with, which stays, and one to share, which is printed. */
export async function createGatewayDevice(options: Options, context: Context): Promise<void> {
  const { id } = await fetchNetwork(options.node, options.network)
  const network = await readNodeNetwork(options.node, fromHex(id))
  const store = openGatewayStore(resolve(context.cwd, options.data), { create: true })
  try {
    const { address, keyFile, sharedKey } = await store.create(network)
    const file = relative(context.cwd, keyFile)
    const device = {
      did: formatDid(address),
      address: toHex(address),
      network: id,
      sharedKey: toHex(sharedKey).slice(2),
      file,
    }
    if (options.json) context.stdout.write(`${formatJson(device)}\n`)
    else
      context.stdout.write(
        `device      ${device.address}\nnetwork     ${id}\nshared key  ${device.sharedKey}\n`,
      )
    context.stderr.write(
      `Put the shared key into the device now: it is not shown again.\nNext: machinefi device register ${file}\n`,
    )
  } finally {
    store.close()
  }
}
