import { randomInt } from 'node:crypto'
import { challengeId } from '@machinefi/contracts'
import { equalBytes, formatDid, publicKeyToAddress, toHex } from '@machinefi/core'
import {
  buildLedger,
  decodeBundle,
  diffClaim,
  diffLedger,
  type Entry,
  type EpochEvidence,
  type Fault,
  finish,
  type Log,
  MalformedBundleError,
  MissingRecordsError,
  reward,
  startState,
  type TraceLeaf,
  toPoint,
  type Window,
} from '@machinefi/proof'
import { BatchError, batchId, decodeBatch } from '@machinefi/telemetry'
import type { ChainConfig, ChainMember } from '../chain/chain.js'
import { isPaid } from '../epochs/buildClaims.js'
import { type NodeReader, NodeRefusedError } from './createNodeReader.js'
import type { AuditedEpoch } from './openAuditChain.js'
import type { Dispute } from './readDispute.js'
import type { RecomputedEpoch, TracedBatch } from './recomputeEpoch.js'
import { type Finding, type Sampled, toFinding } from './Verdict.js'

/**
 * Finds out where a posted ledger differs from the one that follows from the
 * logs, with the least trust: by its entries, if a node shows some that have
 * the posted root; else by what answers have shown on chain so far.
 */
export async function diffEpoch(options: diffEpoch.Options): Promise<Finding[]> {
  const { complete, dispute, epoch, evidence, mine, shown } = options
  const { depth, ledgerRoot: root, ledgerTotal: total } = epoch
  const isAsked = createAsked(options)
  const findings: Finding[] = []
  let slots: number[]
  if (shown) slots = differingSlots(mine.entries, shown)
  else {
    const { revealed } = dispute
    const difference = diffLedger({
      mine: mine.ledger,
      posted: { depth, root, total },
      revealed,
    })
    slots = difference.slots
    for (const fault of difference.faults)
      if (fault.certain || !isAsked(fault.remedy)) findings.push(toFinding(fault))
  }

  for (const slot of slots.slice(0, maxSlots)) {
    const entry = shown ? (shown[slot] ?? null) : dispute.entries.get(slot)
    const member = options.members.find((member) => member.slot === slot)
    const device = member?.device ?? entry?.device
    const place = { device, slot }
    const faults = await diffSlot(slot, entry)
    const sure = complete && !mine.incomplete.has(slot)
    const open = faults.filter(({ remedy }) => !isAsked(remedy))
    for (const fault of open)
      findings.push(toFinding({ ...fault, certain: fault.certain && sure }, place))
    // All that was asked for was shown, and still something is wrong: whatever is left of the trace.
    if (open.length === 0)
      for (const fault of probeSlot(options, slot, entry ?? null, mine.window, isAsked))
        findings.push(toFinding(fault, place))
  }
  return findings

  async function diffSlot(slot: number, entry: Entry | null | undefined): Promise<Fault[]> {
    const { config, members, parent } = options
    const claim = mine.claim(slot)
    const member = members.find((member) => member.slot === slot)
    const batches =
      entry && entry.steps > 0 && claim?.paid
        ? await readClaimBatches({ ...options, device: entry.device, slot, window: epoch.window })
        : undefined
    try {
      return diffClaim({
        before: parent[slot] ?? null,
        device: member?.device ?? null,
        epoch: evidence,
        find,
        log: (shard) => mine.log(shard) as Log,
        metric: config.metric,
        mine: {
          batches: claim?.batches ?? [],
          entry: mine.entries[slot] ?? null,
          publicKey: claim?.publicKey ?? null,
        },
        paid: claim?.paid ?? false,
        policy: { cap: config.cap, rate: config.rate, threshold: config.threshold },
        schema: mine.schema,
        slot,
        theirs: { batches, entry, leaves: leavesOf(dispute, slot) },
        window: mine.window,
      })
    } catch (error) {
      // What the device did cannot be computed: its steps have to be shown.
      if (error instanceof MissingRecordsError) return []
      throw error
    }
  }

  /** Where an id is in the logs of the epoch. */
  function find(id: Uint8Array) {
    for (const { shard, size } of epoch.logs) {
      const log = mine.log(shard)
      const ids = log && Buffer.from(log.ids(0, Math.min(size, log.size)))
      for (let at = ids?.indexOf(id) ?? -1; ids && at >= 0; at = ids.indexOf(id, at + 1)) {
        if (at % 32 !== 0) continue
        const index = at / 32
        const bytes = options.batchAt(shard, index)
        return { batch: bytes ? decodeBatch(bytes) : null, index, shard }
      }
    }
    return null
  }
}

