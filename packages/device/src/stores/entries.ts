import type { Row } from '@machinefi/telemetry'
import type { Problem } from '../transports/transport.js'
import type { Store } from './store.js'

/** One change of a file store, as its segments have it. */
export type Entry =
  /** First of a segment: which one it follows, and how much of that counts. */
  | { type: 'segment'; previous: number; previousEnd: number }
  | ({ type: 'identity' } & Store.Identity & StoreTimes & StorePosition)
  | { type: 'row'; row: Row }
  /** "The rows up to this time are batch `seq`": there are `count` of them. */
  | { type: 'reserve'; seq: number; count: number; end: number }
  | BatchEntry
  | { type: 'refuse'; seq: number; problem: Problem }
  /** A receipt is in hand, since then by the store's time. */
  | { type: 'deliver'; seq: number; at: number }
  | { type: 'drop' | 'remove' | 'requeue'; seq: number }
  /** The node said then, by the store's time, that the windows that end by `before` are final. */
  | { type: 'final'; before: number; at: number }
  | { type: 'rewind'; lastTime: number }

export type BatchEntry = {
  type: 'batch'
  seq: number
  end: number
  count: number
  id: Uint8Array
  bytes: Uint8Array
}

/** Times of the network, ms; NaN where they are not known. See `createDevice.Network`. */
export type StoreTimes = { windowMs: number; finalAfterMs: number }

/** Where a store is; NaN is "none yet". The last two are those of the last `final`. */
export type StorePosition = {
  nextSeq: number
  lastTime: number
  dropped: number
  finalBefore: number
  finalAt: number
}

/** Bytes before the signed batch in a `batch` entry: type, seq, end, count, id, length. */
export const batchHeadBytes = 1 + 3 * 8 + 32 + 4

/** Bytes of the entry of a row. */
export function rowEntryBytes(row: Row): number {
  return 1 + 8 + 1 + 8 * row.values.length
}

/** Bytes of a `reserve` entry. */
export const reserveBytes = 1 + 3 * 8

/** Bytes of a `segment` entry. */
export const segmentEntryBytes = 1 + 1 + 2 * 8

/** Bytes of an `identity` entry. */
export const identityBytes = 1 + 9 * 8 + 32 + 20

/** Numbers are doubles (seqs and times have 53 bits, NaN is "none"), lengths are u32. */
export function encodeEntry(entry: Entry): Uint8Array {
  switch (entry.type) {
    case 'segment': {
      const bytes = new Uint8Array(segmentEntryBytes)
      bytes.set([types.segment, formatVersion])
      writeNumbers(bytes, 2, [entry.previous, entry.previousEnd])
      return bytes
    }
    case 'identity': {
      const { nextSeq, lastTime, dropped, finalBefore, finalAt } = entry
      const { schema, fields, windowMs, finalAfterMs, network, device } = entry
      const bytes = new Uint8Array(identityBytes)
      bytes[0] = types.identity
      writeNumbers(bytes, 1, [nextSeq, lastTime, dropped, finalBefore, finalAt])
      writeNumbers(bytes, 41, [schema, fields, windowMs, finalAfterMs])
      bytes.set(network, 73)
      bytes.set(device, 105)
      return bytes
    }
    case 'row': {
      const { time, values } = entry.row
      const bytes = new Uint8Array(1 + 8 + 1 + 8 * values.length)
      bytes[0] = types.row
      bytes[9] = values.length
      writeNumbers(bytes, 1, [time])
      writeNumbers(bytes, 10, values)
      return bytes
    }
    case 'batch': {
      const bytes = new Uint8Array(batchHeadBytes + entry.bytes.length)
      bytes[0] = types.batch
      writeNumbers(bytes, 1, [entry.seq, entry.end, entry.count])
      bytes.set(entry.id, 25)
      new DataView(bytes.buffer).setUint32(57, entry.bytes.length)
      bytes.set(entry.bytes, batchHeadBytes)
      return bytes
    }
    case 'refuse': {
      const problem = new TextEncoder().encode(JSON.stringify(entry.problem))
      const bytes = new Uint8Array(1 + 8 + 4 + problem.length)
      bytes[0] = types.refuse
      writeNumbers(bytes, 1, [entry.seq])
      new DataView(bytes.buffer).setUint32(9, problem.length)
      bytes.set(problem, 13)
      return bytes
    }
    case 'reserve': {
      const bytes = new Uint8Array(reserveBytes)
      bytes[0] = types.reserve
      writeNumbers(bytes, 1, [entry.seq, entry.count, entry.end])
      return bytes
    }
    case 'deliver': {
      const bytes = new Uint8Array(17)
      bytes[0] = types.deliver
      writeNumbers(bytes, 1, [entry.seq, entry.at])
      return bytes
    }
    case 'final': {
      const bytes = new Uint8Array(17)
      bytes[0] = types.final
      writeNumbers(bytes, 1, [entry.before, entry.at])
      return bytes
    }
    case 'rewind': {
      const bytes = new Uint8Array(9)
      bytes[0] = types.rewind
      writeNumbers(bytes, 1, [entry.lastTime])
      return bytes
    }
    default: {
      const bytes = new Uint8Array(9)
      bytes[0] = types[entry.type]
      writeNumbers(bytes, 1, [entry.seq])
      return bytes
    }
  }
}

