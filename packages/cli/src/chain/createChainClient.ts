import { BaseError } from '@machinefi/core'
import {
  type Account,
  type Chain,
  type Client,
  createPublicClient,
  createWalletClient,
  defineChain,
  type HttpTransport,
  http,
  type PublicActions,
  type PublicClient,
  publicActions,
  type WalletActions,
} from 'viem'
import { getChainId } from 'viem/actions'
import type { Context } from '../context.js'
import { parseUrl } from '../options/parseUrl.js'
import { developmentChainId, openAccount } from './openAccount.js'

/** A client of a chain that was only named by its URL. */
export function createChainClient(parameters: createChainClient.Parameters): ChainClient {
  const { account, chainId, pollingInterval, url } = parameters
  return createWalletClient({
    account,
    chain: toChain(chainId, url),
    transport: http(url),
    ...(pollingInterval === undefined ? {} : { pollingInterval }),
  }).extend(publicActions)
}

export declare namespace createChainClient {
  type Parameters = {
    account: Account
    chainId: number
    /** How often a receipt is asked for, ms. */
    pollingInterval?: number | undefined
    url: string
  }
}

export type ChainClient = Client<
  HttpTransport,
  Chain,
  Account,
  undefined,
  PublicActions<HttpTransport, Chain, Account> & WalletActions<Chain, Account>
>

/** A client with the account that pays for a command. */
export async function openChain(
  options: { account?: string; rpc: string },
  context: Context,
): Promise<ChainClient> {
  const rpc = parseUrl(options.rpc)
  const chainId = await readChainId(rpc)
  const account = await openAccount(options.account, chainId, context)
  // A development chain mines at once; elsewhere viem's own interval is kind to public endpoints.
  const pollingInterval = chainId === developmentChainId ? 50 : undefined
  return createChainClient({ account, chainId, pollingInterval, url: rpc })
}

/** A client of a command that only reads: it needs no account. */
export async function openReader(options: { rpc: string }): Promise<ChainReader> {
  const url = parseUrl(options.rpc)
  const chain = toChain(await readChainId(url), url)
  return createPublicClient({ chain, transport: http(url) })
}

export type ChainReader = PublicClient<HttpTransport, Chain>

async function readChainId(rpc: string): Promise<number> {
  try {
    return await getChainId(createPublicClient({ transport: http(rpc, { retryCount: 1 }) }))
  } catch (cause) {
    throw new ChainUnreachableError(rpc, cause)
  }
}

function toChain(id: number, url: string): Chain {
  return defineChain({
    id,
    name: `chain ${id}`,
    nativeCurrency: { decimals: 18, name: 'Ether', symbol: 'ETH' },
    rpcUrls: { default: { http: [url] } },
  })
}

export class ChainUnreachableError extends BaseError {
  override readonly name = 'ChainUnreachableError'
  constructor(rpc: string, cause: unknown) {
    super(`No chain answers at ${new URL(rpc).origin}.`, {
      cause,
      kind: 'transport',
      metaMessages: ['Start one with `machinefi dev`, or name one with --rpc or MACHINEFI_RPC.'],
    })
  }
}
