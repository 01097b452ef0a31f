import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Assurance, assurances } from '@machinefi/contracts'
import { type Algorithm, equalBytes, publicKeyToAddress, toHex } from '@machinefi/core'
import { DataDirectoryError } from '../errors.js'
import {
  closeDatabase,
  type Database,
  isBusy,
  openDatabase,
  prepareInsert,
  transaction,
} from './openDatabase.js'
import { dayMs, openRowFiles, type RowFiles, syncDirectory } from './openRowFiles.js'

/**
 * Opens a node's data directory, for this process alone, and makes it
 * consistent after a crash: the main database is the authority, rows that it
 * does not know were never acknowledged and are dropped.
 *
 * @param options.identity what the directory belongs to: written when it is new, compared later.
 * @throws {DataDirectoryError} another process holds it, it belongs to another
 *   chain or operator, or something acknowledged is missing.
 */
export function openStore(options: openStore.Options): Store {
  const { directory, identity, networks: ids } = options
  mkdirSync(join(directory, 'rows'), { recursive: true })
  const path = join(directory, 'node.db')
  const db = (() => {
    try {
      return openDatabase(path)
    } catch (error) {
      throw isBusy(error)
        ? new DataDirectoryError('Another process uses this data directory.', {
            kind: 'input',
            metaMessages: [`Directory: ${directory}`],
          })
        : new DataDirectoryError('The main database cannot be opened.', {
            cause: error,
            metaMessages: [`File: ${path}`],
          })
    }
  })()
  const files = new Map<number, RowFiles>()
  const close = () => {
    for (const file of files.values()) file.close()
    closeDatabase(db)
  }

  try {
    db.exec(tables)
    syncDirectory(directory)
    claim()
    const held = db.prepare('SELECT id FROM networks').raw().all([]) as [Uint8Array][]
    for (const [id] of held)
      if (!ids.some((configured) => equalBytes(configured, id)))
        throw new DataDirectoryError('The data directory holds a network that is not configured.', {
          kind: 'input',
          metaMessages: [`Network: ${toHex(id)}`, `Directory: ${directory}`],
        })
    for (const id of ids) {
      const number = numberOf(id)
      const rows = openRowFiles(join(directory, 'rows', toHex(id).slice(2)))
      files.set(number, rows)
      const days = new Map<number, number>()
      const expired = new Set<number>()
      for (const [day, count, gone] of db
        .prepare('SELECT day, count, expired FROM days WHERE network = ?')
        .raw()
        .all([number]) as [number, number, number][])
        if (gone) expired.add(day)
        else days.set(day, count)
      rows.reconcile(days, expired, number * span + size(number))
    }
  } catch (error) {
    close()
    throw error
  }

  function claim() {
    const held = new Map(
      db.prepare('SELECT name, value FROM meta').raw().all([]) as [string, string][],
    )
    transaction(db, () => {
      for (const [name, value] of Object.entries({ ...identity, version: '2' })) {
        const before = held.get(name)
        if (before === undefined) {
          if (held.size > 0)
            throw new DataDirectoryError(`The data directory does not say which ${name} it has.`)
          db.prepare('INSERT INTO meta VALUES (?, ?)').run([name, value])
        } else if (before !== value) throw foreign(name, before, value)
      }
    })
  }

  function foreign(name: string, before: string, value: string, ...hints: string[]) {
    const held = [`Directory: ${directory}`, `It holds: ${before}`, `Configured: ${value}`]
    return new DataDirectoryError(`The data directory belongs to another ${name}.`, {
      kind: 'input',
      metaMessages: [...held, ...hints],
    })
  }

  function numberOf(id: Uint8Array): number {
    const find = () =>
      (
        db.prepare('SELECT number FROM networks WHERE id = ?').raw().get([id]) as
          | [number]
          | undefined
      )?.[0]
    const number = find()
    if (number !== undefined) return number
    db.prepare('INSERT INTO networks (id, cursor, placed) VALUES (?, -1, 0)').run([id])
    return find()!
  }

  function size(network: number): number {
    const [key] = db
      .prepare('SELECT max(key) FROM batches WHERE key >= ? AND key < ?')
      .raw()
      .get([network * span, (network + 1) * span]) as [number | null]
    return key === null ? 0 : key - network * span + 1
  }

  const insertBatches = prepareInsert(db, 'batches', 7)
  const insertCheckpoint = db.prepare('INSERT INTO checkpoints VALUES (?, ?, ?)')
  const countDay = db.prepare(
    `INSERT INTO days VALUES (?, ?, ?, ?, 0) ON CONFLICT DO UPDATE
     SET count = count + excluded.count, end = max(end, excluded.end)`,
  )
  const columns = 'key, device, seq, arrived, late, id, envelope'
  // No statement is used by both `get` and `all`: libsql does not reset one after `all`, so a `get`
  // that follows runs with the values bound before.
  const query = {
    batch: db.prepare(`SELECT ${columns} FROM batches WHERE key = ?`).raw(),
    batches: db
      .prepare(`SELECT ${columns} FROM batches WHERE key >= ? AND key < ? ORDER BY key`)
      .raw(),
    ids: db.prepare('SELECT key, id FROM batches WHERE key >= ? AND key < ? ORDER BY key').raw(),
    place: db.prepare('SELECT key FROM places WHERE device = ? AND seq = ?').raw(),
    ofDevice: db
      .prepare(
        `SELECT b.key, b.device, b.seq, b.arrived, b.late, b.id, b.envelope
         FROM places AS p CROSS JOIN batches AS b ON b.key = p.key
         WHERE p.device = ? AND p.seq >= ? AND p.key >= ? ORDER BY p.seq LIMIT ?`,
      )
      .raw(),
    indexesOf: db.prepare('SELECT key FROM places WHERE device = ? AND key >= ? AND key < ?').raw(),
    maxSeq: db.prepare('SELECT max(seq) FROM places WHERE device = ?').raw(),
    count: db.prepare('SELECT count(*) FROM places WHERE device = ?').raw(),
    late: db.prepare('SELECT count(*) FROM batches WHERE device = ? AND late = 1').raw(),
    gaps: db
      .prepare(
        `SELECT before + 1, seq - 1 FROM (
           SELECT seq, lag(seq, 1, -1) OVER (ORDER BY seq) AS before FROM places WHERE device = ?
         ) WHERE seq > before + 1 LIMIT ?`,
      )
      .raw(),
    checkpoints: db
      .prepare(
        'SELECT key, time, bytes FROM checkpoints WHERE key >= ? AND key < ? ORDER BY key LIMIT ?',
      )
      .raw(),
    checkpoint: db
      .prepare(
        'SELECT key, time, bytes FROM checkpoints WHERE key >= ? AND key < ? ORDER BY key LIMIT 1',
      )
      .raw(),
    lastCheckpoint: db
      .prepare(
        'SELECT key, time, bytes FROM checkpoints WHERE key >= ? AND key < ? ORDER BY key DESC LIMIT 1',
      )
      .raw(),
  }
  const dayState = db.prepare('SELECT expired FROM days WHERE network = ? AND day = ?').raw()
  const first = <row>(statement: { get(values: unknown): unknown }, ...values: unknown[]) =>
    statement.get(values) as row | undefined
  const count = (statement: { get(values: unknown): unknown }, device: number) =>
    first<[number]>(statement, device)![0]

  // Where a device's seqs are is an index over random places: kept up with every commit, it would
  // be most of what is written. So the last batches are in memory, and in the table by thousands;
  // after a crash those that are missing there are read from the log.
  const recent = new Map<number, Map<number, number>>()
  let recentCount = 0
  /** Entries of each network's log that are in memory or in the table. */
  const remembered = new Map<number, number>()
  const insertPlaces = prepareInsert(db, 'places', 3)

  function remember(key: number, { device, seq }: { device: number; seq: number }) {
    let seqs = recent.get(device)
    if (!seqs) {
      seqs = new Map()
      recent.set(device, seqs)
    }
    seqs.set(seq, key)
    recentCount++
    remembered.set(Math.floor(key / span), (key % span) + 1)
  }

  /** Moves what is in memory to the table, or does nothing if there is nothing of `device`. */
  function place(device?: number) {
    if (recentCount === 0 || (device !== undefined && !recent.has(device))) return
    // In the order of the table, which touches each of its pages once.
    const places: [device: number, seq: number, key: number][] = []
    for (const device of [...recent.keys()].sort((a, b) => a - b)) {
      const seqs = recent.get(device)!
      for (const seq of [...seqs.keys()].sort((a, b) => a - b))
        places.push([device, seq, seqs.get(seq)!])
    }
    transaction(db, () => {
      insertPlaces(places.length, (i, values, at) => {
        for (let j = 0; j < 3; j++) values[at + j] = places[i]![j]
      })
      for (const [network, entries] of remembered)
        db.prepare('UPDATE networks SET placed = ? WHERE number = ?').run([entries, network])
    })
    recent.clear()
    recentCount = 0
  }

  /** Reads into memory what the table of places does not have yet. */
  function readRecent() {
    for (const network of files.keys()) {
      const [placed] = first<[number]>(
        db.prepare('SELECT placed FROM networks WHERE number = ?').raw(),
        network,
      )!
      for (let from = placed; from < size(network); from += 10_000) {
        const keys = [network * span + from, network * span + from + 10_000]
        for (const [key, device, seq] of query.batches.all(keys) as BatchRow[])
          remember(key, { device, seq })
        if (recentCount >= maxRecent) place()
      }
    }
  }

  try {
    readRecent()
  } catch (error) {
    close()
    throw error
  }

  return {
    numberOf,
    size,
    ids(network) {
      const ids = new Uint8Array(size(network) * 32)
      for (let index = 0; index * 32 < ids.length; ) {
        const from = network * span + index
        for (const [key, id] of query.ids.all([from, from + 10_000]) as [number, Uint8Array][]) {
          if (key !== network * span + index) break
          ids.set(id, 32 * index++)
        }
        if (network * span + index === from)
          throw new DataDirectoryError(`The store has no log entry ${index}.`)
      }
      return ids
    },
    append(commits) {
      for (const { arrived, batches, network, first } of commits)
        files.get(network)!.append(Math.floor(arrived / dayMs), network * span + first, batches)
      transaction(db, () => {
        for (const { arrived, batches, checkpoint, network, first } of commits) {
          const key = network * span + first
          let end = 0
          insertBatches(batches.length, (i, values, at) => {
            const batch = batches[i]!
            values[at] = key + i
            values[at + 1] = batch.device
            values[at + 2] = batch.seq
            values[at + 3] = arrived
            values[at + 4] = batch.late ? 1 : 0
            values[at + 5] = batch.id
            values[at + 6] = batch.envelope
            if (batch.end > end) end = batch.end
          })
          insertCheckpoint.run([key + batches.length, checkpoint.time, checkpoint.bytes])
          countDay.run([network, Math.floor(arrived / dayMs), batches.length, end])
        }
      })
      for (const { batches, first, network } of commits)
        for (let i = 0; i < batches.length; i++) remember(network * span + first + i, batches[i]!)
      if (recentCount >= maxRecent) place()
    },
    batch(network, index) {
      const row = first<BatchRow>(query.batch, network * span + index)
      return row && toBatch(row)
    },
    batches: (network, from, to) =>
      (query.batches.all([network * span + from, network * span + to]) as BatchRow[]).map(toBatch),
    ofDevice(network, device, fromSeq, fromIndex, limit) {
      place(device)
      const values = [device, fromSeq, network * span + fromIndex, limit]
      return (query.ofDevice.all(values) as BatchRow[]).map(toBatch)
    },
    indexesOf(network, device, from, to) {
      place(device)
      const values = [device, network * span + from, network * span + to]
      return (query.indexesOf.all(values) as [number][]).map(([key]) => key % span)
    },
    records(network, batches) {
      const rows = files.get(network)!
      const records: (Uint8Array | null)[] = new Array(batches.length).fill(null)
      const gone = new Map<number, boolean>()
      for (let i = 0; i < batches.length; ) {
        const { arrived, index } = batches[i]!
        const day = Math.floor(arrived / dayMs)
        // What is adjacent in the log and of one day is read at once.
        let run = 1
        for (; i + run < batches.length; run++) {
          const next = batches[i + run]!
          if (next.index !== index + run || Math.floor(next.arrived / dayMs) !== day) break
        }
        let expired = gone.get(day)
        if (expired === undefined) {
          expired = first<[number]>(dayState, network, day)?.[0] === 1
          gone.set(day, expired)
        }
        const key = network * span + index
        if (!expired && run === 1) records[i] = rows.get(day, key) ?? null
        if (!expired && run > 1)
          for (const [at, row] of rows.range(day, key, key + run)) records[i + at - key] = row
        i += run
      }
      return records
    },
    find(device, seq) {
      const key = recent.get(device)?.get(seq) ?? first<[number]>(query.place, device, seq)?.[0]
      return key === undefined
        ? undefined
        : { index: key % span, id: first<BatchRow>(query.batch, key)![5] }
    },
    nextSeq(device) {
      const last = first<[number | null]>(query.maxSeq, device)![0] ?? -1
      return 1 + Math.max(last, ...(recent.get(device)?.keys() ?? []))
    },
    counts(device) {
      place(device)
      return { batches: count(query.count, device), late: count(query.late, device) }
    },
    gaps(device, limit) {
      place(device)
      return (query.gaps.all([device, limit]) as [number, number][]).map(([from, to]) => ({
        from,
        to,
      }))
    },
    firstArrivedSince(network, time) {
      // Arrival never goes backwards along the log, so a binary search finds it.
      let low = 0
      let high = size(network)
      while (low < high) {
        const middle = Math.floor((low + high) / 2)
        if (first<BatchRow>(query.batch, network * span + middle)![3] < time) low = middle + 1
        else high = middle
      }
      return low
    },
    checkpoint(network, atLeast) {
      const row = first<CheckpointRow>(
        query.checkpoint,
        network * span + Math.max(atLeast, 1),
        (network + 1) * span,
      )
      return row && toCheckpoint(row)
    },
    lastCheckpoint(network) {
      const row = first<CheckpointRow>(query.lastCheckpoint, network * span, (network + 1) * span)
      return row && toCheckpoint(row)
    },
    renewCheckpoint(network, { bytes, size, time }) {
      db.prepare('UPDATE checkpoints SET time = ?, bytes = ? WHERE key = ?').run([
        time,
        bytes,
        network * span + size,
      ])
    },
    logKey: (address) =>
      first<[Uint8Array]>(
        db.prepare('SELECT public_key FROM log_keys WHERE address = ?').raw(),
        address,
      )?.[0],
    keepLogKey(publicKey) {
      db.prepare('INSERT OR IGNORE INTO log_keys VALUES (?, ?)').run([
        publicKeyToAddress(publicKey),
        publicKey,
      ])
    },
    claimLogKey(publicKey, mayChange) {
      const logKey = toHex(publicKeyToAddress(publicKey))
      const [before = logKey] =
        first<[string]>(db.prepare("SELECT value FROM meta WHERE name = 'logKey'").raw()) ?? []
      if (before !== logKey && !mayChange)
        throw foreign(
          'logKey',
          before,
          logKey,
          'Until the key is changed on chain, in all its networks, the node starts with the one before: see `machinefi node rotate-key`.',
        )
      transaction(db, () => {
        db.prepare("INSERT OR REPLACE INTO meta VALUES ('logKey', ?)").run([logKey])
        this.keepLogKey(publicKey)
      })
    },
    checkpoints: (network, fromSize, limit) =>
      (
        query.checkpoints.all([
          network * span + fromSize,
          (network + 1) * span,
          limit,
        ]) as CheckpointRow[]
      ).map(toCheckpoint),

    members(network) {
      return (
        db
          .prepare(
            `SELECT ${memberColumns} FROM devices WHERE network = ? AND joined_at > 0 ORDER BY slot`,
          )
          .raw()
          .all([network]) as MemberRow[]
      ).map(toMember)
    },
    cursor: (network) =>
      first<[number]>(
        db.prepare('SELECT cursor FROM networks WHERE number = ?').raw(),
        network,
      )![0],
    putMembers(network, members, cursor) {
      const put = db
        .prepare(
          `INSERT INTO devices (network, ${memberColumns.replace('number, ', '')})
         VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (network, address) DO UPDATE SET
         slot = excluded.slot, joined_at = excluded.joined_at, suspended_at = excluded.suspended_at,
         assurance = excluded.assurance, algorithm = excluded.algorithm,
         public_key = excluded.public_key
         RETURNING number`,
        )
        .raw()
      return transaction(db, () => {
        const numbers = members.map(
          (member) =>
            (
              put.all([
                network,
                member.device,
                member.slot,
                member.joinedAt,
                member.suspendedAt,
                assurances.indexOf(member.assurance),
                member.algorithm,
                member.publicKey,
              ]) as [number][]
            )[0]![0],
        )
        db.prepare('UPDATE networks SET cursor = ? WHERE number = ?').run([cursor, network])
        return numbers
      })
    },

    addEvidence(evidence) {
      const { at, device, first: index, id, batch, seq } = evidence
      const { kept } = db
        .prepare('SELECT count(*) AS kept FROM evidence WHERE device = ?')
        .get([device]) as { kept: number }
      // The first proof suspends the device; more of them prove nothing more.
      if (kept >= maxEvidence) return
      db.prepare('INSERT OR IGNORE INTO evidence VALUES (?, ?, ?, ?, ?, ?)').run([
        device,
        seq,
        index,
        id,
        at,
        batch,
      ])
    },
    evidence: (device) =>
      (
        db
          .prepare(
            'SELECT seq, first, id, at, batch FROM evidence WHERE device = ? ORDER BY at, seq',
          )
          .raw()
          .all([device]) as [number, number, Uint8Array, number, Uint8Array][]
      ).map(([seq, index, id, at, batch]) => ({ device, seq, first: index, id, at, batch })),

    cuts: (network) =>
      (
        db
          .prepare('SELECT window, size, at FROM cuts WHERE network = ? ORDER BY window')
          .raw()
          .all([network]) as [number, number, number][]
      ).map(([window, size, at]) => ({ window, size, at })),
    addCut(network, cut) {
      db.prepare('INSERT INTO cuts VALUES (?, ?, ?, ?)').run([
        network,
        cut.window,
        cut.size,
        cut.at,
      ])
    },

    expirable(network, before) {
      return (
        db
          .prepare('SELECT day, count, end FROM days WHERE network = ? AND expired = 0 AND day < ?')
          .raw()
          .all([network, before]) as [number, number, number][]
      ).map(([day, count, end]) => ({ day, count, end }))
    },
    expire(network, day) {
      // Noted first: a file that is there although expired is removed at the next start.
      db.prepare('UPDATE days SET expired = 1 WHERE network = ? AND day = ?').run([network, day])
      files.get(network)!.remove(day)
    },
    database: db,
    close() {
      try {
        if (db.open) place()
      } finally {
        close()
      }
    },
  }
}