export declare namespace diffEpoch {
  type Options = {
    /** The batch at a place of a log. */
    batchAt: (shard: number, index: number) => Uint8Array | undefined
    /** Whether every batch of the logs is at hand, genuine. */
    complete: boolean
    config: ChainConfig
    dispute: Dispute
    epoch: AuditedEpoch
    evidence: EpochEvidence
    members: readonly ChainMember[]
    mine: RecomputedEpoch
    /** Network id, 32 bytes. */
    network: Uint8Array
    /** Entries of the window before, by slot. */
    parent: readonly (Entry | null)[]
    /** Nodes of the operator. */
    readers: readonly NodeReader[]
    /** Entries with the posted root, if a node shows them. */
    shown: readonly (Entry | null)[] | undefined
    signal?: AbortSignal | undefined
  }
}

/**
 * Entries that follow from what answers have proven, batch by batch: every step
 * of their traces, with nothing left out that is known to belong there. So it
 * does not matter that one cannot compute them.
 */
export function proveEntries(options: proveEntries.Options): Map<number, Entry> {
  const { dispute, members, mine, network, parent } = options
  const { config } = mine
  const isAsked = createAsked(options)
  const proven = new Map<number, Entry>()
  for (const [slot, entry] of dispute.entries) {
    const member = members.find((member) => member.slot === slot)
    const claim = mine.claim(slot)
    if (!entry || !member || !claim?.paid || !equalBytes(entry.device, member.device)) continue
    const earned = reward({ ...policyOf(config), value: entry.value })
    if (entry.cumulative !== (parent[slot]?.cumulative ?? 0n) + earned) continue
    const ids = new Set(leavesOf(dispute, slot).map((leaf) => leaf && toHex(leaf.id)))
    if (!claim.batches.every(({ batch }) => ids.has(toHex(batchId(batch, network))))) continue
    let step = 0
    while (step < entry.steps && isAsked({ kind: 'step', slot, step })) step++
    if (step === entry.steps && (step > 0 || isAsked({ kind: 'step', slot, step })))
      proven.set(slot, entry)
  }
  return proven
}

export declare namespace proveEntries {
  type Options = Pick<
    diffEpoch.Options,
    'dispute' | 'epoch' | 'members' | 'mine' | 'network' | 'parent'
  >
}

/** What answers have shown of a trace, by step. */
function leavesOf({ leaves }: Dispute, slot: number): (TraceLeaf | undefined)[] {
  const found: (TraceLeaf | undefined)[] = []
  for (const [step, leaf] of leaves.get(slot) ?? []) if (step < maxLeaves) found[step] = leaf
  return Array.from(found)
}

/** The batches that a node says are in a trace: nothing of it is verified. */
export async function readClaimBatches(
  options: readClaimBatches.Options,
): Promise<TracedBatch[] | undefined> {
  const { device, network, readers, signal, slot, window } = options
  const path = `/epochs/${window}/claims/${toHex(device)}/bundle`
  for (const reader of readers)
    try {
      const bytes = await reader.read(path, { maxBytes: maxBundleBytes, signal })
      const claim = decodeBundle(bytes).claims.find((claim) => claim.slot === slot)
      if (!claim) continue
      return claim.batches.map(({ bytes, index, shard }) => {
        const batch = decodeBatch(bytes)
        return { batch, id: batchId(batch, network), index, shard }
      })
    } catch (error) {
      const isGarbage = error instanceof MalformedBundleError || error instanceof BatchError
      if (!isGarbage && !(error instanceof NodeRefusedError)) throw error
      signal?.throwIfAborted()
    }
  return undefined
}

