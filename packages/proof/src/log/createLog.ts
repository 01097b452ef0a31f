import { BaseError } from '@machinefi/core'
import { emptyRoot, hashLeaf, hashNode } from './treeHash.js'

/**
 * Append-only Merkle log of 32-byte entries (RFC 9162 §2.1), held in memory:
 * 96 bytes an entry. Roots and proofs are given for every size up to the
 * present one, so anything ever signed can be proven later.
 *
 * @param ids entries to begin with, 32 bytes each, one after the other.
 * @throws {InvalidLogEntryError} a length that is no multiple of 32.
 *
 * @example
 * const log = createLog()
 * const index = log.append(sha256(Uint8Array.of(1)))
 * verifyInclusion({ id: log.id(index), index, size: log.size, proof: log.inclusionProof(index), root: log.root() }) // true
 */
export function createLog(ids: Uint8Array = new Uint8Array(0)): Log {
  if (ids.length % 32 !== 0) throw new InvalidLogEntryError(ids.length)
  let size = 0
  let entries: Uint8Array = new Uint8Array(Math.max(32 * 64, ids.length))
  /** levels[l] holds the hashes of the complete subtrees of 2^l entries, from the left. */
  const levels: Uint8Array[] = []
  /** The last node of every level for one size, complete or not; remade when the size asked for changes. */
  let edge = { size: 0, nodes: [] as Uint8Array[] }

  function append(id: Uint8Array): number {
    if (id.length !== 32) throw new InvalidLogEntryError(id.length)
    const index = size
    entries = reserve(entries, 32 * (index + 1))
    entries.set(id, 32 * index)
    let hash = hashLeaf(id)
    let position = index
    for (let l = 0; ; l++) {
      const level = reserve(levels[l] ?? new Uint8Array(32 * 64), 32 * (position + 1))
      levels[l] = level
      level.set(hash, 32 * position)
      if (position % 2 === 0) break
      hash = hashNode(level, 32 * (position - 1), level, 32 * position)
      position = (position - 1) / 2
    }
    size++
    return index
  }

  /** The nodes at the right edge of the tree of `n` ≥ 1 entries, from the leaf up to the root. */
  function edgeOf(n: number): Uint8Array[] {
    if (edge.size === n) return edge.nodes
    const level = levels[0] as Uint8Array
    let last = level.subarray(32 * (n - 1), 32 * n)
    const nodes = [last]
    for (let l = 0, count = n; count > 1; l++, count = Math.ceil(count / 2)) {
      // A lone last node rises as it is.
      if (count % 2 === 0) last = hashNode(levels[l] as Uint8Array, 32 * (count - 2), last, 0)
      nodes.push(last)
    }
    edge = { size: n, nodes }
    return nodes
  }

  function node(n: number, l: number, position: number): Uint8Array {
    const count = Math.ceil(n / 2 ** l)
    if (position === count - 1) return edgeOf(n)[l] as Uint8Array
    return (levels[l] as Uint8Array).subarray(32 * position, 32 * (position + 1))
  }

  function assertSize(n: number) {
    if (!Number.isInteger(n) || n < 0 || n > size) throw new LogRangeError(`size ${n}`, size)
  }

  for (let i = 0; i < ids.length; i += 32) append(ids.subarray(i, i + 32))

  return {
    get size() {
      return size
    },
    append,
    id(index) {
      if (!Number.isInteger(index) || index < 0 || index >= size)
        throw new LogRangeError(`index ${index}`, size)
      return entries.slice(32 * index, 32 * (index + 1))
    },
    ids(from = 0, to = size) {
      assertSize(to)
      if (!Number.isInteger(from) || from < 0 || from > to)
        throw new LogRangeError(`index ${from}`, to)
      return entries.slice(32 * from, 32 * to)
    },
    root(n = size) {
      assertSize(n)
      return Uint8Array.from(n === 0 ? emptyRoot : (edgeOf(n).at(-1) as Uint8Array))
    },
    inclusionProof(index, n = size) {
      assertSize(n)
      if (!Number.isInteger(index) || index < 0 || index >= n)
        throw new LogRangeError(`index ${index}`, n)
      let hashes = 0
      for (let position = index, count = n; count > 1; count = Math.ceil(count / 2)) {
        if ((position % 2 === 0 ? position + 1 : position - 1) < count) hashes++
        position = Math.floor(position / 2)
      }
      // Copied by hand: a node makes one for each batch, and for 32 bytes a view costs more than a copy.
      const proof = new Uint8Array(32 * hashes)
      let at = 0
      for (let l = 0, position = index, count = n; count > 1; l++) {
        const sibling = position % 2 === 0 ? position + 1 : position - 1
        if (sibling < count) {
          const isLast = sibling === count - 1
          const nodes = isLast ? (edgeOf(n)[l] as Uint8Array) : (levels[l] as Uint8Array)
          const from = isLast ? 0 : 32 * sibling
          for (let i = 0; i < 32; i++) proof[at++] = nodes[from + i] as number
        }
        position = Math.floor(position / 2)
        count = Math.ceil(count / 2)
      }
      return proof
    },
    consistencyProof(from, to = size) {
      assertSize(to)
      if (!Number.isInteger(from) || from < 0 || from > to)
        throw new LogRangeError(`size ${from}`, to)
      const path: Uint8Array[] = []
      if (from === 0 || from === to) return flatten(path)
      // The largest complete subtree that ends the old tree, then what joins it to the new one.
      let l = 0
      let position = from - 1
      let last = to - 1
      while (position % 2 === 1) {
        position = (position - 1) / 2
        last = Math.floor(last / 2)
        l++
      }
      if (position > 0) path.push(node(to, l, position))
      while (last > 0) {
        if (position % 2 === 1) path.push(node(to, l, position - 1))
        else if (position < last) path.push(node(to, l, position + 1))
        position = Math.floor(position / 2)
        last = Math.floor(last / 2)
        l++
      }
      return flatten(path)
    },
  }
}

