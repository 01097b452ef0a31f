import type { AnyClient, Network } from '@machinefi/contracts'
import { BaseError } from '@machinefi/core'
import { isHex, zeroAddress } from 'viem'
import type { Context } from '../../context.js'
import { openNetwork } from '../../network/openNetwork.js'

/** Options of all commands about challenges. */
export type DisputeOptions = { json?: boolean; network?: string; node: string; rpc: string }

/** The network whose disputes a command is about. @throws {AttestedNetworkError} */
export async function openDisputes(
  client: AnyClient,
  options: DisputeOptions,
  context: Context,
): Promise<Network> {
  const { network } = await openNetwork(client, options, context)
  if (network.disputes === zeroAddress) throw new AttestedNetworkError(network.id)
  return network
}

/** @throws {InvalidChallengeIdError} */
export function parseChallengeId(text: string): `0x${string}` {
  if (!isHex(text) || text.length !== 66) throw new InvalidChallengeIdError(text)
  return text.toLowerCase() as `0x${string}`
}

export class AttestedNetworkError extends BaseError {
  override readonly name = 'AttestedNetworkError'
  constructor(network: string) {
    super('Nobody can challenge in this network: it is attested.', {
      docsPath: 'protocol/disputes.md',
      kind: 'contract',
      metaMessages: [`Network: ${network}`, 'Its owner has chosen to take the operator’s word.'],
    })
  }
}

export class InvalidChallengeIdError extends BaseError {
  override readonly name = 'InvalidChallengeIdError'
  constructor(text: string) {
    super(`Not the id of a challenge: ${JSON.stringify(text.slice(0, 80))}.`, {
      kind: 'input',
      metaMessages: ['It is 0x and 64 hex digits, as `machinefi challenge list` prints it.'],
    })
  }
}

export class UnknownChallengeError extends BaseError {
  override readonly name = 'UnknownChallengeError'
  constructor(id: string) {
    super(`There is no challenge ${id} in this network.`, { kind: 'input' })
  }
}
