import { NotFoundOnChainError } from '@machinefi/contracts'
import { readIoid } from '@machinefi/contracts/ioid'
import { formatAddress, parseDid } from '@machinefi/core'
import { openReader } from '../../chain/createChainClient.js'
import type { Context } from '../../context.js'
import { formatJson } from '../../output/formatJson.js'
import { findRegistry } from './findRegistry.js'

/** `machinefi ioid show`: what IoTeX's ioID contracts know of a device. */
export async function showIoid(
  text: string,
  options: { json?: boolean; registry?: string; rpc: string },
  context: Context,
): Promise<void> {
  const device = formatAddress(parseDid(text))
  const client = await openReader(options)
  const registry = findRegistry(options.registry, client.chain.id)
  const found = await readIoid(client, { device, registry })
  if (found === null) throw new NotFoundOnChainError(`An ioID of did:io:${device}`)
  if (options.json) return context.stdout.write(`${formatJson(found)}\n`)
  context.stdout.write(
    Object.entries(found)
      .map(([name, value]) => `${name.padEnd(8)} ${value}\n`)
      .join(''),
  )
}