export declare namespace openStore {
  type Options = {
    directory: string
    /** Names and values that must never change for a directory: genesis hash, operator … */
    identity: Readonly<Record<string, string>>
    /** Network ids; those that the directory holds must be among them. */
    networks: readonly Uint8Array[]
  }
  type ErrorType = DataDirectoryError
}

/**
 * What a node must not lose. Networks and devices go by small numbers here;
 * indexes count a network's log. All calls are synchronous, all writes durable
 * when they return.
 */
export type Store = {
  /** The number of a configured network. */
  numberOf(id: Uint8Array): number

  /** Entries in a network's log. */
  size(network: number): number
  /** All entries of the log, 32 bytes each. @throws {DataDirectoryError} one is missing. */
  ids(network: number): Uint8Array
  /** Appends commits: first the rows, then all the rest at once; the second write decides. */
  append(commits: readonly Commit[]): void
  batch(network: number, index: number): StoredBatch | undefined
  /** Batches of [from, to) in the order of the log. */
  batches(network: number, from: number, to: number): StoredBatch[]
  /** Batches of a device in order of seq, from a seq and from an index on. */
  ofDevice(
    network: number,
    device: number,
    fromSeq: number,
    fromIndex: number,
    limit: number,
  ): StoredBatch[]
  /** Indexes in [from, to) of a device's batches, in no order. */
  indexesOf(network: number, device: number, from: number, to: number): number[]
  /** Records of batches; null where they have expired. */
  records(
    network: number,
    batches: readonly { arrived: number; index: number }[],
  ): (Uint8Array | null)[]
  find(device: number, seq: number): { index: number; id: Uint8Array } | undefined
  /** One above the highest seq of a device. */
  nextSeq(device: number): number
  counts(device: number): { batches: number; late: number }
  /** Ranges of seq, both ends included, that are missing below the highest. */
  gaps(device: number, limit: number): { from: number; to: number }[]
  /** Index of the first batch that arrived at or after a time; the size if none did. */
  firstArrivedSince(network: number, time: number): number

  /** The first checkpoint whose size is at least `atLeast`. */
  checkpoint(network: number, atLeast: number): StoredCheckpoint | undefined
  lastCheckpoint(network: number): StoredCheckpoint | undefined
  /** Puts another signature of the same head in the place of the one that is there. */
  renewCheckpoint(network: number, checkpoint: StoredCheckpoint): void
  /** A key that checkpoints were signed with, X‖Y, by its address. */
  logKey(address: Uint8Array): Uint8Array | undefined
  /** Notes such a key. */
  keepLogKey(publicKey: Uint8Array): void
  /** Notes with which key, X‖Y, checkpoints are signed from now on. @throws {DataDirectoryError} it was another, and may not change. */
  claimLogKey(publicKey: Uint8Array, mayChange: boolean): void
  /** Checkpoints from a size on, in order. */
  checkpoints(network: number, fromSize: number, limit: number): StoredCheckpoint[]

  members(network: number): StoredMember[]
  /** Last block whose events are in `members`; −1 at first. */
  cursor(network: number): number
  /**
   * Adds or replaces members and moves the cursor; returns the members' device numbers. Who is none after all,
   * with `joinedAt` 0, is not among `members` any more.
   */
  putMembers(
    network: number,
    members: readonly Omit<StoredMember, 'number'>[],
    cursor: number,
  ): number[]

  /** Keeps a batch that contradicts one in the log; the first few of a device are enough. */
  addEvidence(evidence: Evidence): void
  evidence(device: number): Evidence[]

  cuts(network: number): Cut[]
  addCut(network: number, cut: Cut): void

  /** Days of arrival before `before` whose rows are still there. */
  expirable(network: number, before: number): { day: number; count: number; end: number }[]
  /** Deletes the rows of a day of arrival. */
  expire(network: number, day: number): void

  readonly database: Database.Database
  close(): void
}

