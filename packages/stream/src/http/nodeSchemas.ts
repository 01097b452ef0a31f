import { assurances } from '@machinefi/contracts'
import {
  hexOf,
  type JsonSchema,
  listOf,
  ms,
  natural,
  objectOf,
  refTo,
  text,
  truth,
} from './JsonSchema.js'

const address = hexOf(20)
const hash = hexOf(32)
const publicKey: JsonSchema = { ...hexOf(64), description: 'X‖Y' }
/** A bigint. */
const decimal: JsonSchema = { type: 'string', pattern: '^-?[0-9]+$' }
const next: JsonSchema = {
  type: ['integer', 'null'],
  description: 'First seq of the next page; null after the last',
}
const device = {
  device: address,
  did: { type: 'string', pattern: '^did:io:0x[0-9a-f]{40}$' },
} as const
const window = { window: natural, name: text, start: ms, end: ms }

const policy = objectOf({ threshold: decimal, rate: decimal, cap: decimal })
const metric = (type: string, params: Record<string, JsonSchema> = {}) =>
  objectOf({ type: { const: type }, ...params })

const epoch = {
  network: hash,
  ...window,
  attempt: natural,
  parentHash: hash,
  size: natural,
  logRoot: hash,
  depth: natural,
  ledgerRoot: hash,
  ledgerTotal: decimal,
  config: { ...hexOf(), description: 'ABI-encoded' },
  configHash: hash,
  schema: natural,
  metric: refTo('Metric'),
  policy,
  builtAt: ms,
  void: truth,
  operator: address,
  logs: listOf(objectOf({ shard: natural, size: natural, root: hash })),
  memberCount: natural,
  epochHash: hash,
  challengeEndsAt: ms,
  transaction: hash,
  block: natural,
  gasUsed: decimal,
}

const entry = {
  ...device,
  slot: natural,
  paid: truth,
  value: decimal,
  reward: decimal,
  cumulative: decimal,
  steps: natural,
  traceRoot: hash,
}

/** The JSON of the node's API, by name. */
export const nodeSchemas = {
  Network: objectOf({
    id: hash,
    chainId: natural,
    factory: address,
    serial: decimal,
    registry: address,
    settlement: address,
    membership: address,
    disputes: address,
    token: address,
    isPrivate: truth,
    paysRegistrations: truth,
    operator: address,
    logKey: publicKey,
    shard: natural,
    schema: objectOf({
      id: natural,
      tickMs: natural,
      fields: listOf(objectOf({ name: text, unit: text, scale: natural })),
    }),
    metric: refTo('Metric'),
    policy,
    windowMs: natural,
    firstWindow: natural,
    graceMs: natural,
    challengeWindowMs: natural,
    responseTimeMs: natural,
    retentionMs: natural,
    maxRowsBytes: natural,
    members: natural,
    size: natural,
  }),
  Networks: objectOf({ networks: listOf(refTo('Network')) }),
  Metric: {
    oneOf: [
      metric('average', { field: natural }),
      metric('count'),
      metric('coverage', { intervalMs: natural }),
      metric('distance', { latitude: natural, longitude: natural, maxSpeed: natural }),
      metric('sum', { field: natural, min: { type: 'integer' }, max: { type: 'integer' } }),
    ],
  },
  Device: objectOf(
    {
      ...device,
      network: hash,
      member: objectOf({
        slot: natural,
        joinedAt: ms,
        suspendedAt: { type: ['integer', 'null'], description: 'ms' },
        assurance: { enum: assurances },
        paid: truth,
      }),
      algorithm: { enum: ['ES256', 'ES256K'] },
      publicKey,
      nextSeq: natural,
      finalBefore: { type: ['integer', 'null'], description: 'ms' },
      batches: natural,
      late: natural,
      gaps: listOf(objectOf({ from: natural, to: natural })),
      evidence: natural,
    },
    // Of a private network only by a signed request.
    ['batches', 'late', 'gaps', 'evidence'],
  ),
  Records: objectOf({
    records: listOf({
      ...objectOf({ seq: natural, schema: natural, time: ms }),
      description: 'And the fields of the schema by name; null where there is no reading',
      additionalProperties: { type: ['number', 'null'] },
    }),
    expiredBatches: natural,
    next,
  }),
  Batches: objectOf({
    batches: listOf(
      objectOf({
        seq: natural,
        index: natural,
        id: hash,
        schema: natural,
        start: ms,
        span: natural,
        count: natural,
        arrived: ms,
        late: truth,
      }),
    ),
    next,
  }),
  Claims: objectOf({ ...device, claims: listOf(objectOf({ ...window, ...entry })) }),
  Evidence: objectOf({
    ...device,
    evidence: listOf(
      objectOf({
        seq: natural,
        at: ms,
        logged: objectOf({ index: natural, id: hash, batch: hexOf() }),
        other: objectOf({ id: hash, batch: hexOf() }),
      }),
    ),
  }),
  Epoch: objectOf(epoch),
  Epochs: objectOf({ epochs: listOf(refTo('Epoch')) }),
  Ledger: objectOf({ ...epoch, entries: listOf(objectOf(entry)) }),
  Claim: objectOf({ ...epoch, ...entry, proof: { ...hexOf(), description: '48 bytes a level' } }),
  Registration: objectOf(
    {
      algorithm: { enum: ['ES256', 'ES256K'] },
      x: hash,
      y: hash,
      r: hash,
      s: hash,
      owner: address,
      model: { ...hash, description: 'Zero for none' },
      membership: address,
      deadline: {
        oneOf: [natural, { type: 'string', pattern: '^[0-9]{1,15}$' }],
        description: 'Unix seconds',
      },
      endorsement: objectOf({
        root: hash,
        proof: { ...listOf(hash), maxItems: 32 },
        flags: { ...listOf(truth), maxItems: 32 },
      }),
    },
    ['endorsement'],
  ),
  Relayed: objectOf({
    did: device.did,
    transaction: {
      oneOf: [hash, { type: 'null' }],
      description: 'Null where somebody else had sent it before',
    },
    gasUsed: decimal,
  }),
  Health: objectOf({
    ok: truth,
    problems: listOf(text),
    startedAt: ms,
    networks: listOf(
      objectOf({
        id: hash,
        size: natural,
        members: natural,
        block: natural,
        challenges: objectOf({ answered: natural, open: natural, unanswerable: natural }),
      }),
    ),
    transports: listOf({
      ...objectOf({ name: text, ok: truth }),
      description: 'And what it counts',
      additionalProperties: natural,
    }),
  }),
} satisfies Record<string, JsonSchema>
