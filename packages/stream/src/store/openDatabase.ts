import Database from 'libsql'

export type { Database }

/**
 * Opens one SQLite file for this process alone: a second opener gets
 * SQLITE_BUSY, and the lock dies with the process. Every commit is synced to
 * disk before it returns (WAL, synchronous=FULL).
 */
export function openDatabase(path: string): Database.Database {
  const database = new Database(path)
  try {
    // Order matters: with the exclusive mode set first, WAL needs no shared memory file.
    database.pragma('locking_mode = EXCLUSIVE')
    database.pragma('journal_mode = WAL')
    database.pragma('synchronous = FULL')
    // Taken now and kept, so that a second process is refused here and not at its first write.
    database.exec('BEGIN IMMEDIATE')
    database.exec('COMMIT')
  } catch (error) {
    database.close()
    throw error
  }
  return database
}

/**
 * Closes a file and lets go of it at once. The library frees a connection only
 * when its statements have been garbage collected, so the lock must be given
 * up by hand, which needs the write-ahead log to be gone.
 */
export function closeDatabase(database: Database.Database): void {
  if (!database.open) return
  try {
    database.pragma('journal_mode = DELETE')
    database.pragma('locking_mode = NORMAL')
    // The mode changes with the next access.
    database.prepare('SELECT count(*) FROM sqlite_schema').get([])
  } finally {
    database.close()
  }
}

/** Whether an error says that another process holds the file. */
export function isBusy(error: unknown): boolean {
  return error instanceof Error && (error as { code?: string }).code === 'SQLITE_BUSY'
}

/** Runs `body` in one transaction; an error rolls back and is thrown on. */
export function transaction<result>(database: Database.Database, body: () => result): result {
  database.exec('BEGIN IMMEDIATE')
  let result: result
  try {
    result = body()
  } catch (error) {
    database.exec('ROLLBACK')
    throw error
  }
  database.exec('COMMIT')
  return result
}

/**
 * Inserts many rows by prepared statements of many rows each: a call into the
 * engine costs as much as several rows. The arrays that carry the values are
 * used again and again.
 *
 * @param columns number of columns of `table`, all of which are given.
 */
export function prepareInsert(
  database: Database.Database,
  table: string,
  columns: number,
): (rows: number, write: (row: number, values: unknown[], at: number) => void) => void {
  const row = `(${Array(columns).fill('?').join(',')})`
  const statements = sizes.map((size) => ({
    size,
    statement: database.prepare(`INSERT INTO ${table} VALUES ${Array(size).fill(row).join(',')}`),
    values: new Array<unknown>(size * columns),
  }))
  return (rows, write) => {
    let next = 0
    for (const { size, statement, values } of statements)
      for (; rows - next >= size; next += size) {
        for (let i = 0; i < size; i++) write(next + i, values, i * columns)
        statement.run(values)
      }
  }
}

const sizes = [50, 10, 1]
