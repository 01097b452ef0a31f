import type { Address, Hex } from 'viem'
import type { RequestTarget } from './encodeSignatureBase.js'
import { type Component, components, encodeSignatureBase } from './encodeSignatureBase.js'

/**
 * Reads who claims to have signed a request, and what: ERC-8128, bound to method, host, path and
 * query, with a nonce, for at most five minutes. Neither the signature itself nor whether the nonce
 * is new is checked here: see `message`.
 *
 * A clock may be at most `maxSkewSeconds` ahead of the verifier's: whoever has to remember nonces
 * may forget them all by a restart, and then refuse what was created before the end of that skew.
 *
 * @example
 * const parsed = parseSignedRequest({ chainId: network.chainId, signature, signatureInput, target })
 * if (!parsed.ok) throw new Error(parsed.detail)
 * const { account, message, signature: by } = parsed.request
 * const isGenuine = await client.verifyMessage({ address: account, message, signature: by })
 */
export function parseSignedRequest(
  parameters: parseSignedRequest.Parameters,
): parseSignedRequest.ReturnType {
  const { chainId, maxSkewSeconds = 5, signature, signatureInput, target } = parameters
  const { now = Date.now() } = parameters
  const refuse = (detail: string) => ({ ok: false, detail }) as const
  const inputs = splitDictionary(signatureInput)
  const signatures = splitDictionary(signature)
  if (!inputs || !signatures) return refuse('Signature-Input or Signature is malformed.')
  const label = [...inputs].find(([, member]) => /;keyid="erc8128:/.test(member))?.[0]
  if (label === undefined) return refuse('No signature has a keyid that begins with erc8128.')

  const input = inputs.get(label)!
  const parsed = parseInput(input)
  if (!parsed) return refuse('Signature-Input is malformed.')
  const { covered, values } = parsed
  const unknown = covered.find((name) => !components.includes(name as Component))
  if (unknown !== undefined || new Set(covered).size < covered.length)
    return refuse(`Only ${components.join(', ')} are covered, each once.`)
  for (const component of components)
    if (!covered.includes(component) && (component !== '@query' || target.query !== ''))
      return refuse(`${component} is not covered.`)

  const [, chain, account] =
    /^erc8128:(\d{1,16}):(0x[0-9a-fA-F]{40})$/.exec(values.keyid as string) ?? []
  if (account === undefined) return refuse('keyid is not erc8128:<chain id>:<address>.')
  if (Number(chain) !== chainId) return refuse(`keyid is of chain ${chain}, not of ${chainId}.`)
  const { created, expires, nonce } = values
  if (typeof created !== 'number' || typeof expires !== 'number')
    return refuse('created and expires, in seconds, are needed.')
  if (typeof nonce !== 'string' || !/^[\x21-\x7e]{1,64}$/.test(nonce))
    return refuse('A nonce is needed, of 1 to 64 visible characters.')
  const seconds = now / 1000
  const at = `this clock says ${new Date(now).toISOString()}`
  if (created > seconds + maxSkewSeconds)
    return refuse(
      `It was created ${Math.ceil(created - seconds)} s in the future, at most ${maxSkewSeconds} s are allowed: ${at}.`,
    )
  if (expires <= seconds)
    return refuse(`It has expired ${Math.floor(seconds - expires)} s ago: ${at}.`)
  if (expires <= created || expires - created > maxLifeSeconds)
    return refuse(`It must expire within ${maxLifeSeconds} s after it was created.`)

  const bytes = fromBase64(signatures.get(label))
  if (!bytes) return refuse(`Signature has no bytes for ${label}.`)
  return {
    ok: true,
    request: {
      account: account.toLowerCase() as Address,
      createdAt: created * 1000,
      expiresAt: expires * 1000,
      message: encodeSignatureBase(target, covered as Component[], input),
      nonce,
      signature: bytes,
    },
  }
}

export declare namespace parseSignedRequest {
  type Parameters = {
    /** Of the network that is asked about. */
    chainId: number
    /** How far a signer's clock may be ahead. @default 5 */
    maxSkewSeconds?: number | undefined
    /** Milliseconds since the Unix epoch. @default Date.now() */
    now?: number | undefined
    /** The header field. */
    signature: string
    /** The header field. */
    signatureInput: string
    /** What was asked for, of whom; the authority must be one that is the verifier's own. */
    target: RequestTarget
  }
  type ReturnType = { ok: true; request: SignedRequest } | { ok: false; detail: string }
}

/** A request as somebody claims to have signed it. Times in ms. */
export type SignedRequest = {
  account: Address
  createdAt: number
  expiresAt: number
  /** What `signature` has to be of, by EIP-191 or ERC-1271. */
  message: string
  /** To be taken once of this account until `expiresAt`. */
  nonce: string
  signature: Hex
}

/** ERC-8128 leaves it to the verifier. */
const maxLifeSeconds = 300

/** The members of a dictionary (RFC 9651 §3.2) as they are written, by their keys. */
function splitDictionary(text: string): Map<string, string> | undefined {
  const members = new Map<string, string>()
  for (const [member] of text.matchAll(/(?:"(?:[^"\\]|\\["\\])*"|[^",])+|[",]/g)) {
    if (member === ',') continue
    const [, key, value] = /^([a-z*][a-z0-9_.*-]*)=(.+)$/.exec(member.trim()) ?? []
    if (key === undefined || members.has(key)) return undefined
    members.set(key, value!)
  }
  return members
}

/** An inner list of strings without parameters, with parameters of its own that are integers or strings. */
function parseInput(text: string) {
  const [, list, parameters] =
    /^\(((?:"[a-z@-]{1,32}"(?: (?="))?)*)\)((?:;[a-z]{1,16}=(?:\d{1,12}|"[^"\\]{0,128}"))*)$/.exec(
      text,
    ) ?? []
  if (list === undefined || parameters === undefined) return undefined
  const values: Record<string, string | number> = {}
  for (const [, name, integer, string] of parameters.matchAll(/;([a-z]+)=(?:(\d+)|"([^"]*)")/g)) {
    if (Object.hasOwn(values, name!)) return undefined
    values[name!] = integer === undefined ? string! : Number(integer)
  }
  return { covered: [...list.matchAll(/"([^"]+)"/g)].map(([, name]) => name!), values }
}

function fromBase64(member: string | undefined): Hex | undefined {
  const [, text] = /^:([A-Za-z0-9+/]{2,12000}={0,2}):$/.exec(member ?? '') ?? []
  if (text === undefined) return undefined
  try {
    const bytes = Array.from(atob(text), (char) => char.charCodeAt(0).toString(16).padStart(2, '0'))
    return `0x${bytes.join('')}`
  } catch {
    return undefined
  }
}
