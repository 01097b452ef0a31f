import { randomBytes, randomUUID } from 'node:crypto'
import { closeSync, existsSync, mkdirSync, openSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { formatDid, publicKeyToAddress, toHex } from '@machinefi/core'
import type { NodeNetwork } from '@machinefi/device'
import { createKeyFile } from '@machinefi/device/node'
import Database from 'libsql'
import { DataDirectoryError } from '../errors.js'
import { transaction } from '../store/openDatabase.js'
import { syncDirectory } from '../store/openRowFiles.js'

/**
 * Opens the data directory of a gateway: the devices it signs for, their keys,
 * and the newest counter of each. A running gateway and the commands that
 * create and revoke devices may have it open at the same time; what one has
 * written, the other sees with its next question.
 *
 * | path | what |
 * | --- | --- |
 * | `gateway.db` | shared keys, counters, networks: SQLite, every commit synced |
 * | `keys/0x….key` | the key that signs for a device, PEM |
 * | `outbox/0x…` | its readings and batches until a receipt is verified |
 *
 * Files have mode 0600, folders 0700.
 *
 * @throws {DataDirectoryError} damaged, of another version, or open to others.
 */
export function openGatewayStore(
  directory: string,
  options: openGatewayStore.Options = {},
): GatewayStore {
  const { create = false } = options
  const path = join(directory, 'gateway.db')
  if (!create && !existsSync(path))
    throw new DataDirectoryError('There is no gateway here.', {
      kind: 'input',
      metaMessages: [`Directory: ${directory}`, 'Make one with: machinefi gateway create'],
    })
  for (const folder of [directory, join(directory, 'keys'), join(directory, 'outbox')])
    mkdirSync(folder, { mode: 0o700, recursive: true })
  // Made before SQLite would: it gives its other files the mode of this one.
  closeSync(openSync(path, 'a', 0o600))
  if (process.platform !== 'win32' && (statSync(path).mode & 0o077) !== 0)
    throw new DataDirectoryError('The shared keys can be read by others.', {
      kind: 'input',
      metaMessages: [
        `File: ${path}`,
        'Whoever read it can send as any device of this gateway.',
        'Close it with: chmod -R go= FOLDER; then revoke the devices, and create new ones.',
      ],
    })
  const db = open(path)
  const find = db.prepare(
    `SELECT network, shared_key, created_at, revoked_at, counter, mac, received_at, last_time
     FROM devices WHERE address = ?`,
  )
  const findNetwork = db.prepare('SELECT description FROM networks WHERE id = ?')
  const use = db.prepare(
    `UPDATE devices SET counter = ?, mac = ?, received_at = ?, last_time = ?
     WHERE address = ? AND revoked_at IS NULL AND (counter IS NULL OR counter < ?)`,
  )

  return {
    directory,
    async create(network, { now = Date.now() } = {}) {
      const keys = join(directory, 'keys')
      const unnamed = join(keys, `${randomUUID()}.new`)
      const { publicKey } = await createKeyFile(unnamed)
      const address = publicKeyToAddress(publicKey)
      const keyFile = keyFileOf(directory, address)
      renameSync(unnamed, keyFile)
      syncDirectory(keys)
      const sharedKey = randomBytes(32)
      const { id, maxRowsBytes, schema, windowMs } = network
      transaction(db, () => {
        db.prepare('INSERT OR REPLACE INTO networks VALUES (?, ?)').run([
          id,
          JSON.stringify({ maxRowsBytes, schema, windowMs }),
        ])
        db.prepare(
          'INSERT INTO devices (address, network, shared_key, created_at) VALUES (?, ?, ?, ?)',
        ).run([address, id, sharedKey, now])
      })
      syncDirectory(directory)
      return { address, keyFile, publicKey, sharedKey }
    },
    find(address) {
      const row = find.get([address]) as Row | undefined
      return row && toDevice(address, row)
    },
    list() {
      const rows = db
        .prepare('SELECT address, * FROM devices ORDER BY created_at, address')
        .all([]) as (Row & { address: Uint8Array })[]
      return rows.map((row) => toDevice(row.address, row))
    },
    revoke(address, { now = Date.now() } = {}) {
      const { changes } = db
        .prepare('UPDATE devices SET revoked_at = ? WHERE address = ? AND revoked_at IS NULL')
        .run([now, address])
      if (changes > 0) return true
      if (find.get([address]) === undefined) throw new UnknownGatewayDeviceError(address)
      return false
    },
    network(id) {
      const { description } = findNetwork.get([id]) as { description: string }
      return { id, ...JSON.parse(description) }
    },
    use(messages) {
      return transaction(db, () =>
        messages.map(({ address, counter, lastTime, mac, receivedAt }) => {
          const values = [counter, mac, receivedAt, lastTime ?? null, address, counter]
          return use.run(values).changes > 0
        }),
      )
    },
    close: () => db.close(),
  }
}

export declare namespace openGatewayStore {
  type Options = {
    /** Make what is missing. @default false */
    create?: boolean | undefined
  }
  type ErrorType = DataDirectoryError
}

export type GatewayStore = {
  readonly directory: string
  /**
   * Makes both keys of a new device: the one the gateway signs with, and the one it shares with the
   * device, which is told here and never again.
   */
  create(
    network: Pick<NodeNetwork, 'id' | 'maxRowsBytes' | 'schema' | 'windowMs'>,
    options?: { now?: number | undefined },
  ): Promise<{
    /** 20 bytes. */
    address: Uint8Array
    /** Where the signing key is: what registers the device on chain. */
    keyFile: string
    publicKey: Uint8Array
    /** 32 bytes. */
    sharedKey: Uint8Array
  }>
  find(address: Uint8Array): GatewayDevice | undefined
  list(): GatewayDevice[]
  /**
   * From the return on nothing that the device sends is taken, by a running gateway either. False if
   * that was so already.
   *
   * @throws {UnknownGatewayDeviceError}
   */
  revoke(address: Uint8Array, options?: { now?: number | undefined }): boolean
  /** What `create` was told of a network that a device is in. */
  network(id: Uint8Array): GatewayNetwork
  /**
   * Uses counters up, durably, in one transaction; false for each that is no longer above the newest
   * of its device, or whose device is revoked.
   */
  use(messages: readonly UsedCounter[]): boolean[]
  close(): void
}

export type GatewayNetwork = Pick<NodeNetwork, 'id' | 'maxRowsBytes' | 'schema' | 'windowMs'>

export type GatewayDevice = {
  /** 20 bytes. */
  address: Uint8Array
  /** Network id, 32 bytes. */
  network: Uint8Array
  sharedKey: Uint8Array
  /** Times are ms since the Unix epoch. */
  createdAt: number
  revokedAt: number | undefined
  /** The newest message that was authentic; undefined before the first. */
  newest: Omit<UsedCounter, 'address'> | undefined
}

export type UsedCounter = {
  address: Uint8Array
  counter: number
  mac: Uint8Array
  receivedAt: number
  /** Of the newest reading that was stored before it. */
  lastTime: number | undefined
}

export class UnknownGatewayDeviceError extends DataDirectoryError {
  constructor(address: Uint8Array) {
    super(`${formatDid(address)} is no device of this gateway.`, {
      kind: 'input',
      metaMessages: ['See which there are: machinefi gateway list'],
    })
  }
}

/** Where the key is that signs for a device. */
export function keyFileOf(directory: string, address: Uint8Array): string {
  return join(directory, 'keys', `${toHex(address)}.key`)
}

/** Where the readings of a device wait. */
export function outboxOf(directory: string, address: Uint8Array): string {
  return join(directory, 'outbox', toHex(address))
}

type Row = {
  network: Uint8Array
  shared_key: Uint8Array
  created_at: number
  revoked_at: number | null
  counter: number | null
  mac: Uint8Array | null
  received_at: number | null
  last_time: number | null
}

const version = 1

const tables = `
CREATE TABLE IF NOT EXISTS networks (
  id BLOB PRIMARY KEY,
  description TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS devices (
  address BLOB PRIMARY KEY,
  network BLOB NOT NULL,
  shared_key BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  revoked_at INTEGER,
  counter INTEGER,
  mac BLOB,
  received_at INTEGER,
  last_time INTEGER
) WITHOUT ROWID;
`

function open(path: string): Database.Database {
  let db: Database.Database | undefined
  try {
    db = new Database(path)
    db.pragma('busy_timeout = 5000')
    db.pragma('journal_mode = WAL')
    db.pragma('synchronous = FULL')
    const [{ user_version: found }] = db.pragma('user_version') as [{ user_version: number }]
    if (found !== 0 && found !== version)
      throw new DataDirectoryError('The gateway’s data is of another version.', {
        metaMessages: [`File: ${path}`, `Version: ${found}, not ${version}`],
      })
    db.exec(tables)
    if (found === 0) db.pragma(`user_version = ${version}`)
    return db
  } catch (cause) {
    db?.close()
    if (cause instanceof DataDirectoryError) throw cause
    throw new DataDirectoryError('The database of the gateway cannot be opened.', {
      cause,
      metaMessages: [`File: ${path}`],
    })
  }
}

function toDevice(address: Uint8Array, row: Row): GatewayDevice {
  const { counter, created_at, last_time, mac, network, received_at, revoked_at } = row
  return {
    address: new Uint8Array(address),
    network: new Uint8Array(network),
    sharedKey: row.shared_key,
    createdAt: created_at,
    revokedAt: revoked_at ?? undefined,
    newest:
      counter === null
        ? undefined
        : { counter, mac: mac!, receivedAt: received_at!, lastTime: last_time ?? undefined },
  }
}
