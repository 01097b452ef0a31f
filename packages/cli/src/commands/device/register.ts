import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Network,
  registerDevices,
  relayRegistration,
  signRegistration,
} from '@machinefi/contracts'
import { BaseError, formatDid, publicKeyToAddress, type Signer } from '@machinefi/core'
import type { OpenedSigner } from '@machinefi/device/node'
import { type Address, getAddress, type Hash } from 'viem'
import { openChain } from '../../chain/createChainClient.js'
import type { Context } from '../../context.js'
import { joinNetwork } from '../../network/joinNetwork.js'
import { openNetwork } from '../../network/openNetwork.js'
import { fetchNetwork, fetchNode, NodeProblemError } from '../../node/fetchNode.js'
import { openDeviceSigner } from '../../options/openDeviceSigner.js'
import { parseAccountAddress } from '../../options/parseAccountAddress.js'
import { parseFee } from '../../options/parseFee.js'
import { parseInteger } from '../../options/parseInteger.js'
import { parseUrl } from '../../options/parseUrl.js'
import { readEndorsement } from '../../options/readEndorsement.js'
import { formatJson } from '../../output/formatJson.js'

type Options = readEndorsement.Options & {
  account?: string
  baud: string
  fee?: string
  join: boolean
  json?: boolean
  network?: string
  node: string
  owner?: string
  port?: string
  relay?: boolean
  rpc: string
}

/** `machinefi device register`: the device signs, the account pays; by default it joins as well. */
export async function registerDevice(
  file: string | undefined,
  options: Options,
  context: Context,
): Promise<void> {
  const { signer, next } = await openSigner(file, options, context)
  try {
    await register(signer, next, options, context)
  } finally {
    await signer.close()
  }
}

/** What signs: a key file, or a board; and what sends its readings then. */
async function openSigner(
  file: string | undefined,
  { baud, port }: Options,
  context: Context,
): Promise<{ signer: OpenedSigner; next: string }> {
  if ((file === undefined) === (port === undefined)) throw new DeviceNotNamedError()
  if (file !== undefined) {
    const signer = await openDeviceSigner(file, context)
    return { signer, next: `machinefi replay readings.csv --key ${file}` }
  }
  const baudRate = parseInteger('--baud', baud, { least: 1, most: 4_000_000 })
  const { openBoardSigner, openSerialPort } = await import('@machinefi/device/serial')
  const signer = await openBoardSigner(await openSerialPort(port!, { baudRate }))
  return { signer, next: `machinefi bridge --port ${port}` }
}

async function register(
  signer: Signer,
  next: string,
  options: Options,
  context: Context,
): Promise<void> {
  const sent = options.relay
    ? await sendByNode(signer, options, context)
    : await sendByAccount(signer, options, context)
  const { network } = sent
  const did = formatDid(publicKeyToAddress(signer.publicKey))
  if (options.join) await waitForMember(options.node, `/networks/${network.id}/devices/${did}`)
  const facts = {
    did,
    owner: sent.owner.toLowerCase(),
    network: options.join ? network.id : null,
    // Null where somebody had sent it before.
    transaction: sent.transaction ?? null,
    gasUsed: sent.gasUsed,
  }
  if (options.json) context.stdout.write(`${formatJson(facts)}\n`)
  else {
    context.stdout.write(`${did}\n`)
    context.stderr.write(
      sent.transaction === undefined
        ? 'It was registered to this owner already: nothing was left to do.\n'
        : options.join
          ? `Registered and joined${options.relay ? '; the node paid' : ''}. It earns from the next window on.\nNext: ${next}\n`
          : 'Registered.\n',
    )
  }
}

type Sent = {
  gasUsed: bigint
  network: Pick<Network, 'id'>
  owner: Address
  transaction: Hash | undefined
}

async function sendByAccount(signer: Signer, options: Options, context: Context): Promise<Sent> {
  const fee = parseFee(options.fee)
  const endorsement = await readEndorsement(options, context)
  const client = await openChain(options, context)
  // The chain says whom a fee is paid to, not the node.
  const { network } = await openNetwork(client, options, context)
  const { registry } = network
  const owner = options.owner ? parseAccountAddress(options.owner) : client.account.address
  const { timestamp } = await client.getBlock()
  const registration = await signRegistration({
    chainId: client.chain.id,
    deadline: timestamp + lifeSeconds,
    membership: options.join ? network.membership : undefined,
    model: endorsement?.model,
    owner,
    registry,
    signer,
  })
  const registrations = [registration]
  const [result] = options.join
    ? await joinNetwork(client, { endorsement, fee, network }, (terms) =>
        registerDevices(client, { ...terms, endorsement, registrations, registry }),
      )
    : await registerDevices(client, { registrations, registry })
  return { gasUsed: result?.receipt.gasUsed ?? 0n, network, owner, transaction: result?.hash }
}

/** Without a chain at hand: the node names it, and what the device signs holds on that one only. */
async function sendByNode(signer: Signer, options: Options, context: Context): Promise<Sent> {
  const { account, fee, join } = options
  if (options.owner === undefined || !join || account !== undefined || fee !== undefined)
    throw new RelayOptionsError()
  const endorsement = await readEndorsement(options, context)
  const network = await fetchNetwork(options.node, options.network)
  const owner = parseAccountAddress(options.owner)
  const registration = await signRegistration({
    chainId: network.chainId,
    deadline: BigInt(Math.floor(Date.now() / 1000)) + lifeSeconds,
    membership: getAddress(network.membership),
    model: endorsement?.model,
    owner,
    registry: getAddress(network.registry),
    signer,
  })
  const node = parseUrl(options.node)
  return {
    ...(await relayRegistration(node, { endorsement, network: network.id, registration })),
    network,
    owner,
  }
}

/** How long a registration can be used. */
const lifeSeconds = 3_600n

/** A node reads the chain every few seconds; what is sent to it before that, it does not know. */
async function waitForMember(node: string, path: string): Promise<void> {
  for (const end = Date.now() + 15_000; Date.now() < end; await sleep(200)) {
    try {
      await fetchNode(node, path)
      return
    } catch (error) {
      if (!(error instanceof NodeProblemError && error.status === 404)) throw error
    }
  }
}

export class RelayOptionsError extends BaseError {
  override readonly name = 'RelayOptionsError'
  constructor() {
    super('--relay needs --owner, and goes with none of --account, --no-join and --fee.', {
      kind: 'input',
      metaMessages: ['The node pays for devices that join its network, and no join fee.'],
    })
  }
}

export class DeviceNotNamedError extends BaseError {
  override readonly name = 'DeviceNotNamedError'
  constructor() {
    super('A key file is needed, or --port, and not both.', { kind: 'input' })
  }
}
