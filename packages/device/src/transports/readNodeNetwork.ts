import { equalBytes, fromHex, toHex } from '@machinefi/core'
import { assertSchema, type Schema } from '@machinefi/telemetry'
import { TransportError } from './errors.js'
import { request, toError } from './request.js'

/**
 * What a node says of a network it serves: enough to create a device for it.
 * The node's word only; the chain is the authority.
 *
 * @throws {TransportError} no answer, an answer that cannot be read, or one about another network.
 * @throws {RefusedError} the node does not serve the network.
 */
export async function readNodeNetwork(
  url: string,
  id: Uint8Array,
  options: readNodeNetwork.Options = {},
): Promise<NodeNetwork> {
  const { timeoutMs = 30_000, ...rest } = options
  const path = `/networks/${toHex(id)}`
  const answer = await request(url.replace(/\/+$/, '') + path, {
    ...rest,
    timeoutMs,
    maxResponseBytes: 1024 * 1024,
  })
  if ('problem' in answer) throw toError(answer)
  let network: NodeNetwork
  try {
    network = parseNetwork(JSON.parse(new TextDecoder().decode(answer.bytes)))
  } catch (cause) {
    throw new TransportError("The node's description of the network cannot be read.", { cause })
  }
  if (!equalBytes(network.id, id)) throw new TransportError('The node described another network.')
  return network
}

export declare namespace readNodeNetwork {
  type Options = {
    fetch?: typeof globalThis.fetch | undefined
    headers?: Readonly<Record<string, string>> | undefined
    signal?: AbortSignal | undefined
    /** @default 30 s */
    timeoutMs?: number | undefined
  }
}

export type NodeNetwork = {
  /** Of the chain that the network's contracts are on; undefined where the node does not say. */
  chainId: number | undefined
  /** 32 bytes. */
  id: Uint8Array
  /** P-256 X‖Y, 64 bytes. */
  logKey: Uint8Array
  /** The operator's account, 20 bytes. */
  operator: Uint8Array
  schema: Schema
  windowMs: number
  maxRowsBytes: number
}

function parseNetwork(json: { readonly [name: string]: unknown }): NodeNetwork {
  const { chainId, id, logKey, operator, schema, windowMs, maxRowsBytes = 4096 } = json
  assertSchema(schema)
  const network = {
    chainId: typeof chainId === 'number' ? chainId : undefined,
    id: fromHex(id as string),
    logKey: fromHex(logKey as string),
    operator: fromHex(operator as string),
    schema,
    windowMs: toCount(windowMs),
    maxRowsBytes: toCount(maxRowsBytes),
  }
  if (network.logKey.length !== 64 || network.operator.length !== 20)
    throw new TypeError('Not a log key of 64 bytes and an account of 20.')
  return network
}

function toCount(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) <= 0) throw new TypeError('Not a count.')
  return value as number
}
