import { copyFile, mkdir, mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineSchema } from '@machinefi/telemetry'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createTestNode, toTransport } from '../../test/createTestNode.js'
import { batchOf, identity, problem, rowAt, testStore } from '../../test/testStore.js'
import {
  createDevice,
  createSoftwareSigner,
  type Store,
  type Transport,
  TransportError,
} from '../index.js'
import { openFileStore } from '../node.js'

let dir: string
let journal: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'machinefi-'))
  journal = join(dir, 'store', 'journal')
})
afterEach(() => rm(dir, { recursive: true }))

const openStore = (options?: openFileStore.Options) => openFileStore(join(dir, 'store'), options)
const all = { maxBatches: 1000, maxBytes: 1e6 }

testStore('openFileStore', openStore)

async function contentsOf(store: Store) {
  const contents = await store.open(identity)
  const result = { ...contents, batches: await store.scan(all), refused: await store.refused() }
  await store.close()
  return result
}

/** Does something of everything; `after` is called when each step is durable. */
async function fill(store: Store, after: () => unknown = () => {}) {
  const steps: (() => unknown)[] = [
    () => store.appendRow(rowAt(1)),
    () => Promise.all([2, 3, 4].map((time) => store.appendRow(rowAt(time)))),
    () => store.reserve(5, 2),
    () => store.appendBatch(batchOf(5)),
    () => store.reserve(6, 1),
    () => store.appendBatch(batchOf(6)),
    () => store.refuse(5, problem),
    () => store.appendRow({ time: 7, values: [null] }),
    () => store.remove([6]),
    () => store.reserve(7, 1),
  ]
  for (const step of steps) {
    await step()
    await after()
  }
}

const filled = {
  nextSeq: 8,
  lastTime: 7,
  rows: [{ time: 7, values: [null] }],
  reserved: [{ seq: 7, rows: [rowAt(4)] }],
  queued: [],
  batches: [],
  refused: [{ ...batchOf(5), problem }],
}

describe('reopening', () => {
  test('default', async () => {
    const store = openStore()
    await store.open(identity)
    await fill(store)
    await store.close()
    expect(await contentsOf(openStore())).toEqual(filled)
    expect((await stat(journal)).mode & 0o777).toBe(0o600)
  })

  test('behavior: a tail torn anywhere leaves what was durable before', async () => {
    const store = openStore()
    await store.open(identity)
    const states: { length: number; contents: unknown }[] = []
    let copies = 0
    const remember = async () => {
      const copy = join(dir, `copy-${copies++}`)
      await mkdir(copy)
      await copyFile(journal, join(copy, 'journal'))
      const { size } = await stat(journal)
      states.push({ length: size, contents: await contentsOf(openFileStore(copy)) })
    }
    await remember()
    await fill(store, remember)
    await store.close()
    const bytes = await readFile(journal)

    const torn = join(dir, 'torn')
    await mkdir(torn)
    for (let length = states[0]!.length; length < bytes.length; length++) {
      const before = states.findLast((state) => state.length <= length)!
      for (const tail of [0, 20]) {
        // A file may have grown before its content arrived.
        const content = Buffer.concat([bytes.subarray(0, length), Buffer.alloc(tail, 0x55)])
        await writeFile(join(torn, 'journal'), content)
        expect(await contentsOf(openFileStore(torn))).toEqual(before.contents)
      }
    }
  })

  test('behavior: goes on after a torn tail', async () => {
    const store = openStore()
    await store.open(identity)
    await fill(store)
    await store.close()
    await truncate(journal, (await stat(journal)).size - 1)
    const again = openStore()
    await again.open(identity)
    await again.appendRow(rowAt(9))
    await again.close()
    expect((await contentsOf(openStore())).lastTime).toBe(9)
  })

  test('error: damaged in the middle', async () => {
    const store = openStore()
    await store.open(identity)
    await fill(store)
    await store.close()
    const bytes = await readFile(journal)
    for (let at = 0; at < bytes.length - 40; at += 13) {
      const damaged = Buffer.from(bytes)
      damaged[at]! ^= 0x10
      await writeFile(journal, damaged)
      const opened = openStore().open(identity)
      await expect(opened).rejects.toMatchObject({ kind: 'integrity', name: 'StoreDamagedError' })
    }
  })

  test('error: of another device, network, schema or format', async () => {
    const store = openStore()
    await store.open(identity)
    await store.appendRow(rowAt(1))
    await store.close()
    const mismatch = (field: string) => ({ kind: 'input', name: 'StoreMismatchError', field })
    const others = [
      ['device', { ...identity, device: new Uint8Array(20) }],
      ['network', { ...identity, network: new Uint8Array(32) }],
      ['schema', { ...identity, schema: 2 }],
      ['schema', { ...identity, fields: 2 }],
    ] as const
    for (const [field, other] of others)
      await expect(openStore().open(other)).rejects.toMatchObject(mismatch(field))
    expect((await contentsOf(openStore())).rows).toEqual([rowAt(1)])
  })

  test('behavior: another schema, once the readings of the first are signed', async () => {
    const store = openStore()
    await store.open(identity)
    await store.appendRow(rowAt(1))
    await store.reserve(0, 1)
    await store.appendBatch(batchOf(0))
    await store.close()
    const again = openStore()
    const opened = await again.open({ ...identity, schema: 2, fields: 3 })
    expect(opened).toMatchObject({ nextSeq: 1, lastTime: 1, queued: [0] })
    await again.close()
    expect(await contentsOf(openStore())).toMatchObject({ nextSeq: 1, queued: [0] })
  })
})

