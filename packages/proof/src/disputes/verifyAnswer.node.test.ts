import { describe, expect, test } from 'vitest'
import {
  createTestNetwork,
  network,
  signRows,
  type TestEpoch,
} from '../../test/createTestNetwork.js'
import { createTestSigner } from '../../test/createTestSigner.js'
import { type Answer, buildAnswer, UnanswerableError } from './buildAnswer.js'
import type { Point } from './Challenge.js'
import { buildOmission, toPoint } from './Challenge.js'
import { toBatchEvidence } from './Evidence.js'
import { verifyAnswer } from './verifyAnswer.js'

/** An epoch, not the first, whose slot 0 has two steps or more. */
async function findEpoch(): Promise<TestEpoch> {
  for (let seed = 1; ; seed++)
    for (const epoch of (await createTestNetwork(seed, { members: 5 })).slice(1))
      if ((epoch.claims[0]?.batches.length ?? 0) >= 3) return epoch
}
const epoch = await findEpoch()
const { context, source } = epoch

type Step = NonNullable<Extract<Answer, { kind: 'step' }>['step']>
const flip = (bytes: Uint8Array, at = 0) => {
  const flipped = Uint8Array.from(bytes)
  flipped[at]! ^= 1
  return flipped
}

async function reasonOf(point: Point, answer: Answer, given = context) {
  const verdict = await verifyAnswer(point, answer, given)
  return verdict.ok ? null : verdict.reason
}

