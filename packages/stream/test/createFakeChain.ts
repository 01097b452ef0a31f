import { randomBytes, randomInt } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import {
  fromHex,
  type Hex,
  keccak256,
  publicKeyToAddress,
  type Signer,
  toHex,
} from '@machinefi/core'
import { createSoftwareSigner } from '@machinefi/device'
import {
  encodeConfig,
  encodeMetricParams,
  encodePolicyParams,
  epochHash,
  type LedgerHead,
  type Metric,
  networkId,
  type Point,
  verifyAnswer,
} from '@machinefi/proof'
import { defineSchema, schemaHash, signBatch, toRow } from '@machinefi/telemetry'
import { recoverMessageAddress } from 'viem/utils'
import type {
  Chain,
  ChainChallenge,
  ChainConfig,
  ChainMember,
  PostedEpoch,
  Posting,
} from '../src/chain/chain.js'
import { isPaid } from '../src/epochs/buildClaims.js'

export const walker = defineSchema({ id: 1, tickMs: 1000, fields: { steps: { unit: 'count' } } })

/** A chain in memory, with the rules of the settlement contract that a node can run into. */
export function createFakeChain(options: createFakeChain.Options = {}): FakeChain {
  const {
    genesis = toHex(randomBytes(32)),
    graceMs = 60_000,
    isPrivate = false,
    metric = { type: 'sum', field: 0, min: 0, max: 900 },
    firstWindow = 20_000,
    windowMs = 86_400_000,
    retentionMs = 30 * 86_400_000,
    challengeWindowMs = 3_600_000,
    maxRowsBytes = 4096,
    takeoverDelayMs = 3_600_000,
    threshold = 100n,
  } = options
  const config = encodeConfig({
    schema: walker.id,
    schemaHash: schemaHash(walker),
    fields: 1,
    tickMs: 1000,
    metric: new Uint8Array(20),
    metricParams: encodeMetricParams(metric),
    policy: new Uint8Array(20),
    policyParams: encodePolicyParams({ cap: 10n ** 24n, rate: 1n, threshold }),
    operator: new Uint8Array(20).fill(10),
    grace: graceMs / 1000,
    challengeWindow: challengeWindowMs / 1000,
    responseTime: 3600,
    takeoverDelay: takeoverDelayMs / 1000,
    retention: retentionMs / 1000,
    maxRowsBytes,
    minBond: 1n,
    coverage: 1n,
    challengeBond: 0n,
  })
  const serial = BigInt(options.serial ?? randomInt(2 ** 40))
  const factory = new Uint8Array(20).fill(5)
  const members: (ChainMember & { block: number; joinedIn: number })[] = []
  const epochs = new Map<number, PostedEpoch>()
  /** The latest attempts, void or not. */
  const latest = new Map<number, PostedEpoch>()
  const disputes: FakeChain['disputes'] = new Map()
  const own: Hex = `0x${'0a'.repeat(20)}`
  const chain: FakeChain = {
    network: {
      id: toHex(networkId({ chainId: 31337, factory, serial })),
      chainId: 31337,
      factory: toHex(factory),
      serial,
      registry: zero,
      settlement: zero,
      membership: `0x${'0e'.repeat(20)}`,
      token: zero,
      disputes: zero,
      isPrivate,
      windowSeconds: windowMs / 1000,
      firstWindow,
    },
    operator: own,
    operators: new Map([[own, { bond: 10n ** 18n, listed: true, logKey: undefined }]]),
    get bonded() {
      return chain.operators.get(own)!.logKey
    },
    set bonded(logKey) {
      chain.operators.get(own)!.logKey = logKey
    },
    failing: undefined,
    callsLeft: Number.POSITIVE_INFINITY,
    block: 0,
    time: firstWindow * windowMs,
    epochs,
    join(signer, { joinedAt = Math.floor(chain.time / 1000) - 1 } = {}) {
      const device = publicKeyToAddress(signer.publicKey)
      const block = ++chain.block
      members.push({
        block,
        joinedIn: block,
        device,
        slot: members.length,
        joinedAt,
        suspendedAt: 0,
        assurance: 'none',
        algorithm: signer.algorithm,
        publicKey: signer.publicKey,
      })
      return device
    },
    suspend(device, suspendedAt) {
      const member = members.find((member) => toHex(member.device) === toHex(device))!
      member.suspendedAt = suspendedAt
      member.block = ++chain.block
    },
    genesisHash: async () => genesis,
    operatorState: () => readOperator(own),
    as(operator, logKey) {
      chain.operators.set(operator, { bond: 10n ** 18n, listed: true, logKey })
      return Object.assign(Object.create(chain) as FakeChain, {
        operator,
        operatorState: () => readOperator(operator),
        post: (posting: Posting) => post(operator, posting),
      })
    },
    fetch,
    readers: new Map(),
    contracts: new Set(),
    access: (account, device) => {
      chain.asked.push('access')
      const { readers } = chain
      return answer(readers.get(account) ?? readers.get(`${account}/${device}`) ?? null)
    },
    asked: [],
    async isSigned({ account, message, signature }, by) {
      chain.asked.push(by)
      if (by === 'contract') return answer(chain.contracts.has(`${account}/${signature}`))
      const signer = await recoverMessageAddress({ message, signature }).catch(() => undefined)
      return signer?.toLowerCase() === account
    },
    balance: 10n ** 18n,
    challenges: (from, to, isKnown) =>
      answer(
        [...disputes.values()]
          .filter(({ block, id }) => block >= from && block <= to && !isKnown?.(id))
          .map(({ block: _, ...challenge }) => challenge),
      ),
    challengeStatus: (id) => answer(disputes.get(id)?.status ?? 'none'),
    challenge(window, point, { responseTimeMs = 3_600_000 } = {}) {
      const { attempt } = latest.get(window)!
      const id = toHex(randomBytes(32))
      const deadline = chain.time + responseTimeMs
      const block = ++chain.block
      disputes.set(id, { attempt, block, deadline, id, point, status: 'open', window })
      return id
    },
    disputes,
    sent: [],
    mining: Promise.resolve(),
    async answer({ answer: given, attempt, point, window }, onSent) {
      await answer(undefined)
      const epoch = epochs.get(window)
      const parent = epochs.get(window - 1)
      if (epoch?.attempt !== attempt) throw new Error('NotPending')
      const challenge = [...disputes.values()].find(
        (open) =>
          open.window === window &&
          open.attempt === attempt &&
          isDeepStrictEqual(structuredClone(open.point), structuredClone(point)),
      )
      const verdict = await verifyAnswer(point, given, {
        attempt,
        epochHash: fromHex(epoch.epochHash),
        ledger: toHead(epoch),
        member(device) {
          const member = members.find((member) => toHex(member.device) === toHex(device))
          return member ? { paid: isPaid(member, chain.windowOf(window)), slot: member.slot } : null
        },
        metric: metric.type,
        network: fromHex(chain.network.id),
        parent: parent ? toHead(parent) : null,
        schema: walker,
        window,
        windowSeconds: windowMs / 1000,
      })
      if (!verdict.ok) throw new Error(verdict.reason)
      if (challenge?.status !== 'open') throw new Error('NotOpen')
      if (chain.time >= challenge.deadline) throw new Error('DeadlineOver')
      const transaction = toHex(randomBytes(32))
      chain.sent.push({ id: challenge.id, transaction })
      onSent(transaction)
      await chain.mining
      if (challenge.status !== 'open') throw new Error('NotOpen')
      challenge.status = 'answered'
      await answer(undefined)
      return { gasUsed: 200_000n, transaction }
    },
    isPending: () => answer(false),
    hasten: () => answer(undefined),
    funds: () => answer({ balance: chain.balance, gasPrice: 10n ** 9n }),
    unmined: () => answer(chain.unminedCount),
    unminedCount: 0,
    windowOf: (window) => ({ end: (window + 1) * windowMs, start: window * windowMs }),
    void(window) {
      for (const later of [...epochs.keys()]) if (later >= window) epochs.delete(later)
    },
    head: () => {
      const hash = toHex(keccak256(new Uint8Array([chain.block, chain.time % 251])))
      return answer({ block: chain.block, hash, time: chain.time })
    },
    members: (from, to) =>
      answer(
        members
          .filter(({ block }) => block >= from && block <= to)
          .map(({ block: _, joinedIn: __, ...member }) => member),
      ),
    async member(device) {
      const member = members.find((member) => toHex(member.device) === toHex(device))
      if (!member) return answer(undefined)
      const { assurance, joinedAt, slot, suspendedAt } = member
      return answer({ assurance, joinedAt, slot, suspendedAt })
    },
    memberCount: (block) =>
      answer(
        block === undefined
          ? members.length
          : members.filter(({ joinedIn }) => joinedIn <= block).length,
      ),
    config: () =>
      answer({
        bytes: config,
        hash: toHex(keccak256(config)),
        schema: walker.id,
        schemaHash: schemaHash(walker),
        metric,
        threshold,
        rate: 1n,
        cap: 10n ** 24n,
        operator: own,
        graceMs,
        challengeWindowMs,
        responseTimeMs: 3_600_000,
        takeoverDelayMs,
        retentionMs,
        maxRowsBytes,
        minBond: 1n,
      } satisfies ChainConfig),
    nextWindow: () => answer(firstWindow + epochs.size),
    nextFinalWindow: () => {
      let next = firstWindow
      const isOpen = (window: number) =>
        [...disputes.values()].some((open) => open.status === 'open' && open.window === window)
      while (
        (epochs.get(next)?.challengeEndsAt ?? Number.POSITIVE_INFINITY) <= chain.time &&
        !isOpen(next)
      )
        next++
      return answer(next)
    },
    latest: (window) => {
      const { attempt, epochHash } = latest.get(window) ?? { attempt: 0, epochHash: noHash }
      return answer({ attempt, epochHash })
    },
    epoch: (window) => answer(latest.get(window)),
    post: (posting) => post(own, posting),
  }

  function readOperator(account: Hex) {
    const posted = [...epochs.values()].findLast(({ operator }) => operator === account)
    return answer({ ...chain.operators.get(account)!, posted: posted?.window })
  }

  async function post(operator: Hex, posting: Posting): Promise<PostedEpoch> {
    await answer(undefined)
    const { window } = posting
    const { bond, listed } = chain.operators.get(operator)!
    const due = (window + 1) * windowMs + graceMs + (operator === own ? 0 : takeoverDelayMs)
    if (window !== firstWindow + epochs.size) throw new Error('WindowOutOfOrder')
    if (chain.time < due) throw new Error('WindowNotOver')
    if (!listed) throw new Error('NotListed')
    if (bond < 1n) throw new Error('BondTooSmall')
    if (posting.parentHash !== (epochs.get(window - 1)?.epochHash ?? noHash))
      throw new Error('ParentMismatch')
    if (2 ** posting.depth < members.length) throw new Error('InvalidDepth')
    if (posting.ledgerTotal < (epochs.get(window - 1)?.ledgerTotal ?? 0n))
      throw new Error('TotalDecreased')
    const epoch = {
      ...posting,
      attempt: (latest.get(window)?.attempt ?? 0) + 1,
      operator,
      memberCount: members.length,
      configHash: toHex(keccak256(config)),
      challengeEndsAt: chain.time + challengeWindowMs,
      transaction: toHex(randomBytes(32)),
      block: ++chain.block,
      gasUsed: 100_000n,
    }
    const posted = {
      ...epoch,
      epochHash: toHex(
        epochHash({
          ...epoch,
          configHash: keccak256(config),
          network: fromHex(chain.network.id),
          parentHash: fromHex(posting.parentHash),
          windowSeconds: chain.network.windowSeconds,
        }),
      ),
    }
    epochs.set(window, posted)
    latest.set(window, posted)
    await answer(undefined)
    return posted
  }

  async function answer<value>(value: value): Promise<value> {
    if (chain.callsLeft-- <= 0) throw new Error('The chain does not answer.')
    if (chain.failing) throw chain.failing
    return structuredClone(value)
  }
  return chain
}

