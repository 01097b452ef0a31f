import { equalBytes, fromHex, toHex } from '@machinefi/core'
import { assertSchema, type Schema } from '@machinefi/telemetry'
import { TransportError } from './errors.js'
import { parseJson, request, toError } from './request.js'

/**
 * What a node says of a network it serves: enough to create a device for it.
 * The node's word only; the chain is the authority.
 *
 * @throws {TransportError} no answer, an answer that cannot be read, or one about another network.
 * @throws {RefusedError} the node does not serve the network.
 */
export function readNodeNetwork(
  url: string,
  id: Uint8Array,
  options: readNodeNetwork.Options = {},
): Promise<NodeNetwork> {
  return readDescription(url.replace(/\/+$/, ''), id, options, (json) => {
    const { chainId, schema, windowMs, maxRowsBytes = 4096 } = json
    assertSchema(schema)
    return {
      ...parseLogKey(json),
      chainId: typeof chainId === 'number' ? chainId : undefined,
      id: Uint8Array.from(id),
      schema,
      windowMs: toCount(windowMs),
      maxRowsBytes: toCount(maxRowsBytes),
    }
  })
}

/** Of that, whose receipts count. `base` has no slash at its end. */
export function readLogKey(
  base: string,
  id: Uint8Array,
  options: readNodeNetwork.Options,
): Promise<NodeLogKey> {
  return readDescription(base, id, options, parseLogKey)
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

type NodeLogKey = {
  /** P-256 X‖Y, 64 bytes. */
  logKey: Uint8Array
  /** The operator's account, 20 bytes. */
  operator: Uint8Array
}

export type NodeNetwork = NodeLogKey & {
  /** Of the chain that the network's contracts are on; undefined where the node does not say. */
  chainId: number | undefined
  /** 32 bytes. */
  id: Uint8Array
  schema: Schema
  windowMs: number
  maxRowsBytes: number
}

type Json = { readonly [name: string]: unknown }

async function readDescription<value>(
  base: string,
  id: Uint8Array,
  options: readNodeNetwork.Options,
  parse: (json: Json) => value,
): Promise<value> {
  const { timeoutMs = 30_000, ...rest } = options
  const maxResponseBytes = 1024 * 1024
  const url = `${base}/networks/${toHex(id)}`
  const answer = await request(url, { ...rest, timeoutMs, maxResponseBytes })
  if ('problem' in answer) throw toError(answer)
  try {
    const json: Json = parseJson(answer.bytes)
    if (!equalBytes(fromHex(json.id as string), id)) throw new TypeError('Of another network.')
    return parse(json)
  } catch (cause) {
    throw new TransportError("The node's description of the network cannot be read.", { cause })
  }
}

function parseLogKey(json: Json): NodeLogKey {
  const logKey = fromHex(json.logKey as string)
  const operator = fromHex(json.operator as string)
  if (logKey.length !== 64 || operator.length !== 20)
    throw new TypeError('Not a log key of 64 bytes and an account of 20.')
  return { logKey, operator }
}

function toCount(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) <= 0) throw new TypeError('Not a count.')
  return value as number
}
