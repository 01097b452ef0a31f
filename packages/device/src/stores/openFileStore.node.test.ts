import {
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { defineSchema } from '@machinefi/telemetry'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createReferenceStore } from '../../test/createReferenceStore.js'
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
let first: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'machinefi-'))
  first = join(dir, 'store', '00000001.segment')
})
afterEach(() => rm(dir, { recursive: true }))

const openStore = (options?: openFileStore.Options) => openFileStore(join(dir, 'store'), options)
const all = { maxBatches: 1000, maxBytes: 1e6 }

testStore('openFileStore', openStore)

async function contentsOf(store: Store) {
  const contents = await store.open(identity)
  const [batches, refused] = [await store.scan(all), await store.refused()]
  const result = { ...contents, batches, refused, kept: store.kept(), size: store.size() }
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
    () => store.deliver([6]),
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
  batches: [],
  refused: [{ ...batchOf(5), problem }],
  kept: [{ seq: 6, end: 6000 }],
}

describe('reopening', () => {
  test('default', async () => {
    const store = openStore()
    await store.open(identity)
    await fill(store)
    await store.close()
    const contents = await contentsOf(openStore())
    expect(contents).toMatchObject(filled)
    expect(contents.size).toEqual(store.size())
    expect((await stat(first)).mode & 0o777).toBe(0o600)
  })

  test('behavior: a tail torn anywhere leaves what was durable before', async () => {
    const store = openStore()
    await store.open(identity)
    const states: { length: number; contents: unknown }[] = []
    let copies = 0
    const remember = async () => {
      const copy = join(dir, `copy-${copies++}`)
      await mkdir(copy)
      await copyFile(first, join(copy, '00000001.segment'))
      const { size } = await stat(first)
      states.push({ length: size, contents: await contentsOf(openFileStore(copy)) })
    }
    await remember()
    await fill(store, remember)
    await store.close()
    const bytes = await readFile(first)

    const torn = join(dir, 'torn')
    await mkdir(torn)
    for (let length = states[0]!.length; length < bytes.length; length++) {
      const before = states.findLast((state) => state.length <= length)!
      // A file may have grown before its content arrived.
      const tail = Buffer.alloc(length % 3 === 0 ? 20 : 0, 0x55)
      const content = Buffer.concat([bytes.subarray(0, length), tail])
      await writeFile(join(torn, '00000001.segment'), content)
      expect(await contentsOf(openFileStore(torn))).toEqual(before.contents)
    }
  })

  test('behavior: goes on after a torn tail', async () => {
    const store = openStore()
    await store.open(identity)
    await fill(store)
    await store.close()
    await truncate(first, (await stat(first)).size - 1)
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
    const bytes = await readFile(first)
    for (let at = 0; at < bytes.length - 40; at += 13) {
      const damaged = Buffer.from(bytes)
      damaged[at]! ^= 0x10
      await writeFile(first, damaged)
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

    // As the version before wrote it: only its number is looked at.
    const path = join(dir, 'store', '00000001.segment')
    const bytes = await readFile(path)
    const head = bytes.subarray(9, 9 + bytes.readUInt32BE(1))
    head[1] = 1
    bytes.writeUInt32BE(crc32(head), 5)
    await writeFile(path, bytes)
    await expect(openStore().open(identity)).rejects.toMatchObject({
      ...mismatch('format'),
      metaMessages: [
        expect.stringMatching(/deliver with that what waits/),
        expect.stringMatching(/move the directory away/),
      ],
    })
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
    expect(opened).toMatchObject({ nextSeq: 1, lastTime: 1 })
    await again.close()
    expect(await contentsOf(openStore())).toMatchObject({ nextSeq: 1, batches: [batchOf(0)] })
  })
})

describe('segments', () => {
  const bytesOf = async () => {
    let bytes = 0
    for (const name of await readdir(join(dir, 'store')))
      if (name.endsWith('.segment')) bytes += (await stat(join(dir, 'store', name))).size
    return bytes
  }

  test('behavior: deleted when all in them is delivered, written anew when most is', async () => {
    const options = { keepDeliveredBytes: 0, segmentBytes: 64 * 1024 }
    const store = openStore(options)
    await store.open(identity)
    let largest = 0
    for (let seq = 0; seq < 400; seq++) {
      const appended = [1, 2, 3].map((time) => store.appendRow(rowAt(10 * seq + time)))
      if (seq % 10 === 9) await store.deliver(Array.from({ length: 9 }, (_, i) => seq - 9 + i))
      await Promise.all(appended)
      await store.reserve(seq, 3)
      await store.appendBatch(batchOf(seq, 1500))
      largest = Math.max(largest, await bytesOf())
    }
    // 600 kB went through; 40 batches are left, of 60 kB.
    expect(largest).toBeLessThan(2 * (60_000 + 64 * 1024) + 2 * 64 * 1024)
    const left = Array.from({ length: 40 }, (_, i) => batchOf(10 * i + 9, 1500))
    expect(await store.scan(all)).toEqual(left)
    const size = store.size()
    await store.close()
    const reopened = await contentsOf(openStore(options))
    expect(reopened).toMatchObject({ nextSeq: 400, lastTime: 3993, rows: [], size, batches: left })
  })

  test('behavior: while nothing is delivered, rows that became batches make room', async () => {
    const store = openStore({ segmentBytes: 4096 })
    await store.open(identity)
    let largest = 0
    for (let seq = 0; seq < 150; seq++) {
      const rows = Array.from({ length: 20 }, (_, i) => store.appendRow(rowAt(20 * seq + i)))
      await Promise.all(rows)
      await store.reserve(seq, 20)
      await store.appendBatch(batchOf(seq))
      largest = Math.max(largest, await bytesOf())
    }
    // 20 rows take 360 bytes, the batch that they become 162 with its head.
    expect(largest).toBeLessThan(2 * (150 * 162 + 4096) + 2 * 4096)
    const batches = Array.from({ length: 150 }, (_, seq) => batchOf(seq))
    expect(await store.scan(all)).toEqual(batches)
    await store.close()
    expect((await contentsOf(openStore())).batches).toEqual(batches)
  })

  test('behavior: rows and reservations outlive the segments before them', async () => {
    const options = { keepDeliveredBytes: 0, segmentBytes: 300 }
    const store = openStore(options)
    await store.open(identity)
    for (let time = 1; time <= 60; time++) await store.appendRow(rowAt(time))
    for (let seq = 0; seq < 5; seq++) {
      await store.reserve(seq, 11)
      if (seq === 4) break
      await store.appendBatch(batchOf(seq))
      await store.deliver([seq])
    }
    await expect(stat(first)).rejects.toMatchObject({ code: 'ENOENT' })
    await store.close()
    expect(await contentsOf(openStore(options))).toMatchObject({
      nextSeq: 5,
      reserved: [{ seq: 4, rows: Array.from({ length: 11 }, (_, i) => rowAt(45 + i)) }],
      rows: [56, 57, 58, 59, 60].map(rowAt),
    })
  })

  test('behavior: whatever is done, what is on disk is what a simple store says', async () => {
    let seed = 7
    const random = (below: number) => {
      seed = (seed * 48_271) % 2_147_483_647
      return seed % below
    }
    const options = { keepDeliveredBytes: 1e6, maxBytes: 1500, whenFull: 'oldest' } as const
    const open = () => openStore({ ...options, segmentBytes: 2000 })
    const memory = createReferenceStore(options)
    await memory.open(identity)
    let store = open()
    await store.open(identity)
    const say = async (some: Store) => {
      const [batches, refused] = [await some.scan(all), await some.refused()]
      return { batches, refused, kept: some.kept(), size: some.size() }
    }
    let next = 0
    let time = 0
    for (let step = 0; step < 1500; step++) {
      const some = Array.from({ length: 1 + random(4) }, () => random(Math.max(1, next)))
      const action = random(20)
      const both = async (act: (store: Store) => unknown) => {
        await act(memory)
        await act(store)
      }
      if (action < 8) {
        const row = rowAt(++time)
        const append = async (each: Store) => each.appendRow(row)
        const outcome = (each: Store) => append(each).catch(({ name }) => name)
        expect(await outcome(store)).toBe(await outcome(memory))
      } else if (action < 13 && memory.size().rows > 0) {
        const [seq, count] = [next++, 1 + random(memory.size().rows)]
        const batch = { ...batchOf(seq, 20 + random(400)), id: new Uint8Array(32).fill(seq) }
        await both((each) => each.reserve(seq, count))
        await both((each) => each.appendBatch(batch))
      } else if (action < 15) {
        const batches = await memory.scan({ maxBatches: 1 + random(4), maxBytes: 1e6 })
        await both((each) => each.deliver(batches.map(({ seq }) => seq)))
      } else if (action < 16) await both((each) => each.refuse(some[0]!, problem))
      else if (action < 17) await both((each) => each.requeue(some))
      else if (action < 18) await both((each) => each.remove(some))
      else if (step % 3 === 0) {
        await store.close()
        store = open()
        await store.open(identity)
      }
      if (step % 10 === 0) expect(await say(store)).toEqual(await say(memory))
    }
    expect(await say(store)).toEqual(await say(memory))
    expect(memory.size().dropped).toBeGreaterThan(10)
    const { bytes, keptBytes } = memory.size()
    expect(bytes + keptBytes).toBeGreaterThan(2000)
    await store.close()
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
