import { encodeRows, type Header, type Row, type Schema } from '@machinefi/telemetry'
import type { Random } from '../attacks/createRandom.js'

/** A batch as a fold gets it. */
export type Batch = { readonly header: Header; readonly records: Uint8Array }

export const most = Number.MAX_SAFE_INTEGER

/** On both sides of every border of the encoding. */
const borders = [0, 23, 24, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, most - 1, most]

/** From 0 to 2^53 − 1: small, at a border, or any. */
export function randomUint(random: Random): number {
  const kind = random.below(4)
  if (kind === 0) return random.of(borders)
  if (kind === 1) return random.below(2 ** 32) * 2 ** 21 + random.below(2 ** 21)
  return random.below(300)
}

/** What a field can have: positive, negative, null. */
export function randomValue(random: Random): number | null {
  if (random.oneIn(6)) return null
  const value = randomUint(random)
  // -0 is not an integer that can be written.
  return random.oneIn(2) ? value : value === 0 ? 0 : -value
}

export function randomSchema(random: Random, fields: number): Schema {
  return {
    id: 7,
    tickMs: random.of([1, 7, 1000, 1000, 60_000, 2 ** 32 - 1]),
    fields: Array.from({ length: fields }, (_, i) => ({ name: `f${i}`, unit: '1', scale: 0 })),
  }
}

/** Rows as a device writes them, or null where their times would be beyond 2^53. */
export function randomBatch(
  random: Random,
  options: {
    schema: Schema
    seq: number
    start: number
    value?: (field: number) => number | null
  },
): Batch | null {
  const { schema, seq, start, value = () => randomValue(random) } = options
  const { tickMs } = schema
  // Now and then more than fit the one byte of an array's head.
  const count = random.oneIn(20) ? 20 + random.below(20) : 1 + random.below(8)
  const longest = random.of([3, 400, 90_000])
  let time = start + random.of([0, 0, random.below(6)]) * tickMs
  const rows: Row[] = []
  for (let i = 0; i < count; i++) {
    if (i > 0) time += (1 + random.below(longest)) * tickMs
    rows.push({ time, values: schema.fields.map((_, field) => value(field)) })
  }
  if (time > most) return null
  const header: Header = {
    schema: schema.id,
    seq,
    start,
    span: time - start,
    count,
    recordsHash: new Uint8Array(32),
    commitment: null,
  }
  return { header, records: encodeRows(rows, { tickMs, start }) }
}

/** Longer than needed, out of range, or no integer: in the place of an item. */
const items = [
  ...['1800', '1817', '190018', '1900ff', '1a0000ffff', '1b00000000ffffffff'],
  ...['1b001fffffffffffff', '1b0020000000000000', '1bffffffffffffffff', '3b001ffffffffffffe'],
  ...['3b001fffffffffffff', '3817', '3800', '1c', '1f', '3f', '40', '60', '80', 'a0', 'c0', 'f5'],
  ...['f6', 'f7', 'f97e00', 'fb7ff8000000000000', 'ff', '9f', '20', '00'],
].map((hex) => Uint8Array.from(Buffer.from(hex, 'hex')))

/** Changes bytes or numbers of a batch, as a device that lies or errs would. */
export function alterBatch(random: Random, { header, records }: Batch): Batch {
  const at = random.below(records.length)
  const splice = (from: number, remove: number, insert: Uint8Array): Batch => ({
    header,
    records: Uint8Array.from([
      ...records.subarray(0, from),
      ...insert,
      ...records.subarray(from + remove),
    ]),
  })
  const change = (changed: Partial<Header>): Batch => ({
    header: { ...header, ...changed },
    records,
  })
  switch (random.below(11)) {
    case 0:
      return splice(at, 1, Uint8Array.of(records[at]! ^ (1 << random.below(8))))
    case 1:
      return { header, records: records.slice(0, at) }
    case 2:
      return splice(records.length, 0, random.bytes(1 + random.below(9)))
    case 3:
      return splice(at, 0, random.bytes(1 + random.below(9)))
    case 4:
      return { header, records: random.bytes(random.below(60)) }
    case 5:
    case 6:
      return splice(at, 1, random.of(items))
    case 7:
      // A header with 0 does not decode.
      return change({ count: Math.max(1, header.count + random.below(5) - 2) })
    case 8:
      return change({ span: Math.max(0, header.span + random.below(7) - 3) })
    case 9:
      return change({ schema: header.schema + random.of([-1, 1]) })
    default:
      return change({
        // On both sides of the bound of the last row's time.
        start: Math.max(
          0,
          random.of([most, most - 1, most - 2 ** 33]) - header.span + random.below(2),
        ),
      })
  }
}
