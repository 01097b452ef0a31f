import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import {
  type AnyClient,
  type Deployment,
  type Network,
  registerDevices,
} from '@machinefi/contracts'
import { type BaseError, fromHex, publicKeyToAddress, type Signer, toHex } from '@machinefi/core'
import { BatchError, decodeBatch, type Schema } from '@machinefi/telemetry'
import type { Account } from 'viem'
import { type AccessLimits, createAccess } from './access/createAccess.js'
import { createAuthorities } from './access/createAuthorities.js'
import { assertLogSigner } from './assertLogSigner.js'
import type { Chain } from './chain/chain.js'
import { openChain } from './chain/openChain.js'
import { type CoapLimits, openCoapServer } from './coap/openCoapServer.js'
import { type AnsweredChallenge, createAnswerer } from './disputes/createAnswerer.js'
import { greatestSkewMs } from './epochs/buildClaims.js'
import { createBundler } from './epochs/createBundler.js'
import { createSettler } from './epochs/createSettler.js'
import { openEpochStore, type StoredEpoch } from './epochs/openEpochStore.js'
import { NodeConfigurationError, tellError } from './errors.js'
import { createRoutes } from './http/createRoutes.js'
import { formatMetrics } from './http/formatMetrics.js'
import { type HttpLimits, openServer } from './http/openServer.js'
import { createPipeline, type Outcome, type PipelineLimits } from './ingest/createPipeline.js'
import { createTopics } from './mqtt/createTopics.js'
import { type Broker, openMqttClient } from './mqtt/openMqttClient.js'
import { type MqttLimits, openMqttServer } from './mqtt/openMqttServer.js'
import { type OpenNetwork, openNetwork } from './network/openNetwork.js'
import { renewHead } from './network/renewHead.js'
import { toProblem } from './problems.js'
import { createRelay } from './relay/createRelay.js'
import { openStore } from './store/openStore.js'
import { openTls, type Tls, type TlsFiles } from './tls/openTls.js'

/**
 * Creates the embedded node: one process, one data directory. It takes signed
 * batches in, keeps them in a Merkle log and answers with receipts; it turns
 * the windows that are over into claims and posts them.
 *
 * Resolves once the data directory is consistent and the members are read.
 * Nothing is served before `listen`, nothing posted before `settle` or `start`.
 *
 * @throws {DataDirectoryError} the directory is in use, foreign or damaged.
 * @throws {PublishedKeyError} everyone has the log key, and this is no development chain.
 * @throws {NodeConfigurationError} a schema or a metric that is not the network's, or another log
 *   key than the operator is bonded with. Not bonded yet is no error, but a problem in `health`.
 */
export async function createNode(options: createNode.Options): Promise<Node> {
  const { client, deployment } = options
  const first = options.networks[0]
  if (!first) throw new NodeConfigurationError('A node serves at least one network.')
  const { relay } = options
  return startNode({
    ...options,
    relay: relay && {
      perDay: relay.perDay ?? 100,
      send: ({ registry }, { endorsement, registration }, onHash) =>
        registerDevices(client, {
          account: relay.account,
          endorsement,
          // What a network asks of who joins is not the node's to pay.
          joinFee: 0n,
          onHash,
          registrations: [registration],
          registry,
        }),
    },
    chains: options.networks.map((network) =>
      openChain(client, {
        account: options.account,
        confirmations: options.confirmations,
        deployment,
        fromBlock: network.fromBlock,
        network,
      }),
    ),
  })
}

export declare namespace createNode {
  type Options = NodeOptions & {
    /** A viem client: it reads the chain, and posts. */
    client: AnyClient
    /** Who posts. @default the client's account */
    account?: Account | undefined
    /** Blocks on top of a block until it is believed. @default 0 */
    confirmations?: number | undefined
    /** Where the metrics and the reward policy are. */
    deployment: Pick<Deployment, 'metrics' | 'policy'>
    /**
     * Pay for the registrations of devices that join one of the networks. The account is another than
     * the one that posts: a transaction of a stranger must not be in the way of an answer to a challenge.
     * At most `perDay` are sent in a UTC day. @default none are
     */
    relay?: { account: Account; perDay?: number | undefined } | undefined
  }
}

