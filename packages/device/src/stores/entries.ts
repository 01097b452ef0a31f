import type { Row } from '@machinefi/telemetry'
import type { Problem } from '../transports/transport.js'
import type { Store } from './store.js'

/** One change of a file store, as its journal has it. */
export type Entry =
  | ({ type: 'identity'; nextSeq: number; lastTime: number } & Store.Identity)
  | { type: 'row'; row: Row }
  | { type: 'reserve'; seq: number; count: number }
  | { type: 'batch'; seq: number; end: number; id: Uint8Array; bytes: Uint8Array }
  | { type: 'refuse'; seq: number; problem: Problem }
  | { type: 'remove'; seq: number }
  | { type: 'requeue'; seq: number }

/** Bytes before the signed batch in a `batch` entry: type, seq, end, id, length. */
export const batchHeadBytes = 1 + 8 + 8 + 32 + 4

/** Numbers are doubles (seqs and times have 53 bits, NaN is "none"), lengths are u32. */
export function encodeEntry(entry: Entry): Uint8Array {
  switch (entry.type) {
    case 'identity': {
      const { nextSeq, lastTime, network, device, schema, fields } = entry
      const bytes = new Uint8Array(1 + 1 + 4 * 8 + 52)
      bytes.set([types.identity, formatVersion])
      writeNumbers(bytes, 2, [nextSeq, lastTime, schema, fields])
      bytes.set(network, 34)
      bytes.set(device, 66)
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
      writeNumbers(bytes, 1, [entry.seq, entry.end])
      bytes.set(entry.id, 17)
      new DataView(bytes.buffer).setUint32(49, entry.bytes.length)
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
      const bytes = new Uint8Array(17)
      bytes[0] = types.reserve
      writeNumbers(bytes, 1, [entry.seq, entry.count])
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
 * they are not entries of this version.
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
    // A copy, so that nothing holds the whole file: `slice` of a Buffer would not be one.
    return Uint8Array.from(frame.subarray(at - length, at))
  }
  try {
    while (at < frame.length) {
      const offset = at
      const type = frame[at++]
      let entry: Entry
      if (type === types.identity) {
        if (frame[at++] !== formatVersion) return undefined
        const [nextSeq, lastTime, schema, fields] = [number(), number(), number(), number()]
        const [network, device] = [take(32), take(20)]
        entry = { type: 'identity', nextSeq, lastTime, schema, fields, network, device }
      } else if (type === types.row) {
        const time = number()
        const values = Array.from({ length: frame[at++]! }, value)
        entry = { type: 'row', row: { time, values } }
      } else if (type === types.reserve) entry = { type: 'reserve', seq: number(), count: number() }
      else if (type === types.batch) {
        const [seq, end, id] = [number(), number(), take(32)]
        at += 4
        entry = { type: 'batch', seq, end, id, bytes: take(view.getUint32(at - 4)) }
      } else if (type === types.refuse) {
        const seq = number()
        at += 4
        const json = new TextDecoder().decode(take(view.getUint32(at - 4)))
        entry = { type: 'refuse', seq, problem: JSON.parse(json) as Problem }
      } else if (type === types.remove) entry = { type: 'remove', seq: number() }
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
const types = { identity: 1, row: 2, reserve: 3, batch: 4, refuse: 5, remove: 6, requeue: 7 }

function writeNumbers(bytes: Uint8Array, at: number, numbers: readonly (number | null)[]) {
  const view = new DataView(bytes.buffer)
  for (const [i, number] of numbers.entries()) view.setFloat64(at + 8 * i, number ?? Number.NaN)
}
