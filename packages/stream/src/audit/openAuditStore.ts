import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Hex } from '@machinefi/core'
import { DataDirectoryError } from '../errors.js'
import {
  closeDatabase,
  isBusy,
  openDatabase,
  prepareInsert,
  transaction,
} from '../store/openDatabase.js'
import { syncDirectory } from '../store/openRowFiles.js'

/**
 * Opens an auditor's data directory, for this process alone.
 *
 * One SQLite file, as the node has: an auditor writes in bulk, so that a row
 * costs a tenth of the signature that is checked for it; and after a crash at
 * any point the file has whole transactions and nothing else, which files of
 * one's own would have to be taught.
 *
 * @param options.identity what the directory belongs to: written when it is new, compared later.
 * @throws {DataDirectoryError} another process holds it, it belongs to another chain or network, it
 *   cannot be made, or is damaged: whatever it is, the caller can give another one.
 */
export function openAuditStore(options: openAuditStore.Options): AuditStore {
  const { directory, identity } = options
  try {
    mkdirSync(directory, { recursive: true })
  } catch (cause) {
    throw new DataDirectoryError('The data directory cannot be created.', {
      cause,
      kind: 'input',
      metaMessages: [`Directory: ${directory}`, describeSystemError(cause)],
    })
  }
  const path = join(directory, 'audit.db')
  const db = (() => {
    try {
      return openDatabase(path)
    } catch (error) {
      throw isBusy(error)
        ? new DataDirectoryError('Another process uses this data directory.', {
            kind: 'input',
            metaMessages: [`Directory: ${directory}`],
          })
        : toDamaged(error)
    }
  })()
  try {
    db.exec(tables)
    syncDirectory(directory)
    claim()
  } catch (error) {
    try {
      closeDatabase(db)
    } catch {
      // One that is damaged cannot be left in order.
    }
    throw error instanceof DataDirectoryError ? error : toDamaged(error)
  }

  function toDamaged(cause: unknown) {
    return new DataDirectoryError('The database of the auditor cannot be opened.', {
      cause,
      kind: 'input',
      metaMessages: [
        `File: ${path}`,
        `Reason: ${(cause as Error).message}`,
        'Name an empty data directory: what was copied is copied again.',
      ],
    })
  }

  function claim() {
    const held = new Map(
      db.prepare('SELECT name, value FROM meta').raw().all([]) as [string, string][],
    )
    transaction(db, () => {
      for (const [name, value] of Object.entries({ ...identity, version: '2' })) {
        const before = held.get(name)
        if (before === undefined) db.prepare('INSERT INTO meta VALUES (?, ?)').run([name, value])
        else if (before !== value)
          throw new DataDirectoryError(`The data directory belongs to another ${name}.`, {
            kind: 'input',
            metaMessages: [`Directory: ${directory}`, `It holds: ${before}`, `Asked for: ${value}`],
          })
      }
    })
  }

  const insertBatches = prepareInsert(db, 'batches', 10)
  // No statement is used by both `get` and `all`: libsql does not reset one after `all`.
  const query = {
    batch: db.prepare('SELECT bytes, signed FROM batches WHERE key = ?').raw(),
    overlapping: db
      .prepare(
        `SELECT key, device, signed, bare FROM batches INDEXED BY batches_by_end
         WHERE end >= ? AND start < ? AND schema = ? AND key >= ? AND key < ? ORDER BY key`,
      )
      .raw(),
    equivocations: db
      .prepare(
        `SELECT a.key, b.key FROM batches AS a JOIN batches AS b
         ON b.device = a.device AND b.seq = a.seq AND b.key <> a.key
         WHERE a.key >= ? AND a.key < ? AND a.id <> b.id ORDER BY a.key LIMIT ?`,
      )
      .raw(),
    sign: db.prepare('UPDATE batches SET signed = ? WHERE key = ?'),
    has: db.prepare('SELECT 1 FROM batches WHERE key = ?').raw(),
  }

  /** @param values of which the first is the log. */
  function readCheckpoints(where: string, values: unknown[]): KeptCheckpoint[] {
    const rows = db
      .prepare(
        `SELECT size, root, time, verified, odd, bytes FROM checkpoints WHERE log = ? AND ${where}`,
      )
      .raw()
      .all(values) as CheckpointRow[]
    return rows.map(([size, root, time, verified, odd, bytes]) => ({
      bytes,
      odd: odd === 1,
      root,
      size,
      time,
      verified: verified === 1,
    }))
  }

  return {
    log(operator, shard) {
      const found = () =>
        db
          .prepare('SELECT number, size, root, copied FROM logs WHERE operator = ? AND shard = ?')
          .raw()
          .get([operator, shard]) as [number, number, Uint8Array, number] | undefined
      if (!found())
        db.prepare(
          'INSERT INTO logs (operator, shard, size, root, copied) VALUES (?, ?, 0, ?, 0)',
        ).run([operator, shard, new Uint8Array(0)])
      const [number, size, root, copied] = found()!
      return { copied, number, operator, root, shard, size }
    },
    ids(log, size) {
      const ids = new Uint8Array(32 * size)
      let at = 0
      for (const [bytes] of db
        .prepare('SELECT ids FROM entries WHERE log = ? AND first < ? ORDER BY first')
        .raw()
        .all([log, size]) as [Uint8Array][]) {
        ids.set(bytes.subarray(0, ids.length - at), at)
        at += bytes.length
      }
      if (at < ids.length)
        throw new DataDirectoryError(`The copy of the log has ${at / 32} of ${size} entries.`, {
          kind: 'input',
          metaMessages: ['Name an empty data directory: what was copied is copied again.'],
        })
      return ids
    },
    appendIds(log, first, ids, root) {
      transaction(db, () => {
        db.prepare('INSERT INTO entries VALUES (?, ?, ?)').run([log, first, ids])
        db.prepare('UPDATE logs SET size = ?, root = ? WHERE number = ?').run([
          first + ids.length / 32,
          root,
          log,
        ])
      })
    },
    putBatches(log, copied, batches, holes) {
      transaction(db, () => {
        insertBatches(batches.length, (i, values, at) => {
          const batch = batches[i]!
          values[at] = log * span + batch.index
          values[at + 1] = batch.device
          values[at + 2] = batch.seq
          values[at + 3] = batch.start
          values[at + 4] = batch.end
          values[at + 5] = batch.schema
          values[at + 6] = batch.signed === undefined ? null : Number(batch.signed)
          values[at + 7] = Number(batch.bare)
          values[at + 8] = batch.id
          values[at + 9] = batch.bytes
        })
        const put = db.prepare('INSERT OR IGNORE INTO holes VALUES (?)')
        for (const index of holes) put.run([log * span + index])
        db.prepare('UPDATE logs SET copied = max(copied, ?) WHERE number = ?').run([copied, log])
      })
    },
    fill(log, batch) {
      const key = log * span + batch.index
      transaction(db, () => {
        db.prepare('INSERT OR REPLACE INTO batches VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)').run([
          ...[key, batch.device, batch.seq, batch.start, batch.end, batch.schema],
          ...[batch.signed === undefined ? null : Number(batch.signed), Number(batch.bare)],
          ...[batch.id, batch.bytes],
        ])
        db.prepare('DELETE FROM holes WHERE key = ?').run([key])
      })
    },
    holes: (log, size) =>
      (
        db
          .prepare('SELECT key FROM holes WHERE key >= ? AND key < ? ORDER BY key')
          .raw()
          .all([log * span, log * span + size]) as [number][]
      ).map(([key]) => key % span),
    has: (log, index) => query.has.get([log * span + index]) !== undefined,
    batch(log, index) {
      const row = query.batch.get([log * span + index]) as [Uint8Array, number | null] | undefined
      return row && { bytes: row[0], signed: row[1] === null ? undefined : row[1] === 1 }
    },
    overlapping(log, size, schema, window) {
      const values = [window.start, window.end, schema, log * span, log * span + size]
      return (query.overlapping.all(values) as [number, Uint8Array, number | null, number][]).map(
        ([key, device, signed, bare]) => ({
          bare: bare === 1,
          device,
          index: key % span,
          signed: signed === null ? undefined : signed === 1,
        }),
      )
    },
    setSigned(log, index, signed) {
      query.sign.run([Number(signed), log * span + index])
    },
    equivocations: (log, from, to, limit) =>
      (
        query.equivocations.all([log * span + from, log * span + to, limit]) as [number, number][]
      ).map((pair) =>
        pair.map((key) => ({ index: key % span, log: Math.floor(key / span) })),
      ) as Place[][],

    putCheckpoints(log, checkpoints, { given = false } = {}) {
      const put = db.prepare(
        `INSERT INTO checkpoints VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (log, size, root) DO UPDATE
         SET time = excluded.time, verified = excluded.verified, odd = excluded.odd,
           given = max(given, excluded.given), bytes = excluded.bytes
         WHERE excluded.verified > verified OR (excluded.verified = verified AND
           (excluded.time < time OR (excluded.time = time AND excluded.given > given)))`,
      )
      transaction(db, () => {
        const [copied] = db.prepare('SELECT size FROM logs WHERE number = ?').raw().get([log]) as [
          number,
        ]
        const [within] = db
          .prepare('SELECT count(*) FROM checkpoints WHERE log = ? AND odd = 1 AND size <= ?')
          .raw()
          .get([log, copied]) as [number]
        // Heads that go beyond the copy, which contradict nothing yet, take no room from those that do.
        let room = maxOdd - within
        for (const { bytes, odd, root, size, time, verified } of checkpoints)
          if (!odd || size > copied || room-- > 0)
            put.run([
              ...[log, size, root, time, Number(verified), Number(odd), Number(given), bytes],
            ])
        // Of these the ones dated first stay: if they go beyond what is posted, any of them convicts.
        db.prepare(
          `DELETE FROM checkpoints WHERE log = ?1 AND (size, root) IN (
             SELECT size, root FROM checkpoints WHERE log = ?1 AND odd = 1 AND size > ?2 AND given = ?3
             ORDER BY time, size DESC LIMIT -1 OFFSET ?4)`,
        ).run([log, copied, Number(given), maxOdd])
      })
    },
    hasCheckpoint: (log, { root, size }) =>
      db
        .prepare('SELECT 1 FROM checkpoints WHERE log = ? AND size = ? AND root = ?')
        .raw()
        .get([log, size, root]) !== undefined,
    reviewCheckpoints(log, size, agrees) {
      const rows = db
        .prepare('SELECT size, root FROM checkpoints WHERE log = ? AND odd = 1 AND size <= ?')
        .raw()
        .all([log, size]) as [number, Uint8Array][]
      const set = db.prepare(
        'UPDATE checkpoints SET odd = 0 WHERE log = ? AND size = ? AND root = ?',
      )
      transaction(db, () => {
        for (const [size, root] of rows) if (agrees({ root, size })) set.run([log, size, root])
      })
    },
    checkpointUpTo: (log, size) =>
      readCheckpoints('odd = 0 AND size <= ? ORDER BY size DESC LIMIT 1', [log, size])[0],
    checkpointAbove: (log, size, before) =>
      readCheckpoints('size > ? AND time < ? ORDER BY size DESC, root LIMIT 1', [
        ...[log, size, before],
      ])[0],
    oddCheckpoints: (log) =>
      readCheckpoints(
        `size IN (SELECT size FROM checkpoints WHERE log = ? AND odd = 1 ORDER BY size LIMIT 32)
         ORDER BY size, root`,
        [log, log],
      ),

    dropCheckpoint(log, { root, size }) {
      db.prepare('DELETE FROM checkpoints WHERE log = ? AND size = ? AND root = ?').run([
        ...[log, size, root],
      ])
    },

    ledger(window, epochHash) {
      const row = db
        .prepare('SELECT entries, claims FROM ledgers WHERE window = ? AND epoch = ?')
        .raw()
        .get([window, epochHash]) as [Uint8Array | null, number | null] | undefined
      return row && { claims: row[1] ?? undefined, entries: row[0] ?? undefined }
    },
    putLedger(window, epochHash, { claims, entries }) {
      db.prepare('INSERT OR REPLACE INTO ledgers VALUES (?, ?, ?, ?)').run([
        ...[window, epochHash, claims ?? null, entries ?? null],
      ])
    },
    dropLedgers(before) {
      db.prepare('UPDATE ledgers SET entries = NULL WHERE window < ? AND entries IS NOT NULL').run([
        before,
      ])
    },

    putChallenge({ id, ...challenge }) {
      db.prepare('INSERT OR REPLACE INTO challenges VALUES (?, ?)').run([
        id,
        JSON.stringify(challenge, (_, item) => (typeof item === 'bigint' ? `${item}n` : item)),
      ])
    },
    challenges: () =>
      (db.prepare('SELECT id, challenge FROM challenges').raw().all([]) as [Hex, string][]).map(
        ([id, text]) => ({
          id,
          ...JSON.parse(text, (_, item) =>
            typeof item === 'string' && /^\d+n$/.test(item) ? BigInt(item.slice(0, -1)) : item,
          ),
        }),
      ),
    dropChallenge(id) {
      db.prepare('DELETE FROM challenges WHERE id = ?').run([id])
    },
    close: () => closeDatabase(db),
  }
}