/** Batches of one network that were made durable together, and the checkpoint over them. */
export type Commit = {
  network: number
  /** Index of the first batch. */
  first: number
  /** Milliseconds; never below that of the commit before. */
  arrived: number
  batches: readonly {
    device: number
    seq: number
    late: boolean
    id: Uint8Array
    /** The COSE_Sign1, as received. */
    envelope: Uint8Array
    records: Uint8Array
    /** Time of the last row. */
    end: number
  }[]
  checkpoint: { time: number; bytes: Uint8Array }
}

export type StoredBatch = {
  index: number
  device: number
  seq: number
  /** When the node took it in, ms. */
  arrived: number
  /** It overlaps a window that had been cut when it arrived. */
  late: boolean
  id: Uint8Array
  envelope: Uint8Array
}

export type StoredCheckpoint = { size: number; time: number; bytes: Uint8Array }

export type StoredMember = {
  number: number
  device: Uint8Array
  slot: number
  /** Unix seconds. */
  joinedAt: number
  /** Unix seconds, 0 if never. */
  suspendedAt: number
  assurance: Assurance
  algorithm: Algorithm
  publicKey: Uint8Array
}

/** A second batch of one seq: with the first, in the log, it proves the device's equivocation. */
export type Evidence = {
  device: number
  seq: number
  /** Index of the batch in the log. */
  first: number
  /** Id of the second batch. */
  id: Uint8Array
  at: number
  /** The second batch, whole. */
  batch: Uint8Array
}

