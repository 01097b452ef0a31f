import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { registerDevices, signRegistration } from '@machinefi/contracts'
import { fromHex } from '@machinefi/core'
import { createDevice, http, readNodeNetwork, TickTakenError } from '@machinefi/device'
import { openFileStore, openKeyFile } from '@machinefi/device/node'
import { createWalletClient, http as rpc } from 'viem'
import { mnemonicToAccount } from 'viem/accounts'
import { openUplink } from './openUplink.js'
import { readSensors } from './readSensors.js'
import { simulateSensors } from './simulateSensors.js'

const { MACHINEFI_NODE: url = 'http://127.0.0.1:4270' } = process.env
const { MACHINEFI_RPC: chain = 'http://127.0.0.1:8545' } = process.env
const { SENSORS } = process.env
const [readings = 'Infinity'] = process.argv.slice(2)

const { networks } = await (await fetch(`${url}/networks`)).json()
const { chainId, id, membership, registry } = networks[0]
const network = await readNodeNetwork(url, fromHex(id))
if (!network.schema.fields.some(({ name }) => name === 'temperature')) {
  console.error('The node’s network is not one of weather stations. Without a node there, or with')
  console.error(
    'machinefi dev --schema temperature:Cel:2,humidity:%RH:1,pressure:hPa:1 …, it works.',
  )
  process.exit(1)
}

// On a Pi the kernel's drivers are below /sys/bus; elsewhere a folder stands in for it.
await mkdir('.machinefi', { recursive: true })
const isThere = ['/sys/bus/iio/devices/iio:device0', '/sys/bus/w1/devices/w1_bus_master1'].some(
  (path) => existsSync(path),
)
const bus = SENSORS ?? (isThere ? '/sys/bus' : '.machinefi/sys/bus')
const isSimulated = SENSORS === undefined && !isThere
console.log(isSimulated ? 'no sensors here: simulating a BME280' : `sensors below ${bus}`)

const uplink = await openUplink(url)
const signer = await openKeyFile('.machinefi/station.key', { create: true })
const device = createDevice({
  schema: network.schema,
  signer,
  network,
  transport: http(uplink.url), // asks for the log key, and again when the operator has changed it
  store: openFileStore('.machinefi/outbox'),
  maxAgeMs: 2_000,
  retry: { maxMs: 2_000 },
  onDelivered: ({ index, seq }) => console.log(`batch ${seq}: entry ${index}`),
  onError: (error) => console.log(`${error.message} Trying again.`),
})
console.log(device.did)

// Once in its life.
const isMember = async () => (await fetch(`${url}/networks/${id}/devices/${device.did}`)).ok
if (!(await isMember())) {
  const account = mnemonicToAccount('test test test test test test test test test test test junk')
  const deadline = Math.floor(Date.now() / 1000) + 3_600
  const terms = { chainId, deadline, membership, owner: account.address, registry }
  const registration = await signRegistration({ signer, ...terms })
  const client = createWalletClient({ account, transport: rpc(chain) })
  await registerDevices(client, { registrations: [registration], registry })
  while (!(await isMember())) await sleep(200) // until the node has read it from the chain
}

let running = true
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => (running = false))
let taken = 0
for (let i = 0; running && taken < Number(readings); i++) {
  // The uplink is cut after four readings, for six.
  if (i === 4) {
    console.log('the node is gone')
    await uplink.cut()
  }
  if (i === 10) {
    console.log(`the node is back; ${device.stats().stored.batches} batches wait`)
    await uplink.mend()
  }
  if (isSimulated) await simulateSensors(bus, Date.now())
  const weather = await readSensors(bus)
  try {
    await device.record(weather) // on disk from here on
    taken++
  } catch (error) {
    if (!(error instanceof TickTakenError)) throw error
  }
  await sleep(1_000 - (Date.now() % 1_000))
}
await device.flush({ timeoutMs: 10_000 }).catch((error) => console.error(error.message))
const { delivered, stored } = device.stats()
console.log(`${taken} readings, ${delivered} batches delivered, ${stored.batches} waiting`)
await device.close()
await uplink.cut()