export declare namespace openAuditStore {
  type Options = {
    directory: string
    /** Names and values that must never change for a directory: genesis hash, network. */
    identity: Readonly<Record<string, string>>
  }
  type ErrorType = DataDirectoryError
}

/** An auditor's own copy of what operators promised. All calls are synchronous, all writes durable when they return. */
export type AuditStore = {
  /** The copy of one log; an empty one at first. */
  log(operator: Uint8Array, shard: number): StoredLog
  /** The first `size` entries, 32 bytes each. @throws {DataDirectoryError} */
  ids(log: number, size: number): Uint8Array
  /** Appends entries that a signed head covers, with the root of all up to them. */
  appendIds(log: number, first: number, ids: Uint8Array, root: Uint8Array): void
  /** Keeps batches; everything below `copied` was asked for, and `holes` were not given. */
  putBatches(
    log: number,
    copied: number,
    batches: readonly CopiedBatch[],
    holes: readonly number[],
  ): void
  /** Keeps a batch that was missing, or one with its rows in the place of one without. */
  fill(log: number, batch: CopiedBatch): void
  /** Indexes below `size` of which the batch is not known. */
  holes(log: number, size: number): number[]
  has(log: number, index: number): boolean
  batch(log: number, index: number): { bytes: Uint8Array; signed: boolean | undefined } | undefined
  /** Batches of a schema among the first `size` entries whose header overlaps a window. */
  overlapping(
    log: number,
    size: number,
    schema: number,
    window: { start: number; end: number },
  ): { bare: boolean; device: Uint8Array; index: number; signed: boolean | undefined }[]
  setSigned(log: number, index: number, signed: boolean): void
  /** Pairs of different batches by one device with one seq, of which the first is in [from, to) of a log. */
  equivocations(log: number, from: number, to: number, limit: number): Place[][]

  /**
   * Keeps heads, as far as there is room: of several with one size and root one that was verified, and
   * of these the one dated first. Those that were given, by others than nodes, have a room of their own.
   */
  putCheckpoints(
    log: number,
    checkpoints: readonly KeptCheckpoint[],
    options?: { given?: boolean },
  ): void
  hasCheckpoint(log: number, head: Pick<KeptCheckpoint, 'root' | 'size'>): boolean
  /** Looks at heads up to a size again that were not on the way of the copy, which may have come to them. */
  reviewCheckpoints(
    log: number,
    size: number,
    agrees: (head: Pick<KeptCheckpoint, 'root' | 'size'>) => boolean,
  ): void
  /** The largest head up to a size that was on the way of the copy. */
  checkpointUpTo(log: number, size: number): KeptCheckpoint | undefined
  /** The largest head above a size that is dated before a time. */
  checkpointAbove(log: number, size: number, before: number): KeptCheckpoint | undefined
  /** Heads that were not on the way of the copy, and others of the same sizes. */
  oddCheckpoints(log: number): KeptCheckpoint[]
  dropCheckpoint(log: number, head: Pick<KeptCheckpoint, 'root' | 'size'>): void

  /**
   * What is known of the ledger of an epoch. By the hash of the epoch, and not by the root: one root
   * can be right for one log, parent and total, and wrong for others.
   */
  ledger(window: number, epochHash: Hex): KeptLedger | undefined
  putLedger(window: number, epochHash: Hex, ledger: KeptLedger): void
  /** Forgets the entries of earlier windows, not that they were computed. */
  dropLedgers(before: number): void

  putChallenge(challenge: KeptChallenge): void
  challenges(): KeptChallenge[]
  dropChallenge(id: Hex): void

  close(): void
}

