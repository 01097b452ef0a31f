import type { Algorithm } from '@machinefi/core'
import { type Address, concat, getAbiItem, type Hex } from 'viem'
import { type Assurance, assurances } from '../Assurance.js'
import { iDeviceRegistryAbi } from '../abis/iDeviceRegistryAbi.js'
import { iMembershipAbi } from '../abis/iMembershipAbi.js'
import { readContract } from '../chain/readContract.js'
import { type BlockRange, readEvents } from '../chain/readEvents.js'
import type { AnyClient } from '../chain/writeContract.js'
import { NotFoundOnChainError } from '../errors.js'
import type { Network } from '../Network.js'
import { algorithms, toDeviceAddress } from '../Registration.js'

/** A device in a network. Times in Unix seconds. */
export type Member = {
  device: Address
  slot: number
  joinedAt: number
  /** 0 if it is not suspended. */
  suspendedAt: number
  assurance: Assurance
  /** X‖Y, 64 bytes. */
  publicKey: Hex
  algorithm: Algorithm
  owner: Address
}

/**
 * Reads the members that joined, or were suspended, in a range of blocks: all
 * of them by default, what is new if the range begins behind the last call's.
 * By slot. Everything but the slot is as it is now; a key is checked against
 * its device's address.
 *
 * @throws {NotFoundOnChainError} if a registration is not in the range of blocks, or false.
 */
export async function readMembers(
  client: AnyClient,
  parameters: readMembers.Parameters,
): Promise<Member[]> {
  const { fromBlock, network, registryFromBlock, toBlock } = parameters
  const range = { address: network.membership, fromBlock, toBlock }
  const [joined, suspended] = await Promise.all([
    readEvents(client, { ...range, event: events.Joined }),
    readEvents(client, { ...range, event: events.Suspended }),
  ])
  const devices = [...new Set([...joined, ...suspended].map(({ args }) => args.device))]
  const members: Member[] = []
  for (let i = 0; i < devices.length; i += chunk) {
    const some = devices.slice(i, i + chunk)
    // A device may have been registered long before it joined.
    const registered = await readEvents(client, {
      address: network.registry,
      args: { device: some },
      event: events.Registered,
      fromBlock: registryFromBlock,
      toBlock,
    })
    const keys = new Map(registered.map(({ args }) => [args.device, args]))
    members.push(
      ...(await Promise.all(some.map((device) => readMember(client, network, device, keys)))),
    )
  }
  return members.sort((a, b) => a.slot - b.slot)
}

export declare namespace readMembers {
  type Parameters = BlockRange & {
    network: Pick<Network, 'membership' | 'registry'>
    /** The registry's own first block, to find keys from. @default 0n */
    registryFromBlock?: bigint | undefined
  }
}

/** Topics in one filter, and calls at a time. */
const chunk = 100

type Key = { x: Hex; y: Hex; algorithm: number }

async function readMember(
  client: AnyClient,
  network: readMembers.Parameters['network'],
  device: Address,
  keys: Map<Address, Key>,
): Promise<Member> {
  const [member, owner] = await Promise.all([
    readContract(client, {
      abi: iMembershipAbi,
      address: network.membership,
      functionName: 'member',
      args: [device],
    }),
    readContract(client, {
      abi: iDeviceRegistryAbi,
      address: network.registry,
      functionName: 'ownerOf',
      args: [BigInt(device)],
    }),
  ])
  const key = keys.get(device)
  const algorithm = algorithms[key?.algorithm ?? -1]
  if (!key || !algorithm) throw new NotFoundOnChainError(`The registration of ${device}`)
  if (toDeviceAddress(key) !== device) {
    throw new NotFoundOnChainError(`The registration of ${device}`, [
      'The event of this device has the key of another: the RPC endpoint is not honest.',
    ])
  }
  const publicKey = concat([key.x, key.y])
  const assurance = assurances[member.assurance]!
  return { device, ...member, assurance, publicKey, algorithm, owner }
}

const events = {
  Joined: iMembershipAbi.find((item) => item.type === 'event' && item.name === 'Joined') as Extract<
    (typeof iMembershipAbi)[number],
    { name: 'Joined' }
  >,
  Suspended: getAbiItem({ abi: iMembershipAbi, name: 'Suspended' }),
  Registered: getAbiItem({ abi: iDeviceRegistryAbi, name: 'Registered' }),
}