/**
 * Reads the entries of a frame, each with its offset in it; `undefined` when
 * they are not entries of this version. Byte strings are views into the frame.
 */
export function decodeEntries(frame: Uint8Array): { entry: Entry; offset: number }[] | undefined {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length)
  const entries: { entry: Entry; offset: number }[] = []
  let at = 0
  const number = () => {
    at += 8
    return view.getFloat64(at - 8)
  }
  const value = () => {
    const read = number()
    return Number.isNaN(read) ? null : read
  }
  const take = (length: number) => {
    at += length
    if (at > frame.length) throw new RangeError()
    return frame.subarray(at - length, at)
  }
  try {
    while (at < frame.length) {
      const offset = at
      const type = frame[at++]
      let entry: Entry
      if (type === types.segment) {
        if (frame[at++] !== formatVersion) return undefined
        entry = { type: 'segment', previous: number(), previousEnd: number() }
      } else if (type === types.identity) {
        const [nextSeq, lastTime, dropped] = [number(), number(), number()]
        const [finalBefore, finalAt] = [number(), number()]
        const [schema, fields, windowMs, finalAfterMs] = [number(), number(), number(), number()]
        const position = { nextSeq, lastTime, dropped, finalBefore, finalAt }
        const times = { windowMs, finalAfterMs }
        const [network, device] = [take(32), take(20)]
        entry = { type: 'identity', network, device, schema, fields, ...times, ...position }
      } else if (type === types.row) {
        const time = number()
        const values = Array.from({ length: frame[at++]! }, value)
        entry = { type: 'row', row: { time, values } }
      } else if (type === types.reserve)
        entry = { type: 'reserve', seq: number(), count: number(), end: number() }
      else if (type === types.batch) {
        const [seq, end, count, id] = [number(), number(), number(), take(32)]
        at += 4
        entry = { type: 'batch', seq, end, count, id, bytes: take(view.getUint32(at - 4)) }
      } else if (type === types.refuse) {
        const seq = number()
        at += 4
        const json = new TextDecoder().decode(take(view.getUint32(at - 4)))
        entry = { type: 'refuse', seq, problem: JSON.parse(json) as Problem }
      } else if (type === types.rewind) entry = { type: 'rewind', lastTime: number() }
      else if (type === types.deliver) entry = { type: 'deliver', seq: number(), at: number() }
      else if (type === types.final) entry = { type: 'final', before: number(), at: number() }
      else if (type === types.drop) entry = { type: 'drop', seq: number() }
      else if (type === types.remove) entry = { type: 'remove', seq: number() }
      else if (type === types.requeue) entry = { type: 'requeue', seq: number() }
      else return undefined
      entries.push({ entry, offset })
    }
  } catch {
    return undefined
  }
  return entries
}

const formatVersion = 2
const types = {
  segment: 1,
  identity: 2,
  row: 3,
  reserve: 4,
  batch: 5,
  refuse: 6,
  deliver: 7,
  drop: 8,
  remove: 9,
  requeue: 10,
  rewind: 11,
  final: 12,
}

function writeNumbers(bytes: Uint8Array, at: number, numbers: readonly (number | null)[]) {
  const view = new DataView(bytes.buffer)
  for (const [i, number] of numbers.entries()) view.setFloat64(at + 8 * i, number ?? Number.NaN)
}
