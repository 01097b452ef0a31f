import { equalBytes } from '@machinefi/core'
import { describe, expect, test } from 'vitest'
import {
  findAnswer,
  inflateTotal,
  type Lie,
  leavesOf,
  lies,
  unpaidLies,
} from '../../test/createLie.js'
import {
  createRandom,
  createTestNetwork,
  network,
  type TestEpoch,
} from '../../test/createTestNetwork.js'
import { buildLedger } from '../ledger/buildLedger.js'
import { verifyRevealed } from '../ledger/verifyLedgerProof.js'
import type { TraceLeaf } from '../trace/buildTrace.js'
import { toPoint } from './Challenge.js'
import { diffClaim } from './diffClaim.js'
import { diffLedger } from './diffLedger.js'
import { toLeaves } from './toLeaves.js'

// With OpenSSL only: thousands of signatures.

/** What an auditor knows: its own copy of the log, and what was posted in a slot. */
function compare(
  honest: TestEpoch,
  { epoch: lying, extra, slot }: Lie,
  served: Pick<diffClaim.Parameters['theirs'], 'batches' | 'leaves'> = {},
) {
  const { claims, entries, members, metric, parent, policy, schema, window } = honest
  const member = members[slot]
  const known = [...honest.batches, ...extra]
  return diffClaim({
    ...{ metric, policy, schema, slot, window },
    before: parent?.entries[slot] ?? null,
    device: member?.device ?? null,
    epoch: lying.epoch,
    find(id) {
      for (const [shard, log] of lying.logs.entries())
        for (let index = 0; index < log.size; index++)
          if (equalBytes(log.id(index), id)) {
            const found = known.find((each) => equalBytes(each.id, id))
            return { batch: found?.batch ?? null, index, shard, signed: found?.signed }
          }
      return null
    },
    log: (shard) => lying.logs[shard]!,
    mine: {
      batches: claims[slot]?.batches ?? [],
      entry: entries[slot] ?? null,
      publicKey: member?.signer.publicKey ?? null,
    },
    paid: claims[slot]?.paid ?? false,
    theirs: { entry: lying.entries[slot] ?? null, ...served },
  })
}

const networks = new Map<number, TestEpoch[]>()

async function networkOf(seed: number): Promise<TestEpoch[]> {
  const made = networks.get(seed) ?? (await createTestNetwork(seed))
  networks.set(seed, made)
  return made
}

/** Epochs with a paid slot of two batches or more, and that slot. */
async function* examples(
  seeds: number,
): AsyncGenerator<{ honest: TestEpoch; seed: number; slot: number }> {
  for (let seed = 1; seed <= seeds; seed++)
    for (const honest of await networkOf(seed))
      for (const [slot, { batches, paid }] of honest.claims.entries())
        if (paid && batches.length >= 2) yield { honest, seed, slot }
}

