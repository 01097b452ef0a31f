import {
  type AnyClient,
  ContractError,
  challengeId,
  type Network,
  openChallenge,
  proveFraud,
  readChallenge,
  readChallengeBond,
  readChallenges,
  readCredit,
  readEpochStatus,
  readOperator,
  refundChallenge,
  toContractError,
  upholdChallenge,
  withdrawCredit,
} from '@machinefi/contracts'
import { BaseError, fromHex, type Hex } from '@machinefi/core'
import { type Challenge, type Proof, toPoint } from '@machinefi/proof'
import { type Account, type Address, formatEther } from 'viem'
import { getBalance, getBlock, getGasPrice, getTransactionReceipt } from 'viem/actions'
import { describe } from './checkLedger.js'
import type { AuditChain, AuditedEpoch } from './openAuditChain.js'
import type { AuditStore, KeptChallenge } from './openAuditStore.js'
import type { Finding, Verdict } from './Verdict.js'

/**
 * Acts on what an auditor found, with one account's money: opens what is
 * needed and no more, waits, upholds, takes refunds and rewards.
 *
 * What it has open is written down before it is sent and read from the chain
 * besides, so that it goes on where it was after a crash at any point. A point
 * that somebody else has challenged is left to them, until its time is over:
 * they may never uphold it, and nobody can challenge it again.
 */
