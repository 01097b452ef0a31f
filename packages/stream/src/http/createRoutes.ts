import { setImmediate } from 'node:timers/promises'
import { formatDid, parseDid, toHex } from '@machinefi/core'
import {
  checkRecords,
  decodeBatch,
  type Field,
  fromRow,
  rowAt,
  type Schema,
} from '@machinefi/telemetry'
import type { Access } from '../access/createAccess.js'
import { greatestSkewMs, isPaid, joinBatch, joinBytes } from '../epochs/buildClaims.js'
import type { Bundler } from '../epochs/createBundler.js'
import type { Settler } from '../epochs/createSettler.js'
import type { Claim, EpochStore, StoredEpoch } from '../epochs/openEpochStore.js'
import type { Pipeline } from '../ingest/createPipeline.js'
import { takeIn } from '../ingest/takeIn.js'
import type { Member } from '../network/createMemberTable.js'
import type { OpenNetwork } from '../network/openNetwork.js'
import type { ProblemReason } from '../problems.js'
import type { Relay } from '../relay/createRelay.js'
import type { Store } from '../store/openStore.js'
import { createOpenApi, readerProblems } from './createOpenApi.js'
import { refTo, text } from './JsonSchema.js'
import { nodeSchemas } from './nodeSchemas.js'
import {
  type Bodies,
  bytes,
  type Call,
  ProblemError,
  problemReply,
  quote,
  type Reply,
  type Route,
} from './openServer.js'
import { encodeOutcomes } from './splitSequence.js'

