import type { Signer } from '@machinefi/core'
import { createSoftwareSigner } from '@machinefi/device'
import { batchId, decodeBatch, encodeBatch, type SignedBatch } from '@machinefi/telemetry'
import { endOf, signWalk, slots, type Walker } from './createFleet.js'
import type { LogBook, LogEntry, rewriteLog } from './LogBook.js'
import {
  foldAnyway,
  foldSteps,
  type Rules,
  retell,
  retrace,
  revalue,
  type Story,
  type ToldClaim,
  type ToldStep,
} from './Story.js'

/** A lie: the true story in, another one out. */
export type Lie = (story: Story, hand: Hand) => Promise<Story> | Story

/** What a liar has at hand: everything that its node knows, its log key, and a few willing devices. */
export type Hand = Rules & {
  fleet: readonly Walker[]
  network: Uint8Array
  /** The log with other entries, under heads signed where there are none yet. */
  rewrite(book: LogBook, entries: readonly LogEntry[]): ReturnType<typeof rewriteLog>
}

/** Steps, and the same number of tokens, that a lie is worth. */
const loot = 5_000n
const minuteMs = 60_000
const dayMs = 86_400_000

/** `inflate-value`: more steps than the batches have. */
export const inflateValue: Lie = (story, hand) =>
  retell(story, slots.anna, (claim) => revalue(claim, claim.value + loot, hand))

/** `inflate-value`, where there is no step to point at: the device sent nothing at all. */
export const inflateNothing: Lie = (story, hand) =>
  retell(story, slots.dora, (claim) => revalue(claim, loot, hand))

/** `wrong-fold`: the second batch leads to a state with more in it; all that follows is right. */
export const foldWrong: Lie = (story, hand) =>
  retell(story, slots.anna, (claim) => retrace(claim, addFrom(claim.steps, 1), hand))

/** `forge-signature`: a batch the device never signed, in the log. */
export const forgeSignature: Lie = async (story, hand) => {
  const { anna } = slots
  const mine = await signAfter(story, anna, hand, createSoftwareSigner())
  // The envelope names the device; what is in it was signed by another key.
  const device = story.claims[anna]!.steps[0]!.batch
  const forged = decodeBatch(encodeBatch({ ...mine, protected: device.protected }))
  return addLogged(story, anna, forged, hand)
}

/** `unlogged-batch`: the device did sign it, but the log does not have it. */
export const addUnlogged: Lie = async (story, hand) => {
  const { anna } = slots
  const batch = await signAfter(story, anna, hand)
  return retell(story, anna, (claim) => addStep(claim, toEntry(batch, hand), story.log, hand))
}

/** `foreign-batch` of another device: later than all of the device's own, and so in good order. */
export const addOfAnother: Lie = (story, hand) => {
  const theirs = story.claims[slots.ben]!.steps.at(-1)!
  return retell(story, slots.anna, (claim) =>
    retrace(claim, foldAnyway(claim.steps, theirs, hand), hand),
  )
}

/** `foreign-batch` of another window: yesterday's walk, paid once more. */
export const addOfYesterday: Lie = (story, hand) => {
  const { span } = hand
  const index = story.log.entries.findIndex(
    ({ batch }) => isOf(batch, story.claims[slots.anna]!) && endOf(batch) < span.start,
  )
  const yesterday = { ...story.log.entries[index]!, index }
  return retell(story, slots.anna, (claim) => {
    const [first] = foldSteps([yesterday], widen(hand, dayMs))
    const gained = first!.state.words[0]!
    return retrace(claim, [first!, ...addFrom(claim.steps, 0, gained)], hand)
  })
}

/** `foreign-batch` of another network: signed by the device, in the log, and not for here. */
export const addOfAnotherNetwork: Lie = async (story, hand) => {
  const { anna } = slots
  const elsewhere = { ...hand, network: hand.network.map((byte) => byte ^ 0xff) }
  return addLogged(story, anna, await signAfter(story, anna, elsewhere), hand)
}

/** `double-count`: one batch, two steps. */
export const countTwice: Lie = (story, hand) =>
  retell(story, slots.anna, (claim) =>
    retrace(claim, foldAnyway(claim.steps, claim.steps.at(-1)!, hand), hand),
  )

/** `double-count` with the owner's help: two batches of the same minutes, both signed, both logged. */
export const countOverlap: Lie = async (story, hand) => {
  const { anna } = slots
  const last = story.claims[anna]!.steps.at(-1)!.batch.header
  const batch = await sign(anna, { ...hand, seq: last.seq + 1, start: last.start })
  const told = await addLogged(story, anna, batch, hand)
  return retell(told, anna, (claim) => {
    const entry = claim.steps.at(-1)!
    return retrace(claim, foldAnyway(claim.steps.slice(0, -1), entry, hand), hand)
  })
}

/** `out-of-window`: of the walk over midnight, the minutes before midnight count as well. */
export const countOutside: Lie = (story, hand) =>
  retell(story, slots.chloe, (claim) =>
    retrace(claim, foldSteps(claim.steps, widen(hand, dayMs)), hand),
  )

/** `omit-batch`: one walk of the day is left out. */
export const omitBatch: Lie = (story, hand) =>
  retell(story, slots.anna, (claim) =>
    retrace(claim, foldSteps(claim.steps.toSpliced(1, 1), hand), hand),
  )

/** `omit-batch`, all of a member at once: its slot is empty. */
export const omitMember: Lie = (story) => retell(story, slots.ben, () => null)

/** `wrong-carry`: the day is right, the sum of all days is not. */
export const carryMore: Lie = (story) =>
  retell(story, slots.ben, (claim) => ({ ...claim, cumulative: claim.cumulative + loot }))

