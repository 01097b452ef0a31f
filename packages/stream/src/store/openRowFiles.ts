import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { DataDirectoryError } from '../errors.js'
import {
  closeDatabase,
  type Database,
  openDatabase,
  prepareInsert,
  transaction,
} from './openDatabase.js'

/** Milliseconds of one file: a UTC day of arrival. */
export const dayMs = 86_400_000

/**
 * The rows of one network's batches, in one SQLite file per day of arrival, so
 * that expiry is an unlink. Keys are those of the main database, which is the
 * authority: a file may run ahead of it by the commit in flight when the
 * process died, never behind.
 */
export type RowFiles = {
  /** Durable when it returns. */
  append(day: number, firstKey: number, batches: readonly { records: Uint8Array }[]): void
  get(day: number, key: number): Uint8Array | undefined
  /** Rows with `from <= key < to`, in order. */
  range(day: number, from: number, to: number): [key: number, records: Uint8Array][]
  /** Deletes the file of a day. */
  remove(day: number): void
  /**
   * Holds the files against the main database: drops the rows of the one commit
   * that it may not know (never acknowledged), and the files of expired days.
   *
   * @param days days that must be there, with their count of rows.
   * @param expired days whose file is to be gone.
   * @param end first key that the main database does not have.
   * @throws {DataDirectoryError} rows of an acknowledged batch are missing, or
   *   there are more rows than one commit can leave behind.
   */
  reconcile(days: ReadonlyMap<number, number>, expired: ReadonlySet<number>, end: number): void
  close(): void
}

/** Opens, or creates, the row files below `directory`. */
export function openRowFiles(directory: string): RowFiles {
  mkdirSync(directory, { recursive: true })
  const open = new Map<number, DayFile>()

  const path = (day: number) => join(directory, `${formatDay(day)}.db`)

  function use(day: number): DayFile {
    let file = open.get(day)
    if (file) {
      // The map is in order of last use.
      if (open.size > 1) {
        open.delete(day)
        open.set(day, file)
      }
      return file
    }
    const isNew = !existsSync(path(day))
    file = openDayFile(path(day))
    if (isNew) syncDirectory(directory)
    open.set(day, file)
    if (open.size > maxOpenFiles) {
      const [oldest, handle] = open.entries().next().value as [number, DayFile]
      closeDatabase(handle.database)
      open.delete(oldest)
    }
    return file
  }

  function remove(day: number) {
    const file = open.get(day)
    if (file) closeDatabase(file.database)
    open.delete(day)
    for (const suffix of ['', '-wal', '-shm', '-journal'])
      rmSync(path(day) + suffix, { force: true })
  }

  /** Drops what the last commit wrote if the main database has none of it; the rows left. */
  function dropFrom(day: number, end: number): number {
    const { count, database, held } = use(day)
    const [rows, first] = held.get([]) as [number, number]
    const { left } = database
      .prepare('SELECT count(*) AS left FROM rows WHERE key >= ?')
      .get([end]) as {
      left: number
    }
    if (left === 0) return rows
    if (first !== end)
      throw new DataDirectoryError(
        `The main database is behind the rows of ${formatDay(day)} by more than the last commit.`,
        { metaMessages: [`File: ${path(day)}`, 'Was the main database restored from a backup?'] },
      )
    transaction(database, () => {
      database.prepare('DELETE FROM rows WHERE key >= ?').run([end])
      count.run([-left, first])
    })
    return rows - left
  }

  return {
    append(day, firstKey, batches) {
      const file = use(day)
      transaction(file.database, () => {
        file.insert(batches.length, (i, values, at) => {
          values[at] = firstKey + i
          values[at + 1] = batches[i]!.records
        })
        file.count.run([batches.length, firstKey])
      })
    },
    get: (day, key) =>
      open.has(day) || existsSync(path(day))
        ? (use(day).get.get([key]) as [Uint8Array] | undefined)?.[0]
        : undefined,
    range: (day, from, to) =>
      open.has(day) || existsSync(path(day))
        ? (use(day).range.all([from, to]) as [number, Uint8Array][])
        : [],
    remove,
    reconcile(days, expired, end) {
      for (const day of expired) remove(day)
      for (const [day, count] of days) {
        if (!existsSync(path(day)))
          throw new DataDirectoryError(`The rows of ${formatDay(day)} are gone.`, {
            metaMessages: [
              `File: ${path(day)}`,
              'They were acknowledged: restore the file. The node does not start without them.',
            ],
          })
        const held = dropFrom(day, end)
        if (held !== count)
          throw new DataDirectoryError(
            `The rows of ${formatDay(day)} are incomplete: ${held} of ${count} batches are there.`,
            { metaMessages: [`File: ${path(day)}`] },
          )
      }
      for (const name of readdirSync(directory)) {
        if (!/^\d{4}-\d\d-\d\d\.db$/.test(name)) continue
        const day = Date.parse(name.slice(0, 10)) / dayMs
        if (days.has(day)) continue
        // The first commit of a day, never acknowledged: it is made again when the next batch comes.
        if (dropFrom(day, end) > 0)
          throw new DataDirectoryError(`The main database knows nothing of ${formatDay(day)}.`, {
            metaMessages: [`File: ${path(day)}`, 'Was the main database restored from a backup?'],
          })
        remove(day)
      }
    },
    close() {
      for (const file of open.values()) closeDatabase(file.database)
      open.clear()
    },
  }
}

/** A UTC day number as `2026-04-13`. */
export function formatDay(day: number): string {
  return new Date(day * dayMs).toISOString().slice(0, 10)
}

/** Makes the names in a directory durable. */
export function syncDirectory(directory: string): void {
  const handle = openSync(directory, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

/** Today's file, and those that readers and the epoch builder go back and forth between. */
const maxOpenFiles = 16

type DayFile = {
  database: Database.Database
  insert: ReturnType<typeof prepareInsert>
  count: Database.Statement
  held: Database.Statement
  get: Database.Statement
  range: Database.Statement
}

function openDayFile(path: string): DayFile {
  const database = openDatabase(path)
  database.pragma('cache_size = -512')
  database.exec(`
    CREATE TABLE IF NOT EXISTS rows (key INTEGER PRIMARY KEY, records BLOB NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS held (
      one INTEGER PRIMARY KEY CHECK (one = 1), count INTEGER NOT NULL, last_commit INTEGER NOT NULL
    ) STRICT;
    INSERT OR IGNORE INTO held VALUES (1, 0, -1);
  `)
  return {
    database,
    insert: prepareInsert(database, 'rows', 2),
    count: database.prepare('UPDATE held SET count = count + ?, last_commit = ?'),
    held: database.prepare('SELECT count, last_commit FROM held').raw(),
    get: database.prepare('SELECT records FROM rows WHERE key = ?').raw(),
    range: database
      .prepare('SELECT key, records FROM rows WHERE key >= ? AND key < ? ORDER BY key')
      .raw(),
  }
}