/** Every operation of the node's API. */
export function createRoutes(options: createRoutes.Options): Route[] {
  const {
    access,
    bundler,
    epochs,
    health,
    maxBatchesPerBody,
    metrics,
    networks,
    pipeline,
    relay,
    settler,
    store,
  } = options

  const networkOf = ({ path }: Call): OpenNetwork => {
    const network = networks.get(path.network!.toLowerCase())
    if (!network) throw new ProblemError('unknown-network', `There is no ${quote(path.network!)}.`)
    return network
  }
  const deviceOf = async ({ path }: Call, open: OpenNetwork): Promise<Member> => {
    let device: Uint8Array
    try {
      device = parseDid(path.device!)
    } catch {
      throw new ProblemError('parameter', `${quote(path.device!)} is neither a DID nor an address.`)
    }
    const { members } = open.state
    let member = members.get(device)
    if (!member) {
      // It may have joined since, as when a batch of it comes in.
      await open.refreshSoon()
      member = members.get(device)
    }
    if (!member) throw new ProblemError('not-found', 'The device is not a member of this network.')
    return member
  }
  /** The device of a path, and since when whoever asks may read it, in ms. */
  const readableOf = async (call: Call, open: OpenNetwork) => {
    const member = await deviceOf(call, open)
    return { member, since: await access.read(call, open, member.device) }
  }
  const epochOf = (call: Call, open: OpenNetwork): StoredEpoch => {
    const window = parseWindow(call.path.window!, open)
    const epoch = epochs.epoch(open.state.number, window)
    if (!epoch?.posted) throw new ProblemError('not-found', `Window ${window} has not been posted.`)
    return epoch
  }

  /** Of an epoch that this node can prove: one of its own log. */
  const ownEpochOf = (call: Call, open: OpenNetwork): StoredEpoch => {
    const epoch = epochOf(call, open)
    const { operator } = epoch.posted!
    if (operator !== open.chain.operator)
      throw new ProblemError(
        'not-found',
        `Window ${epoch.window} was posted by ${operator}: that operator's node has its evidence.`,
      )
    return epoch
  }

  /** A claim of a window that began when whoever asks might read the device. */
  const claimOf = (
    open: OpenNetwork,
    epoch: StoredEpoch,
    { member, since }: { member: Member; since: number },
  ): Claim => {
    if (open.windowOf(epoch.window).start < since)
      throw new ProblemError('reader', 'The window began before the owner had the device.')
    const claim = epochs.claim(open.state.number, epoch, member)
    if (!claim) throw new ProblemError('not-found', 'The device has no entry in this ledger.')
    return claim
  }

  const network = '/networks/{network}'
  const device = `${network}/devices/{device}`
  const epoch = `${network}/epochs/{window}`
  const notNetwork = ['unknown-network'] as const
  const notDevice = ['unknown-network', 'parameter', 'not-found'] as const

  const routes: Route[] = [
    {
      method: 'POST',
      path: `${network}/batches`,
      summary: 'Take in one signed batch, or a CBOR sequence of them',
      constrained: true,
      accepts: { 'application/cose': bytes, 'application/cbor-seq': bytes },
      returns: { 'application/cose': bytes, 'application/cbor-seq': bytes },
      problems: ingestProblems,
      async handle(call) {
        const open = networkOf(call)
        const { type } = call
        if (type !== 'application/cose' && type !== 'application/cbor-seq')
          throw new ProblemError(
            'media-type',
            'application/cose for one batch, application/cbor-seq for a sequence of them.',
          )
        const single = type === 'application/cose'
        const taken = await takeIn(await call.body(), {
          maxBatches: maxBatchesPerBody,
          network: open.state,
          pipeline,
          single,
        })
        if (!taken.ok) return problemReply(taken.problem)
        if (!single)
          return {
            status: 200,
            type: 'application/cbor-seq',
            body: encodeOutcomes(taken.outcomes),
          }
        const [answer] = taken.outcomes
        return answer!.ok
          ? { status: 200, type: 'application/cose', body: answer!.receipt }
          : problemReply(answer!.problem)
      },
    },
    ...(relay ? [registrationRoute(relay)] : []),
    {
      method: 'GET',
      path: '/networks',
      summary: 'The networks of this node',
      returns: jsonOf('Networks'),
      problems: [],
      handle: () => reply({ networks: [...networks.values()].map(describe) }),
    },
    {
      method: 'GET',
      path: network,
      summary: 'One network: contracts, rules, log key',
      returns: jsonOf('Network'),
      problems: notNetwork,
      handle: (call) => reply(describe(networkOf(call))),
    },
    {
      method: 'GET',
      path: device,
      summary:
        'What the node knows of a device: membership and seq; of a private network, gaps and counts only by a signed request',
      constrained: true,
      returns: jsonOf('Device'),
      problems: [...notDevice, ...readerProblems.filter((reason) => reason !== 'unsigned')],
      async handle(call) {
        const open = networkOf(call)
        const member = await deviceOf(call, open)
        // A device has no account: what it needs to go on is for everyone.
        const isOpen = open.network.isPrivate && !access.isAsked(call)
        if (!isOpen) await access.read(call, open, member.device)
        const now = Math.floor(options.clock() / open.windowMs)
        return reply({
          ...identify(member.device),
          network: open.network.id,
          member: {
            slot: member.slot,
            joinedAt: member.joinedAt * 1000,
            suspendedAt: member.suspendedAt === 0 ? null : member.suspendedAt * 1000,
            assurance: member.assurance,
            paid: isPaid(member, open.windowOf(now)),
          },
          algorithm: member.algorithm,
          publicKey: toHex(member.publicKey),
          nextSeq: store.nextSeq(member.number),
          finalBefore: open.status.finalBefore ?? null,
          ...(!isOpen && {
            ...store.counts(member.number),
            gaps: store.gaps(member.number, 100),
            evidence: store.evidence(member.number).length,
          }),
        })
      },
    },
    {
      method: 'GET',
      path: `${device}/records`,
      summary: 'Readings of a device in [from, to), in order of seq',
      query: {
        from: { description: 'Time in ms, or ISO 8601' },
        to: { description: 'Time in ms, or ISO 8601' },
        seq: { description: 'First seq; pass `next` of the answer before', integer: true },
        limit: { description: 'Most batches, 1 to 1000', integer: true },
      },
      readers: 'device',
      returns: jsonOf('Records'),
      problems: notDevice,
      async handle(call) {
        const open = networkOf(call)
        const { member, since } = await readableOf(call, open)
        const from = Math.max(since, parseTime(call.query, 'from') ?? 0)
        const to = parseTime(call.query, 'to') ?? Number.MAX_SAFE_INTEGER
        const limit = parseInteger(call.query, 'limit', { least: 1, most: 1000 }) ?? 200
        const seq = parseInteger(call.query, 'seq') ?? 0
        const { number } = member
        return reply(readRecords(open, number, { from, limit, seq, to }))
      },
    },
    {
      method: 'GET',
      path: `${device}/batches`,
      summary:
        'Batches of a device that overlap [from, to) by their header, in order of seq: where and when they came into the log',
      query: {
        from: { description: 'Time in ms, or ISO 8601' },
        to: { description: 'Time in ms, or ISO 8601' },
        seq: { description: 'First seq; pass `next` of the answer before', integer: true },
        limit: { description: 'Most batches looked at, 1 to 1000', integer: true },
      },
      readers: 'device',
      returns: jsonOf('Batches'),
      problems: notDevice,
      async handle(call) {
        const open = networkOf(call)
        const { member, since } = await readableOf(call, open)
        const from = Math.max(since, parseTime(call.query, 'from') ?? 0)
        const to = parseTime(call.query, 'to') ?? Number.MAX_SAFE_INTEGER
        const limit = parseInteger(call.query, 'limit', { least: 1, most: 1000 }) ?? 1000
        const seq = parseInteger(call.query, 'seq') ?? 0
        const fromIndex = store.firstArrivedSince(open.state.number, from - greatestSkewMs)
        const stored = store.ofDevice(open.state.number, member.number, seq, fromIndex, limit)
        const batches = stored.flatMap((entry) => {
          const { arrived, id, index, late } = entry
          const { count, schema, seq, span, start } = joinBatch(entry, null).header
          if (start >= to || start + span < from || start < since) return []
          return [{ seq, index, id: toHex(id), schema, start, span, count, arrived, late }]
        })
        return reply({ batches, next: stored.length === limit ? stored.at(-1)!.seq + 1 : null })
      },
    },
    {
      method: 'GET',
      path: `${device}/claims`,
      summary: 'What a device did in each window that was posted',
      query: {
        from: { description: 'First window' },
        limit: { description: 'Most claims, 1 to 1000', integer: true },
      },
      readers: 'device',
      returns: jsonOf('Claims'),
      problems: notDevice,
      async handle(call) {
        const open = networkOf(call)
        const { member, since } = await readableOf(call, open)
        const from = call.query.get('from')
        const first = Math.ceil(since / open.windowMs)
        const limit = parseInteger(call.query, 'limit', { least: 1, most: 1000 }) ?? 1000
        const claims = epochs.claimsOf(
          open.state.number,
          member,
          Math.max(first, from === null ? 0 : parseWindow(from, open)),
          limit,
        )
        return reply({
          ...identify(member.device),
          claims: claims.map(({ window, ...claim }) => ({
            ...showWindow(window, open),
            ...showClaim(claim),
          })),
        })
      },
    },
    {
      method: 'GET',
      path: `${device}/evidence`,
      summary: 'Pairs of batches with one seq that a device signed',
      readers: 'device',
      returns: jsonOf('Evidence'),
      problems: notDevice,
      async handle(call) {
        const open = networkOf(call)
        const { member, since } = await readableOf(call, open)
        const { number } = open.state
        const evidence = store.evidence(member.number).flatMap(({ at, batch, first, id, seq }) => {
          const stored = store.batch(number, first)!
          const logged = joinBatch(stored, store.records(number, [stored])[0]!)
          const starts = [logged.header.start, decodeBatch(batch).header.start]
          if (Math.min(...starts) < since) return []
          return [
            {
              seq,
              at,
              logged: { index: first, id: toHex(stored.id), batch: toHex(logged.bytes) },
              other: { id: toHex(id), batch: toHex(batch) },
            },
          ]
        })
        return reply({ ...identify(member.device), evidence })
      },
    },
    {
      method: 'GET',
      path: `${network}/log/checkpoint`,
      summary: 'The latest signed head of the log',
      query: { size: { description: 'The first whose size is at least this', integer: true } },
      returns: { 'application/cose': bytes },
      problems: [...notNetwork, 'parameter', 'not-found'],
      handle(call) {
        const { number } = networkOf(call).state
        const size = parseInteger(call.query, 'size')
        const checkpoint =
          size === undefined ? store.lastCheckpoint(number) : store.checkpoint(number, size)
        if (!checkpoint) throw new ProblemError('not-found', 'There is no such checkpoint.')
        return { status: 200, type: 'application/cose', body: checkpoint.bytes }
      },
    },
    {
      method: 'GET',
      path: `${network}/log/checkpoints`,
      summary: 'Every head that was ever signed, in order of size',
      query: {
        from: { description: 'First size', integer: true },
        limit: { description: 'Most checkpoints, 1 to 10000', integer: true },
      },
      returns: { 'application/cbor-seq': bytes },
      problems: [...notNetwork, 'parameter'],
      handle(call) {
        const { number } = networkOf(call).state
        const from = parseInteger(call.query, 'from') ?? 0
        const limit = parseInteger(call.query, 'limit', { least: 1, most: 10_000 }) ?? 1000
        const checkpoints = store.checkpoints(number, from, limit)
        return {
          status: 200,
          type: 'application/cbor-seq',
          body: checkpoints.map(({ bytes }) => bytes),
        }
      },
    },
    {
      method: 'GET',
      path: `${network}/log/entries`,
      summary: 'Batch ids of [from, to), 32 bytes each',
      query: {
        from: { description: 'First index', integer: true },
        to: { description: 'One above the last index', integer: true },
      },
      returns: { 'application/octet-stream': bytes },
      problems: [...notNetwork, 'parameter'],
      handle(call) {
        const { log, size } = networkOf(call).state
        const from = parseInteger(call.query, 'from', { most: size }) ?? 0
        const to =
          parseInteger(call.query, 'to', { least: from, most: size }) ??
          Math.min(size, from + maxEntries)
        return {
          status: 200,
          type: 'application/octet-stream',
          body: log.ids(from, Math.min(to, from + maxEntries)),
        }
      },
    },
    {
      method: 'GET',
      path: `${network}/log/batches/{index}`,
      summary: 'A batch of the log; without its rows once they have expired',
      readers: 'device',
      returns: { 'application/cose': bytes },
      problems: [...notNetwork, 'parameter', 'not-found'],
      async handle(call) {
        const open = networkOf(call)
        const { number, size } = open.state
        const index = toInteger(call.path.index!, 'index')
        if (index >= size) throw new ProblemError('not-found', `The log has ${size} entries.`)
        const stored = store.batch(number, index)!
        const { bytes, device, header } = joinBatch(stored, store.records(number, [stored])[0]!)
        if (header.start < (await access.read(call, open, device)))
          throw new ProblemError('reader', 'The batch began before the owner had the device.')
        return {
          status: 200,
          type: 'application/cose',
          headers: { 'x-arrived': String(stored.arrived), 'x-late': String(stored.late) },
          body: bytes,
        }
      },
    },
    {
      method: 'GET',
      path: `${network}/log/batches`,
      summary: 'Batches of [from, to), one after the other: at least one, at most 4 MiB of them',
      query: {
        from: { description: 'First index', integer: true },
        to: { description: 'One above the last index; the size by default', integer: true },
      },
      readers: 'network',
      returns: { 'application/cbor-seq': bytes },
      problems: [...notNetwork, 'parameter'],
      async handle(call) {
        const open = networkOf(call)
        await access.read(call, open, null)
        const { number, size } = open.state
        const from = parseInteger(call.query, 'from', { most: size }) ?? 0
        const to = parseInteger(call.query, 'to', { least: from, most: size }) ?? size
        return {
          status: 200,
          type: 'application/cbor-seq',
          body: await readBatches(number, from, to),
        }
      },
    },
    {
      method: 'GET',
      path: `${network}/log/inclusion`,
      summary: 'RFC 9162 inclusion proof of an entry, 32 bytes a hash',
      query: {
        index: { description: 'Index of the entry', integer: true, required: true },
        size: { description: 'Size of the tree; the latest by default', integer: true },
      },
      returns: { 'application/octet-stream': bytes },
      problems: [...notNetwork, 'parameter'],
      handle(call) {
        const { log, size: all } = networkOf(call).state
        const size = parseInteger(call.query, 'size', { least: 1, most: all }) ?? all
        const index = parseInteger(call.query, 'index', { most: size - 1 })
        if (index === undefined) throw new ProblemError('parameter', 'index is missing.')
        return {
          status: 200,
          type: 'application/octet-stream',
          body: log.inclusionProof(index, size),
        }
      },
    },
    {
      method: 'GET',
      path: `${network}/log/consistency`,
      summary: 'RFC 9162 consistency proof between two sizes, 32 bytes a hash',
      query: {
        from: { description: 'Smaller size', integer: true, required: true },
        to: { description: 'Larger size; the latest by default', integer: true },
      },
      returns: { 'application/octet-stream': bytes },
      problems: [...notNetwork, 'parameter'],
      handle(call) {
        const { log, size } = networkOf(call).state
        const to = parseInteger(call.query, 'to', { most: size }) ?? size
        const from = parseInteger(call.query, 'from', { most: to })
        if (from === undefined) throw new ProblemError('parameter', 'from is missing.')
        return {
          status: 200,
          type: 'application/octet-stream',
          body: log.consistencyProof(from, to),
        }
      },
    },
    {
      method: 'GET',
      path: `${network}/epochs`,
      summary: 'Epochs that were posted',
      query: {
        from: { description: 'First window' },
        limit: { description: 'Most epochs, 1 to 1000', integer: true },
      },
      returns: jsonOf('Epochs'),
      problems: [...notNetwork, 'parameter'],
      handle(call) {
        const open = networkOf(call)
        const from = call.query.get('from')
        const limit = parseInteger(call.query, 'limit', { least: 1, most: 1000 }) ?? 1000
        const stored = epochs.epochs(
          open.state.number,
          from === null ? 0 : parseWindow(from, open),
          limit,
        )
        return reply({
          epochs: stored.filter(({ posted }) => posted).map((epoch) => showEpoch(epoch, open)),
        })
      },
    },
    {
      method: 'GET',
      path: epoch,
      summary: 'One epoch: what it commits to, and its transaction',
      returns: jsonOf('Epoch'),
      problems: [...notNetwork, 'parameter', 'not-found'],
      handle(call) {
        const open = networkOf(call)
        return reply(showEpoch(epochOf(call, open), open))
      },
    },
    {
      method: 'GET',
      path: `${epoch}/ledger`,
      summary: 'All entries of an epoch’s ledger, by slot',
      readers: 'network',
      returns: jsonOf('Ledger'),
      problems: [...notNetwork, 'parameter', 'not-found'],
      async handle(call) {
        const open = networkOf(call)
        await access.read(call, open, null)
        const stored = epochOf(call, open)
        return reply({
          ...showEpoch(stored, open),
          entries: epochs.claims(open.state.number, stored).map(showClaim),
        })
      },
    },
    {
      method: 'GET',
      path: `${epoch}/bundle`,
      summary: 'The evidence for all claims of an epoch: what an auditor re-checks',
      readers: 'network',
      returns: { 'application/cbor': bytes },
      problems: [...notNetwork, 'parameter', 'not-found'],
      async handle(call) {
        const open = networkOf(call)
        await access.read(call, open, null)
        return {
          status: 200,
          type: 'application/cbor',
          stream: bundler.epoch(open, ownEpochOf(call, open)),
        }
      },
    },
    {
      method: 'GET',
      path: `${epoch}/claims/{device}/bundle`,
      summary: 'The evidence for one claim',
      readers: 'device',
      returns: { 'application/cbor': bytes },
      problems: notDevice,
      async handle(call) {
        const open = networkOf(call)
        const readable = await readableOf(call, open)
        const stored = ownEpochOf(call, open)
        const body = bundler.claim(open, stored, claimOf(open, stored, readable))
        return { status: 200, type: 'application/cbor', body }
      },
    },
    {
      method: 'GET',
      path: `${epoch}/claims/{device}`,
      summary: 'A device’s claim, with its path in the ledger: what redeeming needs',
      readers: 'device',
      returns: jsonOf('Claim'),
      problems: notDevice,
      async handle(call) {
        const open = networkOf(call)
        const readable = await readableOf(call, open)
        const stored = epochOf(call, open)
        const claim = claimOf(open, stored, readable)
        return reply({
          ...showEpoch(stored, open),
          ...showClaim(claim),
          proof: toHex(settler.ledgerOf(open, stored).proof(claim.slot).siblings),
        })
      },
    },
    {
      method: 'GET',
      path: '/health',
      summary: 'Whether the node does its work; 503 if not',
      returns: jsonOf('Health'),
      statuses: [200, 503],
      problems: [],
      handle() {
        const report = health()
        return { ...reply(report), status: report.ok ? 200 : 503 }
      },
    },
    {
      method: 'GET',
      path: '/metrics',
      summary: 'Prometheus text format',
      returns: { 'text/plain': text },
      problems: [],
      handle: () => ({
        status: 200,
        type: 'text/plain; version=0.0.4; charset=utf-8',
        body: metrics(),
      }),
    },
    {
      method: 'GET',
      path: '/openapi.json',
      summary: 'This API as an OpenAPI 3.1 document',
      returns: jsonOf('OpenApi'),
      problems: [],
      handle: () => reply(document),
    },
  ]
  const document = createOpenApi(routes, { schemas: nodeSchemas, title: 'MachineFi stream node' })
  return routes

  function describe(open: OpenNetwork) {
    const { config, network, schemas, state, windowMs } = open
    const schema = schemas.find(({ id }) => id === config.schema)!
    return {
      id: network.id,
      chainId: network.chainId,
      factory: network.factory,
      serial: network.serial,
      registry: network.registry,
      settlement: network.settlement,
      membership: network.membership,
      disputes: network.disputes,
      token: network.token,
      isPrivate: network.isPrivate,
      /** Whether `POST registrations` is there. */
      paysRegistrations: relay !== undefined,
      operator: open.chain.operator,
      logKey: toHex(options.logKey),
      shard: 0,
      schema: showSchema(schema),
      metric: config.metric,
      policy: { threshold: config.threshold, rate: config.rate, cap: config.cap },
      windowMs,
      firstWindow: network.firstWindow,
      graceMs: config.graceMs,
      challengeWindowMs: config.challengeWindowMs,
      responseTimeMs: config.responseTimeMs,
      retentionMs: config.retentionMs,
      maxRowsBytes: config.maxRowsBytes,
      members: state.members.size,
      size: state.size,
    }
  }

  function registrationRoute({ relay }: Relay): Route {
    return {
      method: 'POST',
      path: `${network}/registrations`,
      summary: 'Send the registration that a device signed, and pay for it',
      accepts: jsonOf('Registration'),
      returns: jsonOf('Relayed'),
      problems: [
        ...notNetwork,
        'body',
        'media-type',
        'overloaded',
        'unavailable',
        ...relayProblems,
      ],
      async handle(call) {
        const { network } = networkOf(call)
        if (call.type !== json) throw new ProblemError('media-type', `${json}.`)
        const { did, gasUsed, transaction } = await relay(network, await call.body())
        return reply({ did, transaction: transaction ?? null, gasUsed })
      },
    }
  }

  /** Batches from an index on, by pages, until they are as long as an answer may be. */
  async function readBatches(network: number, from: number, to: number): Promise<Uint8Array[]> {
    const body: Uint8Array[] = []
    let length = 0
    for (let at = from; at < to; at += batchesInPage) {
      const stored = store.batches(network, at, Math.min(to, at + batchesInPage))
      const rows = store.records(network, stored)
      for (const [i, batch] of stored.entries()) {
        const bytes = joinBytes(batch, rows[i]!)
        length += bytes.length
        if (length > maxBatchBytes && body.length > 0) return body
        body.push(bytes)
      }
      await setImmediate()
    }
    return body
  }

  function readRecords(
    open: OpenNetwork,
    device: number,
    range: { from: number; limit: number; seq: number; to: number },
  ) {
    const { from, limit, seq, to } = range
    const { number } = open.state
    // Nothing of a device arrives before it happened, give or take its clock.
    const fromIndex = store.firstArrivedSince(number, from - greatestSkewMs)
    const stored = store.ofDevice(number, device, seq, fromIndex, limit)
    const rows = store.records(number, stored)
    const records: unknown[] = []
    let expired = 0
    for (const [i, entry] of stored.entries()) {
      const batch = joinBatch(entry, rows[i]!)
      const { header } = batch
      if (header.start >= to || header.start + header.span < from) continue
      const schema = open.schemas.find(({ id }) => id === header.schema)
      if (!rows[i] || !schema) {
        expired++
        continue
      }
      const verdict = checkRecords(batch, schema)
      if (!verdict.ok) continue
      for (let r = 0; r < verdict.rows.count; r++) {
        const time = verdict.rows.times[r]!
        if (time < from || time >= to) continue
        records.push({
          seq: header.seq,
          schema: schema.id,
          ...fromRow(schema, rowAt(verdict.rows, r)),
        })
      }
    }
    return {
      records,
      expiredBatches: expired,
      next: stored.length === limit ? stored.at(-1)!.seq + 1 : null,
    }
  }
}

