/** Where a signed batch is, and what is to become of it. */
export type IndexedBatch = {
  readonly seq: number
  /** Time of the last row, ms. */
  readonly end: number
  /** Rows. */
  readonly count: number
  /** Number of the segment, and where in it the entry begins. */
  readonly segment: number
  readonly offset: number
  /** Bytes of the signed batch. */
  readonly length: number
  readonly state: BatchState
  /** When its newest receipt was in hand, ms by the store's time; 0 before there was one. */
  readonly deliveredAt: number
}

/**
 * `queued`: to be delivered. `again`: was delivered, and is to be once more,
 * to another node. `refused`: the node will never take it. `kept`: delivered.
 */
export type BatchState = 'queued' | 'again' | 'refused' | 'kept'

/**
 * The batches of a store in the order of their seqs, in 41 bytes each: an
 * outage leaves a hundred thousand of them, and objects would take 300 bytes.
 */
export function createBatchIndex(): BatchIndex {
  let columns = createColumns(64)
  /** Places in use, those of deleted batches included. */
  let length = 0
  let deleted = 0
  const totals = states.map(() => ({ batches: 0, bytes: 0, readings: 0 }))
  /** No batch of the state stands before this place. */
  let firsts = states.map(() => 0)

  /** The first place whose seq is not below. */
  function find(seq: number): number {
    let low = 0
    let high = length
    // Batches come in order: almost always it is a new last one.
    if (length > 0 && columns.seqs[length - 1]! < seq) return length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (columns.seqs[middle]! < seq) low = middle + 1
      else high = middle
    }
    return low
  }

  function placeOf(seq: number): number {
    const place = find(seq)
    return columns.seqs[place] === seq && place < length && columns.states[place]! < none
      ? place
      : -1
  }

  function count(place: number, sign: 1 | -1) {
    const total = totals[columns.states[place]!]!
    total.batches += sign
    total.bytes += sign * columns.lengths[place]!
    total.readings += sign * columns.counts[place]!
  }

  function setState(place: number, state: number) {
    if (columns.states[place]! < none) count(place, -1)
    columns.states[place] = state
    if (state === none) return
    count(place, 1)
    firsts[state] = Math.min(firsts[state]!, place)
  }

  /** Copies what is not deleted to columns of a fitting length. */
  function repack() {
    const fresh = createColumns(Math.max(64, 2 * (length - deleted)))
    let to = 0
    for (let from = 0; from < length; from++) {
      if (columns.states[from] === none) continue
      for (const name of names) fresh[name][to] = columns[name][from]!
      to++
    }
    columns = fresh
    length = to
    deleted = 0
    firsts = states.map(() => 0)
  }

  function read(place: number): IndexedBatch {
    return {
      seq: columns.seqs[place]!,
      end: columns.ends[place]!,
      count: columns.counts[place]!,
      segment: columns.segments[place]!,
      offset: columns.offsets[place]!,
      length: columns.lengths[place]!,
      state: states[columns.states[place]!]!,
      deliveredAt: columns.times[place]!,
    }
  }

  return {
    put(batch) {
      let place = find(batch.seq)
      const there = place < length && columns.seqs[place] === batch.seq
      if (there && columns.states[place] !== none) count(place, -1)
      else if (there) deleted--
      else {
        if (length === columns.seqs.length) {
          repack()
          place = find(batch.seq)
        }
        for (const name of names) columns[name].copyWithin(place + 1, place, length)
        if (place < length) firsts = states.map(() => 0)
        length++
      }
      columns.seqs[place] = batch.seq
      columns.ends[place] = batch.end
      columns.counts[place] = batch.count
      columns.segments[place] = batch.segment
      columns.offsets[place] = batch.offset
      columns.lengths[place] = batch.length
      columns.times[place] = batch.deliveredAt
      columns.states[place] = none
      setState(place, states.indexOf(batch.state))
    },
    get(seq) {
      const place = placeOf(seq)
      return place < 0 ? undefined : read(place)
    },
    set(seq, state, deliveredAt) {
      const place = placeOf(seq)
      if (place < 0) return
      setState(place, states.indexOf(state))
      columns.times[place] = deliveredAt ?? columns.times[place]!
    },
    delete(seq) {
      const place = placeOf(seq)
      if (place < 0) return
      setState(place, none)
      deleted++
      if (deleted > 64 && deleted > length / 2) repack()
    },
    *batches(wanted, { newest = false } = {}) {
      const numbers = wanted.map((state) => states.indexOf(state))
      const mask = numbers.reduce((bits, state) => bits | (1 << state), 0)
      const isWanted = (place: number) => ((mask >> columns.states[place]!) & 1) === 1
      if (newest) {
        for (let place = length - 1; place >= 0; place--) if (isWanted(place)) yield read(place)
        return
      }
      let place = Math.min(...numbers.map((state) => firsts[state]!))
      while (place < length && !isWanted(place)) place++
      for (const state of numbers) firsts[state] = Math.max(firsts[state]!, place)
      for (; place < length; place++) if (isWanted(place)) yield read(place)
    },
    total: (state) => totals[states.indexOf(state)]!,
  }
}

export type BatchIndex = {
  /** Adds a batch, or moves it to another place and state. */
  put(batch: IndexedBatch): void
  get(seq: number): IndexedBatch | undefined
  /** Without `deliveredAt`, that stays as it was. */
  set(seq: number, state: BatchState, deliveredAt?: number): void
  delete(seq: number): void
  /**
   * Batches of some states, lowest seq first, or last with `newest`. The index must not
   * change while they are read.
   */
  batches(
    states: readonly BatchState[],
    options?: { newest?: boolean | undefined },
  ): Generator<IndexedBatch>
  total(state: BatchState): Readonly<{ batches: number; bytes: number; readings: number }>
}

const states = ['queued', 'again', 'refused', 'kept'] as const
/** The state of a deleted batch. */
const none = 4

const names = [
  'seqs',
  'ends',
  'times',
  'counts',
  'segments',
  'offsets',
  'lengths',
  'states',
] as const

function createColumns(length: number) {
  return {
    seqs: new Float64Array(length),
    ends: new Float64Array(length),
    times: new Float64Array(length),
    counts: new Uint32Array(length),
    segments: new Uint32Array(length),
    offsets: new Uint32Array(length),
    lengths: new Uint32Array(length),
    states: new Uint8Array(length),
  }
}
