import { mkdir } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { registerDevices, signRegistration } from '@machinefi/contracts'
import { fromHex } from '@machinefi/core'
import { createDevice, http, readNodeNetwork } from '@machinefi/device'
import { openFileStore, openKeyFile } from '@machinefi/device/node'
import { createWalletClient, http as rpc } from 'viem'
import { mnemonicToAccount } from 'viem/accounts'

const { MACHINEFI_NODE: url = 'http://127.0.0.1:4270' } = process.env
const { MACHINEFI_RPC: chain = 'http://127.0.0.1:8545' } = process.env
const [readings = 'Infinity'] = process.argv.slice(2)

// Which network: a real device has the id built in, and the log key from the chain.
const { networks } = await (await fetch(`${url}/networks`)).json()
const { chainId, id, membership, registry } = networks[0]
const network = await readNodeNetwork(url, fromHex(id))

// Key and readings that are not delivered yet stay here, across restarts and power cuts.
await mkdir('.machinefi', { recursive: true })
const signer = await openKeyFile('.machinefi/walker.key', { create: true })
const device = createDevice({
  schema: network.schema,
  signer,
  network,
  transport: http(url, network),
  store: openFileStore('.machinefi/outbox'),
  maxAgeMs: 5_000,
  onDelivered: ({ index, receipt, seq }) =>
    console.log(`batch ${seq}: entry ${index}, receipt of ${receipt.length} bytes verified`),
  onError: (error) => console.error(`${error.message} Trying again.`),
})
console.log(device.did)

// Once in its life: the device signs who owns it, and anyone may pay for telling the chain.
const isMember = async () => (await fetch(`${url}/networks/${id}/devices/${device.did}`)).ok
if (!(await isMember())) {
  const account = mnemonicToAccount('test test test test test test test test test test test junk')
  const owner = account.address
  const deadline = Math.floor(Date.now() / 1000) + 3_600
  const terms = { chainId, deadline, membership, owner, registry }
  const registration = await signRegistration({ signer, ...terms })
  const client = createWalletClient({ account, transport: rpc(chain) })
  await registerDevices(client, { registrations: [registration], registry })
  console.log(`registered to ${owner}`)
  while (!(await isMember())) await sleep(200) // until the node has read it from the chain
}

let running = true
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => (running = false))
for (let i = 0; running && i < Number(readings); i++) {
  await sleep(1_000)
  await device.record({ steps: 1 + Math.floor(Math.random() * 3) }) // on disk from here on
}
// Everything delivered, and every receipt verified; what is not is kept for the next start.
await device.flush({ timeoutMs: 10_000 }).catch((error) => console.error(error.message))
await device.close()
