import type { Row } from '@machinefi/telemetry'
import type { Problem } from '../transports/transport.js'
import type { BatchState } from './createBatchIndex.js'
import type { Store } from './store.js'

/** One change of a file store, as its segments have it. */
export type Entry =
  /** First of a segment: which one it follows, and how much of that counts. */
  | { type: 'segment'; previous: number; previousEnd: number }
  | ({ type: 'identity' } & Store.Identity & StorePosition)
  | { type: 'row'; row: Row }
  /** "The rows up to this time are batch `seq`": there are `count` of them. */
  | { type: 'reserve'; seq: number; count: number; end: number }
  | BatchEntry
  | { type: 'refuse'; seq: number; problem: Problem }
  | { type: 'deliver' | 'drop' | 'remove' | 'requeue'; seq: number }
  | { type: 'rewind'; lastTime: number }

export type BatchEntry = {
  type: 'batch'
  seq: number
  end: number
  count: number
  /** Not `queued` where a batch was moved to another segment. */
  state: Exclude<BatchState, 'refused'>
  id: Uint8Array
  bytes: Uint8Array
}

/** Where a store is; NaN is "none yet". */
export type StorePosition = { nextSeq: number; lastTime: number; dropped: number }

/** Bytes before the signed batch in a `batch` entry: type, state, seq, end, count, id, length. */
export const batchHeadBytes = 1 + 1 + 3 * 8 + 32 + 4

/** Bytes of the entry of a row. */
export function rowEntryBytes(row: Row): number {
  return 1 + 8 + 1 + 8 * row.values.length
}

/** Bytes of a `reserve` entry. */
export const reserveBytes = 1 + 3 * 8

/** Bytes of a `segment` entry. */
export const segmentEntryBytes = 1 + 1 + 2 * 8

/** Bytes of an `identity` entry. */
export const identityBytes = 1 + 5 * 8 + 32 + 20

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
      const { nextSeq, lastTime, dropped, network, device, schema, fields } = entry
      const bytes = new Uint8Array(identityBytes)
      bytes[0] = types.identity
      writeNumbers(bytes, 1, [nextSeq, lastTime, dropped, schema, fields])
      bytes.set(network, 41)
      bytes.set(device, 73)
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
      bytes.set([types.batch, states.indexOf(entry.state)])
      writeNumbers(bytes, 2, [entry.seq, entry.end, entry.count])
      bytes.set(entry.id, 26)
      new DataView(bytes.buffer).setUint32(58, entry.bytes.length)
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
        const [schema, fields, network, device] = [number(), number(), take(32), take(20)]
        entry = { type: 'identity', nextSeq, lastTime, dropped, schema, fields, network, device }
      } else if (type === types.row) {
        const time = number()
        const values = Array.from({ length: frame[at++]! }, value)
        entry = { type: 'row', row: { time, values } }
      } else if (type === types.reserve)
        entry = { type: 'reserve', seq: number(), count: number(), end: number() }
      else if (type === types.batch) {
        const state = states[frame[at++]!]
        if (state === undefined) return undefined
        const [seq, end, count, id] = [number(), number(), number(), take(32)]
        at += 4
        entry = { type: 'batch', state, seq, end, count, id, bytes: take(view.getUint32(at - 4)) }
      } else if (type === types.refuse) {
        const seq = number()
        at += 4
        const json = new TextDecoder().decode(take(view.getUint32(at - 4)))
        entry = { type: 'refuse', seq, problem: JSON.parse(json) as Problem }
      } else if (type === types.rewind) entry = { type: 'rewind', lastTime: number() }
      else if (type === types.deliver) entry = { type: 'deliver', seq: number() }
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

const formatVersion = 1
const states = ['queued', 'again', 'kept'] as const
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
}

function writeNumbers(bytes: Uint8Array, at: number, numbers: readonly (number | null)[]) {
  const view = new DataView(bytes.buffer)
  for (const [i, number] of numbers.entries()) view.setFloat64(at + 8 * i, number ?? Number.NaN)
}