export declare namespace readClaimBatches {
  type Options = {
    device: Uint8Array
    /** Network id, 32 bytes. */
    network: Uint8Array
    readers: readonly NodeReader[]
    signal?: AbortSignal | undefined
    slot: number
    window: number
  }
}

/**
 * Steps to ask for on chain, at random over all slots of an epoch and their
 * steps, until `count` of them were asked for; and what is wrong with the
 * entries that answers showed. Nobody can know beforehand which it will be.
 */
export function sampleEpoch(options: sampleEpoch.Options): {
  findings: Finding[]
  sampled: Sampled
} {
  const { account, dispute, epoch, members, shown, window } = options
  const findings = checkShown(options)
  const own = dispute.challenges.filter(
    ({ challenger, point }) => challenger === account && point.kind === 'step',
  )
  const isAsked = createAsked({ ...options, statuses: ['answered', 'open'] })
  const slots = members.filter((member) => isPaid(member, window)).map(({ slot }) => slot)
  const known = (slot: number) => (shown ? shown[slot] : dispute.entries.get(slot))?.steps
  const stepsOf = (slot: number) => known(slot) ?? unknownSteps
  const total = slots.reduce((sum, slot) => sum + stepsOf(slot), 0)
  const count = epoch.status === 'pending' ? options.count : 0
  const chosen = new Set<string>()
  for (let tries = 0; own.length + chosen.size < count && tries < 8 * count && total > 0; tries++) {
    let at = randomInt(total)
    const slot = slots.find((slot) => {
      if (at < stepsOf(slot)) return true
      at -= stepsOf(slot)
      return false
    })!
    const remedy = { kind: 'step', slot, step: at } as const
    if (isAsked(remedy) || chosen.has(`${slot}/${at}`)) continue
    chosen.add(`${slot}/${at}`)
    findings.push({
      certain: false,
      remedy,
      slot,
      text: `Step ${at} of slot ${slot} of window ${epoch.window} is asked for at random.`,
      why: 'sample',
    })
  }
  const having = (status: string) => own.filter((each) => each.status === status).length
  const steps = slots.every((slot) => known(slot) !== undefined) ? total : null
  return { findings, sampled: { answered: having('answered'), open: having('open'), steps } }
}

export declare namespace sampleEpoch {
  type Options = probeEpoch.Options & {
    /** Whose challenges count, in lower case. */
    account: string | undefined
    /** How many steps. */
    count: number
  }
}

/** What does not follow from the entry before, of the entries that answers showed. */
function checkShown(options: probeEpoch.Options): Finding[] {
  const { config, dispute, members, parent, window } = options
  const findings: Finding[] = []
  if (!parent) return findings
  for (const [slot, entry] of dispute.entries) {
    const member = members.find((member) => member.slot === slot)
    const earned =
      entry && member && isPaid(member, window)
        ? reward({ ...policyOf(config), value: entry.value })
        : 0n
    if ((entry?.cumulative ?? 0n) === (parent[slot]?.cumulative ?? 0n) + earned) continue
    const remedy = { kind: 'carry', device: member?.device ?? null, slot } as const
    const text = `Slot ${slot} has earned ${entry?.cumulative ?? 0n} in all, which does not follow from its value.`
    const place = { device: member?.device, slot }
    findings.push(toFinding({ certain: true, remedy, text, why: 'wrong-carry' }, place))
  }
  return findings
}

/**
 * What to ask for on chain of an epoch whose data is kept back: where the
 * rewards of the window are, then the entries there, then their steps, the
 * last one first, since the value hangs on it. Each answer is a batch that the
 * operator has to publish.
 */