function toHead({ depth, ledgerRoot, ledgerTotal }: PostedEpoch): LedgerHead {
  return { depth, root: ledgerRoot, total: ledgerTotal }
}

export declare namespace createFakeChain {
  type Options = {
    serial?: number
    genesis?: Hex
    isPrivate?: boolean
    graceMs?: number
    metric?: Metric
    firstWindow?: number
    windowMs?: number
    retentionMs?: number
    challengeWindowMs?: number
    maxRowsBytes?: number
    takeoverDelayMs?: number
    threshold?: bigint
  }
}

export type FakeChain = Chain & {
  network: import('@machinefi/contracts').Network
  /** The named operator: the chain as it is sees it; others see it by `as`. */
  operator: Hex
  operators: Map<Hex, { bond: bigint; listed: boolean; logKey: Hex | undefined }>
  /** Address of the named operator's log key. */
  bonded: Hex | undefined
  /** The same chain, seen and posted to by another operator that is listed and bonded. */
  as(operator: Hex, logKey: Hex): FakeChain
  /** Since when who may read, in seconds: by account, or by account and device, `0x…/0x…`. */
  readers: Map<string, number>
  /** What contracts sign: account and signature, `0x…/0x…`. */
  contracts: Set<string>
  /** What was asked of it about readers. */
  asked: ('access' | 'key' | 'contract')[]
  /** What the account of the operator has, wei. */
  balance: bigint
  /** Opens a challenge to the latest attempt at a window. */
  challenge(window: number, point: Point, options?: { responseTimeMs?: number }): Hex
  disputes: Map<Hex, ChainChallenge & { block: number }>
  /** Answers that were sent, in order. */
  sent: { id: Hex; transaction: Hex }[]
  /** What answers wait for once they are sent. */
  mining: Promise<unknown>
  unminedCount: number
  windowOf(window: number): { end: number; start: number }
  /** Voids the epochs from a window on. */
  void(window: number): void
  /** What every call rejects with. */
  failing: Error | undefined
  /** How many calls are answered before it falls silent. */
  callsLeft: number
  block: number
  /** ms */
  time: number
  /** Those that stand. */
  epochs: Map<number, PostedEpoch>
  join(signer: Signer, options?: { joinedAt?: number }): Uint8Array
  suspend(device: Uint8Array, suspendedAt: number): void
}

export function createSigner(fill?: number, algorithm: Signer['algorithm'] = 'ES256'): Signer {
  return createSoftwareSigner({
    algorithm,
    privateKey: fill === undefined ? randomBytes(32) : new Uint8Array(32).fill(fill),
  })
}

/** A batch of minute steps. */
export function signSteps(options: {
  signer: Signer
  network: Uint8Array
  seq: number
  start: number
  steps?: readonly number[]
}) {
  const { network, seq, signer, start, steps = [10, 20, 30] } = options
  return signBatch({
    network,
    rows: steps.map((value, i) => toRow(walker, { time: start + i * 60_000, steps: value })),
    schema: walker,
    seq,
    signer,
  })
}

const noHash = toHex(new Uint8Array(32))
const zero: Hex = `0x${'00'.repeat(20)}`