export function createChallenger(options: createChallenger.Options): Challenger {
  const { account, chain, client, clock, dryRun, fromBlock, network, patienceMs, store } = options
  const own = account && (typeof account === 'string' ? account : account.address).toLowerCase()
  /** This account's challenges, as last read. */
  const mine = new Map<Hex, KnownChallenge>()
  /** Those of others that were open. */
  const others = new Map<Hex, KnownChallenge>()
  let cursor = fromBlock
  /** When an operator was first seen to keep something back, by epoch. */
  const withheldSince = new Map<Hex, number>()

  async function act(judge: () => Promise<readonly Judged[]>): Promise<Action[]> {
    const actions: Action[] = []
    const note: Note = (action) => void actions.push({ sent: !dryRun, ...action })
    await readNew()
    await settle(note)
    const slashed = new Set<Hex>()
    const judged = await judge()
    // What needs no answer comes first: the reward is then this account's, whatever others have left.
    for (const { epoch, verdict } of judged) {
      if (verdict.ok || slashed.has(epoch.operator)) continue
      if (await convict(epoch, verdict, note)) slashed.add(epoch.operator)
    }
    await settleOthers(note)
    for (const { epoch, verdict } of judged) {
      if (verdict.ok || slashed.has(epoch.operator)) continue
      // What fell by now needs nothing more.
      if (chain.epoch(epoch.epochHash)?.status !== 'void') await pursue(epoch, verdict, note)
    }
    if (slashed.size > 0) await settle(note)
    await collect(note)
    return actions
  }

  /** Reads challenges: what is new, and what became of this account's that were open. */
  async function readNew() {
    const to = BigInt(chain.block)
    if (cursor <= to)
      for (const challenge of await readChallenges(client, {
        fromBlock: cursor,
        network,
        toBlock: to,
      }))
        if (challenge.challenger === own) mine.set(challenge.id, challenge)
        else if (challenge.status === 'open') others.set(challenge.id, challenge)
    // Challenges of blocks that a reorganisation may replace are read again.
    cursor = to > reorganised ? to - reorganised : 0n
    for (const kept of store.challenges()) if (!mine.has(kept.id)) await recover(kept)
    for (const challenge of mine.values())
      if (challenge.status === 'open')
        challenge.status = (await readChallenge(client, { id: challenge.id, network })).status
  }

  /** A challenge that was written down and is not on chain: sent or not, nobody knows. */
  async function recover(kept: KeptChallenge) {
    const { attempt, bond, hash, id, window } = kept
    const { challenger, deadline, status } = await readChallenge(client, { id, network })
    if (status !== 'none' && challenger === own)
      mine.set(id, { attempt, bond, challenger, deadline, id, status, window })
    else if (!hash || (await isMined(hash))) store.dropChallenge(id)
  }

  async function isMined(hash: Hex): Promise<boolean> {
    try {
      await getTransactionReceipt(client, { hash })
      return true
    } catch {
      return false
    }
  }

  /** Upholds what nobody answered, takes back what an epoch's fall has left. */
  async function settle(note: Note) {
    for (const challenge of mine.values()) {
      const { attempt, id, status, window } = challenge
      if (status !== 'open') {
        store.dropChallenge(id)
        continue
      }
      const what = { id, window, attempt }
      await settling(note, challenge, async () => {
        if ((await readEpochStatus(client, { attempt, network, window })) === 'void') {
          if (!dryRun) await refundChallenge(client, { account, id, network })
          challenge.status = 'refunded'
          note({
            kind: 'refunded',
            text: `The epoch of window ${window} is void: ${formatEther(challenge.bond)} come back.`,
            wei: challenge.bond,
            ...what,
          })
        } else if (isOverdue(challenge)) await uphold(challenge, note)
        else
          note({
            kind: 'waiting',
            text: `A challenge to window ${window} can be answered until ${toTime(challenge.deadline)}.`,
            sent: false,
            ...what,
          })
      })
      if (challenge.status !== 'open') store.dropChallenge(id)
    }
  }

  /** Upholds what others have challenged and left. */
  async function settleOthers(note: Note) {
    for (const challenge of others.values()) {
      const { attempt, id, window } = challenge
      if (!isOverdue(challenge)) continue
      await settling(note, challenge, async () => {
        challenge.status = (await readChallenge(client, { id, network })).status
        if (challenge.status !== 'open') return
        const status = await readEpochStatus(client, { attempt, network, window })
        if (status === 'pending') await uphold(challenge, note)
        // Its bond is its challenger's to take back.
        else if (status === 'void') challenge.status = 'refunded'
      })
      if (challenge.status !== 'open') others.delete(id)
    }
  }

  const isOverdue = ({ deadline }: KnownChallenge) => chain.time > deadline * 1000

  /** Does what settles one challenge: one that cannot be settled keeps no other from it. */
  async function settling(note: Note, challenge: KnownChallenge, work: () => Promise<void>) {
    const { attempt, id, window } = challenge
    try {
      await work()
    } catch (error) {
      if (!(error instanceof ContractError)) throw error
      // Somebody else was faster: what became of it is read with the next call.
      if (isRevert(error, 'NotOpen', 'NotPending', 'NotVoid', 'NotStanding'))
        challenge.status = (await readChallenge(client, { id, network })).status
      else
        note({
          kind: 'refused',
          text: `The challenge to window ${window} is not settled. ${error.shortMessage}`,
          sent: false,
          ...{ id, window, attempt },
        })
    }
  }

  /** Upholds a challenge that nobody answered in time, whosever it is. */
  async function uphold(challenge: KnownChallenge, note: Note) {
    const { attempt, challenger, id, window } = challenge
    const what = { id, window, attempt }
    if (dryRun)
      return note({ kind: 'upheld', text: `Nobody has answered in window ${window}.`, ...what })
    const short = await isShortOf(upholdGas)
    if (short)
      return note({
        kind: 'short',
        text: `Nobody has answered in window ${window}. It is not upheld: that takes gas, and ${short}.`,
        sent: false,
        ...what,
      })
    const { hash, reward } = await upholdChallenge(client, { account, id, network })
    challenge.status = 'upheld'
    const isOwn = challenger === own
    const whose = isOwn ? 'are the reward' : `are the reward of ${challenger}, who challenged`
    note({
      kind: 'upheld',
      text: `Nobody answered: the operator of window ${window} is slashed, ${formatEther(reward)} ${whose}.`,
      ...(isOwn && { wei: reward }),
      hash,
      ...what,
    })
    await chain.refresh()
  }

  /** Proves what needs no answer. @returns whether the operator was slashed. */
  async function convict(epoch: AuditedEpoch, verdict: Verdict, note: Note): Promise<boolean> {
    const proofs = verdict.findings.filter(
      ({ certain, remedy }) => certain && remedy && isProof(remedy),
    )
    if (proofs.length === 0 || (await hasNothing(epoch))) return false
    for (const { remedy, text } of proofs)
      if (await prove(epoch, remedy as Proof, text, note)) return true
    return false
  }

  /** Challenges what is wrong with one epoch. */
  async function pursue(
    epoch: AuditedEpoch,
    { complete, findings }: Verdict,
    note: Note,
  ): Promise<void> {
    const { attempt, window } = epoch
    const usable = findings.filter((finding) => finding.remedy !== null)
    if (usable.length === 0) return
    const about = { window, attempt }
    if (await hasNothing(epoch))
      return note({
        kind: 'left',
        text: `The operator of window ${window} has nothing left to lose.`,
        sent: false,
        ...about,
      })
    if (epoch.status !== 'pending' || epoch.challengeEndsAt <= chain.time) {
      note({
        kind: 'late',
        text: `The time to challenge window ${window} is over.`,
        sent: false,
        ...about,
      })
      return
    }
    const open = [...mine.values()].filter(
      (each) => each.status === 'open' && each.window === window && each.attempt === attempt,
    )

    // One that nobody can answer is enough, whosever it is.
    const challenges = usable.filter(({ certain, remedy }) => certain && !isProof(remedy!))
    const points = challenges.map((finding) => toId(epoch, finding.remedy as Challenge))
    for (const [i, id] of points.entries()) {
      const { challenger, deadline, status } = await readChallenge(client, { id, network })
      if (status !== 'open') continue
      if (challenger !== own) leave(challenges[i]!, epoch, id, deadline, note)
      return
    }
    let failed = false
    for (const finding of challenges) {
      const outcome = await challenge(epoch, finding, note)
      failed ||= outcome === 'failed'
      if (outcome === 'answered' || outcome === 'refused' || outcome === 'failed') continue
      return
    }
    // It may well be taken the next time: until then nothing is staked on what is less certain.
    if (failed) return

    // What may be answered is asked for one after the other, as each answer shows where to go on.
    const guesses = usable.filter((finding) => !finding.certain)
    if (guesses.length === 0 || open.length > 0) return
    if (!complete && (await isPatient(epoch, guesses))) {
      note({
        kind: 'waiting',
        text: `The operator may still show its data of window ${window}.`,
        sent: false,
        ...about,
      })
      return
    }
    const most = await countAtOnce(epoch, guesses)
    let asked = 0
    for (const finding of guesses) {
      if (asked >= most) break
      const outcome = await challenge(epoch, finding, note)
      if (outcome === 'opened' || outcome === 'left') asked++
      if (outcome === 'short') break
    }
  }

  /** Whether an operator has no bond to lose. */
  async function hasNothing({ operator }: AuditedEpoch): Promise<boolean> {
    const { bond, leaving } = await readOperator(client, { fromBlock, network, operator })
    return bond + leaving === 0n
  }

  /** How many guesses are made at once: as many as it takes to come to an end in time. */
  async function countAtOnce(epoch: AuditedEpoch, guesses: readonly Finding[]): Promise<number> {
    const first = guesses[0]!
    const { responseTimeMs } = await chain.config(epoch.window)
    // The last round is for the one that nobody can answer.
    const rounds = Math.max(
      1,
      Math.floor((epoch.challengeEndsAt - chain.time) / responseTimeMs) - 1,
    )
    if (first.why === 'withheld-data' || first.why === 'unknown-node' || first.why === 'sample') {
      // A head shows nothing of the ledger: that is asked for in the same round.
      if (first.remedy?.kind === 'checkpoint') return 2
      if (first.remedy?.kind === 'reveal') return 1
      // Without a trace to compare, no step tells where to go on: each has its turn before the end.
      const steps = guesses.filter(({ remedy }) => remedy?.kind === 'step')
      return Math.max(4, Math.ceil(steps.length / rounds))
    }
    if (first.remedy?.kind !== 'step') return 1
    return Math.max(1, Math.ceil((guesses.length + 1) ** (1 / rounds)) - 1)
  }

  /** Whether there still is time to wait for data: one that was out of patience stays so. */
  async function isPatient(epoch: AuditedEpoch, guesses: readonly Finding[]): Promise<boolean> {
    const { challengeEndsAt, epochHash, window } = epoch
    const since = withheldSince.get(epochHash) ?? clock()
    withheldSince.set(epochHash, since)
    const left = challengeEndsAt - chain.time
    const half = (await chain.config(window)).challengeWindowMs / 2
    const isStranger = guesses.some(({ why }) => why === 'unknown-node')
    // Whoever has a node that was not given is not to blame, but must not get away with it either.
    const waits = isStranger
      ? left > half
      : clock() - since < patienceMs && left > Math.min(half, 2 * patienceMs)
    if (!waits) withheldSince.set(epochHash, Number.NEGATIVE_INFINITY)
    return waits && Number.isFinite(since)
  }

  async function prove(
    epoch: AuditedEpoch,
    proof: Proof,
    text: string,
    note: Note,
  ): Promise<boolean> {
    const { attempt, window } = epoch
    const what = { kind: 'proven', window, attempt } as const
    if (dryRun) {
      note({ ...what, text: `${text} It can be proven by ${describe(proof)}.` })
      return false
    }
    try {
      const parameters = { account, network }
      const { hash, reward } = await (proof.kind === 'truncation'
        ? proveFraud(client, { ...parameters, attempt, proof, window })
        : proveFraud(client, { ...parameters, proof }))
      note({
        ...what,
        hash,
        text: `${text} The operator is slashed, ${formatEther(reward)} are the reward.`,
        wei: reward,
      })
      await chain.refresh()
      return true
    } catch (error) {
      if (!(error instanceof ContractError)) throw error
      note({ kind: 'refused', text: `${text} ${error.shortMessage}`, window, attempt, sent: false })
      return false
    }
  }

  async function challenge(
    epoch: AuditedEpoch,
    finding: Finding,
    note: Note,
  ): Promise<'answered' | 'failed' | 'left' | 'opened' | 'refused' | 'short'> {
    const { attempt, window } = epoch
    const { text, why } = finding
    const remedy = finding.remedy as Challenge
    const id = toId(epoch, remedy)
    const about = { id, window, attempt, why }
    const before = await readChallenge(client, { id, network })
    if (before.status === 'open') {
      if (before.challenger !== own) leave(finding, epoch, id, before.deadline, note)
      return 'left'
    }
    if (before.status !== 'none') return 'answered'
    const bond = await readBond(window)
    const short = await isShort(epoch, bond)
    if (short) {
      note({ kind: 'short', text: `${text} ${short}`, sent: false, ...about })
      return 'short'
    }
    const challenged = `${text} Challenged: ${describe(remedy)}, ${formatEther(bond)} at stake.`
    if (dryRun) {
      note({ kind: 'opened', text: challenged, wei: bond, ...about })
      return 'opened'
    }
    const kept = { id, window, attempt, text, bond, hash: undefined as Hex | undefined }
    store.putChallenge(kept)
    try {
      const { deadline, hash } = await openChallenge(client, {
        account,
        attempt,
        bond,
        challenge: remedy.kind === 'step' ? nameDevice(remedy) : remedy,
        network,
        onHash: (hash) => store.putChallenge({ ...kept, hash }),
        window,
      })
      mine.set(id, { attempt, bond, challenger: own!, deadline, id, status: 'open', window })
      note({ kind: 'opened', text: challenged, hash, wei: bond, ...about })
      return 'opened'
    } catch (error) {
      if (!(error instanceof ContractError)) throw error
      store.dropChallenge(id)
      if (isRevert(error, 'AlreadyChallenged')) {
        const { deadline } = await readChallenge(client, { id, network })
        leave(finding, epoch, id, deadline, note)
        return 'left'
      }
      note({ kind: 'refused', text: `${text} ${error.shortMessage}`, sent: false, ...about })
      return error.revert ? 'refused' : 'failed'
    }
  }

  /** In a private network the contract asks for whom a step is, unless an auditor asks. */
  function nameDevice(step: Extract<Challenge, { kind: 'step' }>): Challenge {
    if (!network.isPrivate) return step
    const member = chain.members().find(({ slot }) => slot === step.slot)
    return { device: member?.device, ...step }
  }

  function leave(
    { text, why }: Finding,
    { attempt, window }: AuditedEpoch,
    id: Hex,
    deadline: number,
    note: Note,
  ) {
    note({
      kind: 'left',
      text: `${text} Somebody else has challenged that; it can be answered until ${toTime(deadline)}.`,
      sent: false,
      ...{ id, window, attempt, why },
    })
  }

  /** What is asked for, and would be if the base fee rose by half. */
  async function readBond(window: number): Promise<bigint> {
    try {
      const { baseFeePerGas } = await getBlock(client)
      const baseFee = ((baseFeePerGas ?? 0n) * 3n) / 2n
      return await readChallengeBond(client, { baseFee, network, window })
    } catch (error) {
      throw toContractError(error, { address: network.disputes, functionName: 'challengeBond' })
    }
  }

  /** Why a bond cannot be put in, if so. */
  async function isShort(epoch: AuditedEpoch, bond: bigint): Promise<string | undefined> {
    let staked = 0n
    for (const { attempt, bond, status, window } of mine.values()) {
      const isLost = status === 'answered' && window === epoch.window && attempt === epoch.attempt
      if (status === 'open' || isLost) staked += bond
    }
    const most = options.maxStake ?? defaultStakes * bond
    if (staked + bond > most)
      return `It is not challenged: that takes ${formatEther(bond)}, and ${formatEther(staked)} of at most ${formatEther(most)} are at stake or lost already.`
    if (dryRun) return undefined
    const short = await isShortOf(challengeGas, bond)
    return short && `It is not challenged: that takes ${formatEther(bond)} and gas, and ${short}.`
  }

  /** What the account has, if that is not enough for some gas and a value. */
  async function isShortOf(gas: bigint, value = 0n): Promise<string | undefined> {
    try {
      const balance = await getBalance(client, { address: own as Address })
      const needed = value + (await getGasPrice(client)) * gas
      return balance < needed ? `${own} has ${formatEther(balance)}` : undefined
    } catch (error) {
      throw toContractError(error, { functionName: 'balance' })
    }
  }

  /** Takes what disputes owe. */
  async function collect(note: Note) {
    if (!own) return
    const credit = await readCredit(client, { account: own as Address, network })
    if (credit === 0n) return
    const text = `${formatEther(credit)} of bonds and rewards are paid out.`
    if (dryRun) return note({ kind: 'withdrawn', text, wei: credit })
    const { amount, hash } = await withdrawCredit(client, { account, network })
    note({ kind: 'withdrawn', text, hash, wei: amount })
  }

  function toId({ attempt, window }: AuditedEpoch, remedy: Challenge): Hex {
    return challengeId({ attempt, point: toPoint(remedy, fromHex(network.id)), window })
  }

  return { act }
}

