import { concatBytes, fromHex, keccak256 } from '@machinefi/core'
import { describe, expect, test } from 'vitest'
import {
  buildLedger,
  LedgerDepthError,
  LedgerNodeError,
  LedgerOverflowError,
  LedgerSlotError,
  ledgerDepth,
} from './buildLedger.js'
import { type Entry, entryDetail, InvalidEntryError } from './Entry.js'
import { verifyFleetProof, verifyLedgerProof, verifyRevealed } from './verifyLedgerProof.js'

const entry = (i: number, change: Partial<Entry> = {}): Entry => ({
  cumulative: BigInt(i) * 10n ** 18n + 7n,
  device: keccak256(Uint8Array.of(i >> 8, i)).slice(12),
  steps: i * 3,
  traceRoot: keccak256(Uint8Array.of(1, i >> 8, i)),
  value: BigInt(i * 1000 - 3000),
  ...change,
})
const entries = (n: number) => Array.from({ length: n }, (_, i) => (i % 5 === 3 ? null : entry(i)))

/** Big-endian, two's complement. */
const integer = (value: bigint, length: number) =>
  fromHex(
    BigInt.asUintN(8 * length, value)
      .toString(16)
      .padStart(2 * length, '0'),
  )

type Node = { hash: Uint8Array; sum: bigint }

/** docs/protocol/claims.md, word for word and slow. */
function naive(slots: (Entry | null)[], depth: number): Node {
  let level = Array.from({ length: 2 ** depth }, (_, slot): Node => {
    const found = slots[slot]
    if (!found) return { hash: new Uint8Array(32), sum: 0n }
    const { cumulative, device, steps, traceRoot, value } = found
    const detail = keccak256(concatBytes(integer(value, 32), integer(BigInt(steps), 32), traceRoot))
    const leaf = concatBytes(Uint8Array.of(0), device, integer(cumulative, 16), detail)
    return { hash: keccak256(leaf), sum: cumulative }
  })
  while (level.length > 1)
    level = Array.from({ length: level.length / 2 }, (_, i) => {
      const [l, r] = [level[2 * i]!, level[2 * i + 1]!]
      const node = [Uint8Array.of(1), l.hash, integer(l.sum, 16), r.hash, integer(r.sum, 16)]
      return { hash: keccak256(concatBytes(...node)), sum: l.sum + r.sum }
    })
  return level[0]!
}

describe('buildLedger', () => {
  test('behavior: equals the definition written naively', () => {
    for (const n of [0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 31, 33, 64, 100])
      for (const more of [0, 1]) {
        const depth = ledgerDepth(n) + more
        const ledger = buildLedger(entries(n), { depth })
        const { hash, sum } = naive(entries(n), depth)
        expect(ledger.root).toEqual(hash)
        expect(ledger.total).toBe(sum)
        expect(ledger.depth).toBe(depth)
      }
  })

  test('behavior: extremes of every number', () => {
    const extremes = [
      entry(1, { cumulative: 2n ** 127n, value: 2n ** 255n - 1n, steps: 0xffffffff }),
      entry(2, { cumulative: 2n ** 127n - 1n, value: -(2n ** 255n), steps: 0 }),
      entry(3, { cumulative: 0n, value: -1n }),
    ]
    const ledger = buildLedger(extremes)
    expect(ledger.root).toEqual(naive(extremes, 2).hash)
    expect(ledger.total).toBe(2n ** 128n - 1n)
  })

  test('behavior: depth follows the members', () => {
    expect([0, 1, 2, 3, 4, 5, 1024, 1025].map(ledgerDepth)).toEqual([0, 0, 1, 2, 2, 3, 10, 11])
  })

  test('error: a sum over 128 bits is refused', () => {
    const half = entry(1, { cumulative: 2n ** 127n })
    expect(() => buildLedger([half, half])).toThrow(LedgerOverflowError)
  })

  test('error: entries out of bounds', () => {
    for (const bad of [
      { cumulative: -1n },
      { cumulative: 2n ** 128n },
      { device: new Uint8Array(19) },
      { steps: 2 ** 32 },
      { steps: -1 },
      { steps: 0.5 },
      { traceRoot: new Uint8Array(31) },
      { value: 2n ** 255n },
      { value: -(2n ** 255n) - 1n },
    ])
      expect(() => buildLedger([entry(1, bad)])).toThrow(InvalidEntryError)
  })

  test('error: depth and slots', () => {
    expect(() => buildLedger(entries(5), { depth: 2 })).toThrow(LedgerDepthError)
    expect(() => buildLedger([], { depth: 33 })).toThrow(LedgerDepthError)
    expect(() => buildLedger([], { depth: 1.5 })).toThrow(LedgerDepthError)
    const ledger = buildLedger(entries(5))
    for (const call of [
      () => ledger.proof(8),
      () => ledger.proof(-1),
      () => ledger.proof(0.5),
      () => ledger.fleetProof(7, 2),
      () => ledger.fleetProof(0, 0),
    ])
      expect(call).toThrow(LedgerSlotError)
  })
})

