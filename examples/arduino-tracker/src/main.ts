import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { registerDevices, signRegistration } from '@machinefi/contracts'
import { formatDid, fromHex, publicKeyToAddress, type Signer } from '@machinefi/core'
import { createDevice, http, readNodeNetwork } from '@machinefi/device'
import { openFileStore, openKeyFile } from '@machinefi/device/node'
import { createBridge } from '@machinefi/device/serial'
import { createWalletClient, http as rpc } from 'viem'
import { mnemonicToAccount } from 'viem/accounts'
import { type Board, createBoard } from './createBoard.js'
import { createSecureElement } from './createSecureElement.js'

// Two boards in a simulator, each on a line of its own to a bridge. With real ones, two commands do
// what follows from the bridges on:
//
//   machinefi bridge --port /dev/ttyACM0 --key uno.key
//   machinefi bridge --port /dev/ttyACM1

const { MACHINEFI_NODE: url = 'http://127.0.0.1:4270' } = process.env
const { MACHINEFI_RPC: chain = 'http://127.0.0.1:8545' } = process.env
const [seconds = 'Infinity'] = process.argv.slice(2)

const { networks } = await (await fetch(`${url}/networks`)).json()
const { chainId, id, membership, registry } = networks[0]
const network = await readNodeNetwork(url, fromHex(id))
const transport = http(url, network)
const onError = (error: Error) => console.error(error.message)

await mkdir('.machinefi', { recursive: true })
const unoKey = await openKeyFile('.machinefi/uno.key', { create: true })
const megaKey = await openKeyFile('.machinefi/mega.key', { algorithm: 'ES256', create: true })
await register(unoKey, megaKey)

// The Uno has no key: the bridge keeps one for it.
const uno = createBoard(await readFirmware('tracker'))
const device = createDevice({
  ...{ network, onError, signer: unoKey, transport },
  maxAgeMs: 5_000,
  onDelivered: ({ index, seq }) => console.log(`uno: batch ${seq}, entry ${index}`),
  schema: network.schema,
  store: openFileStore('.machinefi/uno'),
})
const unoBridge = createBridge({ device, onError, open: uno.open, schema: network.schema })
console.log(`uno: ${device.did}`)

// The Mega's key is in the secure element at its side; its EEPROM knows whose it is, and where its
// sequence goes on.
const eeprom = await readFile('.machinefi/mega.eeprom').catch(() => new Uint8Array(4096))
eeprom.set(network.id)
eeprom.set(publicKeyToAddress(megaKey.publicKey), 32)
const connectI2c = createSecureElement(megaKey.privateKey)
const mega = createBoard(await readFirmware('signing-tracker'), {
  ...{ connectI2c, eeprom, model: 'mega' },
})
const megaBridge = createBridge({
  onBatch: ({ index, seq }) => console.log(`mega: batch ${seq}, entry ${index}`),
  ...{ onError, open: mega.open, relay: { network: network.id, transport } },
})
console.log(`mega: ${formatDid(publicKeyToAddress(megaKey.publicKey))}`)

let running = true
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => (running = false))
const walks = Promise.all([uno, mega].map(walk))
await sleepWhileRunning(3_000)
console.log('uno: unplugged, and plugged in again')
uno.unplug()
await walks
await writeFile('.machinefi/mega.eeprom', mega.eeprom)
await device.flush({ timeoutMs: 10_000 }).catch(onError)
console.log(`uno: ${unoBridge.stats().readings} readings, ${unoBridge.stats().lost} lost`)
console.log(`mega: ${megaBridge.stats().batches} batches, ${megaBridge.stats().lost} lost`)
await Promise.all([unoBridge.close(), megaBridge.close()])
await device.close()

/** Carries a board along in real time, two steps a second. */
async function walk(board: Board) {
  const began = Date.now()
  for (let tenth = 1; running && tenth <= 10 * Number(seconds); tenth++) {
    if (tenth % 5 === 0) board.sense()
    await board.run(100)
    await sleep(Math.max(0, began + 100 * tenth - Date.now()))
  }
}

async function sleepWhileRunning(ms: number) {
  for (const end = Date.now() + ms; running && Date.now() < end; ) await sleep(50)
}

function readFirmware(sketch: string): Promise<string> {
  return readFile(new URL(`../firmware/${sketch}.hex`, import.meta.url), 'utf8')
}

/** Once in their lives: each key signs who owns its device, and anyone pays for telling the chain. */
async function register(...signers: Signer[]) {
  const isMember = async ({ publicKey }: Signer) => {
    const did = formatDid(publicKeyToAddress(publicKey))
    return (await fetch(`${url}/networks/${id}/devices/${did}`)).ok
  }
  const account = mnemonicToAccount('test test test test test test test test test test test junk')
  const owner = account.address
  const deadline = Math.floor(Date.now() / 1000) + 3_600
  const client = createWalletClient({ account, transport: rpc(chain) })
  for (const signer of signers) {
    if (await isMember(signer)) continue
    const terms = { chainId, deadline, membership, owner, registry }
    const registration = await signRegistration({ signer, ...terms })
    await registerDevices(client, { registrations: [registration], registry })
    while (!(await isMember(signer))) await sleep(200) // until the node has read it from the chain
  }
}
