import { formatDid, fromHex } from '@machinefi/core'
import { http, type Transport } from '@machinefi/device'
import type { Schema } from '@machinefi/telemetry'
import type { Context } from '../context.js'
import { fetchNetwork, fetchNode } from './fetchNode.js'
import { isNetworkId } from './readLogKeys.js'

/** What a device needs of its network, and the way to a node of it. */
export type Delivery = {
  network: { chainId: number; id: Uint8Array; windowMs: number; finalAfterMs?: number }
  schema: Schema
  transport: Transport
  /** Whether the node answers questions too. */
  isHttp: boolean
  /**
   * A device waits for its registration; whoever runs a command should hear of it.
   *
   * @throws {NodeProblemError | NotMemberError}
   */
  assertMember(device: Uint8Array): Promise<void>
  close(): Promise<void>
}

/**
 * Opens the way to a node by the scheme of its URL. A node over HTTP says which network it serves,
 * and with what log key. Over MQTT and CoAP nothing is asked: see {@link openChainDelivery}.
 */
export async function openDelivery(
  options: openDelivery.Options,
  context: Context,
): Promise<Delivery> {
  const { network: named, node, rpc } = options
  const isId = named === undefined || isNetworkId(named)
  // Loaded here: most replays need no chain.
  const file = isId
    ? undefined
    : await (await import('../network/networkFile.js')).readNetworkFile(named, context)
  if (/^(mqtts?|coap):/.test(node)) {
    const { openChainDelivery } = await import('./openChainDelivery.js')
    return openChainDelivery({ file, node, rpc }, context)
  }
  const { chainId, id, logKey, schema, windowMs } = await fetchNetwork(
    node,
    file?.network.id ?? named,
  )
  return {
    network: { chainId, id: fromHex(id), windowMs },
    schema,
    transport: http(node, { logKey: fromHex(logKey) }),
    isHttp: true,
    async assertMember(device) {
      await fetchNode(node, `/networks/${id}/devices/${formatDid(device)}`)
    },
    close: async () => {},
  }
}

export declare namespace openDelivery {
  type Options = {
    /** Id or network file. */
    network?: string | undefined
    node: string
    rpc: string
  }
}
