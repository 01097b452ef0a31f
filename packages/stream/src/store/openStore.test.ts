import { copyFileSync, cpSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { publicKeyToAddress, toHex } from '@machinefi/core'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { closeDatabase, openDatabase } from './openDatabase.js'
import { dayMs, formatDay } from './openRowFiles.js'
import { type Commit, openStore, type Store } from './openStore.js'

const network = new Uint8Array(32).fill(1)
const today = 20_000
const identity = { chain: '0x01', operator: '0x02' }
let directory: string
let stores: Store[]

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'stream-store-'))
  stores = []
})

afterEach(() => {
  for (const store of stores) store.close()
  rmSync(directory, { force: true, recursive: true })
})

function open(options: Partial<openStore.Options> = {}): Store {
  const store = openStore({ directory, identity, networks: [network], ...options })
  stores.push(store)
  return store
}

const dayFile = (day: number) =>
  join(directory, 'rows', toHex(network).slice(2), `${formatDay(day)}.db`)

function commit(first: number, count: number, day = today): Commit {
  return {
    network: 1,
    first,
    arrived: day * dayMs + first,
    batches: Array.from({ length: count }, (_, i) => ({
      device: 1 + ((first + i) % 3),
      seq: Math.floor((first + i) / 3),
      late: (first + i) % 5 === 0,
      id: new Uint8Array(32).fill(first + i),
      envelope: new Uint8Array(100).fill(first + i),
      records: new Uint8Array(200).fill(first + i),
      end: day * dayMs + first + i,
    })),
    checkpoint: { time: day * dayMs, bytes: Uint8Array.of(first + count) },
  }
}

test('default', () => {
  const store = open()
  store.append([commit(0, 7)])
  store.append([commit(7, 70)])
  expect(store.size(1)).toBe(77)
  expect(store.ids(1).length).toBe(77 * 32)
  expect(store.batch(1, 8)).toEqual({
    index: 8,
    device: 3,
    seq: 2,
    arrived: today * dayMs + 7,
    late: false,
    id: Buffer.alloc(32, 8),
    envelope: Buffer.alloc(100, 8),
  })
  expect(store.batch(1, 77)).toBeUndefined()
  expect(store.records(1, store.batches(1, 6, 9))).toEqual(
    [6, 7, 8].map((value) => Buffer.alloc(200, value)),
  )
  expect(store.find(1, 2)).toEqual({ index: 6, id: Buffer.alloc(32, 6) })
  expect(store.find(1, 26)).toBeUndefined()
  expect(store.nextSeq(1)).toBe(26)
  expect(store.nextSeq(9)).toBe(0)
  expect(store.counts(1)).toEqual({ batches: 26, late: 6 })
  expect(store.checkpoint(1, 1)).toMatchObject({ size: 7 })
  expect(store.checkpoint(1, 8)).toMatchObject({ size: 77 })
  expect(store.checkpoint(1, 78)).toBeUndefined()
  expect(store.lastCheckpoint(1)).toMatchObject({ size: 77, bytes: Buffer.of(77) })
  expect(store.firstArrivedSince(1, today * dayMs + 1)).toBe(7)
  expect(store.firstArrivedSince(1, today * dayMs)).toBe(0)
  expect(store.firstArrivedSince(1, (today + 1) * dayMs)).toBe(77)
})

test('behavior: opened again, it holds the same', () => {
  const before = open()
  before.append([
    commit(0, 5),
    {
      ...commit(0, 0),
      network: 1,
      first: 5,
      batches: commit(5, 5).batches,
      checkpoint: { time: 1, bytes: Uint8Array.of(10) },
    },
  ])
  const ids = before.ids(1)
  before.close()
  const after = open()
  expect(after.ids(1)).toEqual(ids)
  expect(after.records(1, after.batches(1, 0, 10))).not.toContain(null)
})

test('behavior: rows of a commit that the main database does not have are dropped', () => {
  const store = open()
  store.append([commit(0, 5)])
  store.close()
  // What a crash between the two writes leaves behind.
  leaveRows(today, 5, 3)
  const after = open()
  expect(after.size(1)).toBe(5)
  after.append([commit(5, 4)])
  expect(after.records(1, after.batches(1, 5, 9))).toEqual(
    [5, 6, 7, 8].map((value) => Buffer.alloc(200, value)),
  )
})

