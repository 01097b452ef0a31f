import { setTimeout as sleep } from 'node:timers/promises'
import {
  type AnyClient,
  ContractError,
  createSignedFetch,
  type Deployment,
  type Network,
  proveFraud,
} from '@machinefi/contracts'
import {
  BaseError,
  concatBytes,
  equalBytes,
  fromHex,
  type Hex,
  parseAddress,
  toHex,
} from '@machinefi/core'
import {
  buildLedger,
  type DecodedCheckpoint,
  type DecodedReceipt,
  decodeCheckpoint,
  decodeReceipt,
  type Entry,
  type LogHead,
  MalformedCheckpointError,
  verifyCheckpoint,
  verifyReceipt,
} from '@machinefi/proof'
import { batchId, decodeBatch, type SignedBatch } from '@machinefi/telemetry'
import type { Account, Address } from 'viem'
import { fetchLedger } from '../epochs/fetchLedger.js'
import { type BoundedReader, boundReader } from './boundReader.js'
import {
  describe,
  diffEpoch,
  probeEpoch,
  proveEntries,
  readClaimBatches,
  sampleEpoch,
} from './checkLedger.js'
import { checkLog } from './checkLog.js'
import {
  type Action,
  AuditAccountMissingError,
  createChallenger,
  type Judged,
} from './createChallenger.js'
import { createNodeReader, type NodeReader, NodeRefusedError } from './createNodeReader.js'
import { decodeEntries, encodeEntries } from './encodeEntries.js'
import { type Equivocation, proveEquivocation, readEquivocations } from './findEquivocators.js'
import { type AuditedEpoch, openAuditChain } from './openAuditChain.js'
import { openAuditStore } from './openAuditStore.js'
import { type LogCopy, openLogCopy } from './openLogCopy.js'
import { readDispute } from './readDispute.js'
import { type RecomputedEpoch, recomputeEpoch } from './recomputeEpoch.js'
import { copyBatch, type PartialEntries, type SyncReport, syncLog } from './syncLog.js'
import { toSchema } from './toSchema.js'
import { type Finding, sortFindings, type Verdict } from './Verdict.js'

/**
 * Creates an auditor, who trusts nobody: members, rules and epochs are read
 * from the chain; of every log it keeps a copy of its own, which counts only as
 * far as signed or posted heads cover it; from these it computes what operators
 * must post, finds out where they posted something else, and disputes it.
 *
 * @throws {DataDirectoryError} the directory is in use, foreign or damaged.
 *
 * @example
 * const auditor = await createAuditor({ client, dataDir, deployment, network, nodeUrl })
 * await auditor.sync()
 * const verdict = await auditor.check(20_778)
 * if (!verdict.ok) await auditor.act()
 */
