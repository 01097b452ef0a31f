import type { Account, Address } from 'viem'
import type { AnyClient } from '../chain/writeContract.js'
import { InvalidArgumentError } from '../errors.js'
import type { Network } from '../Network.js'
import { signRequest } from './signRequest.js'

/**
 * Creates a `fetch` that signs every request with an account: what a reader of a private network
 * asks its node with. It follows no redirects: what is signed is for one host. A node that has just
 * started takes no signed requests for some seconds; it is asked again once, when it says.
 *
 * @throws {InvalidArgumentError} when called with a body, or another method than GET or HEAD.
 *
 * @example
 * const fetchSigned = createSignedFetch(wallet, { network })
 * const response = await fetchSigned(`${node}/networks/${network.id}/devices/${did}/records`)
 */
export function createSignedFetch(
  client: AnyClient,
  parameters: createSignedFetch.Parameters,
): SignedFetch {
  const { account, fetch = globalThis.fetch, network } = parameters
  return async (url, init = {}) => {
    const method = (init.method ?? 'GET').toUpperCase()
    if ((method !== 'GET' && method !== 'HEAD') || (init.body ?? null) !== null)
      throw new InvalidArgumentError('Only requests without a body are signed: GET and HEAD.')
    const ask = async () => {
      const signed = await signRequest(client, { account, method, network, url })
      const headers = new Headers(init.headers)
      for (const [name, value] of Object.entries(signed)) headers.set(name, value)
      return fetch(url, { ...init, headers, method, redirect: 'error' })
    }
    const response = await ask()
    const seconds = Number(response.headers.get('retry-after') ?? Number.NaN)
    if (response.status !== 503 || !(seconds <= maxWaitSeconds)) return response
    await response.body?.cancel()
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds))
    init.signal?.throwIfAborted()
    return ask()
  }
}

export declare namespace createSignedFetch {
  type Parameters = {
    /** Who asks. @default the client's account */
    account?: Account | Address | undefined
    /** What sends the requests. @default the global one */
    fetch?: typeof globalThis.fetch | undefined
    network: Pick<Network, 'chainId'>
  }
}

/** How long a node is waited for that says when to come again. */
const maxWaitSeconds = 10

/** `fetch` of a URL. */
export type SignedFetch = (url: string | URL, init?: RequestInit) => Promise<Response>