/** The log that counts for a window: its first `size` entries. */
export type Cut = { window: number; size: number; at: number }

type BatchRow = [number, number, number, number, number, Uint8Array, Uint8Array]
type CheckpointRow = [number, number, Uint8Array]
type MemberRow = [number, Uint8Array, number, number, number, number, Algorithm, Uint8Array]

/** Keys are network × span + index (or size), so that one integer orders everything. */
const span = 2 ** 40
const maxEvidence = 8
/** Batches whose place is in memory only. */
const maxRecent = 4096
const memberColumns =
  'number, address, slot, joined_at, suspended_at, assurance, algorithm, public_key'

const toBatch = (row: BatchRow): StoredBatch => ({
  index: row[0] % span,
  device: row[1],
  seq: row[2],
  arrived: row[3],
  late: row[4] === 1,
  id: row[5],
  envelope: row[6],
})

const toCheckpoint = (row: CheckpointRow): StoredCheckpoint => ({
  size: row[0] % span,
  time: row[1],
  bytes: row[2],
})

const toMember = (row: MemberRow): StoredMember => ({
  number: row[0],
  device: row[1],
  slot: row[2],
  joinedAt: row[3],
  suspendedAt: row[4],
  assurance: assurances[row[5]]!,
  algorithm: row[6],
  publicKey: row[7],
})

