import { iMembershipAbi } from '@machinefi/contracts/abis'
import { BaseError, formatDid, fromHex, toHex } from '@machinefi/core'
import type { Context } from '../context.js'
import type { NetworkFile } from '../network/networkFile.js'
import type { Delivery } from './openDelivery.js'
import { DeliveryError, readChainNetwork } from './readChainNetwork.js'

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
  const { file, node, rpc } = options
  if (file === undefined)
    throw new DeliveryError('A node over MQTT or CoAP is not asked about its network.', [
      'Name the network file that `machinefi network create` wrote, with --network.',
    ])
  const { client, contracts, network, operator } = await readChainNetwork({ file, rpc })
  const { MACHINEFI_MQTT_PASSWORD: password, MACHINEFI_MQTT_USERNAME: username } = context.env
  const keys = { logKey: operator.logKey, operator: fromHex(operator.address) }
  const transport = node.startsWith('coap:')
    ? (await import('@machinefi/device/coap')).coap(node, keys)
    : (await import('@machinefi/device/mqtt')).mqtt(node, { ...keys, password, username })
  return {
    network,
    schema: file.schema,
    transport,
    isHttp: false,
    async assertMember(device) {
      const { joinedAt } = await client.readContract({
        abi: iMembershipAbi,
        address: contracts.membership,
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

export class NotMemberError extends BaseError {
  override readonly name = 'NotMemberError'
  constructor(device: Uint8Array) {
    super(`${formatDid(device)} is no member of the network.`, {
      kind: 'input',
      metaMessages: ['Register it: machinefi device register'],
    })
  }
}
