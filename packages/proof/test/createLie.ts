import { publicKeyToAddress } from '@machinefi/core'
import { batchId, type SignedBatch } from '@machinefi/telemetry'
import {
  type Answer,
  buildAnswer,
  createLog,
  type Entry,
  encodeState,
  finish,
  fold,
  hashState,
  type Point,
  reward,
  type State,
  startState,
  type TraceLeaf,
  toBatchEvidence,
  UnanswerableError,
  verifyAnswer,
} from '../src/index.js'
import { hashTraceLeaf } from '../src/trace/buildTrace.js'
import { hashPair } from '../src/trace/hashPair.js'
import {
  type createRandom,
  finishEpoch,
  network,
  signRows,
  type TestBatch,
  type TestEpoch,
} from './createTestNetwork.js'
import { createTestSigner } from './createTestSigner.js'

/** An epoch that lies in one slot, and what the operator knows of it. */
export type Lie = {
  epoch: TestEpoch
  /** Batches that are not in the log, or not what they are said to be. */
  extra: readonly TestBatch[]
  slot: number
  steps: readonly LyingStep[]
}

type LyingStep = TestBatch & { readonly state: State }
type Random = ReturnType<typeof createRandom>
type Make = (honest: TestEpoch, slot: number, random: Random) => Lie | Promise<Lie | null> | null

/** What every lie about a paid slot starts from. */
function createTools(honest: TestEpoch, slot: number) {
  const { metric, parent, policy, schema, window } = honest
  const { batches } = honest.claims[slot]!
  const entry = honest.entries[slot] ?? null
  const member = honest.members[slot]!
  const before = parent?.entries[slot]?.cumulative ?? 0n

  /** The steps as an operator folds them; `bend` changes a state. */
  function run(
    list: readonly TestBatch[],
    bend: (state: State, i: number) => State = (state) => state,
  ): LyingStep[] {
    let state = startState(metric)
    return list.map((logged, i) => {
      const { header, records } = logged.batch
      state = bend(fold({ batch: { header, records: records! }, metric, schema, state, window }), i)
      return { ...logged, state }
    })
  }

  /** Posts steps in the slot, with the value they end in unless another is given. */
  function post(
    steps: readonly LyingStep[],
    options: {
      entry?: Partial<Entry>
      extra?: readonly TestBatch[]
      log?: readonly Uint8Array[]
    } = {},
  ): Lie {
    const { extra = [], log = [] } = options
    const state = steps.at(-1)?.state ?? startState(metric)
    const value = options.entry?.value ?? finish({ metric, state, window })
    const lying: Entry = {
      cumulative: before + reward({ ...policy, value }),
      device: member.device,
      steps: steps.length,
      traceRoot: merkle(steps).root,
      value,
      ...options.entry,
    }
    return postEntry(honest, slot, lying, { extra, log, steps })
  }
  return { batches, before, entry, member, metric, post, run, schema, window }
}

function postEntry(
  honest: TestEpoch,
  slot: number,
  lying: Entry | null,
  options: {
    extra?: readonly TestBatch[]
    /** Entries that the operator appended to its first shard. */
    log?: readonly Uint8Array[]
    steps?: readonly LyingStep[]
    total?: bigint
  } = {},
): Lie {
  const { extra = [], log: appended = [], steps = [] } = options
  const entries = [...honest.entries]
  while (entries.length <= slot) entries.push(null)
  entries[slot] = lying
  const logs = honest.logs.map((log) => createLog(log.ids()))
  for (const id of appended) logs[0]!.append(id)
  const heads = logs
    .map((log, shard) => ({ root: log.root(), shard, size: log.size }))
    .filter(({ size }) => size > 0)
  const epoch = finishEpoch({
    ...honest,
    depth: honest.ledger.depth,
    entries,
    epoch: { ...honest.epoch, logs: heads },
    logs,
    ...(options.total === undefined ? {} : { total: options.total }),
  })
  return { epoch, extra, slot, steps }
}

/** The next index of the operator's first shard. */
const endOf = (honest: TestEpoch) => honest.logs[0]!.size

