import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  answerChallenge,
  type Epoch,
  postEpoch,
  readChallenges,
  readEpoch,
  registerDevices,
  signRegistration,
} from '@machinefi/contracts'
import { fromHex, type Signer, toHex } from '@machinefi/core'
import {
  type AnswerSource,
  buildAnswer,
  buildLedger,
  type Entry,
  type Ledger,
  type LogHead,
  type Metric,
  UnanswerableError,
} from '@machinefi/proof'
import type { SignedBatch } from '@machinefi/telemetry'
import { type Address, zeroHash } from 'viem'
import { startDevnet } from '../../../cli/src/chain/startDevnet.js'
import { type Auditor, createAuditor, type RecomputedEpoch } from '../../src/audit/index.js'
import { createSigner, signSteps, walker } from '../createFakeChain.js'

export const hourMs = 3_600_000
export const dayMs = 24 * hourMs
/** Seconds. */
export const times = {
  challengeWindow: 40_000,
  grace: 600,
  responseTime: 3_600,
  retention: 30 * 86_400,
  takeoverDelay: 3_600,
}
const firstDay = Date.UTC(2026, 3, 13)

/** A chain with an operator, its node, a fleet, and a door in front of the node that can be closed. */
export async function openScene(options: openScene.Options = {}): Promise<Scene> {
  const { devices = 4, metric = { type: 'sum', field: 0, max: 900, min: 0 } } = options
  let now = firstDay - hourMs
  const folders: string[] = []
  const closers: (() => Promise<unknown> | unknown)[] = []
  const createFolder = () => {
    const folder = mkdtempSync(join(tmpdir(), 'audit-'))
    folders.push(folder)
    return folder
  }
  const devnet = await startDevnet({
    anvil: { blockTimestampInterval: 1, hardfork: 'osaka', timestamp: now / 1000 },
    clock: () => now,
    metric,
    policy: { cap: 1_000_000n, rate: 1n, threshold: 1n },
    schema: walker,
    times,
    windowMs: dayMs,
  })
  closers.push(() => devnet.close())
  const { anvil, client, connect, deployment, fromBlock, network, node, operator } = devnet
  const id = fromHex(network.id)
  const signers = Array.from({ length: devices }, () => createSigner())
  await registerDevices(client, {
    registrations: await Promise.all(
      signers.map((signer) =>
        signRegistration({
          chainId: network.chainId,
          deadline: now / 1000 + 3600,
          membership: network.membership,
          owner: client.account.address,
          registry: network.registry,
          signer,
        }),
      ),
    ),
    registry: network.registry,
  })
  await node.refresh()

  const door = createServer(
    (request, response) =>
      void pass(request, response).catch(() => {
        response.destroy()
      }),
  )
  await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve))
  closers.push(() => close(door))

  async function pass(request: IncomingMessage, response: ServerResponse) {
    const path = (request.url ?? '').replace(`/networks/${network.id}`, '')
    if (await scene.door?.(path, response)) return
    const answer = await fetch(`${devnet.url}${request.url}`)
    const body = Buffer.from(await answer.arrayBuffer())
    const type = answer.headers.get('content-type') ?? ''
    response.writeHead(answer.status, { 'content-type': type }).end(body)
  }

  const scene: Scene = {
    ...devnet,
    createFolder,
    answerTo: network.disputes,
    door: undefined,
    doorUrl: `http://127.0.0.1:${(door.address() as AddressInfo).port}`,
    id,
    signers,
    get now() {
      return now
    },
    async setTime(time) {
      now = Math.max(now, time)
      const { timestamp } = await client.getBlock()
      const seconds = Math.floor(now / 1000)
      if (BigInt(seconds) <= timestamp) return
      await anvil.request('evm_setNextBlockTimestamp', [seconds])
      await anvil.request('evm_mine')
    },
    sign: ({ day = 0, device = 0, hour = 8, seq = 0, signer, steps = [100, 110, 120] }) =>
      signSteps({
        network: id,
        seq,
        signer: signer ?? signers[device]!,
        start: firstDay + day * dayMs + hour * hourMs,
        steps,
      }),
    async deliver(...batches) {
      const outcomes = await node.ingest(
        network.id,
        batches.map(({ bytes }) => bytes),
      )
      for (const outcome of outcomes) if (!outcome.ok) throw new Error(outcome.problem.title)
    },
    async playDay(day) {
      for (const hour of [8, 12, 17]) {
        await scene.setTime(firstDay + day * dayMs + (hour + 1) * hourMs)
        const seq = day * 3 + [8, 12, 17].indexOf(hour)
        const walks = signers.map((_, device) =>
          scene.sign({ day, device, hour, seq, steps: [100 + device, 110, 120 + seq] }),
        )
        await scene.deliver(...(await Promise.all(walks)))
      }
    },
    async endDay(day) {
      await scene.setTime(firstDay + (day + 1) * dayMs + times.grace * 1000)
    },
    windowOf: (day) => network.firstWindow + day,
    async audit(changes = {}) {
      const auditor = await createAuditor({
        client: connect(3),
        clock: () => now,
        dataDir: createFolder(),
        deployment,
        fromBlock,
        network,
        nodeUrl: scene.doorUrl,
        patienceMs: 0,
        ...changes,
      })
      closers.push(() => auditor.close())
      return auditor
    },
    async post(truth, lie = {}) {
      const entries = lie.entries ?? truth.entries
      const ledger = buildLedger(entries, { depth: lie.depth ?? truth.ledger.depth })
      const logs = lie.logs ?? truth.logs
      const parent = await readEpoch(client, { network, window: truth.window.number - 1 })
      const { epoch } = await postEpoch(operator, {
        depth: ledger.depth,
        ledgerRoot: toHex(ledger.root),
        ledgerTotal: lie.total ?? ledger.total,
        logs: logs.map(({ root, shard, size }) => ({
          root: toHex(root),
          shard,
          size: BigInt(size),
        })),
        network,
        parentHash: parent?.epochHash ?? zeroHash,
        window: truth.window.number,
      })
      const source: AnswerSource = {
        claim: (slot) => truth.claim(slot),
        epoch: {
          config: truth.config.bytes,
          logs,
          memberCount: epoch.memberCount,
          parentHash: fromHex(epoch.parentHash),
        },
        ledger,
        log: (shard) => truth.log(shard)!,
        metric: truth.metric,
        parentLedger: truth.parentLedger,
        schema: truth.schema,
        window: truth.window,
      }
      return { epoch, ledger, source }
    },
    async answer({ epoch, source }, change = (source) => source) {
      const { attempt, window } = epoch
      let answered = 0
      for (const { point, status } of await readChallenges(client, { network, window })) {
        if (status !== 'open') continue
        try {
          const answer = buildAnswer(point, change(source))
          await answerChallenge(operator, {
            ...{ answer, attempt, point, window },
            network: { disputes: scene.answerTo },
          })
          answered++
        } catch (error) {
          if (!(error instanceof UnanswerableError) && (error as Error).name !== 'ContractError')
            throw error
        }
      }
      return answered
    },
    async [Symbol.asyncDispose]() {
      for (const closer of closers.splice(0).reverse()) await closer()
      for (const folder of folders) rmSync(folder, { force: true, recursive: true })
    },
  }
  return scene
}