export declare namespace createChallenger {
  type Options = {
    /** Who challenges; undefined only where nothing is sent. */
    account: Account | Address | undefined
    chain: AuditChain
    client: AnyClient
    clock: () => number
    /** Says what it would do, and sends nothing. */
    dryRun: boolean
    fromBlock: bigint
    /** Most wei that may be open, or lost on one epoch. @default 16 bonds */
    maxStake: bigint | undefined
    network: Network
    /** How long an operator may keep data back before it is asked for on chain. */
    patienceMs: number
    store: AuditStore
  }
}

export type Challenger = {
  /**
   * Settles what is open, then acts on the verdicts that `judge` comes to, earliest window first;
   * resolves to what was done, or is waited for.
   */
  act(judge: () => Promise<readonly Judged[]>): Promise<Action[]>
}

export type Judged = { epoch: AuditedEpoch; verdict: Verdict }

/** Something that an auditor did, or leaves. */
export type Action = {
  /**
   * - `opened`: a challenge · `proven`: fraud that needs no answer · `upheld`, `refunded`, `withdrawn`
   * - `waiting`: for an answer, a deadline, or data · `left`: somebody else does it
   * - `short`: there is not enough money, or more must not be at stake · `late`: the time is over
   * - `refused`: the contract did not take it
   */
  kind:
    | 'late'
    | 'left'
    | 'opened'
    | 'proven'
    | 'refunded'
    | 'refused'
    | 'short'
    | 'upheld'
    | 'waiting'
    | 'withdrawn'
  /** A sentence for people. */
  text: string
  /** Whether a transaction was sent. */
  sent: boolean
  window?: number
  attempt?: number
  /** Of the challenge. */
  id?: Hex
  why?: Finding['why']
  /** Staked, won or paid out. */
  wei?: bigint
  hash?: Hex
}

