import { setImmediate } from 'node:timers/promises'
import { BaseError, type Hex } from '@machinefi/core'
import { UnanswerableError } from '@machinefi/proof'
import type { ChainChallenge, ChallengeStatus } from '../chain/chain.js'
import type { Settler } from '../epochs/createSettler.js'
import type { EpochStore } from '../epochs/openEpochStore.js'
import { ChallengeError, NoAnswerError, tellError } from '../errors.js'
import type { OpenNetwork } from '../network/openNetwork.js'
import type { Store } from '../store/openStore.js'
import { toAnswer } from './toAnswer.js'

/**
 * Answers the challenges to what this operator has posted: one that nobody
 * answers before its deadline costs the operator its bond. What is open is read
 * from the chain, all of it at the start and what is new with every round, so
 * nothing has to be remembered over a restart. The nearest deadline comes first,
 * some at a time; what fails is tried again until the deadline, and said aloud
 * meanwhile.
 */
export function createAnswerer(options: createAnswerer.Options): Answerer {
  const { epochs, maxAnswers, onAnswer, onError } = options
  const networks = new Map<OpenNetwork, State>()
  const working = new Set<Promise<void>>()
  let closed = false

  function stateOf(open: OpenNetwork): State {
    let state = networks.get(open)
    if (!state) {
      state = {
        answered: 0,
        challenges: new Map(),
        cursor: undefined,
        funds: undefined,
        inFlight: 0,
        isClear: false,
        owners: new Map(),
        problem: undefined,
        reading: undefined,
        settled: new Map(),
        startedAt: performance.now(),
      }
      networks.set(open, state)
    }
    return state
  }

  /** Reads what was opened up to the last block that is known, one call at a time. */
  function read(open: OpenNetwork): Promise<void> {
    const state = stateOf(open)
    state.reading ??= (async () => {
      try {
        await readNew(open, state)
        state.problem = undefined
      } catch (error) {
        state.problem = `Challenges cannot be read: ${tellError(error)}`
        throw error
      } finally {
        state.reading = undefined
      }
    })()
    return state.reading
  }

  async function readNew(open: OpenNetwork, state: State) {
    const { chain, status } = open
    state.cursor ??= await findStart(open)
    const to = status.head
    if (to > state.cursor) {
      const isKnown = (id: Hex) => state.challenges.has(id) || state.settled.has(id)
      for (const challenge of await chain.challenges(state.cursor + 1, to, isKnown))
        if (challenge.status === 'open' && (await isOwn(open, state, challenge)))
          state.challenges.set(challenge.id, track(challenge))
      // The last blocks are read again: a reorganisation can put a challenge into one that was read,
      // and an endpoint can be behind the one that told the head.
      state.cursor = Math.max(state.cursor, to - rereadBlocks)
    }
    const now = performance.now()
    for (const tracked of [...state.challenges.values()]) {
      // Nothing more can be done for it, until the chain says what became of it.
      if (isOver(open, tracked) && !tracked.isInFlight) await look(open, state, tracked)
      if (now - tracked.sentAt > hastenMs) {
        for (const each of state.challenges.values()) if (each.sent) each.sentAt = now
        // What is not taken this time keeps no other challenge from being read and answered.
        await chain.hasten().catch(onError)
      }
    }
    // A reorganisation of the chain may have taken an answer back.
    for (const [id, { challenge, checkAt }] of state.settled) {
      if (status.time < checkAt) continue
      if ((await statusOf(open, challenge)) === 'open') state.challenges.set(id, track(challenge))
      state.settled.delete(id)
    }
  }

  function forget({ status }: OpenNetwork, state: State, { challenge }: Tracked) {
    state.challenges.delete(challenge.id)
    const checkAt = (status.time + challenge.deadline) / 2
    if (checkAt > status.time) state.settled.set(challenge.id, { challenge, checkAt })
  }

  /** The block after which all open challenges to epochs of this operator were opened. */
  async function findStart({ chain, state, status }: OpenNetwork): Promise<number> {
    if (status.operator?.posted === undefined) return status.head
    const from = await chain.nextFinalWindow()
    const blocks = epochs
      .epochs(state.number, from - 1, Number.MAX_SAFE_INTEGER)
      .filter(({ posted }) => posted?.operator === chain.operator)
      .map(({ posted }) => posted!.block)
    // Without any, something may have been posted that is not in the store yet.
    return blocks.length === 0 ? -1 : Math.min(...blocks) - 1
  }

  async function isOwn(
    { chain, state: { number } }: OpenNetwork,
    { owners }: State,
    { attempt, window }: ChainChallenge,
  ): Promise<boolean> {
    const stored = epochs.attempt(number, window, attempt)
    if (stored?.posted) return stored.posted.operator === chain.operator
    const key = `${window}/${attempt}`
    if (!owners.has(key)) {
      const posted = await chain.epoch(window)
      // An endpoint that is behind has not heard of it yet.
      if (!posted || posted.attempt < attempt) return false
      owners.set(key, posted.attempt === attempt ? posted.operator : undefined)
    }
    return owners.get(key) === chain.operator
  }

  /** Answers what is open and due. */
  async function drain(open: OpenNetwork): Promise<void> {
    const state = stateOf(open)
    if (!pick(open, state) || !(await isClear(open, state))) return
    await checkFunds(open, state)
    const work = async () => {
      for (;;) {
        const next = state.inFlight < maxAnswers ? pick(open, state) : undefined
        if (!next) return
        next.isInFlight = true
        state.inFlight++
        try {
          await attempt(open, state, next)
        } finally {
          next.isInFlight = false
          state.inFlight--
        }
        await setImmediate()
      }
    }
    await Promise.all(Array.from({ length: maxAnswers }, work))
  }

  /** The nearest deadline of those that can be tried now. */
  function pick(open: OpenNetwork, state: State): Tracked | undefined {
    if (closed) return undefined
    const now = performance.now()
    let first: Tracked | undefined
    for (const tracked of state.challenges.values()) {
      if (tracked.isInFlight || tracked.notBefore > now || isOver(open, tracked)) continue
      if (!first || tracked.challenge.deadline < first.challenge.deadline) first = tracked
    }
    return first
  }

  /**
   * Whether nothing is under way that this process knows nothing of: what was sent before a restart
   * is not sent again. Only for a while: there may be a transaction that no block ever takes.
   */
  async function isClear({ chain }: OpenNetwork, state: State): Promise<boolean> {
    const isPatient = performance.now() - state.startedAt < patienceMs
    if (!state.isClear && state.inFlight === 0 && isPatient && (await chain.unmined()) > 0)
      return false
    state.isClear = true
    return true
  }

  async function checkFunds({ chain }: OpenNetwork, state: State) {
    const { balance, gasPrice } = await chain.funds()
    const { size } = state.challenges
    const needed = BigInt(size) * answerGas * gasPrice
    state.funds =
      balance < needed
        ? `The operator's balance is too low to answer ${size} open challenges: ${balance} wei of about ${needed}.`
        : undefined
  }

  async function attempt(open: OpenNetwork, state: State, tracked: Tracked) {
    const { chain } = open
    const { attempt, id, point, window } = tracked.challenge
    try {
      if (tracked.sent) {
        if (await chain.isPending(tracked.sent))
          throw new BaseError('An answer is sent, and in no block yet.', { kind: 'transport' })
        if (!(await look(open, state, tracked))) return
      }
      const epoch = epochs.attempt(open.state.number, window, attempt)
      if (!epoch?.posted) throw new NoAnswerError('The epoch is not one of this data directory.')
      const answer = await toAnswer({ ...options, epoch, open, point })
      if (closed) return
      const { gasUsed, transaction } = await chain.answer(
        { answer, attempt, point, window },
        (hash) => {
          tracked.sent = hash
          tracked.sentAt = performance.now()
        },
      )
      forget(open, state, tracked)
      state.answered++
      onAnswer?.(open, { attempt, gasUsed, id, kind: point.kind, transaction, window })
    } catch (error) {
      if (closed) return
      // Somebody else was faster, or the epoch is void by now.
      if (!(await look(open, state, tracked).catch(() => true))) return
      tracked.failures++
      const left = Math.max(0, tracked.challenge.deadline - open.status.time)
      const delayMs = Math.min(firstDelayMs * 2 ** tracked.failures, mostDelayMs, left / 8)
      tracked.notBefore = performance.now() + delayMs
      fail(tracked, error)
    }
  }

  /** Whether a challenge still has to be answered; forgets it if not. */
  async function look(open: OpenNetwork, state: State, tracked: Tracked): Promise<boolean> {
    const status = await statusOf(open, tracked.challenge)
    if (status === 'answered') state.answered++
    if (status !== 'open') forget(open, state, tracked)
    else if (isOver(open, tracked)) fail(tracked, new NoAnswerError('The deadline is over.'))
    return status === 'open'
  }

  /** What became of a challenge; `refunded` too where it can be, as the epoch is void. */
  async function statusOf(
    { chain }: OpenNetwork,
    { attempt, id, window }: ChainChallenge,
  ): Promise<ChallengeStatus> {
    const status = await chain.challengeStatus(id)
    if (status !== 'open') return status
    const stands =
      (await chain.nextWindow()) > window && (await chain.latest(window)).attempt === attempt
    return stands ? 'open' : 'refunded'
  }

  /** Says it aloud, once for each reason. */
  function fail(tracked: Tracked, cause: unknown) {
    const { challenge, problem } = tracked
    const error = new ChallengeError(challenge, tellError(cause), cause)
    const isNew = problem?.error.shortMessage !== error.shortMessage
    // What an endpoint refuses may pass; what the store does not have will not come back.
    const isFinal =
      cause instanceof UnanswerableError ||
      cause instanceof NoAnswerError ||
      (cause instanceof BaseError && cause.kind === 'contract')
    tracked.problem = { error, isFinal }
    if (isNew) onError(error)
  }

  function drainAll(open: OpenNetwork): Promise<void> {
    const work = drain(open).finally(() => working.delete(work))
    working.add(work)
    return work
  }

  return {
    async answer(open) {
      await read(open)
      await drainAll(open)
    },
    async follow(open) {
      await read(open)
      drainAll(open).catch((error) => {
        if (!closed) onError(error)
      })
    },
    stats(open) {
      const { answered, challenges } = stateOf(open)
      const unanswerable = [...challenges.values()].filter(({ problem }) => problem?.isFinal)
      return { answered, open: challenges.size, unanswerable: unanswerable.length }
    },
    problems(open) {
      const { challenges, funds, problem } = stateOf(open)
      const failing = [...challenges.values()]
        .filter(({ problem }) => problem)
        .sort((a, b) => a.challenge.deadline - b.challenge.deadline)
        .map(({ problem }) => problem!.error.shortMessage)
      const more = failing.splice(mostProblems).length
      if (more > 0) failing.push(`${more} more challenges are not answered.`)
      return [problem, challenges.size > 0 ? funds : undefined, ...failing].filter(
        (text) => text !== undefined,
      )
    },
    async close() {
      closed = true
      await Promise.allSettled(working)
    },
  }
}