export declare namespace createRoutes {
  type Options = {
    access: Access
    bundler: Bundler
    clock: () => number
    epochs: EpochStore
    health: () => { ok: boolean } & Record<string, unknown>
    /** X‖Y */
    logKey: Uint8Array
    maxBatchesPerBody: number
    metrics: () => string
    /** By id, lower-case hex. */
    networks: ReadonlyMap<string, OpenNetwork>
    pipeline: Pipeline
    /** Where the node pays for registrations. */
    relay: Relay | undefined
    settler: Settler
    store: Store
  }
}

const json = 'application/json'
const jsonOf = (name: keyof typeof nodeSchemas | 'OpenApi'): Bodies => ({ [json]: refTo(name) })
const relayProblems = ['registration', 'relay-exhausted'] as const

/** Entries of the log in one answer: 1 MiB. */
const maxEntries = 32_768
/** Batches in one answer, and how many are read at a time. */
const maxBatchBytes = 4 * 1024 * 1024
const batchesInPage = 500

const ingestProblems: ProblemReason[] = [
  'unknown-network',
  'media-type',
  'encoding',
  'body',
  'body-too-large',
  'truncated',
  'not-canonical',
  'version',
  'algorithm',
  'header',
  'records-missing',
  'records-hash',
  'records',
  'schema',
  'fields',
  'too-large',
  'signature',
  'key',
  'unknown-device',
  'suspended',
  'future',
  'too-old',
  'equivocation',
  'overloaded',
  'unavailable',
  'clock',
]