export async function createAuditor(options: createAuditor.Options): Promise<Auditor> {
  const { client, dataDir, deployment, fromBlock, network, onProgress } = options
  const { clock = Date.now, dryRun = false, onEvent = () => {}, sample = 0 } = options
  const account = options.account ?? client.account
  let { signal } = options
  const id = fromHex(network.id)
  const windowMs = network.windowSeconds * 1000
  const chain = await openAuditChain(client, {
    confirmations: options.confirmations,
    deployment,
    fromBlock,
    network,
  })
  const store = openAuditStore({
    directory: dataDir,
    identity: { chain: await chain.genesisHash(), network: network.id.toLowerCase() },
  })
  const isSigned = network.isPrivate && account !== undefined
  const ask = isSigned ? createSignedFetch(client, { account, network }) : fetch
  const urls = typeof options.nodeUrl === 'string' ? [options.nodeUrl] : options.nodeUrl
  const nodes: AuditedNode[] = urls.map((url) => ({
    headsReadAt: Number.NEGATIVE_INFINITY,
    operator: undefined,
    partial: { from: 0, parts: [], size: 0 },
    reader: createNodeReader({ fetch: ask, network: network.id, url }),
    shard: 0,
  }))
  /** The same while epochs are judged, for which no node may take too long. */
  let bounded = new Map<AuditedNode, BoundedReader>()
  const copies = new Map<string, LogCopy>()
  const challenger = createChallenger({
    account,
    chain,
    client,
    clock,
    dryRun,
    fromBlock: fromBlock ?? 0n,
    maxStake: options.maxStake,
    network,
    patienceMs: options.patienceMs ?? 3_600_000,
    store,
  })
  /** Devices that were caught, by address. */
  const equivocators = new Map<Hex, Equivocation>()
  /** How far each copy was searched for them. */
  const searched = new Map<LogCopy, number>()
  let nextMember = 0
  /** What was said of an epoch last. */
  const said = new Map<Hex, string>()
  const told = new Set<string>()
  const judgedLast = new Map<Hex, { at: number; block: number; verdict: Verdict }>()

  function copyOf(operator: Hex, shard: number): LogCopy {
    const key = `${operator.toLowerCase()}/${shard}`
    const known = copies.get(key)
    if (known) return known
    const copy = openLogCopy(store, parseAddress(operator), shard)
    copies.set(key, copy)
    return copy
  }

  /** Who runs a node, as it says: what it shows is held against that operator's key. */
  async function identify(node: AuditedNode): Promise<void> {
    if (node.operator) return
    const answer = (await node.reader.readJson('', { maxBytes: 65_536, signal })) as {
      operator?: unknown
      shard?: unknown
    } | null
    const { operator, shard } = answer ?? {}
    if (typeof operator !== 'string' || typeof shard !== 'number') return
    if (!/^0x[0-9a-f]{40}$/i.test(operator) || shard >>> 0 !== shard) return
    node.operator = operator.toLowerCase() as Hex
    node.shard = shard
  }

  /** A share of the time until the next epoch cannot be challenged any more. */
  function turnMs(most: number): number {
    const left = chain
      .epochs()
      .filter(({ status }) => status === 'pending')
      .map(({ challengeEndsAt }) => challengeEndsAt - chain.time)
      .filter((ms) => ms > 0)
    return Math.max(minTurnMs, Math.min(most, Math.min(...left) / (4 * nodes.length)))
  }

  /** Gives nodes new time to answer what comes up while epochs are judged. */
  function refill(most = maxTurnMs) {
    const budgetMs = most > 0 ? turnMs(most) : 0
    bounded = new Map(nodes.map((node) => [node, boundReader(node.reader, budgetMs)]))
  }

  async function sync(most = maxTimerMs): Promise<NodeReport[]> {
    judgedLast.clear()
    await chain.refresh()
    const reports: NodeReport[] = []
    for (const node of nodes) {
      const report = await syncNode(node, most)
      reports.push({ ...report, url: nameOf(node.reader.url) })
    }
    // Nothing that is not final yet builds on what is before the last final window.
    const final = chain.epochs().findLast(({ status }) => status === 'final')
    if (final) store.dropLedgers(final.window)
    return reports
  }

  async function syncNode(node: AuditedNode, most: number): Promise<SyncReport> {
    const failed = (problem: string): SyncReport => ({
      batches: 0,
      contradiction: false,
      foreign: false,
      problems: [problem],
      size: 0,
    })
    try {
      await identify(node)
    } catch (error) {
      if (!(error instanceof NodeRefusedError)) throw error
      return failed(error.shortMessage)
    }
    const { operator, shard } = node
    const logKeys = operator && (await chain.logKeysOf(operator))
    if (!operator || !logKeys) return failed('The node does not say which bonded operator runs it.')
    const copy = copyOf(operator, shard)
    const report = await syncLog({
      copy,
      headsFrom: headsFrom(node, copy),
      keyOf: chain.keyOf,
      logKeys,
      network: id,
      onProgress: (done, of) => onProgress?.({ done, of, step: 'download' }),
      partial: node.partial,
      posted: postedHeads(operator, shard),
      reader: node.reader,
      signal,
      store,
      turnMs: turnMs(most),
    })
    // Perhaps somebody else runs it now.
    if (report.foreign) node.operator = undefined
    if (report.problems.length === 0) await findEquivocators(node, copy)
    return report
  }

  /** Looks for devices that signed two batches with one seq: in the copies, and in what a node has. */
  async function findEquivocators(node: AuditedNode, copy: LogCopy) {
    const members = chain.members()
    const byDevice = new Map(members.map((member) => [toHex(member.device), member]))
    const byNumber = new Map([...copies.values()].map((copy) => [copy.number, copy]))
    const add = (found: Equivocation | undefined) => {
      if (found) equivocators.set(toHex(found.device), found)
    }
    for (const pair of store.equivocations(
      copy.number,
      searched.get(copy) ?? 0,
      copy.copied,
      maxEquivocations,
    )) {
      const [a, b] = pair.map(({ index, log }) => byNumber.get(log)?.batch(index)?.bytes)
      if (!a || !b) continue
      const first = decodeBatch(a)
      const member = byDevice.get(toHex(first.device))
      add(proveEquivocation(first, decodeBatch(b), { member, network: id }))
    }
    searched.set(copy, copy.copied)
    // The second batch is in no log: the node is asked for it, a few devices at a time.
    const some = members.slice(nextMember, nextMember + devicesAtOnce)
    nextMember = nextMember + devicesAtOnce < members.length ? nextMember + devicesAtOnce : 0
    const reader = boundReader(node.reader, turnMs(maxTurnMs))
    const asked = some.filter(({ suspendedAt }) => suspendedAt === 0)
    for (const found of await readEquivocations({ members: asked, network: id, reader, signal }))
      add(found)
  }

  /** From which size on heads are asked for again: now and then all that are not final. */
  function headsFrom(node: AuditedNode, copy: LogCopy): number {
    const now = clock()
    if (now - node.headsReadAt < rereadMs) return copy.size
    node.headsReadAt = now
    const final = chain
      .epochs()
      .findLast((epoch) => epoch.operator === node.operator && epoch.status === 'final')
    const posted = final?.logs.find(({ shard }) => shard === node.shard)
    return copy.size === 0 ? 1 : 1 + (posted?.size ?? 0)
  }

  /** Heads of a log that stand on chain and were not copied yet. */
  function postedHeads(operator: Hex, shard: number): LogHead[] {
    return chain
      .epochs()
      .filter((epoch) => epoch.operator === operator && epoch.status !== 'void')
      .flatMap(({ logs }) => logs.filter((log) => log.shard === shard))
  }

  const windowOf = (window: number) => ({
    end: (window + 1) * windowMs,
    number: window,
    start: window * windowMs,
  })

  /** The epoch that stands for a window. */
  function standing(window: number): AuditedEpoch | undefined {
    return chain.epochs().findLast((epoch) => epoch.window === window && epoch.status !== 'void')
  }

  const readersOf = (operator: Hex) =>
    nodes.filter((node) => node.operator === operator).map((node) => bounded.get(node)!)

  /** Whether all nodes are other operators'. One that does not say whose it is may be anyone's. */
  const isStranger = (operator: Hex) =>
    nodes.every((node) => node.operator !== undefined && node.operator !== operator)

  /** The epoch that another one builds on: null before the first window. */
  function parentOf(epoch: AuditedEpoch): AuditedEpoch | null {
    if (epoch.window === network.firstWindow) return null
    const parent = chain.epoch(epoch.parentHash)
    if (!parent) throw new UnknownParentError(epoch.window)
    return parent
  }

  /** The entries of a posted ledger, if they can be computed, or somebody shows them. */
  async function ledgerOf(epoch: AuditedEpoch): Promise<readonly (Entry | null)[] | undefined> {
    const kept = store.ledger(epoch.window, epoch.epochHash)
    if (kept?.entries) return decodeEntries(kept.entries)
    // What is final is as good as right: nobody can do anything about it.
    const shown = epoch.status === 'final' ? await showLedger(epoch) : undefined
    if (shown) return shown
    if (epoch.status === 'final' && !isCovered(epoch)) return undefined
    await checkEpoch(epoch)
    const computed = store.ledger(epoch.window, epoch.epochHash)?.entries
    return computed ? decodeEntries(computed) : showLedger(epoch)
  }

  /** Entries with the posted root and total, if a node shows them. */
  async function showLedger(epoch: AuditedEpoch): Promise<readonly (Entry | null)[] | undefined> {
    const { operator, window } = epoch
    for (const reader of [...readersOf(operator), ...bounded.values()]) {
      const ask = (timeoutMs: number) =>
        fetchLedger({
          fetch: reader.fetch,
          network: network.id,
          peer: new URL(reader.url),
          posted: {
            ...epoch,
            block: Number(epoch.blockNumber),
            gasUsed: 0n,
            transaction: epoch.transactionHash,
          },
          timeoutMs: Math.min(timeoutMs, maxTurnMs),
        })
      const answer = await reader.spend('/ledger', ask).catch(toRefusal)
      signal?.throwIfAborted()
      if (!answer?.ok) continue
      const kept = store.ledger(window, epoch.epochHash)
      if (!kept?.entries)
        store.putLedger(window, epoch.epochHash, {
          claims: kept?.claims,
          entries: encodeEntries(answer.entries),
        })
      return answer.entries
    }
    return undefined
  }

  async function recompute(
    window: number,
    what: Auditor.RecomputeOptions = {},
  ): Promise<RecomputedEpoch> {
    const config = await chain.config(window)
    const before = window === network.firstWindow ? null : standing(window - 1)
    const parent =
      what.parent ?? (before && { depth: before.depth, entries: await ledgerOf(before) })
    if (parent === undefined || (parent && !parent.entries)) throw new UnknownParentError(window)
    const operator = what.operator ?? config.operator
    const logs = what.logs ?? [{ shard: 0, size: copyOf(operator, 0).size }]
    return recomputeEpoch({
      config,
      copies: logs.map(({ shard, size }) => ({ copy: copyOf(operator, shard), size })),
      depth: what.depth,
      memberCount: what.memberCount,
      members: chain.members(),
      network: id,
      onProgress: (done, of) => onProgress?.({ done, of, step: 'recompute', window }),
      parent: parent && { depth: parent.depth, entries: parent.entries! },
      schema: toSchema(config),
      signal,
      window: windowOf(window),
    })
  }

  async function check(window: number, most = maxTurnMs): Promise<Verdict> {
    await chain.refresh()
    const epoch = standing(window)
    if (!epoch) throw new NotPostedError(window)
    // A node is asked only for what was posted since it was asked last.
    if (!isCovered(epoch) && most > 0)
      for (const node of nodes)
        if (!node.operator || node.operator === epoch.operator) await syncNode(node, most)
    refill(most)
    return judge(epoch)
  }

  /** Checks an epoch, and tells what is new of it. */
  async function judge(epoch: AuditedEpoch, scope?: 'log'): Promise<Verdict> {
    const verdict = await checkEpoch(epoch, scope)
    if (scope === 'log') return verdict
    judgedLast.set(epoch.epochHash, { at: performance.now(), block: chain.block, verdict })
    const { findings, ok, sampled } = verdict
    // Others are chosen every time.
    const texts = findings.filter(({ why }) => why !== 'sample').map(({ text }) => text)
    const text = JSON.stringify([ok, texts, sampled])
    if (said.get(epoch.epochHash) !== text) {
      said.set(epoch.epochHash, text)
      onEvent({ type: 'checked', verdict })
    }
    return verdict
  }

  function isCovered({ logs, operator }: AuditedEpoch): boolean {
    return logs.every(({ root, shard, size }) => {
      const { log, size: copied } = copyOf(operator, shard)
      return size <= copied && equalBytes(log.root(size), root)
    })
  }

  async function checkEpoch(epoch: AuditedEpoch, scope?: 'log'): Promise<Verdict> {
    const { attempt, epochHash, ledgerRoot, operator, status, window } = epoch
    const config = await chain.config(window)
    const evidence = await chain.evidence(epoch)
    const earlier = chain
      .epochs()
      .findLast(
        (before) =>
          before.window < window && before.operator === operator && before.status !== 'void',
      )
    const readers = readersOf(operator)
    const log = await checkLog({
      copyOf: (shard) => copyOf(operator, shard),
      cutoff: windowOf(window).end + config.graceMs,
      earlier: earlier && { epoch: await chain.evidence(earlier), window: earlier.window },
      epoch,
      evidence,
      logKeys: await chain.logKeysOf(operator),
      network: id,
      readers,
      signal,
      store,
    })
    const conclude = (claims: number, findings: readonly Finding[], complete = true): Verdict => {
      const seen = [...log.findings, ...findings]
      const all = sortFindings(isStranger(operator) ? seen.map(excuse) : seen)
      const ok = all.length === 0
      return { window, attempt, ok, claims, complete, final: status === 'final', findings: all }
    }

    /** Whom nobody asks, keeps nothing back. */
    const excuse = (finding: Finding): Finding => {
      const { remedy, why } = finding
      if (why !== 'withheld-data') return finding
      const what = remedy ? `${describe(remedy)} is asked for on chain` : 'give one'
      const text = `No node of ${operator}, which posted window ${window}, is known: ${what}.`
      return { ...finding, text, why: 'unknown-node' }
    }
    const kept = store.ledger(window, epochHash)
    if (scope === 'log' || (log.covered && kept?.claims !== undefined))
      return conclude(kept?.claims ?? 0, [])
    const before = parentOf(epoch)
    const parent = before && { depth: before.depth, entries: await ledgerOf(before) }
    const members = chain.members()
    const about = { config, epoch, members, network: id }
    const readDisputeOf = () =>
      readDispute(client, { attempt, fromBlock: epoch.blockNumber, network, window })
    if (sample > 0) {
      const shown = await showLedger(epoch)
      const dispute = await readDisputeOf()
      const own = account && (typeof account === 'string' ? account : account.address)
      const { findings, sampled } = sampleEpoch({
        ...about,
        account: own?.toLowerCase(),
        count: sample,
        dispute,
        parent: parent ? parent.entries : [],
        shown,
        window: windowOf(window),
      })
      return { ...conclude(0, findings), ok: false, sampled }
    }
    if (!log.covered || (parent && !parent.entries)) {
      const dispute = await readDisputeOf()
      const findings = probeEpoch({
        ...about,
        dispute,
        parent: parent ? parent.entries : [],
        shown: await showLedger(epoch),
        window: windowOf(window),
      })
      const why = log.covered
        ? ({
            certain: false,
            remedy: null,
            text: `Nobody shows the ledger that window ${window} builds on.`,
            why: 'unknown-parent',
          } as const)
        : ({
            certain: false,
            remedy: null,
            text: `The operator does not show the log that it posted for window ${window}.`,
            why: 'withheld-data',
          } as const)
      return conclude(0, [...findings, why], false)
    }

    for (let round = 0; ; round++) {
      const mine = await recompute(window, {
        depth: epoch.depth,
        logs: epoch.logs,
        memberCount: epoch.memberCount,
        operator,
        parent: parent && { depth: parent.depth, entries: parent.entries! },
      })
      const { claims, entries, ledger } = mine
      if (equalBytes(ledger.root, ledgerRoot) && ledger.total === epoch.ledgerTotal) {
        store.putLedger(window, epochHash, { claims, entries: encodeEntries(entries) })
        return conclude(claims, [])
      }
      // What is final and older than anyone keeps rows cannot be judged any more.
      if (status === 'final' && mine.incomplete.size > 0 && (await hasExpired(epoch)))
        return conclude(0, [
          {
            certain: false,
            remedy: null,
            text: `The rows of window ${window} have expired: it cannot be computed any more.`,
            why: 'expired',
          },
        ])
      const dispute = await readDisputeOf()
      const proven = proveEntries({
        ...{ dispute, epoch, members, mine, network: id, parent: parent?.entries ?? [] },
      })
      const asProven = entries.map((entry, slot) => proven.get(slot) ?? entry)
      const answered = buildLedger(asProven, { depth: epoch.depth })
      if (equalBytes(answered.root, ledgerRoot) && answered.total === epoch.ledgerTotal) {
        store.putLedger(window, epochHash, { claims, entries: encodeEntries(asProven) })
        return conclude(claims, [])
      }
      const shown = await showLedger(epoch)
      const complete = epoch.logs.every(
        ({ shard, size }) => copyOf(operator, shard).holes(size).length === 0,
      )
      // What is not at hand may be all that is wrong: whatever shows it counts.
      if (round === 0 && (await learn(epoch, { complete, mine, shown }))) continue
      const findings = await diffEpoch({
        ...about,
        batchAt: (shard, index) => copyOf(operator, shard).batch(index)?.bytes,
        complete,
        dispute,
        evidence,
        mine,
        parent: parent?.entries ?? [],
        readers,
        shown,
        signal,
      })
      if (findings.length === 0)
        findings.push({
          certain: false,
          remedy: null,
          text: `Window ${window} is not what follows from the log, and nothing is left to ask for.`,
          why: 'wrong-trace',
        })
      return conclude(claims, findings, complete && mine.incomplete.size === 0)
    }
  }

  /** Keeps batches that a node has in its evidence and did not give before. */
  async function learn(epoch: AuditedEpoch, what: Known): Promise<boolean> {
    const { complete, mine, shown } = what
    const found: { batch: SignedBatch; index: number; shard: number }[] = []
    const doubtful = complete ? [...mine.incomplete] : mine.entries.map((_, slot) => slot)
    for (const slot of doubtful.slice(0, maxDoubtful)) {
      const device = shown?.[slot]?.device ?? mine.claim(slot)?.device
      if (!device) continue
      const readers = readersOf(epoch.operator)
      const { window } = epoch
      found.push(
        ...((await readClaimBatches({ device, network: id, readers, signal, slot, window })) ?? []),
      )
    }
    let learnt = false
    for (const { batch, index, shard } of found) {
      // A node can name any number of logs.
      if (!epoch.logs.some((log) => log.shard === shard)) continue
      const copy = copyOf(epoch.operator, shard)
      if (index >= copy.size) continue
      const known = copy.batch(index)
      const isWhole = known?.signed && decodeBatch(known.bytes).records !== null
      if (isWhole) continue
      const { keyOf } = chain
      const copied = copyBatch(batch, { id: copy.log.id(index), index, keyOf, network: id })
      // Only what is better than what is there.
      if (!copied?.signed || (known?.signed && batch.records === null)) continue
      copy.fill(copied)
      learnt = true
    }
    return learnt
  }

  /** Keeps a head that somebody else saw: a checkpoint, or a receipt with the batch that it is for. */
  async function keep(bytes: Uint8Array, { batch }: { batch?: Uint8Array } = {}): Promise<boolean> {
    await chain.refresh()
    let given: DecodedCheckpoint | DecodedReceipt
    try {
      given = batch === undefined ? decodeCheckpoint(bytes) : decodeReceipt(bytes)
    } catch (error) {
      if (error instanceof MalformedCheckpointError) return false
      throw error
    }
    const { protected: header, shard, signature } = given
    const operator = toHex(given.operator)
    // Perhaps one that was changed since: receipts live longer.
    const publicKey =
      (await chain.logKeysOf(operator))?.(given) ??
      (await chain.logKeysOf(operator, { again: true }))?.(given)
    if (!publicKey) return false
    const about = { network: id, operator: given.operator, publicKey }
    const verdict =
      batch === undefined
        ? await verifyCheckpoint(bytes, about)
        : await verifyReceipt(bytes, { ...about, id: batchId(decodeBatch(batch), id) })
    if (!verdict.ok) return false
    const { root, size, time } = verdict.checkpoint
    const copy = copyOf(operator, shard)
    const odd = size > copy.size || !equalBytes(copy.log.root(size), root)
    const head = encodeCheckpoint({ protected: header, root, signature })
    const kept = { bytes: head, odd, root, size, time, verified: true }
    store.putCheckpoints(copy.number, [kept], { given: true })
    judgedLast.clear()
    return store.hasCheckpoint(copy.number, kept)
  }

  async function act({ window }: { window?: number | undefined } = {}): Promise<Action[]> {
    if (!dryRun && !account) throw new AuditAccountMissingError()
    await chain.refresh()
    refill()
    const failures: unknown[] = []
    const actions = await challenger.act(() => judgeAll(window, failures))
    actions.push(...(await suspend()))
    for (const action of actions) {
      // What is left, or cannot be done, is told once.
      const key = `${action.kind} ${action.text}`
      if (action.kind === 'waiting' || (!action.sent && told.has(key))) continue
      told.add(key)
      onEvent({ type: 'acted', action })
    }
    if (failures.length > 0) throw failures[0]
    return actions
  }

  /** Verdicts on all that can be challenged, or on one window. An epoch that has none keeps no other from it. */
  async function judgeAll(window: number | undefined, failures: unknown[]): Promise<Judged[]> {
    const judged: Judged[] = []
    const add = async (epoch: AuditedEpoch, judge: () => Promise<Verdict> | Verdict) => {
      try {
        judged.push({ epoch, verdict: await judge() })
      } catch (error) {
        signal?.throwIfAborted()
        failures.push(error)
      }
    }
    for (const epoch of chain.epochs()) {
      if (epoch.status !== 'pending' || (window ?? epoch.window) !== epoch.window) continue
      const last = judgedLast.get(epoch.epochHash)
      const isFresh = last?.block === chain.block && performance.now() - last.at < freshMs
      await add(epoch, () => (isFresh ? last.verdict : judge(epoch)))
    }
    // What an operator signed convicts it also when all that it posted is final.
    for (const epoch of lastOfOperators())
      if (epoch.status === 'final') await add(epoch, () => judge(epoch, 'log'))
    return judged
  }

  /** The last epoch of every operator that stands. */
  function lastOfOperators(): AuditedEpoch[] {
    const last = new Map<Hex, AuditedEpoch>()
    for (const epoch of chain.epochs()) if (epoch.status !== 'void') last.set(epoch.operator, epoch)
    return [...last.values()]
  }

  /** Has devices suspended that signed two batches with one seq. */
  async function suspend(): Promise<Action[]> {
    const actions: Action[] = []
    const suspended = new Map(chain.members().map((m) => [toHex(m.device), m.suspendedAt]))
    for (const [device, { proof, seq }] of equivocators) {
      if (suspended.get(device) !== 0) {
        equivocators.delete(device)
        continue
      }
      const text = `${device} signed two batches with seq ${seq}`
      const action = { kind: 'proven', why: 'equivocation', wei: 0n } as const
      try {
        if (dryRun) actions.push({ ...action, sent: false, text: `${text}.` })
        else {
          const { hash } = await proveFraud(client, { account, network, proof })
          actions.push({ ...action, hash, sent: true, text: `${text}: it is suspended.` })
        }
      } catch (error) {
        if (!(error instanceof ContractError)) throw error
        actions.push({ kind: 'refused', sent: false, text: `${text}. ${error.shortMessage}` })
      }
      equivocators.delete(device)
    }
    return actions
  }

  async function overview(): Promise<AuditOverview> {
    await chain.refresh()
    const found: AuditOverview = { expired: [], right: [], unchecked: [], void: [] }
    for (const epoch of chain.epochs()) {
      const { epochHash, status, window } = epoch
      if (status === 'void') found.void.push(window)
      if (status !== 'pending' && status !== 'final') continue
      if (store.ledger(window, epochHash)?.claims !== undefined) found.right.push(window)
      else if (status === 'final' && (await hasExpired(epoch))) found.expired.push(window)
      else found.unchecked.push(window)
    }
    return found
  }

  async function windows(): Promise<number[]> {
    const { unchecked } = await overview()
    // Of what is final nothing can be asked for.
    return sample > 0 ? unchecked.filter((each) => standing(each)?.status === 'pending') : unchecked
  }

  /** Whether rows that a window was computed from are older than they are kept, and not shown any more. */
  async function hasExpired({ logs, operator, window }: AuditedEpoch): Promise<boolean> {
    const { retentionMs, schema } = await chain.config(window)
    const span = windowOf(window)
    if (span.start >= chain.time - retentionMs) return false
    return logs.some(({ shard, size }) =>
      copyOf(operator, shard)
        .overlapping(size, schema, span)
        .some(({ bare, device }) => bare && chain.keyOf(device)),
    )
  }

  return {
    sync: () => sync(),
    recompute(window, what) {
      refill()
      return recompute(window, what)
    },
    check: (window) => check(window),
    act,
    keep,
    overview,
    windows,
    async run({ everyMs = 5000, signal: stop } = {}) {
      const signals = [stop, options.signal].filter((each) => each !== undefined)
      const either = AbortSignal.any(signals)
      signal = either
      // What fails keeps nothing else from being done: a hostile epoch must not hide another one.
      const attempt = async <result>(work: () => Promise<result>): Promise<result | undefined> => {
        try {
          return either.aborted ? undefined : await work()
        } catch (error) {
          if (!either.aborted) onEvent({ type: 'failed', error })
          return undefined
        }
      }
      while (!either.aborted) {
        await attempt(async () => onEvent({ type: 'synced', reports: await sync(maxTurnMs) }))
        // All that is asked for once more has one turn.
        const until = performance.now() + maxTurnMs
        for (const window of (await attempt(windows)) ?? [])
          await attempt(() => check(window, until - performance.now()))
        if (dryRun || account) await attempt(act)
        await sleep(everyMs, undefined, { signal: either }).catch(() => {})
      }
      signal = options.signal
    },
    async close() {
      store.close()
    },
  }
}