/** Lies by name; `null` where an epoch gives no room for it. Each is told of a paid slot with two batches or more. */
export const lies: Record<string, Make> = {
  'inflated value': (honest, slot) => {
    const { batches, entry, post, run } = createTools(honest, slot)
    return post(run(batches), { entry: { value: entry!.value + 1000n } })
  },
  'wrong fold': (honest, slot, random) => {
    const { batches, post, run } = createTools(honest, slot)
    const at = random.below(batches.length)
    const bend = (state: State, i: number) =>
      i === at ? { ...state, words: state.words.map((word) => word + 7n) } : state
    return post(run(batches, bend))
  },
  'wrong fold that is put right again': (honest, slot, random) => {
    const { batches, entry, post, run } = createTools(honest, slot)
    if (batches.length < 3) return null
    const at = random.below(batches.length - 1)
    const right = run(batches)
    const steps = right.map((step, i) =>
      i === at ? { ...step, state: { ...step.state, lastTime: step.state.lastTime + 1 } } : step,
    )
    return post(steps, { entry: { value: entry!.value } })
  },
  'forged signature': async (honest, slot) => {
    const { batches, post, run } = createTools(honest, slot)
    const forged = await forge(honest, slot)
    const id = batchId(forged, network)
    const logged = { batch: forged, id, index: endOf(honest), shard: 0 }
    return post(run([...batches, logged]), { extra: [logged], log: [id] })
  },
  'forged signature on a seq that the device used': async (honest, slot, random) => {
    const { batches, post, run } = createTools(honest, slot)
    const at = random.below(batches.length)
    const forged = await forge(honest, slot, batches[at]!.batch.header.seq)
    const id = batchId(forged, network)
    const signed = random.chance(0.5) ? false : undefined
    const logged = {
      ...{ batch: forged, id, index: endOf(honest), shard: 0 },
      ...(signed === undefined ? {} : { signed }),
    }
    return post(run(batches.with(at, logged)), { extra: [logged], log: [id] })
  },
  'batch not in the log': async (honest, slot) => {
    const { batches, member, post, run, schema } = createTools(honest, slot)
    const seq = freeSeq(batches)
    const time = honest.window.start + 60_000
    const batch = await signRows(member.signer, { schema, seq }, [row(honest, time)])
    const logged = { batch, id: batchId(batch, network), index: 0, shard: 0 }
    return post(run([...batches, logged]), { extra: [logged] })
  },
  'batch of another device': async (honest, slot) => {
    const { batches, post, run, schema } = createTools(honest, slot)
    const other = createTestSigner(999_983)
    const rows = [row(honest, honest.window.start + 60_000)]
    const batch = await signRows(other, { schema, seq: freeSeq(batches) }, rows)
    const id = batchId(batch, network)
    const logged = { batch, id, index: endOf(honest), shard: 0 }
    return post(run([...batches, logged]), { extra: [logged], log: [id] })
  },
  'batch of another network': async (honest, slot) => {
    const { batches, member, post, run, schema } = createTools(honest, slot)
    const rows = [row(honest, honest.window.start + 60_000)]
    const foreign = new Uint8Array(32).fill(9)
    const batch = await signRows(member.signer, { schema, seq: freeSeq(batches) }, rows, foreign)
    const id = batchId(batch, network)
    const logged = { batch, id, index: endOf(honest), shard: 0 }
    return post(run([...batches, logged]), { extra: [logged], log: [id] })
  },
  'batch of another schema': async (honest, slot) => {
    const { batches, member, post, run, schema } = createTools(honest, slot)
    const rows = [row(honest, honest.window.start + 60_000)]
    const other = { ...schema, id: 99 }
    const batch = await signRows(member.signer, { schema: other, seq: freeSeq(batches) }, rows)
    const id = batchId(batch, network)
    const logged = { batch, id, index: endOf(honest), shard: 0 }
    return post(run([...batches, logged]), { extra: [logged], log: [id] })
  },
  'batch of another window': async (honest, slot) => {
    const { batches, member, post, run, schema } = createTools(honest, slot)
    const rows = [row(honest, honest.window.end + 60_000)]
    const batch = await signRows(member.signer, { schema, seq: freeSeq(batches) }, rows)
    const id = batchId(batch, network)
    const logged = { batch, id, index: endOf(honest), shard: 0 }
    // Its rows count, as if the window were longer.
    const bend = (state: State, i: number) =>
      i === batches.length ? { ...state, words: state.words.map((word) => word + 500n) } : state
    return post(run([...batches, logged], bend), { extra: [logged], log: [id] })
  },
  'batch counted twice': (honest, slot, random) => {
    const { batches, post, run } = createTools(honest, slot)
    const at = random.below(batches.length)
    return post(run(batches.toSpliced(at + 1, 0, batches[at]!)))
  },
  'batch counted again at the end': (honest, slot) => {
    const { batches, post, run } = createTools(honest, slot)
    return post(run([...batches, batches[0]!]))
  },
  'batches out of order': (honest, slot) => {
    const { batches, post, run } = createTools(honest, slot)
    return post(run([...batches].reverse()))
  },
  'seq that is not the batch’s': (honest, slot) => {
    const { batches, post, run } = createTools(honest, slot)
    const last = batches.at(-1)!
    const { batch } = last
    const again = {
      ...last,
      batch: { ...batch, header: { ...batch.header, seq: batch.header.seq + 5 } },
    }
    return post(run([...batches, again]))
  },
  'batch left out': (honest, slot, random) => {
    const { batches, post, run } = createTools(honest, slot)
    return post(run(batches.toSpliced(random.below(batches.length), 1)))
  },
  'all batches left out': (honest, slot) => createTools(honest, slot).post([]),
  'the later of two with one seq': async (honest, slot, random) => {
    const { batches, member, schema } = createTools(honest, slot)
    const at = random.below(batches.length)
    const { seq } = batches[at]!.batch.header
    const rows = [row(honest, honest.window.start + 60_000)]
    const batch = await signRows(member.signer, { schema, seq }, rows)
    const id = batchId(batch, network)
    // In a shard after all others.
    const logs = [...honest.logs, createLog(id)]
    const shard = logs.length - 1
    const logged = { batch, id, index: 0, shard }
    const heads = [...honest.epoch.logs, { root: logs[shard]!.root(), shard, size: 1 }]
    const longer = { ...honest, epoch: { ...honest.epoch, logs: heads }, logs }
    const { post, run } = createTools(longer, slot)
    return post(run(batches.with(at, logged)), { extra: [logged] })
  },
  'no steps, and a value': (honest, slot) =>
    createTools(honest, slot).post([], { entry: { value: 5000n } }),
  'no steps, and a trace': (honest, slot) =>
    createTools(honest, slot).post([], { entry: { traceRoot: new Uint8Array(32).fill(3) } }),
  'more steps than there are': (honest, slot) => {
    const { batches, post, run } = createTools(honest, slot)
    return post(run(batches), { entry: { steps: 2 ** 32 - 1 } })
  },
  'wrong carry': (honest, slot) => {
    const { batches, entry, post, run } = createTools(honest, slot)
    return post(run(batches), { entry: { cumulative: entry!.cumulative + 10n ** 12n } })
  },
  'swapped device': (honest, slot) => {
    const device = publicKeyToAddress(createTestSigner(424_243).publicKey)
    return postEntry(honest, slot, { ...honest.entries[slot]!, device })
  },
  'empty slot': (honest, slot) => postEntry(honest, slot, null),
}