describe('diffClaim', () => {
  test('behavior: nothing is wrong with an honest epoch', async () => {
    for (let seed = 1; seed <= 20; seed++)
      for (const epoch of await networkOf(seed))
        for (let slot = 0; slot < epoch.entries.length; slot++)
          expect(compare(epoch, { epoch, extra: [], slot, steps: [] })).toEqual([])
  })

  test.for(Object.keys(lies))('behavior: %s', async (name) => {
    const whys = new Map<string, number>()
    let told = 0
    for await (const { honest, seed, slot } of examples(25)) {
      const lie = await lies[name]!(honest, slot, createRandom(seed))
      if (lie === null || equalBytes(lie.epoch.context.epochHash, honest.context.epochHash))
        continue
      told++
      const at = `seed ${seed}, window ${honest.window.number}, slot ${slot}`
      const faults = compare(honest, lie, { leaves: leavesOf(lie.steps) })
      expect(faults.length, at).toBeGreaterThan(0)
      expect(faults[0]!.certain, `${at}: ${faults[0]!.text}`).toBe(true)
      for (const { certain, remedy, text, why } of faults) {
        whys.set(why, (whys.get(why) ?? 0) + 1)
        const answer = await findAnswer(toPoint(remedy, network), lie)
        if (certain) expect(answer, `${at}: ${text}`).toBe(null)
      }
    }
    expect(told).toBeGreaterThan(20)
    expect([...whys.keys()].sort()).toEqual(expected[name])
  })

  test.for(Object.keys(lies))('behavior: %s, the trace kept back', async (name) => {
    for await (const { honest, seed, slot } of examples(12)) {
      const lie = await lies[name]!(honest, slot, createRandom(seed))
      if (lie === null || equalBytes(lie.epoch.context.epochHash, honest.context.epochHash))
        continue
      // Asks for steps on chain until one has no answer.
      const leaves: (TraceLeaf | undefined)[] = []
      const asked = new Set<string>()
      let caught = false
      for (let round = 0; !caught; round++) {
        const at = `seed ${seed}, window ${honest.window.number}, slot ${slot}, round ${round}`
        expect(round, at).toBeLessThan(2 + Math.ceil(Math.log2(lie.steps.length + 1)))
        const faults = compare(honest, lie, { leaves })
        const next = faults.find(({ remedy }) => !asked.has(JSON.stringify(remedy)))
        if (!next) throw new Error(`${at}: nothing is left to ask for`)
        asked.add(JSON.stringify(next.remedy))
        const point = toPoint(next.remedy, network)
        const answer = await findAnswer(point, lie)
        caught = answer === null
        if (next.certain) expect(caught, `${at}: ${next.text}`).toBe(true)
        if (answer)
          for (const { leaf, step } of toLeaves(point, answer, { ...honest, network }))
            leaves[step] = leaf
      }
    }
  })

  test('behavior: batches that are served tell what the leaves do', async () => {
    let told = 0
    for await (const { honest, seed, slot } of examples(10)) {
      const lie = await lies['batch left out']!(honest, slot, createRandom(seed))
      const [fault] = compare(honest, lie!, { batches: lie!.steps })
      expect(fault).toMatchObject({ certain: true, why: 'omitted-batch' })
      // Others that do not hash to what was posted tell nothing.
      const [guess] = compare(honest, lie!, { batches: honest.claims[slot]!.batches })
      expect(guess!.certain).toBe(lie!.steps.length === 0)
      told++
    }
    expect(told).toBeGreaterThan(10)
  })

  test.for(Object.keys(unpaidLies))('behavior: %s', async (name) => {
    let told = 0
    for (let seed = 1; seed <= 60; seed++)
      for (const honest of await networkOf(seed)) {
        const lie = unpaidLies[name]!(honest)
        if (lie === null) continue
        told++
        const faults = compare(honest, lie)
        expect(faults.length).toBe(1)
        expect(faults[0]).toMatchObject({
          certain: true,
          remedy: { kind: 'carry', slot: lie.slot },
        })
        expect(await findAnswer(toPoint(faults[0]!.remedy, network), lie)).toBe(null)
      }
    expect(told).toBeGreaterThan(10)
  })

  test('behavior: an entry that was not shown is asked for', async () => {
    const [honest] = await networkOf(3)
    const { claims, entries, members, metric, policy, schema, source, window } = honest!
    const faults = diffClaim({
      ...{ before: null, metric, policy, schema, slot: 0, window },
      device: members[0]!.device,
      epoch: honest!.epoch,
      find: () => null,
      log: source.log,
      mine: { batches: claims[0]!.batches, entry: entries[0]!, publicKey: null },
      paid: true,
      theirs: { entry: undefined },
    })
    expect(faults).toMatchObject([
      { certain: false, remedy: { kind: 'carry', slot: 0 }, why: 'unknown-entry' },
    ])
  })
})

