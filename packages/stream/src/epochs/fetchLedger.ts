import type { SignedFetch } from '@machinefi/contracts'
import { fromHex, parseAddress } from '@machinefi/core'
import type { Entry } from '@machinefi/proof'
import type { PostedEpoch } from '../chain/chain.js'
import { PeerError } from '../errors.js'
import { isLedgerOf } from './BuiltEpoch.js'

/**
 * Asks another node for the entries of an epoch's ledger, by slot. Nothing it
 * says is believed: entries come back only if they have the root and the total
 * that are on chain.
 */
export async function fetchLedger(options: fetchLedger.Options): Promise<fetchLedger.Result> {
  const { fetch = globalThis.fetch, network, peer, posted, timeoutMs = 60_000 } = options
  const refuse = (reason: string, cause?: unknown): fetchLedger.Result => ({
    ok: false,
    error: new PeerError(peer, `${reason} (window ${posted.window})`, cause),
  })
  const url = new URL(peer)
  url.pathname = `${peer.pathname.replace(/\/$/, '')}/networks/${network}/epochs/${posted.window}/ledger`
  // `fetch` refuses an address with a password in it.
  const login = url.username && Buffer.from(decodeURIComponent(`${url.username}:${url.password}`))
  url.username = ''
  url.password = ''
  let text: string
  try {
    const response = await fetch(url, {
      redirect: 'error',
      headers: {
        accept: 'application/json',
        ...(login && { authorization: `Basic ${login.toString('base64')}` }),
      },
      signal: AbortSignal.timeout(timeoutMs),
    })
    if (!response.ok || !response.body) {
      await response.body?.cancel()
      return refuse(`status ${response.status}`)
    }
    const most = 65_536 + 1024 * 2 ** posted.depth
    const chunks: Uint8Array[] = []
    let length = 0
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      length += chunk.length
      if (length > most) return refuse(`more than ${most} bytes`)
      chunks.push(chunk)
    }
    text = Buffer.concat(chunks, length).toString()
  } catch (cause) {
    return refuse('no answer', cause)
  }
  try {
    // Slots beyond the members are empty in every honest ledger. One that is not can stand nevertheless.
    const entries = parseEntries(text, 2 ** posted.depth)
    return isLedgerOf(posted, entries)
      ? { ok: true, entries }
      : refuse('its ledger is not the one on chain')
  } catch (cause) {
    return refuse('its answer is no ledger', cause)
  }
}

export declare namespace fetchLedger {
  type Options = {
    /** What asks: signed, where the network is private. @default the global one */
    fetch?: SignedFetch | undefined
    /** Network id. */
    network: string
    peer: URL
    posted: PostedEpoch
    /** @default 60_000 */
    timeoutMs?: number
  }
  type Entries = (Entry | null)[]
  type Result = { ok: true; entries: Entries } | { ok: false; error: PeerError }
}

/** The entries of a node's answer. Throws whatever is wrong with it. */
function parseEntries(text: string, slots: number): fetchLedger.Entries {
  const { entries: list } = JSON.parse(text) as { entries: Record<string, unknown>[] }
  const entries: fetchLedger.Entries = []
  for (const { cumulative, device, slot, steps, traceRoot, value } of list) {
    if (!Number.isInteger(slot) || (slot as number) < entries.length || (slot as number) >= slots)
      throw new RangeError(`slot ${slot}`)
    while (entries.length < (slot as number)) entries.push(null)
    entries.push({
      cumulative: toBigInt(cumulative),
      device: parseAddress(String(device)),
      steps: steps as number,
      traceRoot: fromHex(String(traceRoot)),
      value: toBigInt(value),
    })
  }
  return entries
}

function toBigInt(text: unknown): bigint {
  if (typeof text !== 'string' || !/^-?\d{1,78}$/.test(text)) throw new RangeError('no integer')
  return BigInt(text)
}
