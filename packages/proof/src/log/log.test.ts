import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { sha256 } from '@machinefi/core'
import { describe, expect, test } from 'vitest'
import { createLog, InvalidLogEntryError, LogRangeError } from './createLog.js'
import { emptyRoot } from './treeHash.js'
import { verifyConsistency } from './verifyConsistency.js'
import { foldInclusionPath, verifyInclusion } from './verifyInclusion.js'

const id = (i: number) => Uint8Array.from(sha256(Uint8Array.of(i >> 8, i)))
const flat = (n: number) => {
  const ids = new Uint8Array(32 * n)
  for (let i = 0; i < n; i++) ids.set(id(i), 32 * i)
  return ids
}

/** RFC 9162 §2.1, word for word and slow. */
const naive = {
  split(n: number) {
    let k = 1
    while (2 * k < n) k *= 2
    return k
  },
  root(ids: Uint8Array[]): Uint8Array {
    if (ids.length === 0) return sha256()
    if (ids.length === 1) return sha256(Uint8Array.of(0), ids[0]!)
    const k = naive.split(ids.length)
    return sha256(Uint8Array.of(1), naive.root(ids.slice(0, k)), naive.root(ids.slice(k)))
  },
  path(m: number, ids: Uint8Array[]): Uint8Array[] {
    if (ids.length === 1) return []
    const k = naive.split(ids.length)
    return m < k
      ? [...naive.path(m, ids.slice(0, k)), naive.root(ids.slice(k))]
      : [...naive.path(m - k, ids.slice(k)), naive.root(ids.slice(0, k))]
  },
  proof(m: number, ids: Uint8Array[], whole = true): Uint8Array[] {
    if (m === ids.length) return whole ? [] : [naive.root(ids)]
    const k = naive.split(ids.length)
    return m <= k
      ? [...naive.proof(m, ids.slice(0, k), whole), naive.root(ids.slice(k))]
      : [...naive.proof(m - k, ids.slice(k), false), naive.root(ids.slice(0, k))]
  },
}
const join = (parts: Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => [...part]))

describe('createLog', () => {
  test('default', () => {
    const log = createLog()
    expect(log.size).toBe(0)
    expect(log.root()).toEqual(emptyRoot)
    expect(log.append(id(0))).toBe(0)
    expect(log.append(id(1))).toBe(1)
    expect(log.id(1)).toEqual(id(1))
    expect(log.ids()).toEqual(flat(2))
    expect(log.ids(1, 2)).toEqual(id(1))
    expect(log.root(0)).toEqual(emptyRoot)
  })

  test('behavior: equals RFC 9162 written naively, for all sizes to 130', () => {
    const log = createLog(flat(130))
    const ids = Array.from({ length: 130 }, (_, i) => id(i))
    for (let n = 1; n <= 130; n++) {
      const now = ids.slice(0, n)
      const root = log.root(n)
      expect(root).toEqual(Uint8Array.from(naive.root(now)))
      // All pairs up to 40, a few of every kind beyond.
      const step = n <= 40 ? 1 : 13
      for (let m = 0; m < n; m += step) {
        const proof = log.inclusionProof(m, n)
        expect(proof).toEqual(join(naive.path(m, now)))
        expect(verifyInclusion({ id: id(m), index: m, size: n, proof, root })).toBe(true)
      }
      for (let m = 1; m <= n; m += step) {
        const proof = log.consistencyProof(m, n)
        expect(proof).toEqual(join(naive.proof(m, now)))
        expect(
          verifyConsistency({ from: m, to: n, fromRoot: log.root(m), toRoot: root, proof }),
        ).toBe(true)
      }
    }
  })

  test('behavior: grows and is built in one go alike', () => {
    const built = createLog(flat(300))
    const grown = createLog()
    for (let n = 1; n <= 300; n++) {
      grown.append(id(n - 1))
      expect(grown.root()).toEqual(built.root(n))
    }
  })

  test('behavior: answers are copies', () => {
    const log = createLog(flat(3))
    const root = log.root()
    log.root().fill(0)
    log.id(0).fill(0)
    log.root(0).fill(0)
    expect(log.root()).toEqual(root)
    expect(log.id(0)).toEqual(id(0))
    expect(log.root(0)).toEqual(emptyRoot)
  })

  test('error: entries and ranges', () => {
    const log = createLog(flat(3))
    expect(() => log.append(new Uint8Array(31))).toThrow(InvalidLogEntryError)
    expect(() => createLog(new Uint8Array(33))).toThrow(InvalidLogEntryError)
    for (const call of [
      () => log.id(3),
      () => log.id(-1),
      () => log.id(0.5),
      () => log.ids(2, 1),
      () => log.root(4),
      () => log.inclusionProof(3),
      () => log.inclusionProof(2, 2),
      () => log.inclusionProof(0, 0),
      () => log.consistencyProof(4),
      () => log.consistencyProof(3, 2),
    ])
      expect(call).toThrow(LogRangeError)
  })
})