describe('verifyLedgerProof', () => {
  const slots = entries(21)
  const ledger = buildLedger(slots, { depth: 6 })
  const { depth, root, total } = ledger

  test('behavior: every slot, empty ones and those beyond all members too', () => {
    for (let slot = 0; slot < 2 ** depth; slot++) {
      const { entry, siblings: proof } = ledger.proof(slot)
      expect(entry).toBe(slots[slot] ?? null)
      expect(verifyLedgerProof({ depth, entry, proof, root, slot, total })).toBe(true)
    }
  })

  test('behavior: a ledger of one slot has an empty path', () => {
    const lone = buildLedger([entry(4)])
    const { entry: found, siblings: proof } = lone.proof(0)
    expect(proof.length).toBe(0)
    expect(
      verifyLedgerProof({
        depth: 0,
        entry: found,
        proof,
        root: lone.root,
        slot: 0,
        total: lone.total,
      }),
    ).toBe(true)
  })

  test('behavior: false on garbage, never an exception', () => {
    const slot = 6
    const { siblings: proof } = ledger.proof(slot)
    const good = { depth, entry: slots[slot]!, proof, root, slot, total }
    expect(verifyLedgerProof(good)).toBe(true)
    for (const bad of [
      { slot: 7 },
      { slot: -1 },
      { slot: 64 },
      { slot: Number.NaN },
      { depth: 5 },
      { depth: 33 },
      { depth: -1 },
      { entry: null },
      { entry: entry(6, { cumulative: good.entry.cumulative + 1n }) },
      { entry: entry(6, { cumulative: -1n }) },
      { entry: entry(6, { value: 0n }) },
      { entry: entry(6, { steps: 1 }) },
      { entry: entry(6, { device: new Uint8Array(3) }) },
      { entry: entry(6, { traceRoot: new Uint8Array(32) }) },
      { total: total + 1n },
      { root: new Uint8Array(32) },
      { root: new Uint8Array(0) },
      { proof: proof.subarray(48) },
      { proof: proof.subarray(1) },
      { proof: concatBytes(proof, new Uint8Array(48)) },
      { proof: concatBytes(proof, new Uint8Array(1)) },
      { proof: new Uint8Array(48 * 6).fill(0xff) },
    ])
      expect(verifyLedgerProof({ ...good, ...bad })).toBe(false)
  })

  test('behavior: every flipped bit of the path fails', () => {
    const { entry, siblings } = ledger.proof(6)
    for (let bit = 0; bit < 8 * siblings.length; bit++) {
      const proof = siblings.slice()
      proof[bit >> 3]! ^= 1 << (bit & 7)
      expect(verifyLedgerProof({ depth, entry, proof, root, slot: 6, total })).toBe(false)
    }
  })
})

describe('verifyFleetProof', () => {
  const ledger = buildLedger(Array.from({ length: 16 }, (_, i) => (i === 9 ? null : entry(i))))
  const { depth, root, total } = ledger

  test('behavior: every run of adjacent slots', () => {
    for (let from = 0; from < 16; from++)
      for (let count = 1; from + count <= 16; count++) {
        const { entries, siblings: proof } = ledger.fleetProof(from, count)
        const run = { depth, entries, proof, root, slot: from, total }
        expect(verifyFleetProof(run)).toBe(true)
        expect(verifyFleetProof({ ...run, slot: from + 1 })).toBe(false)
        expect(verifyFleetProof({ ...run, entries: entries.slice(1) })).toBe(false)
      }
  })

  test('behavior: the whole ledger needs no path', () => {
    expect(ledger.fleetProof(0, 16).siblings.length).toBe(0)
    // An aligned run of 2^k slots shares the path of the subtree above it.
    expect(ledger.fleetProof(4, 4).siblings.length).toBe(2 * 48)
  })

  test('behavior: entries swapped within a run fail', () => {
    const { entries, siblings: proof } = ledger.fleetProof(0, 3)
    const [a = null, b = null, c = null] = entries
    expect(verifyFleetProof({ depth, entries: [b, a, c], proof, root, slot: 0, total })).toBe(false)
  })
})