/** Why each lie is one, by the leaves. */
const expected: Record<string, string[]> = {
  'all batches left out': ['omitted-batch'],
  'batch counted again at the end': ['double-count'],
  'batch counted twice': ['double-count'],
  'batch left out': ['omitted-batch'],
  'batch not in the log': ['unlogged-batch'],
  'batch of another device': ['foreign-batch'],
  'batch of another network': ['forged-signature'],
  'batch of another schema': ['wrong-schema'],
  'batch of another window': ['out-of-window'],
  'batches out of order': ['wrong-trace'],
  'empty slot': ['empty-slot'],
  'forged signature': ['forged-signature'],
  // As good a reason, where nobody has looked at the signature: it came later.
  'forged signature on a seq that the device used': ['forged-signature', 'omitted-batch'],
  'inflated value': ['wrong-value'],
  'more steps than there are': ['wrong-trace'],
  'no steps, and a trace': ['wrong-trace'],
  'no steps, and a value': ['wrong-value'],
  'seq that is not the batch’s': ['wrong-trace'],
  'swapped device': ['swapped-device'],
  'the later of two with one seq': ['omitted-batch'],
  'wrong carry': ['wrong-carry'],
  'wrong fold': ['wrong-fold'],
  'wrong fold that is put right again': ['wrong-fold'],
}

describe('diffLedger', () => {
  const entry = (i: number, cumulative = BigInt(i)) => ({
    cumulative,
    device: new Uint8Array(20).fill((i % 255) + 1),
    steps: 0,
    traceRoot: new Uint8Array(32),
    value: 0n,
  })

  test('behavior: nothing where both are the same', () => {
    const mine = buildLedger([entry(1), entry(2), null])
    expect(diffLedger({ mine, posted: mine })).toEqual({ faults: [], slots: [] })
  })

  test('behavior: an inflated total leaves nothing to be answered', async () => {
    for (let seed = 1; seed <= 10; seed++)
      for (const honest of await networkOf(seed)) {
        const lie = inflateTotal(honest)
        const posted = lie.epoch.context.ledger
        const { faults, slots } = diffLedger({ mine: honest.ledger, posted })
        expect(slots).toEqual([])
        expect(faults).toMatchObject([{ certain: true, why: 'inflated-total' }])
        expect(await findAnswer(toPoint(faults[0]!.remedy, network), lie)).toBe(null)
      }
  })

  test('behavior: leads to the slots that differ in ⌈depth ÷ 5⌉ rounds', () => {
    for (const depth of [0, 1, 4, 5, 6, 10, 11]) {
      const slots = 2 ** depth
      const honest = Array.from({ length: slots }, (_, i) => (i % 3 === 2 ? null : entry(i)))
      const mine = buildLedger(honest, { depth })
      const wrong = [...new Set([slots - 1, Math.floor(slots / 3), 0])]
      const lying = honest.map((each, i) => {
        const at = wrong.indexOf(i)
        return at === -1 ? each : entry(i, (each?.cumulative ?? 0n) + BigInt(10 ** 6 - at))
      })
      const theirs = buildLedger(lying, { depth })
      const revealed: { height: number; index: number; nodes: Uint8Array }[] = []
      let rounds = 0
      for (;;) {
        const { faults, slots } = diffLedger({ mine, posted: theirs, revealed })
        if (faults.length === 0) {
          // The one with the most too much comes first.
          expect(slots[0]).toBe(wrong[0])
          expect([...slots].sort()).toEqual([...wrong].sort())
          break
        }
        rounds++
        for (const { remedy } of faults) {
          if (remedy.kind !== 'reveal') throw new Error(remedy.kind)
          const { height, index } = remedy
          const { nodes, siblings } = theirs.nodeProof(height, index)
          expect(verifyRevealed({ ...theirs, height, index, nodes, siblings })).toBe(true)
          revealed.push({ height, index, nodes })
        }
      }
      expect(rounds).toBe(Math.ceil(depth / 5))
    }
  })
})
