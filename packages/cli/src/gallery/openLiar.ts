import {
  answerChallenge,
  ContractError,
  type Epoch,
  type EpochEvidence,
  type Point,
  postEpoch,
  readChallenges,
} from '@machinefi/contracts'
import { formatDid, fromHex, toHex } from '@machinefi/core'
import { encodeBundle, type Ledger, reward } from '@machinefi/proof'
import type { Hex } from 'viem'
import type { Devnet } from '../chain/startDevnet.js'
import {
  fetchLedger,
  type NodeLedger,
  toLedger as rebuildLedger,
} from '../node/buildRedemptions.js'
import { answerFalsely } from './answerFalsely.js'
import { serveLog, toLog } from './LogBook.js'
import { openProxy } from './openProxy.js'
import { type Rules, type Story, type ToldClaim, type ToldLedger, toLedger } from './Story.js'

/**
 * An operator that lies: a real node takes batches in behind a proxy, and what the proxy says of one
 * window is a story. It posts the story, hands it out as a node would, and defends it on the chain.
 */
export async function openLiar(options: openLiar.Options): Promise<Liar> {
  const { devnet, rules } = options
  const { network, operator } = devnet
  let told: Told | undefined
  let hidden: Hidden | undefined

  const proxy = await openProxy({
    node: devnet.url,
    answer(url) {
      const path = url.pathname.split(`/networks/${network.id}`)[1]
      if (path === undefined) return undefined
      if (hidden === 'everything' && path !== '') return notFound()
      if (hidden === 'epoch' && path.startsWith(`/epochs/${told?.epoch.window}`)) return notFound()
      return told && serve(told, path, url.searchParams)
    },
  })

  function serve(told: Told, path: string, query: URLSearchParams): Response | undefined {
    const [, noun = '', name = '', ...rest] = path.split('/')
    if (noun === 'log') {
      const reply = serveLog(told.story.log, [name, ...rest].join('/'), query)
      if (reply === undefined) return undefined
      if (reply === null) return notFound()
      const headers = { 'content-type': reply.type }
      return new Response(reply.body as Uint8Array<ArrayBuffer>, { headers })
    }
    if (noun !== 'epochs' || name === '') return undefined
    if (name !== String(told.epoch.window) && name !== told.description.name) return undefined
    const [part = '', device = '', bundle] = rest
    const { entries, ...epoch } = told.description
    if (part === '') return Response.json(epoch)
    if (part === 'ledger') return Response.json(told.description)
    const slots = [...told.story.claims.keys()].filter((slot) => told.story.claims[slot])
    if (part === 'bundle') return toBundle(told, slots)
    const slot = entries.find((entry) => entry.device === device || entry.did === device)?.slot
    if (slot === undefined) return notFound()
    if (bundle === 'bundle') return toBundle(told, [slot])
    const proof = toHex(told.ledger.proof(slot).siblings)
    return Response.json({ ...epoch, ...entries.find((entry) => entry.slot === slot), proof })
  }

  function toBundle({ epoch, evidence, ledger, story }: Told, slots: readonly number[]): Response {
    const log = toLog(story.log)
    const bytes = encodeBundle({
      attempt: epoch.attempt,
      checkpoints: story.log.checkpoints
        .filter(({ size }) => size === log.size)
        .map(({ bytes }) => bytes),
      claims: slots.map((slot) => {
        const { algorithm, before, publicKey, steps } = story.claims[slot] as ToldClaim
        const { entry, siblings } = ledger.proof(slot)
        return {
          batches: steps.map(({ batch, index }) => ({
            bytes: batch.bytes,
            index,
            proof: log.inclusionProof(Math.min(index, log.size - 1)),
            shard: 0,
          })),
          before,
          entry: entry!,
          key: steps.length === 0 ? null : { algorithm, publicKey },
          siblings,
          slot,
        }
      }),
      config: evidence.config,
      epochHash: fromHex(epoch.epochHash),
      ledgerRoot: fromHex(epoch.ledgerRoot),
      ledgerTotal: epoch.ledgerTotal,
      logKey: devnet.logKey,
      memberCount: epoch.memberCount,
      metric: rules.metric.type,
      network: {
        chainId: network.chainId,
        factory: fromHex(network.factory),
        serial: network.serial,
        windowSeconds: network.windowSeconds,
      },
      parentHash: evidence.parentHash,
      policy: 'threshold',
      schema: rules.schema,
      window: epoch.window,
    })
    const headers = { 'content-type': 'application/cbor' }
    return new Response(bytes as Uint8Array<ArrayBuffer>, { headers })
  }

  const tried = new Set<Hex>()
  return {
    url: proxy.url,
    close: () => proxy.close(),
    hide(what) {
      hidden = what
    },
    async post(story) {
      const parent = await fetchLedger(devnet.url, network.id, story.window - 1)
      const log = toLog(story.log)
      const logs = [{ root: log.root(), shard: 0, size: log.size }]
      const ledger = toLedger(story)
      const { epoch } = await postEpoch(operator, {
        depth: story.depth,
        ledgerRoot: toHex(ledger.root),
        ledgerTotal: story.total ?? ledger.total,
        logs: logs.map(({ root, ...log }) => ({
          ...log,
          root: toHex(root),
          size: BigInt(log.size),
        })),
        network,
        parentHash: parent.epochHash,
        window: story.window,
      })
      const evidence = {
        config: fromHex(parent.config),
        logs,
        memberCount: epoch.memberCount,
        parentHash: fromHex(parent.epochHash),
      }
      told = {
        description: describe(story, epoch, parent, rules),
        epoch,
        evidence,
        ledger,
        parent: rebuildLedger(parent),
        story,
      }
      return epoch
    },
    async answer() {
      if (told === undefined) return []
      const { epoch, evidence, parent, story } = told
      const challenges = await readChallenges(operator, { network, window: epoch.window })
      const answers: TriedAnswer[] = []
      for (const { id, point, status } of challenges) {
        if (status !== 'open' || tried.has(id)) continue
        const answer = answerFalsely(point, { epoch: evidence, parent, story })
        try {
          if (answer !== null)
            await answerChallenge(operator, {
              answer,
              attempt: epoch.attempt,
              network,
              point,
              window: epoch.window,
            })
          answers.push({ id, point, refusal: answer === null ? 'nothing to show' : null })
        } catch (error) {
          if (!(error instanceof ContractError)) throw error
          answers.push({ id, point, refusal: error.revert?.name ?? error.shortMessage })
        }
        tried.add(id)
      }
      return answers
    },
  }
}