describe('size', () => {
  test('behavior: the journal is rewritten when most of it is delivered', async () => {
    const store = openStore()
    await store.open(identity)
    let largest = 0
    for (let seq = 0; seq < 400; seq++) {
      const appended = [1, 2, 3].map((time) => store.appendRow(rowAt(10 * seq + time)))
      if (seq % 10 === 9) await store.remove(Array.from({ length: 9 }, (_, i) => seq - 9 + i))
      await Promise.all(appended)
      await store.reserve(seq, 3)
      await store.appendBatch(batchOf(seq, 15_000))
      largest = Math.max(largest, (await stat(journal)).size)
    }
    expect(largest).toBeLessThan(3.5 * 1024 * 1024)
    const left = Array.from({ length: 40 }, (_, i) => 10 * i + 9)
    expect(await store.scan(all)).toEqual(left.map((seq) => batchOf(seq, 15_000)))
    await store.close()
    const reopened = await contentsOf(openStore())
    expect(reopened).toMatchObject({ nextSeq: 400, lastTime: 3993, queued: left, rows: [] })
    expect(reopened.batches).toEqual(left.map((seq) => batchOf(seq, 15_000)))
  })

  test('behavior: rewriting keeps everything that counts', async () => {
    const store = openStore()
    await store.open(identity)
    await store.appendRow(rowAt(0))
    await store.reserve(4, 1)
    await store.appendBatch(batchOf(4, 2_000_000))
    await fill(store)
    await store.remove([4])
    await store.appendRow(rowAt(8))
    expect((await stat(journal)).size).toBeLessThan(1000)
    await store.close()
    expect(await contentsOf(openStore())).toEqual({
      ...filled,
      lastTime: 8,
      rows: [...filled.rows, rowAt(8)],
    })
  })
})

test('error: the disk refuses', async () => {
  const store = openFileStore(join(dir, 'file', 'store'))
  await writeFile(join(dir, 'file'), '')
  await expect(store.open(identity)).rejects.toMatchObject({
    kind: 'internal',
    name: 'StoreFailedError',
  })
})