/** Lies about slots that get nothing. */
export const unpaidLies: Record<string, (honest: TestEpoch) => Lie | null> = {
  'slot without a member': (honest) => {
    const slot = honest.entries.length
    if (slot >= 2 ** honest.ledger.depth) return null
    return postEntry(honest, slot, someone(10n ** 12n))
  },
  'value of a member that is not paid': (honest) => {
    const slot = honest.claims.findIndex(({ paid }) => !paid)
    if (slot === -1) return null
    const { device } = honest.members[slot]!
    return postEntry(honest, slot, { ...someone(10n ** 12n), device })
  },
  'emptied slot of a member that is not paid': (honest) => {
    const slot = honest.claims.findIndex(({ paid }, i) => !paid && honest.entries[i] !== null)
    return slot === -1 ? null : postEntry(honest, slot, null)
  },
}

/** Posts the honest ledger with another total. */
export function inflateTotal(honest: TestEpoch): Lie {
  const total = honest.ledger.total + 10n ** 12n
  return postEntry(honest, 0, honest.entries[0] ?? null, { total })
}

const someone = (cumulative: bigint): Entry => ({
  cumulative,
  device: new Uint8Array(20).fill(0xee),
  steps: 0,
  traceRoot: new Uint8Array(32),
  value: 0n,
})

const row = ({ schema }: TestEpoch, time: number) => ({
  time: Math.floor(time / 1000) * 1000,
  values: schema.fields.map(() => 1234),
})

const freeSeq = (batches: readonly TestBatch[]) => batches.at(-1)!.batch.header.seq + 1

