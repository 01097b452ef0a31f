import { resolve } from 'node:path'
import { formatDid, parseDid } from '@machinefi/core'
import { openGatewayStore } from '@machinefi/stream/gateway'
import type { Context } from '../../context.js'
import { formatJson } from '../../output/formatJson.js'

/** `machinefi gateway revoke`: for good; a device that comes back gets new keys. */
export async function revokeGatewayDevice(
  device: string,
  options: { data: string; json?: boolean },
  context: Context,
): Promise<void> {
  const address = parseDid(device)
  const store = openGatewayStore(resolve(context.cwd, options.data))
  try {
    const isNew = store.revoke(address)
    const did = formatDid(address)
    context.stdout.write(
      options.json
        ? `${formatJson({ did, revoked: isNew })}\n`
        : `${did} ${isNew ? 'is revoked' : 'was revoked already'}\n`,
    )
  } finally {
    store.close()
  }
}