const tables = `
  CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS networks (
    number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, cursor INTEGER NOT NULL,
    placed INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS devices (
    number INTEGER PRIMARY KEY, network INTEGER NOT NULL, address BLOB NOT NULL,
    slot INTEGER NOT NULL, joined_at INTEGER NOT NULL, suspended_at INTEGER NOT NULL,
    assurance INTEGER NOT NULL, algorithm TEXT NOT NULL, public_key BLOB NOT NULL,
    UNIQUE (network, address)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS batches (
    key INTEGER PRIMARY KEY, device INTEGER NOT NULL, seq INTEGER NOT NULL,
    arrived INTEGER NOT NULL, late INTEGER NOT NULL, id BLOB NOT NULL, envelope BLOB NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS places (
    device INTEGER NOT NULL, seq INTEGER NOT NULL, key INTEGER NOT NULL,
    PRIMARY KEY (device, seq)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS late_batches ON batches (device) WHERE late = 1;
  CREATE TABLE IF NOT EXISTS checkpoints (
    key INTEGER PRIMARY KEY, time INTEGER NOT NULL, bytes BLOB NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS log_keys (address BLOB PRIMARY KEY, public_key BLOB NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS days (
    network INTEGER NOT NULL, day INTEGER NOT NULL, count INTEGER NOT NULL, end INTEGER NOT NULL,
    expired INTEGER NOT NULL, PRIMARY KEY (network, day)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS evidence (
    device INTEGER NOT NULL, seq INTEGER NOT NULL, first INTEGER NOT NULL, id BLOB NOT NULL,
    at INTEGER NOT NULL, batch BLOB NOT NULL, PRIMARY KEY (device, seq)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS cuts (
    network INTEGER NOT NULL, window INTEGER NOT NULL, size INTEGER NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (network, window)
  ) STRICT, WITHOUT ROWID;
`
