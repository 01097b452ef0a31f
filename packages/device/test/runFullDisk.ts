import { rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { defineSchema } from '@machinefi/telemetry'
import {
  createDevice,
  createSoftwareSigner,
  type Device,
  type Transport,
  TransportError,
} from '../src/index.js'
import type { StoreFailedError } from '../src/stores/fileStoreErrors.js'
import { openFileStore } from '../src/stores/openFileStore.js'
import { createTestNode, toTransport } from './createTestNode.js'

/**
 * A device on a disk of a few megabytes, for tests of what happens when that is full.
 *
 * `prepare`: fills an outbox while the node is away, and dies. `open`: fills the rest of the disk, then
 * opens that outbox and a new one, and says what came of it.
 */
const [directory = '', mode] = process.argv.slice(2)
const start = Date.UTC(2026, 3, 13)
const schema = defineSchema({ id: 1, tickMs: 1, fields: { steps: { unit: 'count' } } })
const network = { id: new Uint8Array(32).fill(1), windowMs: 86_400_000 }
let fillers = 0

function openDevice(name: string, send?: Transport['send']) {
  const node = createTestNode({ network: network.id, clock: () => start })
  const device = createDevice({
    clock: () => start,
    maxRows: 10,
    network,
    nextSeq: 0,
    retry: { maxMs: 20, minMs: 1 },
    schema,
    signer: createSoftwareSigner({ privateKey: new Uint8Array(32).fill(9) }),
    store: openFileStore(join(directory, name), { segmentBytes: 128 * 1024 }),
    transport: { ...toTransport(node), ...(send && { send: (...args) => send(...args) }) },
  })
  return { device, node }
}

const away = () => Promise.reject(new TransportError('away'))

const isDone = [() => true, () => false] as const

/** Records readings until one is refused `refusals` times in a row; says how many were taken, and why no more. */
async function recordAll(
  device: Device<typeof schema>,
  options: { from: number; most: number; refusals: number },
) {
  const { from, most, refusals } = options
  let error: unknown
  for (let taken = 0; ; taken++) {
    if (taken === most) return { taken }
    for (let refused = 0; ; ) {
      const record = device.record({ steps: taken }, { time: from + taken })
      error = await record.then(
        () => undefined,
        (reason) => reason,
      )
      if (error === undefined) break
      if (++refused === refusals) break
      // What is kept gives way behind the reading that is refused.
      await sleep(1)
    }
    if (error === undefined) continue
    const { cause, name, shortMessage } = error as StoreFailedError
    return { cause: (cause as NodeJS.ErrnoException).code, name, shortMessage, taken }
  }
}

/** Leaves no page of the disk free. */
async function fill() {
  const file = await open(join(directory, `filler-${fillers++}`), 'w')
  for (let bytes = 64 * 1024; bytes >= 1; )
    await file.write(Buffer.alloc(bytes)).catch(() => {
      bytes >>= 1
    })
  await file.close()
}

// Where no room is ever made, it would wait for good.
setTimeout(() => process.exit(1), 30_000).unref()

if (mode === 'prepare') {
  const { device } = openDevice('outbox', away)
  for (let time = start; time < start + 20_000; time += 500) {
    const some = Array.from({ length: 500 }, (_, i) => time + i)
    await Promise.all(some.map((time) => device.record({ steps: 1 }, { time })))
    while (device.stats().stored.rows > 0) await sleep(1)
  }
  process.kill(process.pid, 'SIGKILL')
} else {
  await fill()
  let send: Transport['send'] = away
  const old = openDevice('outbox', (...args) => send(...args))
  const refused = await recordAll(old.device, { from: start + 100_000, most: 10_000, refusals: 10 })
  const waiting = old.device.stats().stored
  send = toTransport(old.node).send
  // What is not signed yet is, once deliveries have made room for that.
  while (!(await old.device.flush().then(...isDone))) await sleep(1)
  const delivered = old.device.stats().stored
  const later = await recordAll(old.device, { from: start + 200_000, most: 10_000, refusals: 200 })
  while (!(await old.device.flush().then(...isDone))) await sleep(1)
  await old.device.close()

  await fill()
  const fresh = openDevice('new')
  const none = await recordAll(fresh.device, { from: start, most: 1, refusals: 3 })
  for (let i = 0; i < fillers; i++) rmSync(join(directory, `filler-${i}`))
  const some = await recordAll(fresh.device, { from: start, most: 10, refusals: 2 })
  await fresh.device.flush()
  await fresh.device.close()
  const seqs = old.node.batches.map(({ header }) => header.seq)
  const readings = old.node.batches.reduce((sum, { header }) => sum + header.count, 0)
  const all = { delivered, later, none, readings, refused, seqs, some, waiting }
  process.stdout.write(JSON.stringify(all))
}