export declare namespace createAuditor {
  type Options = {
    /** Who challenges. @default the client's account */
    account?: Account | Address | undefined
    /** A viem client: it reads the chain, and challenges. */
    client: AnyClient
    /** Milliseconds since the Unix epoch, for how long to be patient. @default Date.now */
    clock?: (() => number) | undefined
    /** Blocks on top of a block until it is believed. @default 0 */
    confirmations?: number | undefined
    /** Where the auditor keeps everything. Created if missing; for this auditor alone. */
    dataDir: string
    /** Where the metrics and the reward policy are. */
    deployment: Pick<Deployment, 'metrics' | 'policy'>
    /** Says what it would do on chain, and sends nothing. @default false */
    dryRun?: boolean | undefined
    /** The block the network was created in, or one before. @default 0n */
    fromBlock?: bigint | undefined
    /** Most wei that may be open in challenges, or lost on one epoch. @default 32 bonds */
    maxStake?: bigint | undefined
    network: Network
    /** Where the operators' nodes are. None of them is trusted. */
    nodeUrl: string | readonly string[]
    onEvent?: ((event: AuditEvent) => void) | undefined
    onProgress?: ((progress: AuditProgress) => void) | undefined
    /**
     * How long an operator may keep data back before it is asked for on chain, where every answer
     * costs a bond; less where the time to challenge runs out. @default 3_600_000
     */
    patienceMs?: number | undefined
    /**
     * Instead of computing epochs from the logs: this many steps of each, at random, challenged on
     * chain. @default 0
     */
    sample?: number | undefined
    signal?: AbortSignal | undefined
  }
}