/** A batch in the name of a device, signed by another key. */
async function forge(honest: TestEpoch, slot: number, seq?: number): Promise<SignedBatch> {
  const { signer } = honest.members[slot]!
  const { batches } = honest.claims[slot]!
  const thief = createTestSigner(123_457, signer.algorithm)
  const rows = [row(honest, honest.window.start + 120_000)]
  const named = { ...thief, publicKey: signer.publicKey }
  return signRows(named, { schema: honest.schema, seq: seq ?? freeSeq(batches) }, rows)
}

/** The leaves of lying steps. */
export function leavesOf(steps: readonly LyingStep[]): TraceLeaf[] {
  return steps.map(({ batch, id, state }) => ({
    id,
    seq: batch.header.seq,
    stateHash: hashState(state),
  }))
}

function merkle(steps: readonly LyingStep[]) {
  const levels: Uint8Array[][] = [
    leavesOf(steps).map((leaf) => {
      const hash = new Uint8Array(32)
      hashTraceLeaf(leaf, hash, 0)
      return hash
    }),
  ]
  if (steps.length === 0) return { proof: () => new Uint8Array(0), root: new Uint8Array(32) }
  const [bottom] = levels as [Uint8Array[]]
  while (bottom.length & (bottom.length - 1)) bottom.push(new Uint8Array(32))
  for (let level = bottom; level.length > 1; level = levels.at(-1)!)
    levels.push(
      Array.from({ length: level.length / 2 }, (_, i) => {
        const hash = new Uint8Array(32)
        hashPair(level[2 * i]!, 0, level[2 * i + 1]!, 0, hash, 0)
        return hash
      }),
    )
  return {
    proof: (index: number) =>
      Uint8Array.from(levels.slice(0, -1).flatMap((level, l) => [...level[(index >> l) ^ 1]!])),
    root: levels.at(-1)![0]!,
  }
}

/**
 * An operator that will say anything: tries every batch there is as the step,
 * every leaf for an omission, and what an honest builder makes of it. `null`
 * if no answer is taken.
 */
export async function findAnswer(point: Point, lie: Lie): Promise<Answer | null> {
  for (const answer of answersTo(point, lie))
    if ((await verifyAnswer(point, answer, lie.epoch.context)).ok) return answer
  return null
}

/** Whatever such an operator could say. */
export function* answersTo(point: Point, { epoch: lying, extra, steps }: Lie): Generator<Answer> {
  try {
    yield buildAnswer(point, lying.source)
  } catch (error) {
    if (!(error instanceof UnanswerableError)) throw error
  }
  const { epoch, ledger, logs, members } = lying
  const trace = merkle(steps)
  const batches = [...lying.batches, ...extra]
  const include = ({ index, shard }: { index: number; shard: number }) => {
    const size = logs[shard]?.size ?? 0
    const proof = index < size ? logs[shard]!.inclusionProof(index, size) : new Uint8Array(0)
    return { index, proof, shard }
  }
  if (point.kind === 'step') {
    const { entry, siblings } = ledger.proof(point.slot)
    yield { kind: 'step', entry: { entry, siblings }, epoch, step: null }
    const previous = steps[point.step - 1]
    for (const logged of point.step < steps.length ? batches : []) {
      const member = members.find(({ device }) =>
        device.every((b, i) => b === logged.batch.device[i]),
      )
      const key = member?.signer.publicKey ?? createTestSigner(999_983).publicKey
      yield {
        kind: 'step',
        entry: { entry, siblings },
        epoch,
        step: {
          batch: toBatchEvidence(logged.batch, key),
          before: previous
            ? {
                batchId: previous.id,
                proof: trace.proof(point.step - 1),
                seq: previous.batch.header.seq,
                state: encodeState(previous.state),
              }
            : null,
          inclusion: include(logged),
          proof: trace.proof(point.step),
          records: logged.batch.records!,
        },
      }
    }
  }
  if (point.kind === 'omission') {
    const slot = ledger.slotOf(point.device)
    if (slot === null) return
    const { entry, siblings } = ledger.proof(slot)
    for (const [step, { batch, id, state }] of steps.entries())
      for (const earlier of [null, ...batches.map(include)])
        yield {
          kind: 'omission',
          earlier,
          entry: { entry, siblings },
          epoch,
          leaf: {
            batchId: id,
            proof: trace.proof(step),
            seq: batch.header.seq,
            stateHash: hashState(state),
          },
          step,
        }
  }
}
