import type { Deployment, Network } from '@machinefi/contracts'
import { createSoftwareSigner } from '@machinefi/device'
import { createNode } from '@machinefi/stream'
import { defineSchema } from '@machinefi/telemetry'
import { createClient, http } from 'viem'
import { mnemonicToAccount } from 'viem/accounts'
import { anvil } from 'viem/chains'

// A node on a test chain in a process of its own, to be killed: it follows the chain and answers
// challenges. Prints where it is, then serves until it dies.

const given = JSON.parse(process.argv[2]!) as {
  dataDir: string
  deployment: Deployment
  /** Private key in hex. */
  logKey: string
  network: Omit<Network, 'serial'> & { serial: string }
  now: number
  rpcUrl: string
}
const account = mnemonicToAccount('test test test test test test test test test test test junk', {
  addressIndex: 1,
})
const walker = defineSchema({ id: 1, tickMs: 1000, fields: { steps: { unit: 'count' } } })
const node = await createNode({
  client: createClient({
    account,
    chain: anvil,
    pollingInterval: 20,
    transport: http(given.rpcUrl, { retryCount: 0 }),
  }),
  clock: () => given.now,
  dataDir: given.dataDir,
  deployment: given.deployment,
  logSigner: createSoftwareSigner({ privateKey: Buffer.from(given.logKey, 'hex') }),
  networks: [{ ...given.network, schemas: [walker], serial: BigInt(given.network.serial) }],
  onError: (error) => console.error(error),
})
node.start({ everyMs: 20 })
process.stdout.write(`${JSON.stringify({ url: await node.listen({ port: 0 }) })}\n`)