export type StoredLog = {
  number: number
  operator: Uint8Array
  shard: number
  /** Entries that are kept, all of them below a signed head. */
  size: number
  /** Their root; empty where there are none. */
  root: Uint8Array
  /** Entries whose batches were asked for. */
  copied: number
}

export type CopiedBatch = {
  index: number
  id: Uint8Array
  device: Uint8Array
  seq: number
  start: number
  /** Time of the last row. */
  end: number
  /** Schema id. */
  schema: number
  /** Whether the device signed it; undefined while its key is not known. */
  signed: boolean | undefined
  /** Whether it is without its rows. */
  bare: boolean
  /** The signed batch. */
  bytes: Uint8Array
}

/** Where a batch is. */
export type Place = { index: number; log: number }

/** A head of a log. */
export type KeptCheckpoint = {
  size: number
  root: Uint8Array
  /** ms */
  time: number
  /** Whether its signature was. One that agrees with the copy is verified when it is needed. */
  verified: boolean
  /** Whether it was not on the way of the copy when that was looked at last. */
  odd: boolean
  bytes: Uint8Array
}

export type KeptLedger = {
  /** How many of its claims were computed again; undefined if it was only shown, and has the root. */
  claims: number | undefined
  /** By slot, as `encodeEntries` writes them; undefined once they were dropped. */
  entries: Uint8Array | undefined
}