/** An append-only Merkle log. Every answer is a copy. */
export type Log = {
  /** Number of entries. */
  readonly size: number
  /** Appends an entry of 32 bytes and returns its index. */
  append(id: Uint8Array): number
  /** The entry at an index. @throws {LogRangeError} */
  id(index: number): Uint8Array
  /** The entries of [from, to), 32 bytes each, one after the other. @throws {LogRangeError} */
  ids(from?: number, to?: number): Uint8Array
  /** The root of the first `size` entries. @throws {LogRangeError} */
  root(size?: number): Uint8Array
  /** The path of an entry in the tree of the first `size` ones: 32 bytes a hash, from the leaf up (RFC 9162 §2.1.3.1). @throws {LogRangeError} */
  inclusionProof(index: number, size?: number): Uint8Array
  /** The proof that the tree of `from` entries begins the tree of `to` (RFC 9162 §2.1.4.1); empty from size 0. @throws {LogRangeError} */
  consistencyProof(from: number, to?: number): Uint8Array
}

export class InvalidLogEntryError extends BaseError {
  override readonly name = 'InvalidLogEntryError'
  constructor(length: number) {
    super(`A log entry has 32 bytes; ${length} were given.`, { kind: 'input' })
  }
}

export class LogRangeError extends BaseError {
  override readonly name = 'LogRangeError'
  constructor(what: string, size: number) {
    super(`There is no ${what} in a log of ${size} entries.`, { kind: 'input' })
  }
}

/** Doubles a buffer until it holds `length` bytes, so that appending is cheap on average. */
function reserve(buffer: Uint8Array, length: number): Uint8Array {
  if (length <= buffer.length) return buffer
  const larger = new Uint8Array(Math.max(length, 2 * buffer.length))
  larger.set(buffer)
  return larger
}

function flatten(path: readonly Uint8Array[]): Uint8Array {
  const proof = new Uint8Array(32 * path.length)
  for (const [i, hash] of path.entries()) proof.set(hash, 32 * i)
  return proof
}
