import { type Algorithm, publicKeyToAddress, type Signer } from '@machinefi/core'
import {
  batchId,
  decodeBatch,
  defineSchema,
  type Row,
  type SignedBatch,
  schemaHash,
  signBatch,
} from '@machinefi/telemetry'
import {
  buildLedger,
  buildTrace,
  type Config,
  configHash,
  createLog,
  type Entry,
  type EpochBundle,
  encodeConfig,
  encodeMetricParams,
  encodePolicyParams,
  epochHash,
  type LoggedBatch,
  type Metric,
  networkId,
  reward,
  selectBatches,
  signCheckpoint,
} from '../src/index.js'
import { createTestSigner } from './createTestSigner.js'

export const schema = defineSchema({
  id: 7,
  tickMs: 1000,
  fields: { steps: { unit: 'count' }, heart: { unit: 'beat/min' } },
})
export const windowSeconds = 86_400
export const windowNumber = 19_676
export const window = {
  start: windowNumber * windowSeconds * 1000,
  end: (windowNumber + 1) * windowSeconds * 1000,
}
export const factory = new Uint8Array(20).fill(0xfa)
export const network = networkId({ chainId: 31337, factory, serial: 1n })
export const policy = { cap: 10n ** 20n, rate: 10n ** 15n, threshold: 1000n }
export const metric: Metric = { type: 'sum', field: 0, max: 500, min: 0 }
export const logSigner = createTestSigner(1000)

export async function createTestBatch(
  signer: Signer,
  seq: number,
  rows: readonly Row[],
): Promise<SignedBatch> {
  // As a node has it: decoded from the bytes received.
  return decodeBatch((await signBatch({ signer, network, schema, seq, rows })).bytes)
}

/** A whole epoch: some members, one without a key's work, one slot empty, logs in two shards. */
export async function createTestEpoch(options: {
  algorithms?: readonly Algorithm[]
  batches?: number
  rows?: number
  shards?: number
  metric?: Metric
}): Promise<{ bundle: EpochBundle; signers: Signer[]; logged: LoggedBatch[] }> {
  const {
    algorithms = ['ES256'],
    batches = 2,
    metric: used = metric,
    rows = 3,
    shards = 1,
  } = options
  const signers = algorithms.map((algorithm, i) => createTestSigner(i + 1, algorithm))
  const logs = Array.from({ length: shards }, () => createLog())
  const logged: (LoggedBatch & { batch: SignedBatch })[] = []
  for (const [i, signer] of signers.entries())
    for (let seq = 0; seq < batches; seq++) {
      const start = window.start + seq * 3_600_000
      const batch = await createTestBatch(
        signer,
        seq,
        Array.from({ length: rows }, (_, row) => ({
          time: start + row * 60_000,
          values: [100 * (i + 1) + row, row % 2 ? null : 70],
        })),
      )
      const shard = i % shards
      const id = batchId(batch, network)
      logged.push({ batch, id, index: logs[shard]!.append(id), shard })
    }

  const checkpoints: Uint8Array[] = []
  for (const [shard, log] of logs.entries())
    checkpoints.push(
      await signCheckpoint({
        network,
        operator: new Uint8Array(20).fill(0x0b),
        root: log.root(),
        shard,
        signer: logSigner,
        size: log.size,
        time: window.end,
      }),
    )

  const entries: (Entry | null)[] = []
  const parts: Pick<EpochBundle['claims'][number], 'batches' | 'before' | 'key' | 'slot'>[] = []
  for (const [slot, signer] of signers.entries()) {
    const device = publicKeyToAddress(signer.publicKey)
    const selected = selectBatches(logged, { device, schema: schema.id, window })
    const trace = buildTrace({ batches: selected, metric: used, schema, window })
    const before = BigInt(slot) * 10n ** 18n
    const { root: traceRoot, steps, value } = trace
    entries.push({
      cumulative: before + reward({ ...policy, value }),
      ...{ device, steps, traceRoot, value },
    })
    parts.push({
      batches: selected.map(({ batch, index, shard }) => ({
        bytes: batch.bytes,
        index,
        proof: logs[shard]!.inclusionProof(index),
        shard,
      })),
      before,
      key: { algorithm: signer.algorithm, publicKey: signer.publicKey },
      slot,
    })
  }
  // A member without data, and one that was never paid.
  entries.push({
    cumulative: 5n,
    device: new Uint8Array(20).fill(0x0e),
    steps: 0,
    traceRoot: new Uint8Array(32),
    value: 0n,
  })
  parts.push({ batches: [], before: 5n, key: null, slot: signers.length })
  entries.push(null)
  const ledger = buildLedger(entries)

  const config: Config = {
    schema: schema.id,
    schemaHash: schemaHash(schema),
    fields: 2,
    tickMs: 1000,
    metric: new Uint8Array(20).fill(1),
    metricParams: encodeMetricParams(used),
    policy: new Uint8Array(20).fill(2),
    policyParams: encodePolicyParams(policy),
    operator: new Uint8Array(20).fill(0x0b),
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
  const epoch = {
    attempt: 1,
    ledgerRoot: ledger.root,
    ledgerTotal: ledger.total,
    memberCount: entries.length,
    parentHash: new Uint8Array(32).fill(0xaa),
    window: windowNumber,
  }
  const bundle: EpochBundle = {
    ...epoch,
    checkpoints,
    claims: parts.map((part) => {
      const { entry, siblings } = ledger.proof(part.slot)
      return { ...part, entry: entry!, siblings }
    }),
    config: encodeConfig(config),
    epochHash: epochHash({
      ...epoch,
      configHash: configHash(config),
      logs: logs.map((log, shard) => ({ root: log.root(), shard, size: log.size })),
      network,
      windowSeconds,
    }),
    logKey: logSigner.publicKey,
    metric: used.type,
    network: { chainId: 31337, factory, serial: 1n, windowSeconds },
    policy: 'threshold',
    schema,
  }
  return { bundle, logged, signers }
}
