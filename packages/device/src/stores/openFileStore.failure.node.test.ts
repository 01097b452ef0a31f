import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineSchema } from '@machinefi/telemetry'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createTestNode, toTransport } from '../../test/createTestNode.js'
import { batchOf, identity, problem, rowAt } from '../../test/testStore.js'
import { createDevice, createSoftwareSigner, type Store } from '../index.js'
import { createKeyFile, openFileStore } from '../node.js'

/** Power cuts to try after every change of the disk. */
const cuts = Number(process.env.POWER_CUTS ?? 1)

const shared = vi.hoisted(() => ({
  disk: undefined as ReturnType<typeof import('../../test/createDisk.js').createDisk> | undefined,
  /** Whether the disk refuses to make the names in a directory durable. */
  refusesNames: false,
}))

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>()
  const { createDisk } = await import('../../test/createDisk.js')
  shared.disk = createDisk()
  const wrapped = shared.disk.wrap(real)
  const open: typeof real.open = async (path, flags, mode) => {
    if (shared.refusesNames && flags === 'r') throw new Error('EIO')
    return wrapped.open(path, flags, mode)
  }
  const mkdir = async (path: string, options: object) => {
    const isNew = await real.stat(path).then(
      () => false,
      () => true,
    )
    if (isNew && shared.disk!.refuses === 'ENOSPC')
      throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })
    return real.mkdir(path, options)
  }
  return { ...wrapped, mkdir, open }
})

let dir: string
let folder: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'machinefi-'))
  folder = join(dir, 'store')
  disk().changes.length = 0
  disk().watch(folder)
})
afterEach(async () => {
  disk().refuses = undefined
  shared.refusesNames = false
  await rm(dir, { recursive: true })
})

const disk = () => shared.disk!
const all = { maxBatches: 1000, maxBytes: 1e6 }
const options = {
  keepDeliveredBytes: 1e6,
  maxBytes: 2500,
  segmentBytes: 500,
  whenFull: 'oldest',
} as const

async function contentsOf(path: string, changes: openFileStore.Options = {}) {
  const store = openFileStore(path, { ...options, ...changes })
  const contents = await store.open(identity)
  const batches = (await store.scan(all)).map(({ bytes, seq }) => `${seq}: ${bytes.length} bytes`)
  const refused = (await store.refused()).map(({ seq }) => seq)
  const result = { ...contents, batches, refused, kept: store.kept(), size: store.size() }
  await store.close()
  return result
}

/** Steps through everything a store can do, over many segments. */
function* steps(): Generator<(store: Store) => unknown> {
  let time = 0
  for (let round = 0; round < 4; round++) {
    for (let seq = 4 * round; seq < 4 * round + 4; seq++) {
      yield (store) => Promise.all([1, 2, 3].map(() => store.appendRow(rowAt(++time))))
      yield (store) => store.reserve(seq, 2)
      yield (store) => store.appendBatch(batchOf(seq, 100 + 20 * (seq % 3)))
    }
    yield (store) => store.refuse(4 * round, problem)
    yield (store) => store.deliver([4 * round + 1, 4 * round + 3])
    yield (store) => store.requeue([4 * round + 1])
    if (round === 1) yield (store) => store.requeue([4])
    if (round === 2) yield (store) => store.remove([2, 6])
  }
}

describe.each([0, 1e6])('a power cut, %d bytes kept', (keepDeliveredBytes) => {
  test('behavior: leaves what was acknowledged, and no half of what was not', async () => {
    let seed = 11
    const random = () => {
      seed = (seed * 48_271) % 2_147_483_647
      return seed / 2_147_483_647
    }
    const store = openFileStore(folder, { ...options, keepDeliveredBytes })
    await store.open(identity)
    /** How many changes there were when a step was acknowledged, and what a reader finds then. */
    const states: { changes: number; contents: unknown }[] = []
    const remember = async () => {
      const changes = disk().changes.length
      await disk().cut(join(dir, `state-${states.length}`), changes, () => 0.5)
      const path = join(dir, `state-${states.length}`)
      states.push({ changes, contents: await contentsOf(path, { keepDeliveredBytes }) })
    }
    await remember()
    for (const step of steps()) {
      await step(store)
      await remember()
    }
    await store.close()
    const segments = disk().changes.filter(({ type }) => type === 'create')
    expect(segments.length).toBeGreaterThan(8)
    expect(disk().changes.filter(({ type }) => type === 'unlink').length).toBeGreaterThan(3)
    expect(store.size().dropped).toBeGreaterThan(1)

    for (let count = states[0]!.changes; count <= disk().changes.length; count++) {
      const at = states.findLastIndex(({ changes }) => changes <= count)
      const possible = states.slice(at, at + 2).map(({ contents }) => contents)
      for (let cut = 0; cut < cuts; cut++) {
        const path = join(dir, `cut-${count}-${cut}`)
        await disk().cut(path, count, random)
        const found = await contentsOf(path, { keepDeliveredBytes })
        expect(possible).toContainEqual(found)
        // The next run finds the same.
        if (cut === 0) expect(await contentsOf(path, { keepDeliveredBytes })).toEqual(found)
        await rm(path, { recursive: true })
      }
    }
  }, 120_000)
})

