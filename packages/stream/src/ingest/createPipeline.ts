import { equalBytes, publicKeyToAddress, type Signer, sha256 } from '@machinefi/core'
import { verifySignatureSync } from '@machinefi/core/node'
import {
  createLog,
  decodeCheckpoint,
  encodeReceipt,
  type Log,
  signCheckpoint,
} from '@machinefi/proof'
import { checkRecords, type Schema, type SignedBatch, sigStructure } from '@machinefi/telemetry'
import { StoreFailedError } from '../errors.js'
import type { Member, MemberTable } from '../network/createMemberTable.js'
import { type Problem, toProblem } from '../problems.js'
import type { Commit, Store } from '../store/openStore.js'

/**
 * The way of a batch: known network, member, schema, limits, time, signature,
 * new (device, seq), durable, in the log, receipt. Signatures are checked in
 * slices, so that the event loop is never held for long; what passes is
 * committed in groups: one write, one checkpoint signature for all of it.
 */
export function createPipeline(options: createPipeline.Options): Pipeline {
  const { clock, operator, refreshMembers, signer, store } = options
  const logKey = publicKeyToAddress(signer.publicKey)
  const { commitDelayMs, maxCommit, maxCommitDelayMs, maxPending, maxPendingBytes, maxSkewMs } =
    options.limits
  const stats: PipelineStats = {
    accepted: 0,
    duplicates: 0,
    late: 0,
    refused: new Map(),
    commits: 0,
    commitMs: 0,
    pending: 0,
  }

  /** Jobs whose checks are still to be done, from `head` on. */
  let queue: Job[] = []
  let head = 0
  let pumping = false
  /** Jobs that passed, for the next commit. */
  const group: Job[] = []
  let timer: NodeJS.Timeout | undefined
  let pendingBytes = 0
  let failure: StoreFailedError | undefined
  let closed = false
  /** Commits and everything that must happen between two of them, in order. */
  let tail: Promise<unknown> = Promise.resolve()
  let committing = false
  let idle: (() => void)[] = []

  function submit(
    network: NetworkState,
    items: readonly (SignedBatch | Problem)[],
  ): Promise<Outcome[]> {
    const outcomes: Outcome[] = new Array(items.length)
    const refuse = (position: number, problem: Problem) => {
      outcomes[position] = { ok: false, problem }
      count(problem.reason)
    }
    let left = 0
    let bytes = 0
    for (const [position, item] of items.entries()) {
      if (!('bytes' in item)) refuse(position, item)
      else {
        left++
        bytes += item.bytes.length
      }
    }
    if (left === 0) return Promise.resolve(outcomes)
    const refusal = refuseAll(network, left, bytes)
    if (refusal) {
      for (const [position, item] of items.entries()) if ('bytes' in item) refuse(position, refusal)
      return Promise.resolve(outcomes)
    }
    stats.pending += left
    pendingBytes += bytes
    return new Promise((resolve) => {
      const settle = (job: Job, outcome: Outcome) => {
        if (outcomes[job.position]) return
        outcomes[job.position] = outcome
        stats.pending--
        pendingBytes -= job.batch.bytes.length
        if (!outcome.ok) count(outcome.problem.reason)
        else if (outcome.duplicate) stats.duplicates++
        if (--left === 0) resolve(outcomes)
        if (stats.pending === 0) for (const wake of idle.splice(0)) wake()
      }
      for (const [position, batch] of items.entries()) {
        if (!('bytes' in batch)) continue
        queue.push({
          batch,
          device: 0,
          end: 0,
          envelope: empty,
          followers: undefined,
          id: empty,
          late: false,
          member: undefined,
          network,
          position,
          records: empty,
          refreshed: false,
          seq: 0,
          settle,
        })
      }
      if (!pumping) {
        pumping = true
        setImmediate(pump)
      }
    })
  }

  function count(reason: Problem['reason']) {
    stats.refused.set(reason, (stats.refused.get(reason) ?? 0) + 1)
  }

  /** Why nothing can be taken in at present, if so. */
  function refuseAll(network: NetworkState, batches: number, bytes: number): Problem | undefined {
    if (failure) return toProblem('unavailable', failure.shortMessage)
    if (closed) return toProblem('unavailable', 'The node is shutting down.', 5)
    // What this key signs from the change on binds nobody.
    if (network.foreignKey)
      return toProblem('unavailable', 'Its operator has changed the log key.', 60)
    if (clock() < network.arrived - maxSkewMs)
      return toProblem(
        'clock',
        'Its clock was set back; it will not date a checkpoint wrongly.',
        60,
      )
    // A body that is larger than the bounds may still pass alone.
    if (
      stats.pending > 0 &&
      (stats.pending + batches > maxPending || pendingBytes + bytes > maxPendingBytes)
    )
      return toProblem('overloaded', undefined, 1)
    return undefined
  }

  function pump() {
    for (let checked = 0; checked < slice && head < queue.length; checked++) {
      const job = queue[head++]!
      try {
        check(job)
      } catch (error) {
        // A fault of the node's, in one batch: never the end of all.
        job.settle(job, { ok: false, problem: toProblem('internal') })
        options.onError(error)
      }
    }
    if (head === queue.length) {
      queue = []
      head = 0
      pumping = false
      // Nothing more to check: what waits for company has all there is.
      if (timer !== undefined && group.length >= bulk) commitSoon()
    } else setImmediate(pump)
    if (group.length >= maxCommit) commitSoon()
    else if (group.length > 0 && timer === undefined) wait(commitDelayMs)
  }

  function check(job: Job) {
    const { batch, network } = job
    const refuse = (problem: Problem) => job.settle(job, { ok: false, problem })
    if (failure) return refuse(toProblem('unavailable', failure.shortMessage))
    const member = network.members.get(batch.device)
    if (!member) {
      const refresh = job.refreshed ? undefined : refreshMembers(network)
      if (!refresh) return refuse(toProblem('unknown-device'))
      job.refreshed = true
      const again = () => {
        queue.push(job)
        if (!pumping) {
          pumping = true
          setImmediate(pump)
        }
      }
      refresh.then(again, again)
      return
    }
    if (member.algorithm !== batch.algorithm)
      return refuse(toProblem('key', `It signs with ${member.algorithm}.`))
    const { header, records } = batch
    if (member.suspendedAt !== 0 && header.start >= member.suspendedAt * 1000)
      return refuse(toProblem('suspended'))
    const schema = network.rules.schemas.get(header.schema)
    if (!schema) return refuse(toProblem('schema', `Schema ${header.schema} is not known here.`))
    if (records && records.length > network.rules.maxRowsBytes)
      return refuse(
        toProblem('too-large', `${records.length} bytes; at most ${network.rules.maxRowsBytes}.`),
      )
    const now = clock()
    if (header.start + header.span > now + maxSkewMs)
      return refuse(
        toProblem(
          'future',
          `It ends ${header.start + header.span - now} ms after the node's clock.`,
        ),
      )
    if (header.start < now - network.rules.retentionMs)
      return refuse(toProblem('too-old', `Retention is ${network.rules.retentionMs} ms.`))
    const verdict = checkRecords(batch, schema)
    if (!verdict.ok) return refuse(toProblem(verdict.reason, verdict.message))
    const message = sigStructure(batch, network.id)
    const { algorithm, publicKey } = member
    if (!verifySignatureSync({ algorithm, message, publicKey, signature: batch.signature }))
      return refuse(toProblem('signature'))
    job.member = member
    job.id = sha256(message)
    job.device = member.number
    job.seq = header.seq
    job.end = header.start + header.span
    job.envelope = batch.bytes.subarray(1, envelopeEnd(batch.bytes, records!))
    job.records = records!
    place(job, member)
  }

  /** Decides whether a genuine batch is new, a duplicate, or contradicts another. */
  function place(job: Job, member: Member) {
    const { seq } = job.batch.header
    const pending = member.pending?.get(seq) as Job | undefined
    if (pending) {
      // What it is cannot be said before the first of this seq is on disk.
      pending.followers ??= []
      pending.followers.push(job)
      return
    }
    if (member.nextSeq < 0) member.nextSeq = store.nextSeq(member.number)
    if (seq < member.nextSeq) {
      const known = store.find(member.number, seq)
      if (known) return answerKnown(job, member, known)
    } else member.nextSeq = seq + 1
    member.pending ??= new Map()
    member.pending.set(seq, job)
    group.push(job)
  }

  /** The answer to a batch whose (device, seq) is in the log. */
  function answerKnown(job: Job, member: Member, known: { index: number; id: Uint8Array }) {
    const { batch, id, network } = job
    if (Buffer.compare(known.id, id) !== 0) {
      store.addEvidence({
        at: clock(),
        batch: batch.bytes,
        device: member.number,
        first: known.index,
        id,
        seq: batch.header.seq,
      })
      return job.settle(job, {
        ok: false,
        problem: toProblem(
          'equivocation',
          `Seq ${batch.header.seq} is entry ${known.index} of the log.`,
        ),
      })
    }
    let checkpoint = store.checkpoint(network.number, known.index + 1)!
    // A device may know no key but the one of now; the last head is always signed with it.
    if (!equalBytes(decodeCheckpoint(checkpoint.bytes).logKey, logKey))
      checkpoint = store.lastCheckpoint(network.number)!
    const proof = network.log.inclusionProof(known.index, checkpoint.size)
    job.settle(job, {
      ok: true,
      duplicate: true,
      index: known.index,
      late: store.batch(network.number, known.index)!.late,
      receipt: encodeReceipt({ checkpoint: checkpoint.bytes, index: known.index, proof }),
    })
  }

  function wait(delayMs: number) {
    timer = setTimeout(() => {
      timer = undefined
      // Under load a larger commit costs each of its batches less; the signatures that are still
      // to be checked would keep the commit waiting for the processor anyway.
      if (pumping && delayMs < maxCommitDelayMs) wait(maxCommitDelayMs)
      else commitSoon()
    }, delayMs)
  }

  function commitSoon() {
    clearTimeout(timer)
    timer = undefined
    // While one commit waits for its signature, the next group grows.
    if (committing) return
    committing = true
    void exclusive(async () => {
      try {
        while (group.length > 0 && !failure) await commitAll(group.splice(0, maxCommit))
      } finally {
        committing = false
      }
    })
  }

  /** Answers every job, whatever happens. What is on disk gets its receipt when it comes again. */
  async function commitAll(jobs: readonly Job[]) {
    try {
      await commit(jobs)
    } catch (error) {
      // A log that is not the one on disk is never signed again.
      if (jobs.some(({ network }) => network.log.size !== network.size))
        failure = new StoreFailedError(error)
      for (const job of [...jobs, ...(failure ? group.splice(0) : [])])
        abandon(job, toProblem('internal'))
      options.onError(error)
    }
  }

  async function commit(jobs: readonly Job[]) {
    const started = performance.now()
    const byNetwork = new Map<NetworkState, Job[]>()
    for (const job of jobs) {
      const list = byNetwork.get(job.network)
      if (list) list.push(job)
      else byNetwork.set(job.network, [job])
    }
    const commits: (Commit & { state: NetworkState; jobs: Job[] })[] = []
    try {
      for (const [state, jobs] of byNetwork) {
        const arrived = Math.max(clock(), state.arrived)
        for (const job of jobs) {
          state.log.append(job.id)
          job.late = job.batch.header.start < state.cutEnd
        }
        const time = Math.floor(arrived / 1000) * 1000
        const { log } = state
        const bytes = await signCheckpoint({
          network: state.id,
          operator,
          root: log.root(),
          shard: 0,
          signer,
          size: log.size,
          time,
        })
        commits.push({
          arrived,
          batches: jobs,
          checkpoint: { bytes, time },
          first: state.size,
          jobs,
          network: state.number,
          state,
        })
      }
    } catch (error) {
      // The signer failed: nothing was promised, so the log goes back to what is on disk.
      for (const [state, jobs] of byNetwork) {
        state.log = createLog(store.ids(state.number))
        for (const job of jobs) abandon(job, toProblem('unavailable', 'The log key failed.', 5))
      }
      options.onError(error)
      return
    }
    try {
      store.append(commits)
    } catch (error) {
      failure = new StoreFailedError(error)
      for (const job of [...jobs, ...group.splice(0)])
        abandon(job, toProblem('unavailable', failure.shortMessage))
      options.onError(failure)
      return
    }
    for (const { arrived, first, jobs, state } of commits) {
      state.arrived = arrived
      state.size = first + jobs.length
    }
    for (const { checkpoint, first, jobs, state } of commits) {
      for (let i = 0; i < jobs.length; i++) {
        const job = jobs[i]!
        const index = first + i
        const { late } = job
        const proof = state.log.inclusionProof(index, state.size)
        const receipt = encodeReceipt({ checkpoint: checkpoint.bytes, index, proof })
        const followers = release(job)
        stats.accepted++
        if (late) stats.late++
        job.settle(job, { ok: true, duplicate: false, index, late, receipt })
        for (const follower of followers) answerKnown(follower, job.member!, { index, id: job.id })
      }
    }
    stats.commits++
    stats.commitMs += performance.now() - started
  }

  /** Forgets that a job is on its way; returns those that wait for it. */
  function release(job: Job): Job[] {
    job.member!.pending!.delete(job.batch.header.seq)
    return job.followers ?? []
  }

  function abandon(job: Job, problem: Problem) {
    const followers = release(job)
    job.member!.nextSeq = -1
    for (const each of [job, ...followers]) each.settle(each, { ok: false, problem })
  }

  function exclusive<result>(body: () => result | Promise<result>): Promise<result> {
    const run = tail.then(body)
    tail = run.catch(() => {})
    return run
  }

  return {
    submit,
    exclusive,
    stats,
    get failure() {
      return failure
    },
    async close() {
      closed = true
      if (stats.pending > 0) await new Promise<void>((resolve) => idle.push(resolve))
      await tail
      idle = []
      clearTimeout(timer)
    },
  }
}