export type Auditor = {
  /** Brings chain and copies of the logs up to date. */
  sync(): Promise<NodeReport[]>
  /** Computes a window, posted or not, from the copies. @throws {UnknownParentError} */
  recompute(window: number, options?: Auditor.RecomputeOptions): Promise<RecomputedEpoch>
  /** Checks the epoch that stands for a window. @throws {NotPostedError} */
  check(window: number): Promise<Verdict>
  /**
   * Keeps a head that somebody else saw, which may be more than this auditor was shown.
   *
   * @param head a checkpoint; or a receipt, with the batch that it is for.
   * @returns whether an operator of the network signed it, and it was kept: of hundreds that go beyond
   * the copy of the log only those that are dated first are.
   */
  keep(head: Uint8Array, options?: { batch?: Uint8Array }): Promise<boolean>
  /**
   * Windows that were posted and not found right yet; without final ones whose rows have expired, and
   * where steps are sampled without all that are final.
   */
  windows(): Promise<number[]>
  /** How far all that was ever posted is checked. */
  overview(): Promise<AuditOverview>
  /**
   * Checks all epochs that can still be challenged, and does what is to be done now about what is
   * wrong: opens, proves, upholds, takes back and pays out. Resolves to what was done, or is waited
   * for; rejects, once all the rest is done, if an epoch could not be checked.
   *
   * @param options.window look at this one only.
   */
  act(options?: { window?: number | undefined }): Promise<Action[]>
  /** Follows the network until it is told to stop. */
  run(options?: { everyMs?: number | undefined; signal?: AbortSignal | undefined }): Promise<void>
  close(): Promise<void>
}