/** A challenge that this auditor opened, or is about to. */
export type KeptChallenge = {
  id: Hex
  window: number
  attempt: number
  /** What it points at, in words. */
  text: string
  /** Wei. */
  bond: bigint
  /** The transaction, once it was sent. */
  hash: Hex | undefined
}

function describeSystemError(error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'EEXIST':
    case 'ENOTDIR':
      return 'There is a file in its place, or on the way to it.'
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return 'Nothing can be written there.'
    default:
      return (error as Error).message
  }
}

type CheckpointRow = [number, Uint8Array, number, number, number, Uint8Array]

/** Heads of a log that contradict its copy: two of them are fraud, and no more is paid for more. */
const maxOdd = 256
/** Keys are log × span + index, so that one integer orders everything. */
const span = 2 ** 40

const tables = `
  CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS logs (
    number INTEGER PRIMARY KEY, operator BLOB NOT NULL, shard INTEGER NOT NULL,
    size INTEGER NOT NULL, root BLOB NOT NULL, copied INTEGER NOT NULL, UNIQUE (operator, shard)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS entries (
    log INTEGER NOT NULL, first INTEGER NOT NULL, ids BLOB NOT NULL, PRIMARY KEY (log, first)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS batches (
    key INTEGER PRIMARY KEY, device BLOB NOT NULL, seq INTEGER NOT NULL, start INTEGER NOT NULL,
    end INTEGER NOT NULL, schema INTEGER NOT NULL, signed INTEGER, bare INTEGER NOT NULL,
    id BLOB NOT NULL, bytes BLOB NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS batches_by_end ON batches (end, start, schema, device, signed, bare);
  CREATE INDEX IF NOT EXISTS batches_by_seq ON batches (device, seq);
  CREATE TABLE IF NOT EXISTS holes (key INTEGER PRIMARY KEY) STRICT;
  CREATE TABLE IF NOT EXISTS checkpoints (
    log INTEGER NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL, time INTEGER NOT NULL,
    verified INTEGER NOT NULL, odd INTEGER NOT NULL, given INTEGER NOT NULL, bytes BLOB NOT NULL,
    PRIMARY KEY (log, size, root)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS ledgers (
    window INTEGER NOT NULL, epoch TEXT NOT NULL, claims INTEGER, entries BLOB,
    PRIMARY KEY (window, epoch)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS challenges (id TEXT PRIMARY KEY, challenge TEXT NOT NULL) STRICT;
`