export declare namespace createAnswerer {
  type Options = {
    epochs: EpochStore
    /** Answers of one network under way at a time. */
    maxAnswers: number
    onAnswer?: ((network: OpenNetwork, answered: AnsweredChallenge) => void) | undefined
    /** Told of everything that keeps a challenge from being answered. */
    onError: (error: unknown) => void
    settler: Settler
    store: Store
  }
}

export type Answerer = {
  /** Reads what is new and tries everything that is due; resolves once it is in blocks, or failed. */
  answer(network: OpenNetwork): Promise<void>
  /** The same, but resolves once it is read. */
  follow(network: OpenNetwork): Promise<void>
  /** Challenges to epochs of this operator. */
  stats(network: OpenNetwork): { answered: number; open: number; unanswerable: number }
  /** What stands in the way of answering. */
  problems(network: OpenNetwork): string[]
  /** Begins nothing more; resolves once nothing is under way. */
  close(): Promise<void>
}

export type AnsweredChallenge = {
  id: Hex
  window: number
  attempt: number
  kind: ChainChallenge['point']['kind']
  transaction: Hex
  gasUsed: bigint
}

type State = {
  answered: number
  /** Those that are open. */
  challenges: Map<Hex, Tracked>
  /** Last block whose challenges are known. */
  cursor: number | undefined
  /** Set while the account has too little. */
  funds: string | undefined
  inFlight: number
  isClear: boolean
  /** Who posted what is not in the store, by window and attempt. */
  owners: Map<string, Hex | undefined>
  /** Those that are done with, until it is sure. */
  settled: Map<Hex, { challenge: ChainChallenge; checkAt: number }>
  /** Why challenges cannot be read. */
  problem: string | undefined
  reading: Promise<void> | undefined
  startedAt: number
}

type Tracked = {
  readonly challenge: ChainChallenge
  failures: number
  isInFlight: boolean
  /** By `performance.now`. */
  notBefore: number
  problem: { error: ChallengeError; isFinal: boolean } | undefined
  /** The last transaction with its answer, and when it was sent, by `performance.now`. */
  sent: Hex | undefined
  sentAt: number
}

function track(challenge: ChainChallenge): Tracked {
  return {
    challenge,
    failures: 0,
    isInFlight: false,
    notBefore: 0,
    problem: undefined,
    sent: undefined,
    sentAt: Number.POSITIVE_INFINITY,
  }
}

function isOver({ status }: OpenNetwork, { challenge }: Tracked): boolean {
  return status.time >= challenge.deadline
}

/** What an answer of usual length costs at most (docs/protocol/disputes.md). */
const answerGas = 600_000n
/** The blocks behind the head that are read with every round. */
const rereadBlocks = 32
const firstDelayMs = 500
const mostDelayMs = 60_000
/** How long a block may take until more is offered for an answer. */
const hastenMs = 60_000
/** How long what was sent before a restart is waited for. */
const patienceMs = 60_000
/** Named one by one in `/health`. */
const mostProblems = 10
