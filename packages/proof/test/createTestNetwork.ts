import { keccak256, publicKeyToAddress, type Signer, sha256, toHex } from '@machinefi/core'
import {
  batchId,
  decodeBatch,
  defineSchema,
  encodeBatch,
  encodeHeader,
  encodeProtected,
  encodeRows,
  type Header,
  type Row,
  type Schema,
  type SignedBatch,
  schemaHash,
  sigStructure,
} from '@machinefi/telemetry'
import {
  type AnswerSource,
  buildLedger,
  buildTrace,
  type Config,
  createLog,
  type Entry,
  type EpochEvidence,
  encodeConfig,
  encodeMetricParams,
  encodePolicyParams,
  epochHash,
  type Ledger,
  type Log,
  type LoggedBatch,
  ledgerDepth,
  type Metric,
  networkId,
  type Point,
  reward,
  selectBatches,
  type ThresholdPolicy,
  type Trace,
  type verifyAnswer,
  type Window,
} from '../src/index.js'
import { createTestSigner } from './createTestSigner.js'

export const network = networkId({
  chainId: 31337,
  factory: new Uint8Array(20).fill(0xfa),
  serial: 2n,
})
export const windowSeconds = 3600
export const firstWindow = 470_000
const windowMs = windowSeconds * 1000

const fields = { lat: { unit: 'lat', scale: 7 }, lon: { unit: 'lon', scale: 7 } }
/** The schema of the network, and the one that it changes to. */
export const schemas = [
  defineSchema({ id: 7, tickMs: 1000, fields }),
  defineSchema({ id: 8, tickMs: 1000, fields: { ...fields, alt: { unit: 'm' } } }),
] as const
const metrics: readonly Metric[] = [
  { type: 'sum', field: 0, max: 4000, min: -100 },
  { type: 'count' },
  { type: 'average', field: 1 },
  { type: 'coverage', intervalMs: 600_000 },
  { type: 'distance', latitude: 0, longitude: 1, maxSpeed: 2000 },
]

export type TestMember = {
  device: Uint8Array
  /** Unix seconds. */
  joinedAt: number
  signer: Signer
  slot: number
  /** Unix seconds, 0 if it is not. */
  suspendedAt: number
}

export type TestBatch = LoggedBatch & {
  readonly batch: SignedBatch
  /** What is known of its signature. */
  readonly signed?: boolean
}

export type TestEpoch = {
  batches: readonly TestBatch[]
  claims: readonly { batches: readonly TestBatch[]; paid: boolean; trace: Trace | null }[]
  context: verifyAnswer.Context
  entries: readonly (Entry | null)[]
  epoch: EpochEvidence
  ledger: Ledger
  logs: readonly Log[]
  members: readonly TestMember[]
  metric: Metric
  parent: TestEpoch | null
  policy: ThresholdPolicy
  schema: Schema
  source: AnswerSource
  window: Window & { number: number }
}

/** Numbers that follow from a seed (mulberry32). */
export function createRandom(seed: number) {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (n: number) => Math.floor(next() * n)
  return {
    below,
    chance: (p: number) => next() < p,
    pick: <item>(items: readonly item[]): item => items[below(items.length)]!,
  }
}

/** Signs whatever header and rows: also what no honest device would. */
export async function signAny(
  signer: Signer,
  header: Omit<Header, 'commitment' | 'recordsHash'>,
  records: Uint8Array,
  signedFor: Uint8Array = network,
): Promise<SignedBatch> {
  const payload = encodeHeader({ ...header, commitment: null, recordsHash: sha256(records) })
  const head = encodeProtected(signer.algorithm, publicKeyToAddress(signer.publicKey))
  const signature = await signer.sign(sigStructure({ payload, protected: head }, signedFor))
  return decodeBatch(encodeBatch({ payload, protected: head, records, signature }))
}

/** Signs rows. */
export function signRows(
  signer: Signer,
  { schema, seq }: { schema: Schema; seq: number },
  rows: readonly Row[],
  signedFor?: Uint8Array,
): Promise<SignedBatch> {
  const start = rows[0]!.time
  const span = rows.at(-1)!.time - start
  const records = encodeRows(rows, { start, tickMs: schema.tickMs })
  const header = { count: rows.length, schema: schema.id, seq, span, start }
  return signAny(signer, header, records, signedFor)
}

/**
 * Some windows of a network that an honest operator, or one after the other,
 * posts: members that join late or never send, suspensions, empty slots, logs
 * in shards, batches over a window's edge, of another schema, with one seq,
 * with gaps, out of order, with malformed rows.
 */