export declare namespace createPipeline {
  type Options = {
    clock: () => number
    limits: PipelineLimits
    /** Told what went wrong; a {@link StoreFailedError} means that nothing is taken in any more. */
    onError: (error: unknown) => void
    /** The operator's account, 20 bytes. */
    operator: Uint8Array
    /** Asks the chain for new members; undefined if it has just been asked. */
    refreshMembers: (network: NetworkState) => Promise<unknown> | undefined
    /** The log key, ES256. */
    signer: Signer
    store: Store
  }
}

export type PipelineLimits = {
  /** How long the first batch of a group waits for others. */
  commitDelayMs: number
  /** Batches in one commit. */
  maxCommit: number
  /** How much longer it waits while more are being checked. */
  maxCommitDelayMs: number
  /** Batches, and their bytes, that are taken in but not yet answered. */
  maxPending: number
  maxPendingBytes: number
  /** How far in the future a batch may end. */
  maxSkewMs: number
}

export type Pipeline = {
  /**
   * Outcomes in the order of the items, once all are decided. What could not be decoded comes as its
   * problem, to be counted. Never rejects.
   */
  submit(network: NetworkState, items: readonly (SignedBatch | Problem)[]): Promise<Outcome[]>
  /** Runs something between two commits. */
  exclusive<result>(body: () => result | Promise<result>): Promise<result>
  readonly stats: PipelineStats
  /** Set once the store has failed. */
  readonly failure: StoreFailedError | undefined
  /** Answers what was taken in, takes nothing more. */
  close(): Promise<void>
}