export declare namespace openLiar {
  type Options = {
    devnet: Devnet
    /** Of the window it lies about. */
    rules: Rules
  }
}

export type Liar = {
  /** Where it is to be asked. */
  readonly url: string
  /** Posts a story; from now on nothing else is told. */
  post(story: Story): Promise<Epoch>
  /** Tries to answer every challenge that is open. */
  answer(): Promise<TriedAnswer[]>
  /** Hands out less from now on. */
  hide(what: Hidden): void
  close(): Promise<void>
}

/** The epoch it lies about, or all but the description of the network. */
export type Hidden = 'epoch' | 'everything'

export type TriedAnswer = {
  id: Hex
  point: Point
  /** Why the contract did not take it; null if it did. */
  refusal: string | null
}

type Told = {
  /** As `GET …/ledger` shows it. */
  description: NodeLedger
  epoch: Epoch
  evidence: EpochEvidence
  ledger: ToldLedger
  parent: Ledger
  story: Story
}

function notFound(): Response {
  const problem = { status: 404, title: 'There is no such thing here.', type: 'about:blank' }
  return Response.json(problem, {
    headers: { 'content-type': 'application/problem+json' },
    status: 404,
  })
}

/** The story in the words of a node, for which the window before is the model. */
function describe(story: Story, epoch: Epoch, model: NodeLedger, { policy, span }: Rules) {
  const { logs, ...posted } = epoch
  const [head] = logs
  return toJson({
    ...model,
    ...posted,
    block: Number(epoch.blockNumber),
    blockNumber: undefined,
    challengeEndsAt: epoch.challengeEndsAt * 1000,
    end: span.end,
    entries: story.claims.flatMap((claim, slot) => {
      if (claim === null) return []
      const { cumulative, device, paid, steps, value } = claim
      const { entry } = toLedger(story).proof(slot)
      return {
        cumulative,
        device: toHex(device),
        did: formatDid(device),
        paid,
        reward: paid ? reward({ ...policy, value }) : 0n,
        slot,
        steps: steps.length,
        traceRoot: toHex(entry!.traceRoot),
        value,
      }
    }),
    logRoot: head?.root,
    logs: logs.map((log) => ({ ...log, size: Number(log.size) })),
    name: new Date(span.start).toISOString().slice(0, 10),
    size: Number(head?.size ?? 0),
    start: span.start,
    transaction: epoch.transactionHash,
    transactionHash: undefined,
  }) as NodeLedger
}

/** As JSON would bring it: bigints are decimal strings. */
function toJson(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? item.toString() : item)),
  )
}