export declare namespace Auditor {
  type RecomputeOptions = {
    /** Of the ledger. @default the least */
    depth?: number | undefined
    /** What counts of the operator's logs. @default all that was copied */
    logs?: readonly { shard: number; size: number }[] | undefined
    /** Members that the epoch has slots for. @default all there are now */
    memberCount?: number | undefined
    /** Whose logs count. @default the one that the configuration names */
    operator?: Hex | undefined
    /** The ledger that it builds on; null before the first window. @default what stands on chain */
    parent?: { depth: number; entries: readonly (Entry | null)[] } | null | undefined
  }
}

/** Windows by what is known of them, each ascending. */
export type AuditOverview = {
  /** Final, and not found right while their rows were kept: nobody can any more. */
  expired: number[]
  /** Found right, with all that they follow from. */
  right: number[]
  /** Posted, and not found right yet. */
  unchecked: number[]
  /** Voided with the operator's bond; a window comes again for every attempt that was. */
  void: number[]
}

/** What a node gave, and did not. */
export type NodeReport = SyncReport & {
  /** Its address, without what may be secret in it. */
  url: string
}

export type AuditProgress = {
  done: number
  of: number
  step: 'download' | 'recompute'
  window?: number
}

export type AuditEvent =
  | { type: 'synced'; reports: NodeReport[] }
  | { type: 'checked'; verdict: Verdict }
  | { type: 'acted'; action: Action }
  | { type: 'failed'; error: unknown }

