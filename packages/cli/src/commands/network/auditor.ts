import { nameAuditor } from '@machinefi/contracts'
import { openChain } from '../../chain/createChainClient.js'
import type { Context } from '../../context.js'
import { assertPrivate, openNetwork } from '../../network/openNetwork.js'
import { parseAccountAddress } from '../../options/parseAccountAddress.js'
import { formatJson } from '../../output/formatJson.js'

type Options = {
  account?: string
  json?: boolean
  network?: string
  node: string
  remove?: boolean
  rpc: string
}

/** `machinefi network auditor`: names who may read and challenge all devices of a private network. */
export async function setAuditor(
  account: string,
  options: Options,
  context: Context,
): Promise<void> {
  const auditor = parseAccountAddress(account)
  const named = options.remove !== true
  const client = await openChain(options, context)
  const { network } = await openNetwork(client, options, context)
  assertPrivate(network)
  const { hash } = await nameAuditor(client, { auditor, named, network })
  const facts = { auditor: auditor.toLowerCase(), named, transaction: hash }
  if (options.json) return context.stdout.write(`${formatJson(facts)}\n`)
  context.stdout.write(
    named
      ? `${facts.auditor} may read and challenge all devices of ${network.id}.\n`
      : `${facts.auditor} is no auditor of ${network.id} any more.\n`,
  )
}
