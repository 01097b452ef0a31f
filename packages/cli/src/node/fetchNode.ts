import type { SignedFetch } from '@machinefi/contracts'
import { BaseError, type Hex } from '@machinefi/core'
import type { Metric } from '@machinefi/proof'
import type { Schema } from '@machinefi/telemetry'
import { parseUrl } from '../options/parseUrl.js'

/** A network as its node describes it (`GET /networks/{id}`). */
export type NodeNetwork = {
  id: Hex
  chainId: number
  factory: Hex
  serial: string
  registry: Hex
  settlement: Hex
  membership: Hex
  /** The zero address where nobody can challenge. */
  disputes: Hex
  token: Hex
  /** Whether records are for owners, grantees and auditors only. */
  isPrivate: boolean
  /** Whether it takes registrations, and pays for them. */
  paysRegistrations: boolean
  operator: Hex
  logKey: Hex
  schema: Schema
  metric: Metric
  windowMs: number
  firstWindow: number
}

/** A node by its URL, and what asks it: for private networks one that signs. */
export type NodeAddress = { url: string; fetch?: SignedFetch }

/** Asks a node for JSON; its problems (RFC 9457) become errors. */
export async function fetchNode<value>(node: string | NodeAddress, path: string): Promise<value> {
  const response = await request(node, path, 'application/json')
  try {
    return (await response.json()) as value
  } catch (cause) {
    throw new NotANodeError(urlOf(node), cause)
  }
}

/** Asks a node for bytes. */
export async function fetchNodeBytes(
  node: string | NodeAddress,
  path: string,
): Promise<Uint8Array> {
  return new Uint8Array(await (await request(node, path, '*/*')).arrayBuffer())
}

/** The network that was named, or the only one the node has. */
export async function fetchNetwork(node: string, id: string | undefined): Promise<NodeNetwork> {
  if (id !== undefined) return fetchNode(node, `/networks/${id}`)
  const networks = await fetchNode<{ networks: { id: Hex }[] }>(node, '/networks')
  if (networks.networks.length !== 1) throw new AmbiguousNetworkError(networks.networks)
  return fetchNode(node, `/networks/${networks.networks[0]?.id}`)
}

const urlOf = (node: string | NodeAddress) => (typeof node === 'string' ? node : node.url)

async function request(
  node: string | NodeAddress,
  path: string,
  accept: string,
): Promise<Response> {
  const url = parseUrl(urlOf(node)) + path
  const { fetch = globalThis.fetch } = typeof node === 'string' ? {} : node
  let response: Response
  try {
    response = await fetch(url, {
      headers: { accept },
      signal: AbortSignal.timeout(30_000),
    })
  } catch (cause) {
    if (cause instanceof BaseError) throw cause
    throw new NodeUnreachableError(urlOf(node), cause)
  }
  if (response.ok) return response
  const problem = (await response.json().catch(() => ({}))) as { title?: string; detail?: string }
  throw new NodeProblemError(response.status, problem.title ?? 'no reason given', problem.detail)
}

export class NodeUnreachableError extends BaseError {
  override readonly name = 'NodeUnreachableError'
  constructor(node: string, cause: unknown) {
    super(`No node answers at ${new URL(node).origin}.`, {
      cause,
      kind: 'transport',
      metaMessages: ['Start one with `machinefi dev`, or name one with --node or MACHINEFI_NODE.'],
    })
  }
}

export class NotANodeError extends BaseError {
  override readonly name = 'NotANodeError'
  constructor(node: string, cause?: unknown) {
    super(`What answers at ${new URL(node).origin} is no stream node of this version.`, {
      cause,
      kind: 'transport',
      metaMessages: ['Its answer is not the JSON that was expected.'],
    })
  }
}

export class NodeProblemError extends BaseError {
  override readonly name = 'NodeProblemError'
  readonly status: number
  constructor(status: number, title: string, detail: string | undefined) {
    super(`The node answered ${status}: ${title}`, {
      kind: status >= 500 || status === 429 ? 'transport' : 'input',
      ...(status === 401 || status === 403 ? { docsPath: 'guides/private-networks.md' } : {}),
      metaMessages: detail ? [detail] : [],
    })
    this.status = status
  }
}

export class AmbiguousNetworkError extends BaseError {
  override readonly name = 'AmbiguousNetworkError'
  constructor(networks: readonly { id: string }[]) {
    super(
      networks.length === 0
        ? 'The node serves no network.'
        : 'The node serves several networks: name one with --network.',
      { kind: 'input', metaMessages: networks.map((network) => network.id) },
    )
  }
}