/** JSON with bigints as decimal strings. */
function reply(value: unknown): Reply {
  return {
    status: 200,
    type: json,
    body: JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? String(item) : item)),
  }
}

function identify(device: Uint8Array) {
  return { device: toHex(device), did: formatDid(device) }
}

function showSchema({ fields, id, tickMs }: Schema) {
  return {
    id,
    tickMs,
    fields: fields.map(({ name, scale, unit }: Field) => ({ name, unit, scale })),
  }
}

/** A window by number and by its name: the date of a day, else the ISO start. */
function showWindow(window: number, open: OpenNetwork) {
  const { end, start } = open.windowOf(window)
  const iso = new Date(start).toISOString()
  return {
    window,
    name: open.windowMs === 86_400_000 ? iso.slice(0, 10) : iso.replace('.000Z', 'Z'),
    start,
    end,
  }
}

function showEpoch(epoch: StoredEpoch, open: OpenNetwork) {
  const { cap, posted, rate, threshold, window, ...rest } = epoch
  return {
    network: open.network.id,
    ...showWindow(window, open),
    ...rest,
    policy: { threshold, rate, cap },
    void: window >= (open.status.nextWindow ?? window + 1),
    ...posted,
  }
}

function showClaim(claim: Claim) {
  const { cumulative, device, paid, reward, slot, steps, traceRoot, value } = claim
  return {
    ...identify(device),
    slot,
    paid,
    value,
    reward,
    cumulative,
    steps,
    traceRoot: toHex(traceRoot),
  }
}

