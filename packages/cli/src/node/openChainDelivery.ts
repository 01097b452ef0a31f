import { readConfig, readNetwork, readOperator } from '@machinefi/contracts'
import { iMembershipAbi } from '@machinefi/contracts/abis'
import { BaseError, formatDid, fromHex, toHex } from '@machinefi/core'
import { openReader } from '../chain/createChainClient.js'
import type { Context } from '../context.js'
import type { NetworkFile } from '../network/networkFile.js'
import { NetworkMismatchError } from '../network/openNetwork.js'
import type { Delivery } from './openDelivery.js'

/**
 * Opens the way to a node over MQTT or CoAP, which is asked nothing: the network file says what the
 * network is, and the chain which key the operator of the current window is bonded with.
 *
 * @throws {DeliveryError} no network file, or an operator that has not bonded.
 * @throws {NetworkMismatchError} the file is of another chain.
 */
export async function openChainDelivery(
  options: openChainDelivery.Options,
  context: Context,
): Promise<Delivery> {
  const { file, node } = options
  if (file === undefined)
    throw new DeliveryError('A node over MQTT or CoAP is not asked about its network.', [
      'Name the network file that `machinefi network create` wrote, with --network.',
    ])
  const client = await openReader(options)
  const { fromBlock, schema } = file
  const { factory, serial } = file.network
  const network = await readNetwork(client, { factory, serial })
  if (network.id !== file.network.id) throw new NetworkMismatchError(file.network.id, network.id)
  const window = Math.floor(Date.now() / 1000 / network.windowSeconds)
  const { operator } = await readConfig(client, { fromBlock, network, window })
  const { logKey } = await readOperator(client, { fromBlock, network, operator })
  if (logKey === undefined)
    throw new DeliveryError('The operator of the network has not bonded: it has no log key.', [
      `Operator: ${operator}`,
    ])
  const { MACHINEFI_MQTT_PASSWORD: password, MACHINEFI_MQTT_USERNAME: username } = context.env
  const keys = { logKey: fromHex(logKey), operator: fromHex(operator) }
  const transport = node.startsWith('coap:')
    ? (await import('@machinefi/device/coap')).coap(node, keys)
    : (await import('@machinefi/device/mqtt')).mqtt(node, { ...keys, password, username })
  return {
    network: {
      chainId: network.chainId,
      id: fromHex(network.id),
      windowMs: network.windowSeconds * 1000,
    },
    schema,
    transport,
    isHttp: false,
    async assertMember(device) {
      const { joinedAt } = await client.readContract({
        abi: iMembershipAbi,
        address: network.membership,
        functionName: 'member',
        args: [toHex(device)],
      })
      if (joinedAt === 0) throw new NotMemberError(device)
    },
    close: () => transport.close(),
  }
}

export declare namespace openChainDelivery {
  type Options = { file: NetworkFile | undefined; node: string; rpc: string }
}

export class DeliveryError extends BaseError {
  override readonly name = 'DeliveryError'
  constructor(shortMessage: string, metaMessages: readonly string[]) {
    super(shortMessage, { kind: 'input', metaMessages })
  }
}

export class NotMemberError extends BaseError {
  override readonly name = 'NotMemberError'
  constructor(device: Uint8Array) {
    super(`${formatDid(device)} is no member of the network.`, {
      kind: 'input',
      metaMessages: ['Register it: machinefi device register'],
    })
  }
}