export function probeEpoch(options: probeEpoch.Options): Finding[] {
  const { config, dispute, epoch, members, parent, shown, window } = options
  const isAsked = createAsked(options)
  const slotsKnown = Math.max(epoch.memberCount, parent?.length ?? 0)
  const base = Array.from({ length: Math.min(slotsKnown, 2 ** epoch.depth) }, (_, slot) => {
    const before = parent?.[slot]
    return before ? { ...before, steps: 0, traceRoot: new Uint8Array(32), value: 0n } : null
  })
  const { depth, ledgerRoot: root, ledgerTotal: total } = epoch
  const withheld = (remedy: Finding['remedy'], text: string): Finding => ({
    certain: false,
    remedy,
    text: `The operator does not show what window ${epoch.window} was computed from: ${text} is asked for on chain.`,
    why: 'withheld-data',
  })

  const findings: Finding[] = []
  let slots: number[]
  if (shown) slots = differingSlots(base, shown)
  else {
    const mine = buildLedger(base, { depth })
    const posted = { depth, root, total }
    const difference = diffLedger({ mine, posted, revealed: dispute.revealed })
    slots = difference.slots
    for (const { certain, remedy, ...fault } of difference.faults)
      if (certain) findings.push(toFinding({ ...fault, certain: parent !== undefined, remedy }))
      else if (!isAsked(remedy)) findings.push(withheld(remedy, 'a part of the ledger'))
    // A ledger of one slot has nothing to reveal.
    if (depth === 0 && slots.length === 0) slots = [0]
  }

  const probes: Finding[] = []
  for (const slot of slots) {
    if (probes.length >= maxProbes) break
    const entry = shown ? (shown[slot] ?? null) : dispute.entries.get(slot)
    const member = members.find((member) => member.slot === slot)
    const device = member?.device ?? entry?.device
    const paid = member !== undefined && isPaid(member, window)
    const place = { device, slot }
    if (entry === undefined || (!paid && parent)) {
      const remedy = { kind: 'carry', device: member?.device ?? null, slot } as const
      if (!isAsked(remedy)) probes.push({ ...withheld(remedy, `slot ${slot}`), ...toPlace(place) })
      continue
    }
    if (entry && parent) {
      const earned = paid ? reward({ ...policyOf(config), value: entry.value }) : 0n
      const remedy = { kind: 'carry', device: member?.device ?? null, slot } as const
      if (entry.cumulative !== (parent[slot]?.cumulative ?? 0n) + earned && !isAsked(remedy)) {
        const text = `Slot ${slot} has earned ${entry.cumulative} in all, which does not follow from its value.`
        probes.push(toFinding({ certain: true, remedy, text, why: 'wrong-carry' }, place))
        continue
      }
    }
    // All of them: whoever shows nothing else can lie in any one.
    for (const fault of probeSlot(options, slot, entry, window, isAsked))
      probes.push({ ...withheld(fault.remedy, describe(fault.remedy)), ...toPlace(place) })
  }
  // The slots that are known come before what is still to be revealed.
  return [...probes, ...findings]
}

export declare namespace probeEpoch {
  type Options = Pick<
    diffEpoch.Options,
    'config' | 'dispute' | 'epoch' | 'members' | 'network' | 'shown'
  > & {
    /** Entries of the window before; undefined where nobody shows them. */
    parent: readonly (Entry | null)[] | undefined
    window: Window
  }
}