describe('createDevice', () => {
  const schema = defineSchema({ id: 1, tickMs: 1, fields: { steps: { unit: 'count' } } })
  const network = { id: new Uint8Array(32).fill(1), windowMs: 86_400_000 }
  const start = Date.UTC(2026, 3, 13)
  const clock = () => start

  test('behavior: what is recorded survives, once, in order, with its seq', async () => {
    const node = createTestNode({ network: network.id, clock })
    const signer = createSoftwareSigner()
    let away = true
    const online = toTransport(node)
    const transport: Transport = {
      ...online,
      send: (batches, context) =>
        away ? Promise.reject(new TransportError('away')) : online.send(batches, context),
    }
    const open = () =>
      createDevice({
        schema,
        signer,
        network,
        transport,
        clock,
        store: openStore(),
        maxRows: 4,
        nextSeq: 0,
        retry: { minMs: 1, maxMs: 2 },
      })
    let time = start
    for (let run = 0; run < 5; run++) {
      const device = open()
      const records = Array.from({ length: 7 }, () => device.record({ steps: 1 }, { time: ++time }))
      await Promise.all(records)
      if (run === 3) {
        away = false
        await device.flush()
        away = true
      }
      await device.close()
    }
    away = false
    const device = open()
    await expect(device.record({ steps: 1 }, { time })).rejects.toMatchObject({
      name: 'TickTakenError',
    })
    await device.flush()
    await device.close()
    expect(node.batches.map(({ header }) => header.seq)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8])
    expect(node.batches.reduce((sum, { header }) => sum + header.count, 0)).toBe(35)
    expect(node.batches.map(({ header }) => header.start - start)).toEqual([
      1, 5, 9, 13, 17, 21, 25, 29, 33,
    ])
  })

  test('behavior: a batch whose signing was cut off gets the same seq and the same rows', async () => {
    const node = createTestNode({ network: network.id, clock })
    const signer = createSoftwareSigner()
    const first = createDevice({
      schema,
      signer: { ...signer, sign: () => Promise.reject(new Error('brown-out')) },
      network,
      transport: toTransport(node),
      clock,
      store: openStore(),
      maxRows: 2,
    })
    for (const time of [1, 2, 3]) await first.record({ steps: time }, { time: start + time })
    await expect(first.flush()).rejects.toThrow('brown-out')
    await first.close()

    const second = createDevice({
      schema,
      signer,
      network,
      transport: toTransport(node),
      clock,
      store: openStore(),
      maxRows: 3,
    })
    await second.record({ steps: 4 }, { time: start + 4 })
    await second.flush()
    await second.close()
    expect(
      node.batches.map(({ header }) => [header.seq, header.start - start, header.count]),
    ).toEqual([
      [0, 1, 2],
      [1, 3, 2],
    ])
  })

  test('behavior: discardFuture is remembered', async () => {
    const node = createTestNode({ network: network.id, clock })
    const signer = createSoftwareSigner()
    const online = toTransport(node)
    const away = { ...online, send: () => Promise.reject(new TransportError('away')) }
    let now = start
    const open = (transport: Transport) => {
      const options = { clock: () => now, store: openStore(), transport }
      return createDevice({ schema, signer, network, ...options })
    }
    const first = open(away)
    await first.record({ steps: 1 })
    now = Date.UTC(2026, 9, 1)
    await first.record({ steps: 2 })
    await first.close()

    now = start + 1000
    const second = open(away)
    await expect(second.record({ steps: 3 })).rejects.toMatchObject({ reason: 'backwards' })
    expect(await second.discardFuture()).toMatchObject([{ seq: 1 }])
    await second.close()
    now += 1000
    const third = open(online)
    await third.record({ steps: 3 })
    await third.flush()
    await third.close()
    const sent = node.batches.map(({ header }) => [header.seq, header.start - start])
    expect(sent).toEqual([
      [0, 0],
      [2, 2000],
    ])
  })

  test('error: a store in use', async () => {
    const store = openStore()
    await store.open(identity)
    const device = createDevice({
      schema,
      signer: createSoftwareSigner(),
      network,
      transport: toTransport(createTestNode({ network: network.id })),
      store: openStore(),
    })
    await expect(device.record({ steps: 1 })).rejects.toMatchObject({ name: 'StoreLockedError' })
    await device.close()
    await store.close()
  })
})