/** A node with given views of the chain, one per network. */
export async function startNode(
  options: NodeOptions & {
    chains: readonly Chain[]
    relay?: Pick<createRelay.Options, 'perDay' | 'send'> | undefined
  },
): Promise<Node> {
  const { dataDir, logSigner, onAnswer, onEpoch, onError = () => {} } = options
  const { clock: time = Date.now } = options
  const clock = () => Math.floor(time())
  const limits = { ...defaultLimits, ...options.limits }
  assertLogSigner(logSigner, options.networks)
  if (!(limits.maxSkewMs >= 0 && limits.maxSkewMs <= greatestSkewMs))
    throw new NodeConfigurationError(`maxSkewMs is at most ${greatestSkewMs}.`)
  const { chains, networks } = options
  const operator = chains[0]!.operator
  const logKey = toHex(publicKeyToAddress(logSigner.publicKey))
  const store = openStore({
    directory: dataDir,
    identity: {
      chain: await chains[0]!.genesisHash(),
      operator,
    },
    networks: networks.map(({ id }) => fromHex(id)),
  })

  try {
    // The chain says what key there is now; where it says nothing yet, the directory does.
    const states = await Promise.all(chains.map((chain) => chain.operatorState()))
    const isOnChain = states.every((state) => state.logKey === logKey)
    store.claimLogKey(logSigner.publicKey, isOnChain)
    const opened = new Map<string, OpenNetwork>()
    for (const [i, { fromBlock: _, schemas, ...network }] of networks.entries())
      opened.set(
        network.id.toLowerCase(),
        await openNetwork({
          chain: chains[i]!,
          clock,
          logKey,
          network,
          refreshMs: limits.refreshMs,
          schemas,
          store,
        }),
      )
    return await run(opened)
  } catch (error) {
    store.close()
    throw error
  }

  async function run(opened: Map<string, OpenNetwork>): Promise<Node> {
    const all = [...opened.values()]
    const byState = new Map(all.map((open) => [open.state, open]))
    for (const open of all) {
      await open.refresh()
      const about = { clock, operator: fromHex(operator), signer: logSigner, store }
      await renewHead(open.state, about)
    }
    const epochs = openEpochStore(store.database)
    const pipeline = createPipeline({
      clock,
      limits,
      onError,
      operator: fromHex(operator),
      refreshMembers: (state) => byState.get(state)!.refreshSoon(),
      signer: logSigner,
      store,
    })
    const settler = createSettler({
      clock,
      epochs,
      onError,
      peers: (options.peers ?? []).map((peer) => new URL(peer)),
      onEpoch: onEpoch && (({ network }, epoch) => onEpoch({ network: network.id, ...epoch })),
      pipeline,
      store,
    })
    const answerer = createAnswerer({
      epochs,
      maxAnswers: limits.maxAnswers,
      onAnswer:
        onAnswer && (({ network }, answered) => onAnswer({ network: network.id, ...answered })),
      onError,
      settler,
      store,
    })
    const failures = new Map<OpenNetwork, unknown>()
    const startedAt = clock()
    let closing = false
    let listening: Promise<string> | undefined
    let tls: Tls | undefined
    const urls: Node['urls'] = {}
    /** Everything that listens, or is connected to a broker. */
    const transports: Transport[] = []
    /** How old the head of the chain may be, ms; infinite while nothing follows it. */
    let maxHeadAgeMs = Number.POSITIVE_INFINITY

    /** What is wrong with the chain, as seen from here. */
    function chainProblem({ status }: OpenNetwork): string | undefined {
      if (status.error) return tellError(status.error)
      const ageMs = performance.now() - status.readAt
      if (ageMs <= maxHeadAgeMs) return undefined
      return `The head of the chain was last read ${Math.floor(ageMs / 1000)} s ago.`
    }

    function health() {
      const problems: string[] = []
      if (pipeline.failure) problems.push(pipeline.failure.shortMessage)
      if (closing) problems.push('The node is shutting down.')
      for (const [open, error] of failures) problems.push(`${open.network.id}: ${tellError(error)}`)
      for (const open of all) {
        const waiting = settler.waiting(open)
        if (waiting) problems.push(`${open.network.id}: ${waiting}`)
        for (const problem of answerer.problems(open))
          problems.push(`${open.network.id}: ${problem}`)
      }
      for (const open of all) {
        const problem = chainProblem(open)
        if (problem) problems.push(`${open.network.id}: ${problem}`)
        else if (!open.status.operator?.logKey || open.status.operator.bond === 0n)
          problems.push(`${open.network.id}: The operator is not bonded: its receipts bind nobody.`)
      }
      for (const { failure } of transports) if (failure) problems.push(failure.shortMessage)
      return {
        ok: problems.length === 0,
        problems: [...new Set(problems)],
        startedAt,
        networks: all.map((open) => ({
          id: open.network.id,
          size: open.state.size,
          members: open.state.members.size,
          block: open.status.block,
          challenges: answerer.stats(open),
        })),
        transports: transports.map(({ failure, name, stats }) => ({
          name,
          ok: failure === undefined,
          ...stats,
        })),
      }
    }

    const authorities = createAuthorities(options.publicUrls)
    const relay =
      options.relay && createRelay({ ...options.relay, clock, database: store.database, onError })
    const routes = createRoutes({
      access: createAccess({
        ...{ authorities, clock, limits, onError },
        // A clock that was set back must not make anything good again.
        startedAt: Math.max(clock(), ...all.map(({ state }) => state.arrived)),
      }),
      bundler: createBundler({
        epochs,
        logKey: logSigner.publicKey,
        settler,
        store,
      }),
      clock,
      epochs,
      health,
      logKey: logSigner.publicKey,
      maxBatchesPerBody: limits.maxBatchesPerBody,
      metrics: () =>
        formatMetrics({
          challenges: answerer.stats,
          chainFailing: (open) => (chainProblem(open) ? 1 : 0),
          evidence: () => pipeline.stats.refused.get('equivocation') ?? 0,
          failing: (open) => (failures.has(open) || settler.waiting(open) ? 1 : 0),
          networks: all,
          pipeline,
          relay,
          transports,
        }),
      networks: opened,
      pipeline,
      relay,
      settler,
      store,
    })
    const topics = createTopics({
      maxAckDelayMs: limits.maxAckDelayMs,
      maxBatches: limits.maxBatchesPerBody,
      networks: opened,
      pipeline,
      store,
    })

    async function listen(options: ListenOptions): Promise<string> {
      const { brokers = [], coapPort, host = '127.0.0.1', mqttPort, port = 4270 } = options
      if (options.tls) tls = openTls(options.tls, onError)
      const server = openServer({ limits, onError, routes, tls })
      transports.push({ name: 'http', stats: {}, close: server.close })
      urls.http = await server.listen({ host, port })
      authorities.listenAt({ host, url: urls.http })
      if (mqttPort !== undefined) {
        const mqtt = openMqttServer({ limits, onError, tls, topics })
        transports.push({ name: 'mqtt', ...mqtt })
        urls.mqtt = await mqtt.listen({ host, port: mqttPort })
      }
      if (coapPort !== undefined) {
        const coap = openCoapServer({ limits, onError, routes })
        transports.push({ name: 'coap', ...coap })
        urls.coap = await coap.listen({ host, port: coapPort })
      }
      for (const broker of brokers)
        transports.push(
          openMqttClient({
            broker,
            clientId: `machinefi-${operator}`,
            maxInflight: limits.maxInflight,
            maxPacketBytes: limits.maxPacketBytes,
            onError,
            topics,
          }),
        )
      return urls.http
    }

    /** Whatever keeps members or rules from being read keeps no challenge from being answered. */
    async function followUp(open: OpenNetwork, answer: (open: OpenNetwork) => Promise<void>) {
      let failed: unknown
      await open.refresh().catch((error) => {
        failed = error
      })
      await answer(open)
      if (failed !== undefined) throw failed
    }

    let settling: Promise<unknown> = Promise.resolve()
    function settle(): Promise<SettledEpoch[]> {
      const work = settling.then(async () => {
        const settled: SettledEpoch[] = []
        let failed: unknown
        for (const open of all) {
          if (closing) break
          try {
            for (const epoch of await settler.settle(open))
              settled.push({ network: open.network.id, ...epoch })
            await settler.expire(open)
            failures.delete(open)
          } catch (error) {
            failures.set(open, error)
            failed ??= error
          }
        }
        if (failed !== undefined) throw failed
        return settled
      })
      settling = work.catch(() => {})
      return work
    }

    return {
      get url() {
        return urls.http
      },
      urls,
      async ingest(network, batches) {
        const open = opened.get(network.toLowerCase())
        if (!open) return batches.map(() => ({ ok: false, problem: toProblem('unknown-network') }))
        return pipeline.submit(
          open.state,
          batches.map((bytes) => {
            try {
              return decodeBatch(bytes)
            } catch (error) {
              if (error instanceof BatchError) return toProblem(error.reason, error.shortMessage)
              throw error
            }
          }),
        )
      },
      settle,
      async refresh() {
        await Promise.all(all.map((open) => open.refresh()))
      },
      async answer() {
        await Promise.all(all.map((open) => followUp(open, answerer.answer)))
      },
      health,
      listen(options = {}) {
        listening ??= listen(options)
        return listening
      },
      reloadTls: () => tls?.reload(),
      start({ everyMs = 5000 } = {}) {
        if (maxHeadAgeMs !== Number.POSITIVE_INFINITY) return
        maxHeadAgeMs = Math.max(limits.maxHeadAgeMs, 2 * everyMs)
        const repeat = async (work: () => Promise<unknown>) => {
          while (!closing) {
            await work().catch((error) => {
              if (!closing) onError(error)
            })
            await sleep(everyMs, undefined, { ref: false })
          }
        }
        // Each on its own: while one transaction waits for its block, all chains are followed.
        for (const open of all) void repeat(() => followUp(open, answerer.follow))
        void repeat(settle)
      },
      async close() {
        if (closing) return
        closing = true
        // First no new work, then an answer for what is under way, then the files.
        const drained = Promise.all(transports.map(({ close }) => close(limits.closeGraceMs)))
        tls?.close()
        await pipeline.close()
        await settling
        // What is in no block after that is found again at the next start.
        await Promise.race([
          answerer.close(),
          sleep(limits.closeGraceMs, undefined, { ref: false }),
        ])
        await drained
        await setImmediate()
        store.close()
      },
    }
  }
}