test('behavior: the same in the first commit of a day, and of all', () => {
  open().close()
  leaveRows(today, 0, 3)
  const store = open()
  expect(existsSync(dayFile(today))).toBe(false)
  store.append([commit(0, 5)])
  store.close()
  leaveRows(today + 1, 5, 3)
  const after = open()
  expect(existsSync(dayFile(today + 1))).toBe(false)
  after.append([commit(5, 4, today + 1)])
  expect(after.size(1)).toBe(9)
})

test('behavior: an expired day whose file is still there is removed', () => {
  const store = open()
  store.append([commit(0, 5)])
  store.append([commit(5, 5, today + 1)])
  store.close()
  copyFileSync(dayFile(today), `${dayFile(today)}.kept`)
  const again = open()
  again.expire(1, today)
  again.close()
  copyFileSync(`${dayFile(today)}.kept`, dayFile(today))
  const after = open()
  expect(existsSync(dayFile(today))).toBe(false)
  expect(after.records(1, after.batches(1, 0, 10)).map((rows) => rows !== null)).toEqual([
    ...Array(5).fill(false),
    ...Array(5).fill(true),
  ])
  // What is left of a batch after its rows is all there.
  expect(after.batch(1, 0)).toMatchObject({ index: 0, envelope: Buffer.alloc(100, 0) })
})

test('behavior: where seqs are is found in memory, in the table, and after a crash', () => {
  const store = open()
  store.append([commit(0, 6000)])
  store.append([commit(6000, 50)])
  const check = (store: Store) => {
    for (const key of [0, 5999, 6000, 6049])
      expect(store.find(1 + (key % 3), Math.floor(key / 3))?.index).toBe(key)
    expect(store.find(1, 2017)).toBeUndefined()
    expect(store.nextSeq(1)).toBe(2017)
  }
  check(store)
  // As a crash leaves it: without what `close` does.
  const copy = mkdtempSync(join(tmpdir(), 'stream-store-'))
  cpSync(directory, copy, { recursive: true })
  const crashed = openStore({ directory: copy, identity, networks: [network] })
  check(crashed)
  expect(crashed.counts(1)).toMatchObject({ batches: 2017 })
  expect(crashed.ofDevice(1, 2, 2010, 0, 3).map(({ index }) => index)).toEqual([6031, 6034, 6037])
  expect(crashed.indexesOf(1, 3, 6040, 6050).sort()).toEqual([6041, 6044, 6047])
  crashed.close()
  rmSync(copy, { force: true, recursive: true })
  store.close()
  check(open())
})

test('behavior: a device’s seq is in the log once', () => {
  const store = open()
  store.append([commit(0, 3)])
  expect(store.counts(1)).toMatchObject({ batches: 1 })
  const twice = commit(3, 1)
  twice.batches[0]!.seq = 0
  twice.batches[0]!.device = 1
  store.append([twice])
  expect(() => store.counts(1)).toThrow(/UNIQUE/)
  expect(() => store.close()).toThrow(/UNIQUE/)
})

test('error: another process, or another opener here, has the directory', () => {
  open()
  expect(() => open()).toThrow('Another process uses this data directory.')
})

test('error: the directory belongs to another chain, operator or network', () => {
  open().close()
  expect(() => open({ identity: { ...identity, chain: '0x03' } })).toThrow(
    'The data directory belongs to another chain.',
  )
  expect(() => open({ identity: { ...identity, operator: '0x03' } })).toThrow(
    'The data directory belongs to another operator.',
  )
  expect(() => open({ networks: [new Uint8Array(32).fill(2)] })).toThrow(
    'The data directory holds a network that is not configured.',
  )
  // What was refused has changed nothing.
  open().close()
})

test('behavior: a network may be added', () => {
  open().close()
  const store = open({ networks: [new Uint8Array(32).fill(2), network] })
  expect(store.numberOf(network)).toBe(1)
  expect(store.numberOf(new Uint8Array(32).fill(2))).toBe(2)
})