describe('verifyInclusion', () => {
  const log = createLog(flat(11))
  const good = { id: id(6), index: 6, size: 11, proof: log.inclusionProof(6), root: log.root() }

  test('behavior: false on garbage, never an exception', () => {
    expect(verifyInclusion(good)).toBe(true)
    for (const bad of [
      { id: new Uint8Array(31) },
      { id: id(7) },
      { index: 7 },
      { index: 11 },
      { index: -1 },
      { index: Number.NaN },
      { index: 6.5 },
      { size: 6 },
      { size: Number.POSITIVE_INFINITY },
      { size: 2 ** 53 },
      { proof: good.proof.subarray(32) },
      { proof: good.proof.subarray(1) },
      { proof: new Uint8Array(0) },
      { proof: Uint8Array.of(...good.proof, ...new Uint8Array(32)) },
      { proof: new Uint8Array(32 * 200) },
      { root: new Uint8Array(0) },
      { root: emptyRoot },
    ])
      expect(verifyInclusion({ ...good, ...bad })).toBe(false)
  })

  test('behavior: every flipped bit fails', () => {
    for (let bit = 0; bit < 8 * good.proof.length; bit++) {
      const proof = good.proof.slice()
      proof[bit >> 3]! ^= 1 << (bit & 7)
      expect(verifyInclusion({ ...good, proof })).toBe(false)
    }
  })

  test('behavior: indices beyond 32 bits', () => {
    // The last of 2^40 + 1 entries hangs on one sibling: the complete tree before it.
    const sibling = id(1)
    const root = sha256(Uint8Array.of(1), sibling, sha256(Uint8Array.of(0), id(0)))
    const far = { id: id(0), index: 2 ** 40, size: 2 ** 40 + 1, proof: sibling, root }
    expect(verifyInclusion(far)).toBe(true)
    expect(verifyInclusion({ ...far, index: 0 })).toBe(false)
  })
})

describe('verifyConsistency', () => {
  const log = createLog(flat(11))
  const good = {
    from: 6,
    to: 11,
    fromRoot: log.root(6),
    toRoot: log.root(),
    proof: log.consistencyProof(6),
  }

  test('behavior: false on garbage, never an exception', () => {
    expect(verifyConsistency(good)).toBe(true)
    for (const bad of [
      { from: 5 },
      { from: 0 },
      { from: 12 },
      { from: -1 },
      { from: Number.NaN },
      { to: 10.5 },
      { to: 6 },
      { proof: good.proof.subarray(32) },
      { proof: good.proof.subarray(31) },
      { proof: new Uint8Array(0) },
      { proof: Uint8Array.of(...good.proof, ...new Uint8Array(32)) },
      { fromRoot: good.toRoot },
      { fromRoot: new Uint8Array(0) },
      { toRoot: good.fromRoot },
    ])
      expect(verifyConsistency({ ...good, ...bad })).toBe(false)
  })

  test('behavior: from the empty log and to itself', () => {
    const none = new Uint8Array(0)
    expect(verifyConsistency({ ...good, from: 0, fromRoot: emptyRoot, proof: none })).toBe(true)
    expect(verifyConsistency({ ...good, from: 0, fromRoot: good.fromRoot, proof: none })).toBe(
      false,
    )
    expect(verifyConsistency({ ...good, from: 11, fromRoot: good.toRoot, proof: none })).toBe(true)
    expect(verifyConsistency({ ...good, from: 11, proof: none })).toBe(false)
  })

  test('behavior: a rewritten log is not consistent', () => {
    const ids = flat(11)
    ids[0]! ^= 1
    const other = createLog(ids)
    expect(
      verifyConsistency({ ...good, toRoot: other.root(), proof: other.consistencyProof(6) }),
    ).toBe(false)
  })
})

const vectors = new URL('../../../../../shared/vectors/rfc9162/inclusion/', import.meta.url)
describe.skipIf(!existsSync(vectors))('published vectors', () => {
  test('behavior: transparency-dev/merkle inclusion', () => {
    const files = (readdirSync(vectors, { recursive: true }) as string[]).filter((name) =>
      name.endsWith('.json'),
    )
    expect(files.length).toBe(98)
    const bytes = (text: string | null) => Uint8Array.from(Buffer.from(text ?? '', 'base64'))
    for (const file of files) {
      const vector = JSON.parse(readFileSync(new URL(file, vectors), 'utf8'))
      const proof = (vector.proof ?? []).map(bytes) as Uint8Array[]
      // The vectors have hashes of wrong lengths; a flat proof cannot even express most of them.
      const computed = proof.every((hash) => hash.length === 32)
        ? foldInclusionPath({
            index: vector.leafIdx,
            leafHash: bytes(vector.leafHash),
            proof: join(proof),
            size: vector.treeSize,
          })
        : null
      const ok = computed !== null && Buffer.from(computed).equals(bytes(vector.root))
      expect({ file, ok }).toEqual({ file, ok: !vector.wantErr })
    }
  })
})