export type NodeOptions = {
  /** Where the node keeps everything. Created if missing; for this node alone. */
  dataDir: string
  /** The log key, ES256: the one the operator is bonded with. */
  logSigner: Signer
  networks: readonly (Network & {
    /** All schemas that the network ever had. */
    schemas: readonly Schema[]
    /** The block the network was created in, or one before. @default 0n */
    fromBlock?: bigint | undefined
  })[]
  /** Milliseconds since the Unix epoch. @default Date.now */
  clock?: (() => number) | undefined
  limits?: Partial<NodeLimits> | undefined
  /**
   * Other nodes of these networks, to be asked for ledgers that other operators posted. Nothing they
   * say is believed without a proof. @default []
   */
  peers?: readonly (string | URL)[] | undefined
  /**
   * The URLs that readers of private networks reach this node at, where they are others than those it
   * listens at: a signed request is for one host, and no other node can pass it on.
   * @default what it listens at
   */
  publicUrls?: readonly (string | URL)[] | undefined
  /** Told of every challenge that this node has answered. */
  onAnswer?: ((answered: AnsweredChallenge & { network: string }) => void) | undefined
  /** Told of every epoch as it is posted. */
  onEpoch?: ((epoch: SettledEpoch) => void) | undefined
  /** Told of what went wrong in the background. */
  onError?: ((error: unknown) => void) | undefined
}