/** The steps of a trace that were not asked for yet: the last first. */
function probeSlot(
  { config, epoch }: Pick<diffEpoch.Options, 'config' | 'epoch'>,
  slot: number,
  entry: Entry | null,
  window: Window,
  isAsked: (remedy: Fault['remedy']) => boolean,
): Fault[] {
  if (!entry) return []
  const { metric } = config
  if (entry.steps === 0) {
    const remedy = { kind: 'step', slot, step: 0 } as const
    const wrong = entry.value !== finish({ metric, state: startState(metric), window })
    const text = `Slot ${slot} of window ${epoch.window} has a value, and no batch behind it.`
    return wrong && !isAsked(remedy) ? [{ certain: false, remedy, text, why: 'wrong-value' }] : []
  }
  const toRemedy = (step: number) => ({ kind: 'step', slot, step }) as const
  const steps = [toRemedy(entry.steps - 1)].filter((remedy) => !isAsked(remedy))
  for (let step = 0; step < entry.steps - 1 && steps.length < maxSteps; step++)
    if (!isAsked(toRemedy(step))) steps.push(toRemedy(step))
  return steps.map((remedy) => ({
    certain: false,
    remedy,
    text: `Slot ${slot} is not what follows from the log: step ${remedy.step} of its trace is to be shown.`,
    why: 'wrong-trace',
  }))
}

/** Tells what was answered on chain: asking for it again is not possible. */
function createAsked({
  dispute,
  epoch,
  network,
  statuses = ['answered'],
}: Pick<diffEpoch.Options, 'dispute' | 'epoch' | 'network'> & { statuses?: string[] }) {
  const { attempt, window } = epoch
  const asked = new Set(
    dispute.challenges.filter(({ status }) => statuses.includes(status)).map(({ id }) => id),
  )
  return (remedy: Fault['remedy']) =>
    asked.has(challengeId({ attempt, point: toPoint(remedy, network), window }))
}

function differingSlots(
  mine: readonly (Entry | null)[],
  theirs: readonly (Entry | null)[],
): number[] {
  const slots: { excess: bigint; slot: number }[] = []
  for (let slot = 0; slot < Math.max(mine.length, theirs.length); slot++) {
    const [a, b] = [mine[slot] ?? null, theirs[slot] ?? null]
    if (isSame(a, b)) continue
    slots.push({ excess: (b?.cumulative ?? 0n) - (a?.cumulative ?? 0n), slot })
  }
  return slots
    .sort((a, b) => (a.excess === b.excess ? a.slot - b.slot : a.excess > b.excess ? -1 : 1))
    .map(({ slot }) => slot)
}

function isSame(a: Entry | null, b: Entry | null): boolean {
  if (a === null || b === null) return a === b
  return (
    a.cumulative === b.cumulative &&
    a.value === b.value &&
    a.steps === b.steps &&
    equalBytes(a.device, b.device) &&
    equalBytes(a.traceRoot, b.traceRoot)
  )
}

const policyOf = ({ cap, rate, threshold }: ChainConfig) => ({ cap, rate, threshold })

function toPlace({ device, slot }: { device: Uint8Array | undefined; slot: number }) {
  return device === undefined ? { slot } : { device, slot }
}

/** What a challenge asks for, in a few words. */
export function describe(remedy: NonNullable<Finding['remedy']>): string {
  switch (remedy.kind) {
    case 'step':
      return `step ${remedy.step} of slot ${remedy.slot}`
    case 'carry':
      return `the entry of slot ${remedy.slot}, now and before`
    case 'reveal':
      return `what is below node ${remedy.index} at height ${remedy.height} of the ledger`
    case 'omission':
      return `where the batch with seq ${remedy.batch.header.seq} of ${formatDid(publicKeyToAddress(remedy.batch.publicKey))} is in its trace`
    case 'consistency':
      return `that shard ${remedy.shard} goes on from window ${remedy.earlier.window}`
    case 'checkpoint':
      return `that shard ${remedy.checkpoint.shard} goes on from its ${remedy.checkpoint.size} entries`
    case 'fork':
      return 'two heads of one size'
    case 'truncation':
      return 'a head that was larger before the cut-off'
    case 'equivocation':
      return 'two batches with one seq'
  }
}

const maxSlots = 16
/** Of a trace: nobody asks for more of it. */
const maxLeaves = 2 ** 20
/** Taken for a trace of which nothing is known: an answer shows how many it has. */
const unknownSteps = 32
const maxProbes = 8
const maxSteps = 256
const maxBundleBytes = 16 * 2 ** 20
