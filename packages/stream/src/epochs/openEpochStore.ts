import type { Hex } from '@machinefi/core'
import type { Metric } from '@machinefi/proof'
import { type Database, prepareInsert, transaction } from '../store/openDatabase.js'

/** Epochs and the claims of their ledgers, in the node's main database. */
export function openEpochStore(database: Database.Database): EpochStore {
  database.exec(`
    CREATE TABLE IF NOT EXISTS epochs (
      network INTEGER NOT NULL, window INTEGER NOT NULL, attempt INTEGER NOT NULL,
      epoch TEXT NOT NULL, posted TEXT, PRIMARY KEY (network, window, attempt)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS claims (
      network INTEGER NOT NULL, window INTEGER NOT NULL, attempt INTEGER NOT NULL,
      slot INTEGER NOT NULL, device BLOB NOT NULL, paid INTEGER NOT NULL, value TEXT NOT NULL,
      reward TEXT NOT NULL, cumulative TEXT NOT NULL, steps INTEGER NOT NULL,
      trace_root BLOB NOT NULL, PRIMARY KEY (network, window, attempt, slot)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS claims_of_device ON claims (network, device, window);
  `)
  const insert = prepareInsert(database, 'claims', 11)
  const claimColumns = 'slot, device, paid, value, reward, cumulative, steps, trace_root'
  const query = {
    epochs: database
      .prepare(
        `SELECT epoch, posted FROM epochs AS e WHERE network = ? AND window >= ? AND attempt =
           (SELECT max(attempt) FROM epochs
            WHERE network = e.network AND window = e.window AND posted IS NOT NULL)
         ORDER BY window LIMIT ?`,
      )
      .raw(),
    epoch: database
      .prepare(
        `SELECT epoch, posted FROM epochs WHERE network = ? AND window = ? AND posted IS NOT NULL
         ORDER BY attempt DESC LIMIT 1`,
      )
      .raw(),
    attempt: database
      .prepare('SELECT epoch, posted FROM epochs WHERE network = ? AND window = ? AND attempt = ?')
      .raw(),
    withHash: database
      .prepare(
        `SELECT epoch, posted FROM epochs WHERE network = ? AND window = ?
         AND json_extract(posted, '$.epochHash') = ?`,
      )
      .raw(),
    lastPosted: database
      .prepare(
        `SELECT epoch, posted FROM epochs WHERE network = ? AND window < ? AND posted IS NOT NULL
         ORDER BY window DESC, attempt DESC LIMIT 1`,
      )
      .raw(),
    lastOwn: database
      .prepare(
        `SELECT max(window) FROM epochs WHERE network = ?
         AND json_extract(posted, '$.operator') = ?`,
      )
      .raw(),
    claims: database
      .prepare(
        `SELECT ${claimColumns} FROM claims WHERE network = ? AND window = ? AND attempt = ?
         ORDER BY slot`,
      )
      .raw(),
    claim: database
      .prepare(
        `SELECT ${claimColumns} FROM claims WHERE network = ? AND device = ? AND window = ?
         AND attempt = ? AND slot = ?`,
      )
      .raw(),
    claimsOf: database
      .prepare(
        `SELECT window, ${claimColumns} FROM claims AS c WHERE network = ? AND device = ?
         AND slot = ? AND window >= ? AND attempt =
           (SELECT max(attempt) FROM epochs
            WHERE network = c.network AND window = c.window AND posted IS NOT NULL)
         ORDER BY window LIMIT ?`,
      )
      .raw(),
  }

  return {
    put(network, epoch, claims) {
      const { attempt, window } = epoch
      transaction(database, () => {
        database
          .prepare('INSERT OR REPLACE INTO epochs VALUES (?, ?, ?, ?, NULL)')
          .run([network, window, attempt, formatEpoch(epoch)])
        database
          .prepare('DELETE FROM claims WHERE network = ? AND window = ? AND attempt = ?')
          .run([network, window, attempt])
        insert(claims.length, (i, values, at) => {
          const claim = claims[i]!
          values[at] = network
          values[at + 1] = window
          values[at + 2] = attempt
          values[at + 3] = claim.slot
          values[at + 4] = claim.device
          values[at + 5] = claim.paid ? 1 : 0
          values[at + 6] = String(claim.value)
          values[at + 7] = String(claim.reward)
          values[at + 8] = String(claim.cumulative)
          values[at + 9] = claim.steps
          values[at + 10] = claim.traceRoot
        })
      })
    },
    setPosted(network, { attempt, window }, posted) {
      database
        .prepare('UPDATE epochs SET posted = ? WHERE network = ? AND window = ? AND attempt = ?')
        .run([formatEpoch(posted), network, window, attempt])
    },
    epoch: (network, window) => toEpoch(query.epoch.get([network, window])),
    attempt: (network, window, attempt) => toEpoch(query.attempt.get([network, window, attempt])),
    withHash: (network, window, epochHash) =>
      toEpoch(query.withHash.get([network, window, epochHash])),
    lastPosted: (network, before) => toEpoch(query.lastPosted.get([network, before])),
    lastOwn: (network, operator) =>
      (query.lastOwn.get([network, operator]) as [number | null])[0] ?? undefined,
    epochs: (network, fromWindow, limit) =>
      (query.epochs.all([network, fromWindow, limit]) as EpochRow[]).map((row) => toEpoch(row)!),
    claims: (network, { attempt, window }) =>
      (query.claims.all([network, window, attempt]) as ClaimRow[]).map(toClaim),
    claim(network, { attempt, window }, { device, slot }) {
      const row = query.claim.get([network, device, window, attempt, slot]) as ClaimRow | undefined
      return row && toClaim(row)
    },
    claimsOf: (network, { device, slot }, fromWindow, limit) =>
      (
        query.claimsOf.all([network, device, slot, fromWindow, limit]) as [number, ...ClaimRow][]
      ).map(([window, ...row]) => ({ window, ...toClaim(row) })),
  }
}

