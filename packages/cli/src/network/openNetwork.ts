import { type AnyClient, type Network, readNetwork } from '@machinefi/contracts'
import { BaseError } from '@machinefi/core'
import type { Schema } from '@machinefi/telemetry'
import { getAddress, isHex } from 'viem'
import type { Context } from '../context.js'
import { fetchNetwork } from '../node/fetchNode.js'
import { readNetworkFile } from './networkFile.js'

/**
 * The contracts of a network, as its factory on the chain names them: of the
 * network file that was named, else of the id, which a node helps to find. The
 * id commits to chain, factory and serial, so the node is not trusted with it.
 * The schema is the file's, or what the node says: compare its hash.
 *
 * @throws {NetworkMismatchError}
 */
export async function openNetwork(
  client: AnyClient,
  options: openNetwork.Options,
  context: Context,
): Promise<{ network: Network; schema: Schema }> {
  const { network: named, node } = options
  const { factory, id, schema, serial } =
    named === undefined || isHex(named)
      ? await fetchNetwork(node, named)
      : await readNetworkFile(named, context).then(({ network, schema }) => ({
          ...network,
          schema,
        }))
  const network = await readNetwork(client, {
    factory: getAddress(factory),
    serial: BigInt(serial),
  })
  const expected = (isHex(named) ? named : id).toLowerCase()
  if (network.id !== expected) throw new NetworkMismatchError(expected, network.id)
  return { network, schema }
}

export declare namespace openNetwork {
  type Options = {
    /** Id or network file; the node's only one by default. */
    network?: string | undefined
    node: string
  }
}

/** Asserts that there is somebody who may not read a network. @throws {NetworkPublicError} */
export function assertPrivate({ id, isPrivate }: Network): void {
  if (!isPrivate) throw new NetworkPublicError(id)
}

export class NetworkPublicError extends BaseError {
  override readonly name = 'NetworkPublicError'
  constructor(network: string) {
    super('The network is public: everyone may read it.', {
      docsPath: 'guides/private-networks.md',
      kind: 'input',
      metaMessages: [`Network: ${network}`],
    })
  }
}

export class NetworkMismatchError extends BaseError {
  override readonly name = 'NetworkMismatchError'
  constructor(expected: string, actual: string) {
    super('The chain at --rpc has another network at this place.', {
      kind: 'integrity',
      metaMessages: [`Asked for: ${expected}`, `There: ${actual}`],
    })
  }
}