/** Where a node takes batches in. Only HTTP is on by default. */
export type ListenOptions = {
  /** @default '127.0.0.1' */
  host?: string | undefined
  /** Of HTTP. @default 4270 */
  port?: number | undefined
  /** Of the node's own MQTT broker, 3.1.1 and 5. */
  mqttPort?: number | undefined
  /** Of CoAP, over UDP: there is no TLS for it. */
  coapPort?: number | undefined
  /** For HTTP and MQTT. @default plain connections */
  tls?: TlsFiles | undefined
  /** Brokers of others, at which batches arrive too. */
  brokers?: readonly Broker[] | undefined
}

export type NodeLimits = PipelineLimits &
  AccessLimits &
  CoapLimits &
  HttpLimits &
  MqttLimits & {
    /** How long an MQTT message waits for room until its connection is closed instead. */
    maxAckDelayMs: number
    /** Answers to challenges under way at a time, for each network. */
    maxAnswers: number
    maxBatchesPerBody: number
    /** Least time between two refreshes of the members that unknown devices cause. */
    refreshMs: number
    /**
     * How long a started node may go without reading the head of a chain until `/health` says so.
     * At least two rounds of `start`.
     */
    maxHeadAgeMs: number
    /** How long `close` waits for requests. */
    closeGraceMs: number
  }

