import { setTimeout as sleep } from 'node:timers/promises'
import { registerDevices, signRegistration } from '@machinefi/contracts'
import { formatDid, publicKeyToAddress, type Signer } from '@machinefi/core'
import { getAddress } from 'viem'
import { openChain } from '../../chain/createChainClient.js'
import type { Context } from '../../context.js'
import { fetchNetwork, fetchNode, NodeProblemError } from '../../node/fetchNode.js'
import { openDeviceSigner } from '../../options/openDeviceSigner.js'
import { parseAccountAddress } from '../../options/parseAccountAddress.js'
import { formatJson } from '../../output/formatJson.js'

type Options = {
  account?: string
  join: boolean
  json?: boolean
  network?: string
  node: string
  owner?: string
  rpc: string
}

/** `machinefi device register`: the device signs, the account pays; by default it joins as well. */
export async function registerDevice(
  file: string,
  options: Options,
  context: Context,
): Promise<void> {
  const signer = await openDeviceSigner(file, context)
  try {
    await register(signer, file, options, context)
  } finally {
    await signer.close()
  }
}

async function register(
  signer: Signer,
  file: string,
  options: Options,
  context: Context,
): Promise<void> {
  const network = await fetchNetwork(options.node, options.network)
  const client = await openChain(options, context)
  const owner = options.owner ? parseAccountAddress(options.owner) : client.account.address
  const { timestamp } = await client.getBlock()
  const registration = await signRegistration({
    chainId: client.chain.id,
    deadline: timestamp + 3_600n,
    membership: options.join ? getAddress(network.membership) : undefined,
    owner,
    registry: getAddress(network.registry),
    signer,
  })
  const [result] = await registerDevices(client, {
    registrations: [registration],
    registry: getAddress(network.registry),
  })
  const did = formatDid(publicKeyToAddress(signer.publicKey))
  if (options.join) await waitForMember(options.node, `/networks/${network.id}/devices/${did}`)
  const facts = {
    did,
    owner: owner.toLowerCase(),
    network: options.join ? network.id : null,
    // Null where somebody had sent it before.
    transaction: result?.hash ?? null,
    gasUsed: result?.receipt.gasUsed ?? 0n,
  }
  if (options.json) context.stdout.write(`${formatJson(facts)}\n`)
  else {
    context.stdout.write(`${did}\n`)
    context.stderr.write(
      result === undefined
        ? 'It was registered to this owner already: nothing was left to do.\n'
        : options.join
          ? `Registered and joined. It earns from the next window on.\nNext: machinefi replay readings.csv --key ${file}\n`
          : 'Registered.\n',
    )
  }
}

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