export async function createTestNetwork(
  seed: number,
  options: {
    /** Addresses of what is on a chain. */
    contracts?: { metrics: Record<Metric['type'], Uint8Array>; policy: Uint8Array } | undefined
    members?: number
    windows?: number
  } = {},
): Promise<TestEpoch[]> {
  const random = createRandom(seed)
  const { members: count = random.below(7), windows = 3 } = options
  const metric = random.pick(metrics)
  const policy = {
    cap: BigInt(random.pick([1000, 10 ** 9])),
    rate: BigInt(random.pick([1, 7])),
    threshold: BigInt(random.pick([0, 5, -1000])),
  }
  const start = firstWindow * windowSeconds
  const members = Array.from({ length: count }, (_, slot): TestMember => {
    const signer = createTestSigner(seed * 16 + slot + 1, random.chance(0.2) ? 'ES256K' : 'ES256')
    const joinedAt = start - 1 + (random.chance(0.6) ? 0 : random.below(windows * windowSeconds))
    const suspendedAt = random.chance(0.3) ? joinedAt + random.below(windows * windowSeconds) : 0
    const device = publicKeyToAddress(signer.publicKey)
    return { device, joinedAt, signer, slot, suspendedAt }
  }).sort((a, b) => a.joinedAt - b.joinedAt)
  for (const [slot, member] of members.entries()) member.slot = slot

  // What the devices send over all windows, in no order.
  const sent: SignedBatch[] = []
  for (const { signer } of members) {
    let time = start * 1000 - random.below(windowMs)
    for (let seq = random.below(3); random.chance(0.85); seq += random.pick([1, 1, 1, 2])) {
      const schema = random.pick([schemas[0], schemas[0], schemas[0], schemas[1]])
      const rows: Row[] = Array.from({ length: 1 + random.below(4) }, () => {
        time += 1000 * (1 + random.below(900))
        const values = schema.fields.map(() =>
          random.chance(0.1) ? null : random.below(10_000) - 500,
        )
        return { time, values }
      })
      const batch = await signRows(signer, { schema, seq }, rows)
      sent.push(batch)
      if (random.chance(0.1))
        sent.push(await signRows(signer, { schema, seq }, [{ ...rows[0]!, time: time - 2000 }]))
      if (random.chance(0.1))
        sent.push(
          await signAny(
            signer,
            { ...batch.header, seq: ++seq, start: time + 1000 },
            Uint8Array.of(0x80),
          ),
        )
      // Back in time: what overlaps what was there before is ignored.
      if (random.chance(0.2)) time -= random.below(windowMs / 4)
    }
  }
  for (let i = sent.length - 1; i > 0; i--) {
    const j = random.below(i + 1)
    const [a, b] = [sent[i]!, sent[j]!]
    sent[i] = b
    sent[j] = a
  }

  let operator = 0
  let logs: Log[] = []
  let logged: TestBatch[] = []
  let parent: TestEpoch | null = null
  const epochs: TestEpoch[] = []
  for (let i = 0; i < windows; i++) {
    const number = firstWindow + i
    if (i === 0 || random.chance(0.3)) {
      // A hand-over: another operator has a log of its own.
      operator++
      logs = Array.from({ length: 1 + random.below(3) }, () => createLog())
      logged = []
    }
    const known = new Set(logged.map(({ id }) => toHex(id)))
    for (const batch of sent) {
      const id = batchId(batch, network)
      // Some arrive late, or never.
      if (known.has(toHex(id)) || random.chance(0.2)) continue
      const shard = random.below(logs.length)
      logged.push({ batch, id, index: logs[shard]!.append(id), shard })
    }
    // More joined until it is posted.
    const end = (number + 1) * windowSeconds
    const memberCount = members.filter(({ joinedAt }) => joinedAt < end + 60).length
    parent = postEpoch({
      contracts: options.contracts,
      depth: ledgerDepth(memberCount) + random.below(2),
      logged,
      logs,
      memberCount,
      members,
      metric,
      number,
      operator,
      parent,
      policy,
      schema: schemas[i === 2 ? 1 : 0],
    })
    epochs.push(parent)
  }
  return epochs
}

type Posting = {
  contracts: { metrics: Record<Metric['type'], Uint8Array>; policy: Uint8Array } | undefined
  depth: number
  logged: readonly TestBatch[]
  logs: readonly Log[]
  memberCount: number
  members: readonly TestMember[]
  metric: Metric
  number: number
  operator: number
  parent: TestEpoch | null
  policy: ThresholdPolicy
  schema: Schema
}