test('behavior: the last head is signed by another key, and the keys of all are kept', () => {
  const store = open()
  const [first, second] = [new Uint8Array(64).fill(1), new Uint8Array(64).fill(2)]
  store.claimLogKey(first, false)
  store.append([commit(0, 5)])
  store.append([commit(5, 5)])
  expect(() => store.claimLogKey(second, false)).toThrow(
    expect.objectContaining({
      metaMessages: expect.arrayContaining([expect.stringContaining('node rotate-key')]),
      shortMessage: 'The data directory belongs to another logKey.',
    }),
  )
  store.claimLogKey(second, true)
  const [before, last] = store.checkpoints(1, 1, 10)
  const renewed = { ...last!, bytes: Buffer.of(7), time: last!.time + 1000 }
  store.renewCheckpoint(1, renewed)
  store.close()
  const again = open()
  again.claimLogKey(second, false)
  expect(again.checkpoints(1, 1, 10)).toEqual([before, renewed])
  for (const key of [first, second])
    expect(again.logKey(publicKeyToAddress(key))).toEqual(Buffer.from(key))
  expect(again.logKey(new Uint8Array(20))).toBeUndefined()
})

test('error: acknowledged rows are missing', () => {
  const store = open()
  store.append([commit(0, 5)])
  store.append([commit(5, 5, today + 1)])
  store.close()
  const database = openDatabase(dayFile(today))
  database.exec('DELETE FROM rows WHERE key % 5 = 2; UPDATE held SET count = count - 1')
  closeDatabase(database)
  expect(() => open()).toThrow(`The rows of ${formatDay(today)} are incomplete: 4 of 5 batches`)
  rmSync(dayFile(today))
  expect(() => open()).toThrow(`The rows of ${formatDay(today)} are gone.`)
})

test('error: the main database is older than the rows', () => {
  const store = open()
  store.append([commit(0, 5)])
  store.close()
  copyFileSync(join(directory, 'node.db'), join(directory, 'backup'))
  const later = open()
  later.append([commit(5, 5)])
  later.append([commit(10, 5)])
  later.append([commit(15, 5, today + 1)])
  later.close()
  copyFileSync(join(directory, 'backup'), join(directory, 'node.db'))
  expect(() => open()).toThrow(/is behind the rows of .* by more than the last commit/)
  rmSync(dayFile(today))
  expect(() => open()).toThrow(/are gone/)
})

test('error: the main database is garbage', () => {
  open().close()
  copyFileSync(new URL(import.meta.url).pathname, join(directory, 'node.db'))
  expect(() => open()).toThrow('The main database cannot be opened.')
})

test('behavior: evidence is kept once per seq, and not without end', () => {
  const store = open()
  for (let seq = 0; seq < 20; seq++)
    for (const at of [1, 2])
      store.addEvidence({
        at,
        batch: Uint8Array.of(at),
        device: 1,
        first: 0,
        id: new Uint8Array(32),
        seq,
      })
  const kept = store.evidence(1)
  expect(kept).toHaveLength(8)
  expect(kept.every(({ at }) => at === 1)).toBe(true)
})

test('behavior: nothing but the files it should have is left in a closed directory', () => {
  const store = open()
  store.append([commit(0, 5)])
  store.close()
  expect(readdirSync(directory).sort()).toEqual(['node.db', 'rows'])
  expect(readdirSync(join(directory, 'rows', toHex(network).slice(2)))).toEqual([
    `${formatDay(today)}.db`,
  ])
})

/** Writes rows as the first half of a commit does. */
function leaveRows(day: number, first: number, count: number) {
  const fresh = !existsSync(dayFile(day))
  const database = openDatabase(dayFile(day))
  if (fresh)
    database.exec(`
      CREATE TABLE rows (key INTEGER PRIMARY KEY, records BLOB NOT NULL) STRICT;
      CREATE TABLE held (one INTEGER PRIMARY KEY, count INTEGER NOT NULL, last_commit INTEGER NOT NULL) STRICT;
      INSERT INTO held VALUES (1, 0, -1);
    `)
  for (let i = 0; i < count; i++)
    database
      .prepare('INSERT INTO rows VALUES (?, ?)')
      .run([2 ** 40 + first + i, new Uint8Array(9).fill(255)])
  database
    .prepare('UPDATE held SET count = count + ?, last_commit = ?')
    .run([count, 2 ** 40 + first])
  closeDatabase(database)
}