type AuditedNode = {
  /** When all heads that are not final were read last. */
  headsReadAt: number
  operator: Hex | undefined
  partial: PartialEntries
  reader: NodeReader
  shard: number
}

type Known = {
  complete: boolean
  mine: RecomputedEpoch
  shown: readonly (Entry | null)[] | undefined
}

const rereadMs = 60_000
/** For one node, while others or what is wrong wait for it. */
const maxTurnMs = 60_000
const minTurnMs = 1000
/** More than a timer can be set to. */
const maxTimerMs = 2 ** 31 - 1
/** A verdict of the same block is not made again within this time. */
const freshMs = 1000
const maxEquivocations = 64
/** Asked for evidence with every round. */
const devicesAtOnce = 16
/** Slots whose batches are asked for once more. */
const maxDoubtful = 64

/** The address of a node without what may be secret in it. */
function nameOf(url: string): string {
  if (!URL.canParse(url)) return 'A node without a URL'
  const { origin, pathname } = new URL(url)
  return `${origin}${pathname}`.replace(/\/+$/, '')
}

/** What a node refuses is no answer. */
function toRefusal(error: unknown): undefined {
  if (!(error instanceof NodeRefusedError)) throw error
}

/** A checkpoint from its parts (docs/protocol/log.md): a receipt has them all but the root. */
function encodeCheckpoint(parts: Pick<DecodedCheckpoint, 'protected' | 'root' | 'signature'>) {
  const { protected: header, root, signature } = parts
  const head =
    header.length < 256 ? [0x58, header.length] : [0x59, header.length >> 8, header.length & 0xff]
  return concatBytes(
    Uint8Array.of(0xd2, 0x84, ...head),
    header,
    Uint8Array.of(0xa0, 0x58, 32),
    root,
    Uint8Array.of(0x58, 64),
    signature,
  )
}

/** There is no epoch to check. */
export class NotPostedError extends BaseError {
  override readonly name = 'NotPostedError'
  constructor(window: number) {
    super(`Window ${window} has not been posted, or its epoch is void.`, { kind: 'input' })
  }
}

/** What a window builds on is not known. */
export class UnknownParentError extends BaseError {
  override readonly name = 'UnknownParentError'
  constructor(window: number) {
    super(`The ledger that window ${window} builds on is not known.`, { kind: 'transport' })
  }
}