export type EpochStore = {
  /** Puts an epoch that was built in the place of one of the same attempt. */
  put(network: number, epoch: BuiltEpoch, claims: readonly Claim[]): void
  setPosted(network: number, epoch: BuiltEpoch, posted: Posted): void
  /** The latest attempt at a window that was posted. */
  epoch(network: number, window: number): StoredEpoch | undefined
  /** An attempt, posted or not. */
  attempt(network: number, window: number, attempt: number): StoredEpoch | undefined
  /** The attempt that was posted with an epoch hash. */
  withHash(network: number, window: number, epochHash: Hex): StoredEpoch | undefined
  /** The same as `epoch`, of the last window below `before` that was posted. */
  lastPosted(network: number, before: number): StoredEpoch | undefined
  /** The last window that an operator posted, of those in the store. */
  lastOwn(network: number, operator: Hex): number | undefined
  /** What `epoch` is for every window from one on. */
  epochs(network: number, fromWindow: number, limit: number): StoredEpoch[]
  /** All claims of an epoch, by slot. */
  claims(network: number, epoch: { attempt: number; window: number }): Claim[]
  /** The claim of a member: what stands in its own slot. */
  claim(
    network: number,
    epoch: { attempt: number; window: number },
    member: { device: Uint8Array; slot: number },
  ): Claim | undefined
  claimsOf(
    network: number,
    member: { device: Uint8Array; slot: number },
    fromWindow: number,
    limit: number,
  ): (Claim & { window: number })[]
}

/** What an epoch commits to, as it was built. */
export type BuiltEpoch = {
  window: number
  /** As the contract will count it. */
  attempt: number
  /** Posted epoch hash of the window before; 32 zero bytes for the network's first window. */
  parentHash: Hex
  /** Of the operator's log that counts: the first `size` entries. */
  size: number
  logRoot: Hex
  depth: number
  ledgerRoot: Hex
  ledgerTotal: bigint
  configHash: Hex
  /** The configuration, ABI-encoded. */
  config: Hex
  /** Schema id. */
  schema: number
  metric: Metric
  threshold: bigint
  rate: bigint
  cap: bigint
  /** When it was built, ms. */
  builtAt: number
}

/** How it got on chain. */
export type Posted = {
  /** This node's; or another one, whose log is not here. */
  operator: Hex
  logs: readonly { shard: number; size: number; root: Hex }[]
  memberCount: number
  epochHash: Hex
  /** ms */
  challengeEndsAt: number
  transaction: Hex
  block: number
  gasUsed: bigint
}

export type StoredEpoch = BuiltEpoch & { posted: Posted | undefined }

/** A member's entry in a ledger: what it did in the window, and all it ever earned. */
export type Claim = {
  slot: number
  device: Uint8Array
  /** Whether the window pays the member at all. */
  paid: boolean
  value: bigint
  reward: bigint
  cumulative: bigint
  steps: number
  traceRoot: Uint8Array
}

type EpochRow = [epoch: string, posted: string | null]
type ClaimRow = [number, Uint8Array, number, string, string, string, number, Uint8Array]

function toEpoch(row: unknown): StoredEpoch | undefined {
  if (!row) return undefined
  const [epoch, posted] = row as EpochRow
  return { ...parse<BuiltEpoch>(epoch), posted: posted ? parse<Posted>(posted) : undefined }
}

function toClaim(row: ClaimRow): Claim {
  return {
    slot: row[0],
    device: row[1],
    paid: row[2] === 1,
    value: BigInt(row[3]),
    reward: BigInt(row[4]),
    cumulative: BigInt(row[5]),
    steps: row[6],
    traceRoot: row[7],
  }
}

/** Bigints go as `123n`; no other string here has that form. */
function formatEpoch(value: object): string {
  return JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? `${item}n` : item))
}

function parse<value>(text: string): value {
  return JSON.parse(text, (_, item) =>
    typeof item === 'string' && /^-?\d+n$/.test(item) ? BigInt(item.slice(0, -1)) : item,
  )
}