/** `wrong-carry` across devices: two entries change places, so that one inherits what the other earned. */
export const swapSlots: Lie = (story) => {
  const claims = [...story.claims]
  const { anna, ben } = slots
  ;[claims[anna], claims[ben]] = [claims[ben]!, claims[anna]!]
  return { ...story, claims }
}

/** `wrong-carry` of a member that the window does not pay. */
export const payUnpaid: Lie = (story, hand) =>
  retell(story, slots.emil, (claim) => ({ ...revalue(claim, loot, hand), value: 0n }))

/** `inflate-total`: the posted sum is more than the ledger adds up to. */
export const inflateTotal: Lie = (story) => ({ ...story, total: sumOf(story) + loot })

/** `inflate-total`, hidden inside: a node above two slots has more than both of them. */
export const inflateNode: Lie = (story) => ({
  ...story,
  surplus: { amount: loot, height: 1, index: 1 },
})

/** `rewrite-log`: a batch that everyone saw in the log was never there. */
export const rewriteToday: Lie = async (story, hand) => {
  const gone = story.claims[slots.ben]!.steps[1]!
  return relog(story, await replaceEntry(story, gone.index, hand), hand)
}

/** `rewrite-log` below what was posted before: the past of the window before. */
export const rewriteYesterday: Lie = async (story, hand) =>
  relog(story, await replaceEntry(story, 0, hand), hand)

/** `fork-log`: a log as long as the one that everyone saw, with another end. */
export const forkLog: Lie = async (story, hand) => {
  const { anna } = slots
  const batch = await signAfter(story, anna, hand)
  const kept = story.log.entries.slice(0, -1)
  return relog(story, await hand.rewrite(story.log, [...kept, toEntry(batch, hand)]), hand)
}

/** `truncate-log`: the log ends before a batch that has its receipt. */
export const truncateLog: Lie = async (story, hand) =>
  relog(story, await hand.rewrite(story.log, story.log.entries.slice(0, -1)), hand)

/** Nothing but the truth. */
export const tellTruth: Lie = (story) => story

/** More in the state after step `from`, and in all that follow from it. */
function addFrom(steps: readonly ToldStep[], from: number, more = loot): ToldStep[] {
  return steps.map((step, i) => {
    const { state } = step
    if (i < from) return step
    const [sum, ...rest] = state.words
    return { ...step, state: { ...state, words: [sum! + more, ...rest] } }
  })
}

/** The rules, with a window that began earlier. */
function widen(hand: Hand, byMs: number): Rules {
  return { ...hand, span: { ...hand.span, start: hand.span.start - byMs } }
}

function isOf(batch: SignedBatch, claim: ToldClaim): boolean {
  return Buffer.compare(batch.device, claim.device) === 0
}

function toEntry(batch: SignedBatch, { network }: Pick<Hand, 'network'>): LogEntry {
  return { batch, id: Uint8Array.from(batchId(batch, network)) }
}

function sign(
  slot: number,
  options: Pick<Hand, 'fleet' | 'network'> & { seq: number; signer?: Signer; start: number },
): Promise<SignedBatch> {
  const { fleet, network, seq, start } = options
  const signer = options.signer ?? fleet[slot]!.signer
  return signWalk({ network, pace: 200, seq, signer, start })
}

/** One more walk of a device, right after its last one. */
function signAfter(story: Story, slot: number, hand: Hand, signer?: Signer): Promise<SignedBatch> {
  const last = story.claims[slot]!.steps.at(-1)!.batch
  const { seq } = last.header
  return sign(slot, {
    ...hand,
    ...(signer && { signer }),
    seq: seq + 1,
    start: endOf(last) + 10 * minuteMs,
  })
}

/** A claim with one more step at its end. */
function addStep(claim: ToldClaim, entry: LogEntry, log: LogBook, hand: Hand): ToldClaim {
  const step = { ...entry, index: log.entries.length }
  return retrace(claim, foldSteps([...claim.steps, step], hand), hand)
}

/** A story with one more batch at the end of the log and of a claim. */
async function addLogged(
  story: Story,
  slot: number,
  batch: SignedBatch,
  hand: Hand,
): Promise<Story> {
  const entry = toEntry(batch, hand)
  const log = await hand.rewrite(story.log, [...story.log.entries, entry])
  const told = retell(story, slot, (claim) => addStep(claim, entry, story.log, hand))
  return { ...told, log }
}

/** The log without an entry, and longer than any that a head was signed for. */
async function replaceEntry(story: Story, index: number, hand: Hand): Promise<LogBook> {
  const { claims, log } = story
  const more: LogEntry[] = []
  for (const slot of [slots.anna, slots.chloe])
    more.push(toEntry(await signAfter({ ...story, claims }, slot, hand), hand))
  return hand.rewrite(log, [...log.entries.toSpliced(index, 1), ...more])
}

/** A story in which the claims are what another log says they are. */
function relog(story: Story, log: LogBook, hand: Hand): Story {
  const claims = story.claims.map((claim) => {
    if (!claim?.paid) return claim
    const steps = log.entries
      .map((entry, index) => ({ ...entry, index }))
      .filter(({ batch }) => isOf(batch, claim) && overlaps(batch, hand))
      .sort((a, b) => a.batch.header.seq - b.batch.header.seq)
    return retrace(claim, foldSteps(steps, hand), hand)
  })
  return { ...story, claims, log }
}

function overlaps(batch: SignedBatch, { span }: Rules): boolean {
  return batch.header.start < span.end && endOf(batch) >= span.start
}

function sumOf({ claims }: Story): bigint {
  return claims.reduce((sum, claim) => sum + (claim?.cumulative ?? 0n), 0n)
}