describe('verifyAnswer', () => {
  const point = { kind: 'step', slot: 0, step: 1 } as const
  const answer = buildAnswer(point, source) as Extract<Answer, { kind: 'step' }>
  const change = (changes: Partial<typeof answer>) => reasonOf(point, { ...answer, ...changes })
  const step = (changes: Partial<Step>) => change({ step: { ...answer.step!, ...changes } })

  test('default', async () => {
    expect(await verifyAnswer(point, answer, context)).toEqual({ ok: true })
  })

  test('error: another kind', async () => {
    expect(await reasonOf({ kind: 'reveal', height: 1, index: 0 }, answer)).toBe('WrongKind')
  })

  test('error: not what was posted', async () => {
    for (const bad of [
      { memberCount: 99 },
      { parentHash: flip(epoch.epoch.parentHash) },
      { config: flip(epoch.epoch.config, 63) },
      { logs: epoch.epoch.logs.map((log) => ({ ...log, size: log.size + 1 })) },
      { logs: [] },
    ])
      expect(await change({ epoch: { ...epoch.epoch, ...bad } })).toBe('WrongEpoch')
    const other = { ...context, attempt: 2 }
    expect(await reasonOf(point, answer, other)).toBe('WrongEpoch')
    const schema = { ...context.schema, id: 99 }
    expect(await reasonOf(point, answer, { ...context, schema })).toBe('WrongSchema')
  })

  test('error: not the entry', async () => {
    const { entry, siblings } = answer.entry
    for (const bad of [
      { entry: { ...entry!, value: entry!.value + 1n } },
      { entry: { ...entry!, steps: 1 } },
      { entry: null },
      { siblings: flip(siblings) },
    ])
      expect(await change({ entry: { ...answer.entry, ...bad } })).toBe('WrongEntry')
    expect(await reasonOf({ ...point, slot: 1 }, answer)).toBe('WrongEntry')
  })

  test('error: not the step', async () => {
    const { batch, before, inclusion, proof, records } = answer.step!
    const { header } = batch
    expect(await reasonOf({ ...point, step: 2 }, answer)).toBe('WrongLeaf')
    expect(await change({ step: null })).toBe('StepExists')
    expect(await reasonOf({ ...point, step: 0xffffffff }, answer)).toBe('NoSuchStep')
    expect(await step({ before: null })).toBe('WrongLeaf')
    for (const bad of [
      { seq: before!.seq + 1 },
      { batchId: flip(before!.batchId) },
      { proof: flip(before!.proof) },
      { state: flip(before!.state) },
      { state: before!.state.subarray(1) },
    ])
      expect(await step({ before: { ...before!, ...bad } })).toBe('WrongLeaf')
    expect(await step({ proof: flip(proof) })).toBe('WrongLeaf')
    expect(await step({ records: flip(records, records.length - 1) })).toBe('WrongRows')
    expect(await step({ records: new Uint8Array(65_536) })).toBe('WrongRows')
    expect(await step({ inclusion: { ...inclusion, index: inclusion.index + 1 } })).toBe('NotInLog')
    expect(await step({ inclusion: { ...inclusion, shard: 77 } })).toBe('NotInLog')
    const altered = (changes: Partial<typeof batch>) => step({ batch: { ...batch, ...changes } })
    expect(await altered({ signature: flip(batch.signature) })).toBe('InvalidBatchSignature')
    expect(await altered({ publicKey: new Uint8Array(3) })).toBe('InvalidBatchSignature')
    expect(await altered({ publicKey: createTestSigner(77).publicKey })).toBe('WrongDevice')
    const other = batch.algorithm === 'ES256' ? 'ES256K' : 'ES256'
    expect(await altered({ algorithm: other })).toBe('NotInLog')
    const headed = (changes: Partial<typeof header>) =>
      altered({ header: { ...header, ...changes } })
    expect(await headed({ schema: 99 })).toBe('WrongSchema')
    expect(await headed({ start: epoch.window.end })).toBe('OutsideWindow')
    expect(await headed({ seq: before!.seq })).toBe('SeqNotAfter')
    expect(await headed({ seq: header.seq + 1 })).toBe('NotInLog')
    expect(await headed({ count: 0 })).toBe('InvalidHeader')
    expect(await headed({ commitment: new Uint8Array(31) })).toBe('InvalidHeader')
    expect(await headed({ span: Number.MAX_SAFE_INTEGER })).toBe('InvalidHeader')
  })

  test('error: not what was carried', async () => {
    const carry = { kind: 'carry', device: epoch.members[0]!.device, slot: 0 } as const
    const carried = buildAnswer(carry, source) as Extract<Answer, { kind: 'carry' }>
    expect(await reasonOf(carry, carried)).toBe(null)
    const before = { ...carried.before, siblings: flip(carried.before.siblings) }
    expect(await reasonOf(carry, { ...carried, before })).toBe('WrongParentEntry')
    const device = createTestSigner(77).publicKey.slice(0, 20)
    // A stranger is paid: the entry is not the stranger’s.
    const given = { ...context, member: () => ({ paid: true, slot: 0 }) }
    expect(await reasonOf({ ...carry, device }, carried, given)).toBe('WrongDevice')
    expect(await reasonOf({ ...carry, device: null }, carried)).toBe('NotCarried')
    // Nothing was there before: then all of it is new.
    const orphan = { ...context, parent: null }
    expect(await reasonOf(carry, carried, orphan)).toBe('WrongCumulative')
  })

  test('error: not the batch that was missed', async () => {
    const [first] = epoch.claims[0]!.batches
    const { signer } = epoch.members[0]!
    const log = epoch.logs[first!.shard]!
    const challenge = buildOmission({
      ...first!,
      epoch: epoch.epoch,
      log,
      publicKey: signer.publicKey,
    })
    const omission = toPoint(challenge, network) as Extract<Point, { kind: 'omission' }>
    expect(omission).toMatchObject({
      batchId: Uint8Array.from(first!.id),
      index: first!.index,
      shard: first!.shard,
    })
    const shown = buildAnswer(omission, source) as Extract<Answer, { kind: 'omission' }>
    expect(await reasonOf(omission, shown)).toBe(null)
    const bad = (changes: Partial<typeof shown>) => reasonOf(omission, { ...shown, ...changes })
    expect(await bad({ step: 1 })).toBe('WrongLeaf')
    expect(await bad({ leaf: { ...shown.leaf, stateHash: new Uint8Array(32) } })).toBe('WrongLeaf')
    const other = { ...omission, batchId: flip(omission.batchId) }
    expect(await reasonOf(other, shown)).toBe('NotInLog')
    const proof = log.inclusionProof(first!.index)
    const earlier = { index: first!.index, proof, shard: first!.shard }
    expect(await reasonOf(other, { ...shown, earlier })).toBe('NotEarlier')
    const later = { ...other, index: first!.index + 1 }
    expect(await reasonOf(later, { ...shown, earlier })).toBe(null)
    expect(await reasonOf(later, { ...shown, earlier: { ...earlier, proof: flip(proof) } })).toBe(
      'NotInLog',
    )
    const stranger = { ...context, member: () => null }
    expect(await reasonOf(omission, shown, stranger)).toBe('WrongDevice')
    const elsewhere = { ...context, member: () => ({ paid: true, slot: 1 }) }
    expect(await reasonOf(omission, shown, elsewhere)).toBe('WrongEntry')
  })

  test('error: not consistent, not the nodes', async () => {
    const [head] = epoch.epoch.logs
    const { shard } = head!
    const size = Math.max(1, head!.size - 1)
    const consistency = {
      kind: 'consistency',
      root: epoch.logs[shard]!.root(size),
      shard,
      size,
    } as const
    const consistent = buildAnswer(consistency, source)
    expect(await reasonOf(consistency, consistent)).toBe(null)
    expect(await reasonOf({ ...consistency, root: new Uint8Array(32) }, consistent)).toBe(
      'Inconsistent',
    )
    expect(await reasonOf({ ...consistency, shard: 77 }, consistent)).toBe('Inconsistent')
    const reveal = { kind: 'reveal', height: 1, index: 0 } as const
    const revealed = buildAnswer(reveal, source) as Extract<Answer, { kind: 'reveal' }>
    expect(await reasonOf(reveal, revealed)).toBe(null)
    expect(await reasonOf(reveal, { ...revealed, nodes: flip(revealed.nodes) })).toBe('WrongNodes')
    expect(await reasonOf({ ...reveal, index: 1 }, revealed)).toBe('WrongNodes')
  })
})

