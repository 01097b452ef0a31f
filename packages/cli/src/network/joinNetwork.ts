import {
  type AnyClient,
  ContractError,
  type Endorsement,
  type Network,
  readRequirements,
} from '@machinefi/contracts'
import { BaseError } from '@machinefi/core'
import { formatEther } from 'viem'

/**
 * Sends what joins devices to a network, if its terms are met: devices without an endorsement
 * are told before anything is sent, and no more is paid for a device than was agreed to.
 *
 * @throws {JoinRefusedError}
 */
export async function joinNetwork<result>(
  client: AnyClient,
  options: joinNetwork.Options,
  send: (terms: { joinFee: bigint }) => Promise<result>,
): Promise<result> {
  const { endorsement, fee = 0n, network } = options
  const { joinFee, leastAssurance } = await readRequirements(client, { network })
  if (leastAssurance !== 'none' && !endorsement)
    throw new JoinRefusedError(`The network lets in devices that are ${leastAssurance} at least.`, [
      'Name the run of the device and its model, which its maker publishes: --run FILE --model ID.',
    ])
  if (joinFee > fee)
    throw new JoinRefusedError(
      `The network asks ${formatEther(joinFee)} coins for each device that joins.`,
      [`Agree to it with --fee ${formatEther(joinFee)}.`],
    )
  try {
    return await send({ joinFee })
  } catch (error) {
    const { revert } = error instanceof ContractError ? error : {}
    const [message, ...hints] = reasons[revert?.name ?? ''] ?? []
    if (message === undefined) throw error
    throw new JoinRefusedError(message, hints, error)
  }
}

export declare namespace joinNetwork {
  type Options = {
    network: Pick<Network, 'membership'>
    endorsement: Endorsement | undefined
    /** Most that is paid for a device, in wei. @default nothing */
    fee?: bigint | undefined
  }
}

export class JoinRefusedError extends BaseError {
  override readonly name = 'JoinRefusedError'
  constructor(shortMessage: string, metaMessages: readonly string[], cause?: unknown) {
    super(shortMessage, { cause, kind: 'contract', metaMessages })
  }
}

/** By the names of the contracts’ errors: what they mean for who joins. */
const reasons: Record<string, readonly string[]> = {
  AlreadyMember: [
    'One of the devices is a member already.',
    'A member stays what it was when it joined: no endorsement changes it.',
  ],
  AssuranceTooLow: ['The network asks for a better assurance than that of the model.'],
  ERC721NonexistentToken: [
    'One of the devices is not registered.',
    '`machinefi device register` registers it and joins it at once.',
  ],
  ERC721InvalidSender: [
    'The device is registered already: to another owner, or without joining.',
    'Its owner joins it with `machinefi device join`.',
  ],
  ModelNotAccepted: [
    'The network does not accept the model.',
    '`machinefi network show` lists those that it does; its owner adds one with `machinefi network accept`.',
  ],
  NotOwnerOfDevice: [
    'One of the devices is another account’s.',
    'Only its owner joins it: --account FILE has the owner’s key.',
  ],
  NotEndorsed: [
    'The maker does not endorse this run.',
    'It never did, or revoked it; or the file has not the very devices that it endorsed: compare the root with those of `machinefi model show`.',
  ],
}