export declare namespace openScene {
  type Options = { devices?: number; metric?: Metric }
}

export type Scene = Awaited<ReturnType<typeof startDevnet>> &
  AsyncDisposable & {
    createFolder(): string
    /** The contract that answers are sent to. */
    answerTo: Address
    /** Answers a request in the node's place, if it returns true. */
    door:
      | ((path: string, response: ServerResponse) => boolean | undefined | Promise<boolean>)
      | undefined
    doorUrl: string
    id: Uint8Array
    signers: Signer[]
    readonly now: number
    setTime(time: number): Promise<void>
    sign(options: {
      day?: number
      device?: number
      hour?: number
      seq?: number
      signer?: Signer
      steps?: readonly number[]
    }): Promise<SignedBatch>
    deliver(...batches: SignedBatch[]): Promise<void>
    /** Three walks of every device. */
    playDay(day: number): Promise<void>
    /** Goes to where the day may be posted. */
    endDay(day: number): Promise<void>
    windowOf(day: number): number
    audit(changes?: Partial<createAuditor.Options>): Promise<Auditor>
    post(truth: RecomputedEpoch, lie?: Lie): Promise<Posted>
    /** Answers what can be answered of what is open; resolves to how many that were. */
    answer(posted: Posted, change?: (source: AnswerSource) => AnswerSource): Promise<number>
  }

export type Lie = {
  depth?: number
  entries?: readonly (Entry | null)[]
  logs?: readonly LogHead[]
  total?: bigint
}

export type Posted = { epoch: Epoch; ledger: Ledger; source: AnswerSource }

async function close(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