describe('UnanswerableError', () => {
  const step = { kind: 'step', slot: 0, step: 0 } as const
  const reasonOf = (point: Point, changes: Partial<typeof source>) => {
    try {
      buildAnswer(point, { ...source, ...changes })
      return null
    } catch (error) {
      if (error instanceof UnanswerableError) return error.reason
      throw error
    }
  }

  test('behavior: what is not at hand', async () => {
    expect(reasonOf(step, {})).toBe(null)
    expect(reasonOf(step, { claim: () => null })).toBe('claim')
    const claim = source.claim(0)!
    const { batches } = claim
    expect(reasonOf(step, { claim: () => ({ ...claim, batches: batches.slice(1) }) })).toBe('trace')
    const expired = batches.map((each) => ({ ...each, batch: { ...each.batch, records: null } }))
    expect(reasonOf(step, { claim: () => ({ ...claim, batches: expired }) })).toBe('records')
    const other = { ...source.log(0), root: () => new Uint8Array(32) }
    expect(reasonOf(step, { log: () => other })).toBe('log')
    expect(reasonOf(step, { log: () => ({ ...other, size: 0 }) })).toBe('log')
  })

  test('behavior: challenges that are right', async () => {
    const [{ batch, index, shard }] = source.claim(0)!.batches as [
      (typeof epoch.batches)[0],
      ...unknown[],
    ]
    const { device } = batch
    const omission = { kind: 'omission', device, index: index + 1, shard } as const
    const omit = (seq: number, changes: object = {}) =>
      reasonOf({ ...omission, batchId: new Uint8Array(32), seq, ...changes }, {})
    expect(omit(batch.header.seq)).toBe(null)
    expect(omit(batch.header.seq, { index })).toBe('omitted')
    expect(omit(9999)).toBe('omitted')
    expect(omit(1, { device: new Uint8Array(20) })).toBe('slot')
    const consistency = { kind: 'consistency', root: new Uint8Array(32), shard, size: 1 } as const
    expect(reasonOf(consistency, {})).toBe('consistency')
    expect(reasonOf({ ...consistency, size: 10 ** 6 }, {})).toBe('consistency')
    expect(reasonOf({ ...consistency, shard: 77 }, {})).toBe('log')
  })
})

test('toBatchEvidence', async () => {
  const signer = createTestSigner(3)
  const rows = [{ time: 1000, values: [1, 2] }]
  const batch = await signRows(
    signer,
    { schema: epoch.schema, seq: 1 },
    rows.map((row) => ({
      ...row,
      values: epoch.schema.fields.map(() => 1),
    })),
  )
  expect(toBatchEvidence(batch, signer.publicKey)).toEqual({
    algorithm: 'ES256',
    header: batch.header,
    publicKey: signer.publicKey,
    signature: batch.signature,
  })
})