export type PipelineStats = {
  accepted: number
  duplicates: number
  late: number
  refused: Map<string, number>
  commits: number
  commitMs: number
  pending: number
}

export type Outcome =
  | {
      readonly ok: true
      /** It was in the log already; the receipt is the one it got first, unless another key signed that. */
      readonly duplicate: boolean
      readonly index: number
      readonly late: boolean
      readonly receipt: Uint8Array
    }
  | { readonly ok: false; readonly problem: Problem }

/** One network in a running node. */
export type NetworkState = {
  readonly number: number
  readonly id: Uint8Array
  readonly members: MemberTable
  rules: NetworkRules
  log: Log
  /** Entries that are on disk; the log may be ahead by the commit in flight. */
  size: number
  /** Time of the last arrival, cut or checkpoint; never goes backwards. */
  arrived: number
  /** End of the last window that was cut, ms. */
  cutEnd: number
  /** Whether the operator answers for another log key than the node's. */
  foreignKey: boolean
}

/** What a network asks of a batch. */
export type NetworkRules = {
  maxRowsBytes: number
  retentionMs: number
  schemas: ReadonlyMap<number, Schema>
}

/** Where the COSE_Sign1 ends in a batch: before the head of the records, of the shortest form. */
function envelopeEnd(bytes: Uint8Array, records: Uint8Array): number {
  const { length } = records
  return bytes.length - length - (length < 24 ? 1 : length < 256 ? 2 : 3)
}

type Job = {
  readonly batch: SignedBatch
  readonly network: NetworkState
  readonly position: number
  readonly settle: (job: Job, outcome: Outcome) => void
  /** Batches of the same device and seq that came while this one was on its way. */
  followers: Job[] | undefined
  member: Member | undefined
  refreshed: boolean
  // What the store takes, known once the batch has passed: no other object is made of it.
  device: number
  end: number
  envelope: Uint8Array
  id: Uint8Array
  late: boolean
  records: Uint8Array
  seq: number
}

/** Signatures checked before the event loop has its turn: about 2 ms. */
const slice = 16
/** A group that gains little by growing. */
const bulk = 64
const empty = new Uint8Array(0)
