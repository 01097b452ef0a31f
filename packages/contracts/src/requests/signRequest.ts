import type { Account, Address, Hex } from 'viem'
import { signMessage } from 'viem/actions'
import type { AnyClient } from '../chain/writeContract.js'
import { AccountMissingError, InvalidArgumentError, toContractError } from '../errors.js'
import type { Network } from '../Network.js'
import { components, encodeSignatureBase } from './encodeSignatureBase.js'

/**
 * Signs a request without a body with an account of the chain: ERC-8128, which is RFC 9421 with
 * `personal_sign`. It is good for one request to this host, for a minute. A wallet asks its owner
 * about each; a program had better have a key of its own, which the owner grants to read.
 *
 * @returns the two header fields that the request needs.
 * @throws {AccountMissingError}
 * @throws {InvalidArgumentError} a URL that is not HTTP, or a life longer than a node allows.
 *
 * @example
 * const headers = await signRequest(wallet, { network, url })
 * const response = await fetch(url, { headers })
 */
export async function signRequest(
  client: AnyClient,
  parameters: signRequest.Parameters,
): Promise<signRequest.ReturnType> {
  const { lifeSeconds = 60, method = 'GET', network, now = Date.now() } = parameters
  const { account = client.account } = parameters
  if (!account) throw new AccountMissingError('signRequest')
  const { hash: _, host, pathname, protocol, search } = toUrl(parameters.url)
  if (protocol !== 'http:' && protocol !== 'https:')
    throw new InvalidArgumentError('Requests are signed for http and https only.')
  if (!(lifeSeconds >= 1 && lifeSeconds <= 300))
    throw new InvalidArgumentError(`A signature is good for 1 to 300 seconds, not ${lifeSeconds}.`)
  const address = typeof account === 'string' ? account : account.address
  const covered = components.filter((component) => component !== '@query' || search !== '')
  const created = Math.floor(now / 1000)
  const input =
    `(${covered.map((component) => `"${component}"`).join(' ')})` +
    `;created=${created};expires=${created + Math.floor(lifeSeconds)}` +
    `;nonce="${createNonce()}";keyid="erc8128:${network.chainId}:${address.toLowerCase()}"`
  const target = { authority: host, method, path: pathname, query: search }
  const message = encodeSignatureBase(target, covered, input)
  let signature: Hex
  try {
    signature = await signMessage(client, { account, message })
  } catch (error) {
    throw toContractError(error, { functionName: 'signRequest' })
  }
  return { 'signature-input': `eth=${input}`, signature: `eth=:${toBase64(signature)}:` }
}

export declare namespace signRequest {
  type Parameters = {
    /** Who asks. @default the client's account */
    account?: Account | Address | undefined
    /** How long the signature is good. @default 60 */
    lifeSeconds?: number | undefined
    /** @default 'GET' */
    method?: 'GET' | 'HEAD' | undefined
    network: Pick<Network, 'chainId'>
    /** Milliseconds since the Unix epoch. @default Date.now() */
    now?: number | undefined
    url: string | URL
  }
  type ReturnType = { 'signature-input': string; signature: string }
}

function toUrl(url: string | URL): URL {
  try {
    return new URL(url)
  } catch {
    throw new InvalidArgumentError('A request is signed for a whole URL, with its host.')
  }
}

/** 128 random bits. */
function createNonce(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

function toBase64(hex: Hex): string {
  const bytes = hex.slice(2).match(/../g) ?? []
  return btoa(bytes.map((byte) => String.fromCharCode(Number.parseInt(byte, 16))).join(''))
}
