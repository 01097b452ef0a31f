import { joinDevices, type Network } from '@machinefi/contracts'
import { iDeviceRegistryAbi, iMembershipAbi } from '@machinefi/contracts/abis'
import { BaseError, formatDid, fromHex, parseDid, toHex } from '@machinefi/core'
import type { Address } from 'viem'
import { type ChainClient, openChain } from '../../chain/createChainClient.js'
import type { Context } from '../../context.js'
import { joinNetwork } from '../../network/joinNetwork.js'
import { openNetwork } from '../../network/openNetwork.js'
import { parseFee } from '../../options/parseFee.js'
import { readEndorsement } from '../../options/readEndorsement.js'
import { formatJson } from '../../output/formatJson.js'

type Options = readEndorsement.Options & {
  account?: string
  fee?: string
  json?: boolean
  network?: string
  node: string
  rpc: string
}

/** `machinefi device join`: devices that are registered, many by one proof. */
export async function joinRegisteredDevices(
  named: readonly string[],
  options: Options,
  context: Context,
): Promise<void> {
  const fee = parseFee(options.fee)
  const endorsement = await readEndorsement(options, context)
  if (named.length === 0 && !endorsement) throw new NoDeviceError()
  const asked = named.map((device): Address => toHex(parseDid(device)))
  const client = await openChain(options, context)
  const { network } = await openNetwork(client, options, context)
  const devices =
    endorsement && named.length === 0
      ? await findJoinable(client, network, endorsement.run.devices)
      : asked
  const transactions: { transaction: string; gasUsed: bigint }[] = []
  for (let i = 0; i < devices.length; i += devicesAtATime) {
    const some = devices.slice(i, i + devicesAtATime)
    const { hash, receipt } = await joinNetwork(client, { endorsement, fee, network }, (terms) =>
      joinDevices(client, { ...terms, devices: some, endorsement, network }),
    )
    transactions.push({ transaction: hash, gasUsed: receipt.gasUsed })
  }
  const dids = devices.map((device) => formatDid(fromHex(device)))
  if (options.json) {
    const facts = { network: network.id, devices: dids, transactions }
    return context.stdout.write(`${formatJson(facts)}\n`)
  }
  context.stdout.write(dids.map((did) => `${did}\n`).join(''))
  context.stderr.write(
    dids.length === 0
      ? 'No device of the run is left to join: those that are the account’s are members.\n'
      : 'Joined: they earn from the next window on.\n',
  )
}

/** Those of a run that are the account's, and no members yet. */
async function findJoinable(
  client: ChainClient,
  network: Network,
  devices: readonly Address[],
): Promise<Address[]> {
  const account = client.account.address.toLowerCase()
  const isJoinable = async (device: Address): Promise<boolean> => {
    const [balance, { joinedAt }] = await Promise.all([
      // Of a device that nobody has registered it reverts.
      client
        .readContract({
          abi: iDeviceRegistryAbi,
          address: network.registry,
          args: [BigInt(device)],
          functionName: 'ownerOf',
        })
        .catch(() => ''),
      client.readContract({
        abi: iMembershipAbi,
        address: network.membership,
        args: [device],
        functionName: 'member',
      }),
    ])
    return balance.toLowerCase() === account && joinedAt === 0
  }
  const joinable: Address[] = []
  for (let i = 0; i < devices.length; i += callsAtATime) {
    const some = devices.slice(i, i + callsAtATime)
    const verdicts = await Promise.all(some.map(isJoinable))
    joinable.push(...some.filter((_, at) => verdicts[at]))
  }
  return joinable
}

/** 35,000 gas each, of the 16.7 M that a transaction may have. */
const devicesAtATime = 200
const callsAtATime = 100

export class NoDeviceError extends BaseError {
  override readonly name = 'NoDeviceError'
  constructor() {
    super('Name the devices that join, or a run, of which all of the account’s join.', {
      kind: 'input',
    })
  }
}
