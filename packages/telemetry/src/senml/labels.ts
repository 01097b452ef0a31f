/** SenML labels in JSON and in CBOR, and the type of what they label (RFC 8428 §4.3, table 4). */
export const labels = {
  bver: { cbor: -1, type: 'number' },
  bn: { cbor: -2, type: 'string' },
  bt: { cbor: -3, type: 'number' },
  bu: { cbor: -4, type: 'string' },
  bv: { cbor: -5, type: 'number' },
  bs: { cbor: -6, type: 'number' },
  n: { cbor: 0, type: 'string' },
  u: { cbor: 1, type: 'string' },
  v: { cbor: 2, type: 'number' },
  vs: { cbor: 3, type: 'string' },
  vb: { cbor: 4, type: 'boolean' },
  s: { cbor: 5, type: 'number' },
  t: { cbor: 6, type: 'number' },
  ut: { cbor: 7, type: 'number' },
  vd: { cbor: 8, type: 'bytes' },
} as const

export type Label = keyof typeof labels

/** One record of a pack as it is written, base fields and all. */
export type PackRecord = {
  [label in Label]?: (typeof labels)[label]['type'] extends 'number'
    ? number
    : (typeof labels)[label]['type'] extends 'boolean'
      ? boolean
      : (typeof labels)[label]['type'] extends 'bytes'
        ? Uint8Array
        : string
}
