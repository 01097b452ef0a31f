import { parseSignedRequest } from '@machinefi/contracts'
import { type Hex, toHex } from '@machinefi/core'
import { type Call, ProblemError, quote } from '../http/openServer.js'
import type { OpenNetwork } from '../network/openNetwork.js'
import type { Authorities } from './createAuthorities.js'
import { createNonces } from './createNonces.js'

/**
 * Decides who may read what of private networks: who asks is known by a signed request (ERC-8128),
 * and whether that account may, by the network's membership on the chain. Each request is good
 * once: its nonce is remembered as long as it lives. Nonces of before a restart are forgotten; so
 * what can have been answered then is not answered any more.
 */
export function createAccess(options: createAccess.Options): Access {
  const { authorities, clock, limits } = options
  const nonces = createNonces({ clock, ...limits })
  /** What the chain said lately, by network, account and device. */
  const known = new Map<string, { readAt: number; since: Promise<number | null> }>()
  /** What was signed in a second before this one, by a clock that was ahead, may have been answered before. */
  const notBefore = 1000 * (Math.floor(options.startedAt / 1000) + maxSkewSeconds + 1)
  let reading = 0

  /** Asks the chain, unless too much is asked of it already. */
  async function ask<answer>(question: () => Promise<answer>): Promise<answer> {
    if (reading >= maxReading)
      throw new ProblemError('overloaded', 'Too many accounts are looked up at a time.', 1)
    reading++
    try {
      return await question()
    } catch (error) {
      options.onError(error)
      throw new ProblemError('unavailable', 'The chain cannot be asked who may read.', 5)
    } finally {
      reading--
    }
  }

  /** Since when an account may read a device, in seconds. */
  function readSince(open: OpenNetwork, account: Hex, device: Hex | null): Promise<number | null> {
    const key = `${open.state.number}/${account}/${device}`
    const now = performance.now()
    const last = known.get(key)
    if (last && now - last.readAt < limits.accessMs) return last.since
    const since = ask(() => open.chain.access(account, device))
    since.catch(() => known.get(key)?.since === since && known.delete(key))
    known.delete(key)
    known.set(key, { readAt: now, since })
    if (known.size > maxKnown) known.delete(known.keys().next().value as string)
    return since
  }

  return {
    isAsked: ({ signed }) => signed !== undefined,
    async read(call, open, device) {
      const { chain, network } = open
      if (!network.isPrivate) return 0
      const { signed } = call
      if (!signed)
        throw new ProblemError(
          'unsigned',
          'Owners, whom they let read, and auditors of the network sign what they ask: ERC-8128.',
        )
      const { isLocal, signature, signatureInput, target } = signed
      const authority = authorities.find(target.authority, { isLocal })
      if (authority === undefined)
        throw new ProblemError(
          'authority',
          `${quote(target.authority)} is none of its names. ${authorities.explain()}`,
        )
      const parsed = parseSignedRequest({
        chainId: network.chainId,
        maxSkewSeconds,
        now: clock(),
        signature,
        signatureInput,
        target: { ...target, authority },
      })
      if (!parsed.ok) throw new ProblemError('request-signature', parsed.detail)
      const { request } = parsed
      if (request.createdAt < notBefore) {
        const seconds = Math.ceil((notBefore - clock()) / 1000)
        if (seconds > 0)
          throw new ProblemError('starting', 'The node has just started: sign it again.', seconds)
        throw new ProblemError('request-signature', 'It was created before the node started.')
      }
      const isSigned = await chain.isSigned(request, 'key')
      const since = await readSince(open, request.account, device && toHex(device))
      // Only who may read can make the node ask the chain about a signature.
      if (!isSigned && (since === null || !(await ask(() => chain.isSigned(request, 'contract')))))
        throw new ProblemError('request-signature', `It is not of ${request.account}.`)
      if (since === null) throw new ProblemError('reader', `Asked by ${request.account}.`)
      // Its nonce may have been used, and forgotten since.
      if (request.expiresAt <= clock())
        throw new ProblemError('request-signature', 'It has expired while the chain was asked.')
      const use = nonces.use(request)
      if (use === 'used') throw new ProblemError('repeated')
      if (use === 'full') throw new ProblemError('nonces', undefined, 60)
      return since * 1000
    },
  }
}

export declare namespace createAccess {
  type Options = {
    authorities: Authorities
    /** ms */
    clock: () => number
    limits: AccessLimits
    onError: (error: unknown) => void
    /** ms; the latest time that is known to be over. */
    startedAt: number
  }
}

export type Access = {
  /** Whether whoever asks says who it is. */
  isAsked(call: Call): boolean
  /**
   * Since when, in ms, whoever asks may read a device; null for all devices of the network. 0 in a
   * public network, where nobody has to say who it is.
   *
   * @throws {ProblemError} who asks may not, or does not say who it is.
   */
  read(call: Call, open: OpenNetwork, device: Uint8Array | null): Promise<number>
}

export type AccessLimits = {
  /** How long it is believed what the chain said of who may read. */
  accessMs: number
  /** Nonces of signed requests that are remembered. */
  maxNonces: number
  /** Of one account. */
  maxNoncesOfAccount: number
}

/** How far the clock of whoever signs may be ahead. */
const maxSkewSeconds = 5
/** Questions to the chain under way. */
const maxReading = 64
/** Answers of the chain that are kept. */
const maxKnown = 10_000
