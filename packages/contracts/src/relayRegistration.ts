import { BaseError } from '@machinefi/core'
import type { Address, Hash, Hex } from 'viem'
import { type Endorsement, proveEndorsement } from './Endorsement.js'
import { type Registration, toDeviceAddress } from './Registration.js'

/**
 * Has a stream node send a registration and pay for it: neither the device nor its owner needs gas.
 * The node can do nothing with it but that, since the device's signature covers every argument, and
 * only takes devices that join the network. Asking again is fine: what is registered already is not
 * sent twice.
 *
 * Needs `fetch` and no chain, so that it runs where the device is.
 *
 * @throws {RelayError} the node is away (kind `transport`: try again) or refuses (kind `input`).
 *
 * @example
 * const registration = await signRegistration({ signer, chainId, deadline, membership, owner, registry })
 * const { transaction } = await relayRegistration('https://node.example', { network: id, registration })
 */
export async function relayRegistration(
  node: string,
  parameters: relayRegistration.Parameters,
): Promise<relayRegistration.ReturnType> {
  const { fetch = globalThis.fetch, network, registration, timeoutMs = 120_000 } = parameters
  const { endorsement: shown } =
    (parameters.endorsement &&
      proveEndorsement(parameters.endorsement, [toDeviceAddress(registration)])) ??
    {}
  const url = `${node.replace(/\/+$/, '')}/networks/${network}/registrations`
  let response: Response
  let text: string
  try {
    response = await fetch(url, {
      body: JSON.stringify({
        ...registration,
        deadline: String(registration.deadline),
        ...(shown && { endorsement: { root: shown.root, proof: shown.proof, flags: shown.flags } }),
      }),
      headers: { 'content-type': 'application/json' },
      method: 'POST',
      signal: AbortSignal.timeout(timeoutMs),
    })
    text = await response.text()
  } catch (cause) {
    throw new RelayError('The node did not answer.', undefined, { cause })
  }
  const { status } = response
  const { detail, gasUsed, title, transaction, type } = parse(text)
  if (response.ok) {
    if (!/^\d{1,20}$/.test(gasUsed ?? '') || !/^(0x[0-9a-fA-F]{64})?$/.test(transaction ?? ''))
      throw new RelayError('What answered is no node.', status)
    return {
      device: toDeviceAddress(registration),
      transaction: (transaction as Hash | undefined) || undefined,
      gasUsed: BigInt(gasUsed!),
    }
  }
  if (status === 404 && !type?.endsWith('/unknown-network'))
    throw new RelayError('The node pays for no registrations.', 404)
  throw new RelayError(`The node does not send it: ${title ?? `status ${status}`}.`, status, {
    detail,
  })
}

/** The strings of a JSON object; none where it is something else, as a proxy's page. */
function parse(text: string): Record<string, string | undefined> {
  try {
    const entries = Object.entries(JSON.parse(text) as object)
    return Object.fromEntries(entries.filter(([, value]) => typeof value === 'string'))
  } catch {
    return {}
  }
}

export declare namespace relayRegistration {
  type Parameters = {
    /** Id of the network that the registration joins. */
    network: Hex
    registration: Registration
    /** That the device is of a run of the model that its registration names. @default nobody vouches for it */
    endorsement?: Endorsement | undefined
    /** @default globalThis.fetch */
    fetch?: typeof globalThis.fetch | undefined
    /** How long the transaction may take to be mined. @default 120_000 */
    timeoutMs?: number | undefined
  }
  type ReturnType = {
    device: Address
    /** Undefined where it was registered already. */
    transaction: Hash | undefined
    /** Of the transaction; the node paid for it. */
    gasUsed: bigint
  }
}

/** A node did not send a registration. */
export class RelayError extends BaseError {
  override readonly name = 'RelayError'
  /** Of the answer; undefined where there was none. */
  readonly status: number | undefined
  constructor(
    shortMessage: string,
    status: number | undefined,
    options: { cause?: unknown; detail?: string | null | undefined } = {},
  ) {
    const { cause, detail } = options
    super(shortMessage, {
      cause,
      kind: status === undefined || status >= 500 || status === 429 ? 'transport' : 'input',
      metaMessages: detail ? [detail] : [],
    })
    this.status = status
  }
}
