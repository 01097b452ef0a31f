import { openSync, writeSync } from 'node:fs'
import { fromHex } from '@machinefi/core'
import { createDevice, http } from '@machinefi/device'
import { openFileStore } from '@machinefi/device/node'
import { createSigner, walker } from '../../packages/stream/test/createFakeChain.js'

// A device in a process of its own, to be killed: writes the time of every reading that is safely
// stored to a file. With `drain` it delivers what there is, and ends by itself.

const [directory, acknowledged, url, network, clockAhead, firstTime, mode] = process.argv.slice(
  2,
) as [string, string, string, string, string, string, 'drain' | 'run']
// Before anything is opened, so that it can be killed from the start.
process.stdout.write(`${JSON.stringify({ url })}\n`)
const file = openSync(acknowledged, 'a')
const fail = (error: unknown) => {
  console.error(error)
  process.exit(1)
}
const device = createDevice({
  clock: () => Date.now() + Number(clockAhead),
  maxAgeMs: Number.POSITIVE_INFINITY,
  maxRows: 7,
  network: { id: fromHex(network), windowMs: 86_400_000 },
  onRefused: fail,
  retry: { minMs: 5, maxMs: 50 },
  schema: walker,
  signer: createSigner(1),
  store: openFileStore(directory, { keepDeliveredBytes: 20_000, segmentBytes: 8192 }),
  transport: http(url),
})

let time = Number(firstTime)
const record = async () => {
  time += 1000
  const own = time
  await device.record({ steps: 1 }, { time: own })
  writeSync(file, `${own}\n`)
}
if (mode === 'drain') {
  await record()
    .then(() => device.flush())
    .then(() => device.close(), fail)
} else
  for (let burst = 0; ; burst++)
    await Promise.all(Array.from({ length: 1 + (burst % 9) }, record)).catch(fail)
