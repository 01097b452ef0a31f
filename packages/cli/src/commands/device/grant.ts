import { grantRead } from '@machinefi/contracts'
import { formatAddress, formatDid, parseDid } from '@machinefi/core'
import { openChain } from '../../chain/createChainClient.js'
import type { Context } from '../../context.js'
import { assertPrivate, openNetwork } from '../../network/openNetwork.js'
import { parseAccountAddress } from '../../options/parseAccountAddress.js'
import { parseSeconds } from '../../options/parseDuration.js'
import { formatJson } from '../../output/formatJson.js'

type Options = {
  account?: string
  for: string
  json?: boolean
  network?: string
  node: string
  rpc: string
  to: string
}

/** `machinefi device grant`: lets an account read own devices of a private network, for a time. */
export async function grantReading(
  devices: readonly string[],
  options: Options,
  context: Context,
): Promise<void> {
  await setGrant(devices, { ...options, seconds: parseSeconds(options.for) }, context)
}

/** `machinefi device revoke`: takes that back. */
export async function revokeReading(
  devices: readonly string[],
  options: Omit<Options, 'for' | 'to'> & { from: string },
  context: Context,
): Promise<void> {
  await setGrant(devices, { ...options, seconds: 0, to: options.from }, context)
}

async function setGrant(
  devices: readonly string[],
  options: Omit<Options, 'for'> & { seconds: number },
  context: Context,
): Promise<void> {
  const addresses = devices.map((device) => parseDid(device))
  const grantee = parseAccountAddress(options.to)
  const client = await openChain(options, context)
  const { network } = await openNetwork(client, options, context)
  assertPrivate(network)
  const { timestamp } = await client.getBlock()
  const until = options.seconds === 0 ? 0 : Number(timestamp) + options.seconds
  const { hash } = await grantRead(client, {
    devices: addresses.map((address) => formatAddress(address) as `0x${string}`),
    grantee,
    network,
    until,
  })
  const facts = {
    devices: addresses.map((address) => formatDid(address)),
    grantee: grantee.toLowerCase(),
    until: until === 0 ? null : new Date(1000 * until).toISOString(),
    transaction: hash,
  }
  if (options.json) return context.stdout.write(`${formatJson(facts)}\n`)
  context.stdout.write(
    facts.until === null
      ? `${facts.grantee} may not read ${facts.devices.join(', ')} any more.\n`
      : `${facts.grantee} may read ${facts.devices.join(', ')} until ${facts.until}.\n`,
  )
}