function parseWindow(text: string, open: OpenNetwork): number {
  if (/^\d{1,10}$/.test(text)) return Number(text)
  const time = /^\d{4}-\d\d-\d\d(T[\d:.]+Z?)?$/.test(text)
    ? Date.parse(text.length > 10 && !text.endsWith('Z') ? `${text}Z` : text)
    : Number.NaN
  if (Number.isNaN(time) || time < 0)
    throw new ProblemError(
      'parameter',
      `${quote(text)} is no window: a number, a date or an ISO time.`,
    )
  return Math.floor(time / open.windowMs)
}

function parseTime(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name)
  if (text === null) return undefined
  const time = /^\d{1,16}$/.test(text) ? Number(text) : Date.parse(text)
  if (!Number.isSafeInteger(time))
    throw new ProblemError('parameter', `${name}: ${quote(text)} is neither ms nor ISO 8601.`)
  return time
}

function parseInteger(
  query: URLSearchParams,
  name: string,
  { least = 0, most = Number.MAX_SAFE_INTEGER }: { least?: number; most?: number } = {},
): number | undefined {
  const text = query.get(name)
  if (text === null) return undefined
  const value = toInteger(text, name)
  if (value < least || value > most)
    throw new ProblemError('parameter', `${name} is ${value}, not in ${least} … ${most}.`)
  return value
}

function toInteger(text: string, name: string): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(value))
    throw new ProblemError('parameter', `${name}: ${quote(text)} is no integer.`)
  return value
}