describe.each(['ENOSPC', 'EIO'] as const)('a disk that says %s', (refusal) => {
  const failed = { cause: { code: refusal }, kind: 'internal', name: 'StoreFailedError' }

  test('behavior: what fails never happened, and the store goes on when the disk does', async () => {
    const store = openFileStore(folder)
    await store.open(identity)
    await store.appendRow(rowAt(1))
    disk().refuses = refusal
    await expect(store.appendRow(rowAt(2))).rejects.toMatchObject(failed)
    await expect(store.reserve(0, 1)).rejects.toMatchObject(failed)
    expect(store.size()).toMatchObject({ rows: 1 })
    disk().refuses = undefined
    await Promise.all([store.appendRow(rowAt(3)), store.reserve(7, 1)])
    disk().refuses = refusal
    await expect(store.appendBatch(batchOf(7))).rejects.toMatchObject(failed)
    disk().refuses = undefined
    await store.appendBatch(batchOf(7))
    await store.close()
    expect(await contentsOf(folder)).toMatchObject({
      batches: ['7: 100 bytes'],
      lastTime: 3,
      nextSeq: 8,
      reserved: [],
      rows: [rowAt(3)],
    })
  })

  test('behavior: what is delivered makes room all the same', async () => {
    const store = openFileStore(folder, { keepDeliveredBytes: 0, segmentBytes: 500 })
    await store.open(identity)
    for (let seq = 0; seq < 9; seq++) {
      await store.appendRow(rowAt(seq))
      await store.reserve(seq, 1)
      await store.appendBatch(batchOf(seq, 300))
    }
    const segments = async () => (await readdir(folder)).filter((name) => name.endsWith('.segment'))
    const before = (await segments()).length
    disk().refuses = refusal
    await store.deliver([0, 1, 2, 3, 4, 5, 6])
    expect(store.size()).toMatchObject({ batches: 2 })
    expect((await segments()).length).toBeLessThan(before - 4)
    disk().refuses = undefined
    await store.close()
  })

  test('behavior: a device goes on, and none of its seqs is used twice', async () => {
    const schema = defineSchema({ id: 1, tickMs: 1, fields: { steps: { unit: 'count' } } })
    const network = { id: new Uint8Array(32).fill(1), windowMs: 86_400_000 }
    const start = Date.UTC(2026, 3, 13)
    const clock = () => start
    const node = createTestNode({ network: network.id, clock })
    const device = createDevice({
      schema,
      signer: createSoftwareSigner(),
      network,
      transport: toTransport(node),
      clock,
      store: openFileStore(folder),
      maxRows: 2,
      retry: { minMs: 1, maxMs: 2 },
    })
    await device.flush()
    const taken: number[] = []
    for (let step = 1; step <= 120; step++) {
      disk().refuses = step % 10 < 4 ? refusal : undefined
      const time = start + step
      const record = () => device.record({ steps: step }, { time }).then(() => taken.push(step))
      // Nothing was taken, so that its time is still free.
      await record().catch(async (error) => {
        expect(error).toMatchObject(failed)
        disk().refuses = undefined
        await record()
      })
    }
    disk().refuses = undefined
    await vi.waitFor(() => device.flush())
    await device.close()
    expect(taken).toEqual(Array.from({ length: 120 }, (_, i) => i + 1))
    const seqs = node.batches.map(({ header }) => header.seq).sort((a, b) => a - b)
    expect(seqs).toEqual(seqs.map((_, i) => i))
    expect(node.batches.reduce((sum, { header }) => sum + header.count, 0)).toBe(120)
  })
})