describe('nodeProof', () => {
  const entries = Array.from({ length: 70 }, (_, i) => (i % 4 === 3 ? null : entry(i)))
  const ledger = buildLedger(entries, { depth: 8 })

  test('behavior: nodes, entries and slots are those of the tree', () => {
    expect(ledger.entry(2)).toEqual(entries[2])
    expect(ledger.entry(3)).toBe(null)
    expect(ledger.entry(255)).toBe(null)
    expect(() => ledger.entry(256)).toThrow(LedgerSlotError)
    expect(() => ledger.entry(-1)).toThrow(LedgerSlotError)
    expect(ledger.slotOf(entry(68).device)).toBe(68)
    expect(ledger.slotOf(new Uint8Array(20))).toBe(null)
    expect(ledger.node(8, 0)).toEqual({ hash: ledger.root, sum: ledger.total })
    expect(ledger.node(0, 2)).toEqual({ ...naive([entry(2)], 0) })
    expect(ledger.node(3, 1)).toEqual(naive(entries.slice(8, 16), 3))
    // Above slots that nobody has.
    expect(ledger.node(6, 3)).toEqual(naive([], 6))
    for (const [height, index] of [
      [9, 0],
      [8, 1],
      [-1, 0],
      [0, 256],
      [1, 0.5],
    ] as const) {
      expect(() => ledger.node(height, index)).toThrow(LedgerNodeError)
      expect(() => ledger.nodeProof(height, index)).toThrow(LedgerNodeError)
    }
  })

  test('behavior: every node, five levels down', () => {
    const { depth, root, total } = ledger
    for (let height = 0; height <= depth; height++)
      for (let index = 0; index < 2 ** (depth - height); index++) {
        const { nodes, siblings } = ledger.nodeProof(height, index)
        expect(nodes.length).toBe(48 * 2 ** Math.min(5, height))
        const good = { depth, height, index, nodes, root, siblings, total }
        expect(verifyRevealed(good)).toBe(true)
        // Two empty nodes are the same.
        if (height === depth || ledger.node(height, index).sum === 0n) continue
        expect(verifyRevealed({ ...good, index: index ^ 1 })).toBe(false)
      }
    const lone = buildLedger([entry(4)])
    expect(verifyRevealed({ ...lone, ...lone.nodeProof(0, 0), height: 0, index: 0 })).toBe(true)
  })

  test('behavior: false on garbage, never an exception', () => {
    const { depth, root, total } = ledger
    const { nodes, siblings } = ledger.nodeProof(6, 1)
    const good = { depth, height: 6, index: 1, nodes, root, siblings, total }
    expect(verifyRevealed(good)).toBe(true)
    for (const bad of [
      { height: 5 },
      { height: 7 },
      { height: 9 },
      { height: -1 },
      { height: Number.NaN },
      { index: 0 },
      { index: 4 },
      { index: -1 },
      { index: 0.5 },
      { depth: 7 },
      { depth: 40 },
      { depth: Number.NaN },
      { total: total + 1n },
      { root: new Uint8Array(0) },
      { nodes: nodes.subarray(48) },
      { nodes: concatBytes(nodes, nodes) },
      { nodes: new Uint8Array(0) },
      { nodes: new Uint8Array(nodes.length).fill(0xff) },
      { siblings: siblings.subarray(1) },
      { siblings: concatBytes(siblings, siblings) },
    ])
      expect(verifyRevealed({ ...good, ...bad })).toBe(false)
    for (let bit = 0; bit < 8 * nodes.length; bit += 5) {
      const flipped = nodes.slice()
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      expect(verifyRevealed({ ...good, nodes: flipped })).toBe(false)
    }
  })
})

test('behavior: the detail of an entry is what redeeming shows', () => {
  const { steps, traceRoot, value } = entry(2)
  expect(entryDetail({ steps, traceRoot, value })).toEqual(
    keccak256(concatBytes(integer(value, 32), integer(BigInt(steps), 32), traceRoot)),
  )
})
