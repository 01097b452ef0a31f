import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import {
  formatAddress,
  formatDid,
  fromHex,
  isPublishedTestKey,
  parseDid,
  publicKeyToAddress,
  toHex,
} from '@machinefi/core'
import { openKeyFile, readKeyReference } from '@machinefi/device/node'
import type { Context } from '../../context.js'
import { fetchNetwork, fetchNode } from '../../node/fetchNode.js'
import { openReadableNode } from '../../node/openReadableNode.js'
import { formatJson } from '../../output/formatJson.js'

type Options = { account?: string; json?: boolean; network?: string; node: string }

/** `machinefi device show`: what a key file holds, or what a node knows of a device. */
export async function showDevice(
  device: string,
  options: Options,
  context: Context,
): Promise<void> {
  const facts = existsSync(resolve(context.cwd, device))
    ? await showKeyFile(resolve(context.cwd, device))
    : await showMember(device, options, context)
  context.stdout.write(options.json ? `${formatJson(facts)}\n` : formatFacts(facts))
}

async function showKeyFile(path: string): Promise<Record<string, unknown>> {
  const reference = await readKeyReference(path)
  const { algorithm, publicKey } =
    reference === undefined
      ? await openKeyFile(path)
      : { algorithm: reference.algorithm, publicKey: fromHex(reference.publicKey) }
  const address = publicKeyToAddress(publicKey)
  return {
    did: formatDid(address),
    address: formatAddress(address),
    algorithm,
    publicKey: toHex(publicKey),
    ...(reference && { signer: reference.signer, token: reference.token, key: reference.key }),
    ...(isPublishedTestKey(publicKey) && { testKey: true }),
  }
}

async function showMember(
  device: string,
  options: Options,
  context: Context,
): Promise<Record<string, unknown>> {
  const did = formatDid(parseDid(device))
  const network = await fetchNetwork(options.node, options.network)
  const node = await openReadableNode(options, network, context)
  return fetchNode(node, `/networks/${network.id}/devices/${did}`)
}

function formatFacts(facts: Record<string, unknown>): string {
  const width = Math.max(...Object.keys(facts).map((name) => name.length))
  return Object.entries(facts)
    .map(
      ([name, value]) =>
        `${name.padEnd(width)}  ${typeof value === 'object' && value !== null ? JSON.stringify(value) : (value ?? '–')}\n`,
    )
    .join('')
}