export type SettledEpoch = StoredEpoch & { network: string }

export type Node = {
  /** Where it listens for HTTP. */
  readonly url: string | undefined
  /** Where it listens. */
  readonly urls: { http?: string; mqtt?: string; coap?: string }
  /** Takes batches in, as received; outcomes in their order. */
  ingest(network: string, batches: readonly Uint8Array[]): Promise<Outcome[]>
  /** Does all epoch work that is due now: cut, build, post, expire. Resolves to what was posted. */
  settle(): Promise<SettledEpoch[]>
  /**
   * Reads the challenges to what this operator has posted and answers what is open; resolves once all
   * are answered or have failed, which `health` tells.
   */
  answer(): Promise<void>
  /** Reads new members and rules from the chain. */
  refresh(): Promise<void>
  health(): { ok: boolean; problems: string[] } & Record<string, unknown>
  /** Serves HTTP, and what else is asked for; resolves to the URL. Once: a second call resolves to the same. */
  listen(options?: ListenOptions): Promise<string>
  /** Reads the certificate's files now, and not when their change is noticed. */
  reloadTls(): void
  /** Follows the chain, answers challenges and settles by a timer until it is closed. */
  start(options?: { everyMs?: number }): void
  /** Answers what was taken in, then lets go of the data directory. */
  close(): Promise<void>
}

export const defaultLimits: NodeLimits = {
  accessMs: 3000,
  maxNonces: 100_000,
  maxNoncesOfAccount: 10_000,
  commitDelayMs: 5,
  maxCommit: 1000,
  maxCommitDelayMs: 40,
  maxPending: 10_000,
  maxPendingBytes: 64 * 1024 * 1024,
  maxSkewMs: 120_000,
  maxAnswers: 8,
  maxAckDelayMs: 20_000,
  maxBatchesPerBody: 1000,
  maxCoapBodyBytes: 64 * 1024,
  maxCoapBytes: 8 * 1024 * 1024,
  maxInflight: 64,
  maxPacketBytes: 256 * 1024,
  maxSubscriptions: 1000,
  maxUnreadBytes: 1024 * 1024,
  maxBodyBytes: 8 * 1024 * 1024,
  maxConnections: 1024,
  requestTimeoutMs: 30_000,
  keepAliveTimeoutMs: 60_000,
  refreshMs: 1000,
  maxHeadAgeMs: 30_000,
  closeGraceMs: 10_000,
}

type Transport = {
  name: string
  stats: Readonly<Record<string, number>>
  readonly failure?: BaseError | undefined
  close(graceMs: number): Promise<void>
}