type Note = (action: Omit<Action, 'sent'> & { sent?: boolean }) => void

type KnownChallenge = {
  attempt: number
  bond: bigint
  /** Who opened it, in lower case. */
  challenger: string
  /** Unix seconds. */
  deadline: number
  id: Hex
  status: 'answered' | 'none' | 'open' | 'refunded' | 'upheld'
  window: number
}

function isProof(remedy: Challenge | Proof): remedy is Proof {
  return remedy.kind === 'fork' || remedy.kind === 'truncation' || remedy.kind === 'equivocation'
}

function isRevert(error: unknown, ...names: string[]): boolean {
  return error instanceof ContractError && names.includes(error.revert?.name ?? '')
}

const toTime = (seconds: number) => new Date(seconds * 1000).toISOString().replace('.000Z', 'Z')

/** Blocks that are read again. */
const reorganised = 32n
const defaultStakes = 32n
/** More than a challenge takes. */
const challengeGas = 600_000n
/** More than it takes to uphold one. */
const upholdGas = 300_000n

/** Nothing can be sent without an account. */
export class AuditAccountMissingError extends BaseError {
  override readonly name = 'AuditAccountMissingError'
  constructor() {
    super('An auditor needs an account to challenge with.', {
      kind: 'input',
      metaMessages: ['Give one, or let it only look (dryRun).'],
    })
  }
}