describe('a disk that is full when the store is opened', () => {
  const full = { cause: { code: 'ENOSPC' }, kind: 'internal', name: 'StoreFailedError' }

  async function put(store: Store, count: number, length = 300) {
    for (let seq = 0; seq < count; seq++) {
      await store.appendRow(rowAt(seq))
      await store.reserve(seq, 1)
      await store.appendBatch(batchOf(seq, length))
    }
  }

  test('behavior: opens, also where its last process was killed, again and again', async () => {
    const first = openFileStore(folder)
    await first.open(identity)
    await put(first, 3)
    await first.close()
    // As a process leaves it that died without a socket.
    await mkdir(join(folder, 'lock'))
    await writeFile(join(folder, 'lock', '4194305-nonce'), '')
    disk().refuses = 'ENOSPC'
    for (let run = 0; run < 3; run++) {
      const store = openFileStore(folder)
      await store.open(identity)
      expect(store.size()).toMatchObject({ batches: 3 })
      await expect(openFileStore(folder).open(identity)).rejects.toMatchObject({
        name: 'StoreLockedError',
      })
      await expect(store.appendRow(rowAt(9))).rejects.toMatchObject(full)
      await store.deliver([run])
      // There was no room to remember it: it is sent again by the next run, to the same place in the log.
      expect(store.size()).toMatchObject({ batches: 2, kept: 1 })
      await store.close()
    }
    disk().refuses = undefined
    const store = openFileStore(folder)
    await store.open(identity)
    await store.appendRow(rowAt(9))
    await store.close()
  })

  test('behavior: what is kept for another node gives way to what no node has', async () => {
    const options = { segmentBytes: 2000 }
    const first = openFileStore(folder, options)
    await first.open(identity)
    await put(first, 30)
    await first.deliver([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    await first.close()
    disk().refuses = 'ENOSPC'
    const store = openFileStore(folder, options)
    await store.open(identity)
    expect(store.size()).toMatchObject({ batches: 20, kept: 10 })
    for (let attempt = 0; attempt < 9; attempt++)
      await expect(store.appendRow(rowAt(99))).rejects.toMatchObject(full)
    await store.refused()
    // Those in a segment with others stay.
    expect(store.kept().length).toBeLessThan(5)
    expect(store.size()).toMatchObject({ batches: 20, dropped: 0 })
    disk().refuses = undefined
    await store.appendRow(rowAt(99))
    const { batches, kept } = store.size()
    await store.close()
    expect(await contentsOf(folder, { ...options, keepDeliveredMs: Infinity })).toMatchObject({
      rows: [rowAt(99)],
      size: { batches, kept },
    })
  })

  test('behavior: another schema is told to the next segment', async () => {
    const first = openFileStore(folder)
    await first.open(identity)
    await put(first, 2)
    await first.close()
    disk().refuses = 'ENOSPC'
    const other = { ...identity, fields: 2, schema: 2 }
    const store = openFileStore(folder)
    await store.open(other)
    disk().refuses = undefined
    await store.appendRow({ time: 9, values: [1, 2] })
    await store.close()
    await expect(openFileStore(folder).open(identity)).rejects.toMatchObject({
      field: 'schema',
      name: 'StoreMismatchError',
    })
    const again = openFileStore(folder)
    expect(await again.open(other)).toMatchObject({ rows: [{ time: 9, values: [1, 2] }] })
    await again.close()
  })

  test('error: a folder cannot be made there', async () => {
    disk().refuses = 'ENOSPC'
    await expect(openFileStore(folder).open(identity)).rejects.toMatchObject(full)
  })
})

test('behavior: a segment whose name may not survive is not one', async () => {
  const store = openFileStore(folder, { segmentBytes: 100 })
  await store.open(identity)
  await store.appendRow(rowAt(1))
  shared.refusesNames = true
  await expect(store.appendRow(rowAt(2))).rejects.toMatchObject({ name: 'StoreFailedError' })
  shared.refusesNames = false
  await store.appendRow(rowAt(3))
  await store.close()
  expect(await contentsOf(folder)).toMatchObject({ rows: [rowAt(1), rowAt(3)] })
})

test('error: a key whose name may not survive is no key', async () => {
  shared.refusesNames = true
  const path = join(dir, 'device.key')
  const failure = { name: 'KeyFileError', reason: 'unwritable' }
  await expect(createKeyFile(path)).rejects.toMatchObject(failure)
  shared.refusesNames = false
  await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' })
})