function postEpoch(posting: Posting): TestEpoch {
  const { logged, members, memberCount, metric, number, parent, policy, schema } = posting
  const window = { end: (number + 1) * windowMs, number, start: number * windowMs }
  const claims: { batches: readonly TestBatch[]; paid: boolean; trace: Trace | null }[] = []
  const entries: (Entry | null)[] = []
  for (const { device, joinedAt, suspendedAt } of members.slice(0, memberCount)) {
    const before = parent?.entries[claims.length] ?? null
    const paid =
      joinedAt * 1000 < window.start && (suspendedAt === 0 || suspendedAt * 1000 >= window.end)
    if (!paid) {
      claims.push({ batches: [], paid, trace: null })
      entries.push(before && { ...before, steps: 0, traceRoot: new Uint8Array(32), value: 0n })
      continue
    }
    const batches = selectBatches(logged, { device, schema: schema.id, window })
    const trace = buildTrace({ batches, metric, schema, window })
    const { root: traceRoot, steps, value } = trace
    const cumulative = (before?.cumulative ?? 0n) + reward({ ...policy, value })
    claims.push({ batches, paid, trace })
    entries.push({ cumulative, device, steps, traceRoot, value })
  }
  const config: Config = {
    schema: schema.id,
    schemaHash: schemaHash(schema),
    fields: schema.fields.length,
    tickMs: schema.tickMs,
    metric: posting.contracts?.metrics[metric.type] ?? new Uint8Array(20).fill(1),
    metricParams: encodeMetricParams(metric),
    policy: posting.contracts?.policy ?? new Uint8Array(20).fill(2),
    policyParams: encodePolicyParams(policy),
    operator: new Uint8Array(20).fill(posting.operator),
    grace: 60,
    challengeWindow: 3600,
    responseTime: 600,
    takeoverDelay: 300,
    retention: 2_592_000,
    maxRowsBytes: 4096,
    minBond: 10n ** 18n,
    coverage: 100n,
    challengeBond: 10n ** 16n,
  }
  const logs = posting.logs
    .map((log, shard) => ({ root: log.root(), shard, size: log.size }))
    .filter(({ size }) => size > 0)
  return finishEpoch({
    ...{ claims, entries, members, metric, parent, policy, schema, window },
    batches: [...logged],
    depth: posting.depth,
    epoch: {
      config: encodeConfig(config),
      logs,
      memberCount,
      parentHash: parent?.context.epochHash ?? new Uint8Array(32),
    },
    logs: posting.logs,
  })
}

/** An epoch as posted: from entries that may be lies. */
export function finishEpoch(
  parts: Omit<TestEpoch, 'context' | 'ledger' | 'source'> & {
    depth: number
    /** What is posted as the total. @default the sum */
    total?: bigint
  },
): TestEpoch {
  const { claims, depth, entries, epoch, members, metric, parent, schema, window } = parts
  const ledger = buildLedger(entries, { depth })
  const { root, total = ledger.total } = { total: undefined, ...parts, root: ledger.root }
  const attempt = 1
  const context: verifyAnswer.Context = {
    attempt,
    epochHash: epochHash({
      attempt,
      configHash: keccak256(epoch.config),
      ledgerRoot: root,
      ledgerTotal: total,
      logs: epoch.logs,
      memberCount: epoch.memberCount,
      network,
      parentHash: epoch.parentHash,
      window: window.number,
      windowSeconds,
    }),
    ledger: { depth, root, total },
    member(device) {
      const found = members.find((each) => toHex(each.device) === toHex(device))
      if (!found) return null
      const { joinedAt, slot, suspendedAt } = found
      const paid =
        joinedAt * 1000 < window.start && (suspendedAt === 0 || suspendedAt * 1000 >= window.end)
      return { paid, slot }
    },
    metric: metric.type,
    network,
    parent: parent?.context.ledger ?? null,
    schema,
    window: window.number,
    windowSeconds,
  }
  const sizes = new Map(epoch.logs.map(({ shard, size }) => [shard, size]))
  const logs = parts.logs.map((log, shard) => createLog(log.ids(0, sizes.get(shard) ?? 0)))
  const source: AnswerSource = {
    claim(slot) {
      const claim = claims[slot]
      const member = members[slot]
      if (!claim?.trace || !member) return null
      const { algorithm, publicKey } = member.signer
      return { algorithm, batches: claim.batches, publicKey }
    },
    epoch,
    ledger,
    log: (shard) => logs[shard]!,
    metric,
    parentLedger: parent?.ledger ?? null,
    schema,
    window,
  }
  return { ...parts, context, ledger, logs, source }
}

/** Every point of an epoch that anyone may challenge. */
export function pointsOf({
  batches,
  context,
  epoch,
  logs,
  members,
  schema,
  window,
  ...rest
}: TestEpoch): Point[] {
  const { depth } = context.ledger
  const points: Point[] = []
  for (let slot = 0; slot < 2 ** depth; slot++) {
    const steps = rest.entries[slot]?.steps ?? 0
    for (const step of new Set([...Array(steps + 2).keys(), 0xffffffff]))
      points.push({ kind: 'step', slot, step })
    // By now, some that were no members then are.
    points.push({ kind: 'carry', device: members[slot]?.device ?? null, slot })
  }
  for (let height = 1; height <= depth; height++)
    for (let index = 0; index < 2 ** (depth - height); index++)
      points.push({ kind: 'reveal', height, index })
  for (const { batch, id, index, shard } of batches) {
    const { device, header } = batch
    const size = epoch.logs.find((log) => log.shard === shard)?.size ?? 0
    const counts =
      index < size &&
      header.schema === schema.id &&
      header.start < window.end &&
      header.start + header.span >= window.start
    if (!counts || !context.member(device)?.paid) continue
    points.push({ kind: 'omission', batchId: id, device, index, seq: header.seq, shard })
  }
  for (const { shard, size: most } of epoch.logs)
    for (let size = 1; size <= most; size++)
      points.push({ kind: 'consistency', root: logs[shard]!.root(size), shard, size })
  return points
}
