import { createSignedFetch } from '@machinefi/contracts'
import { createClient, custom } from 'viem'
import { openAccount } from '../chain/openAccount.js'
import type { Context } from '../context.js'
import type { NodeAddress } from './fetchNode.js'

/**
 * A node, to be asked for what only readers of a network may have: where it is private, every
 * request is signed by the account that the command has.
 *
 * @throws {AccountError}
 */
export async function openReadableNode(
  options: { account?: string; node: string },
  network: { chainId: number; isPrivate: boolean },
  context: Context,
): Promise<NodeAddress> {
  const { account: file, node: url } = options
  if (!network.isPrivate) return { url }
  const account = await openAccount(file, network.chainId, context)
  // The key is here: no chain is asked to sign.
  const transport = custom({ request: () => Promise.reject(new Error('There is no chain.')) })
  return { fetch: createSignedFetch(createClient({ account, transport }), { network }), url }
}
