import { decodeCbor, encodeCbor, MalformedCborError } from '../cbor/generic.js'
import { SenmlError } from './errors.js'
import { type Label, labels } from './labels.js'
import { toPack } from './pack.js'
import type { parseSenml } from './parseSenml.js'
import { resolvePack, type SenmlRecord } from './resolve.js'

/**
 * Decodes a SenML pack in CBOR (RFC 8428 §6) into resolved records: {@link parseSenml} for bytes.
 *
 * @throws {SenmlError} whose `reason` says why.
 */
export function decodeSenml(bytes: Uint8Array, options: parseSenml.Options = {}): SenmlRecord[] {
  const { now = Date.now() } = options
  let pack: unknown
  try {
    pack = decodeCbor(bytes)
  } catch (cause) {
    if (!(cause instanceof MalformedCborError)) throw cause
    throw new SenmlError('The bytes are not CBOR.', { reason: 'syntax', cause })
  }
  if (!Array.isArray(pack)) throw new SenmlError('A pack is an array.', { reason: 'syntax' })
  return resolvePack(pack.map(toEntries), now)
}

/**
 * Encodes records as a SenML pack in CBOR, with base fields for what they share.
 *
 * @throws {SenmlError} if there are no records, or a time is before 1978.
 */
export function encodeSenml(records: readonly SenmlRecord[]): Uint8Array {
  return encodeCbor(
    toPack(records).map(
      (record) =>
        new Map(
          Object.entries(record).map(([label, value]) => [labels[label as Label].cbor, value]),
        ),
    ),
  )
}

const labelOf = /* @__PURE__ */ new Map(
  Object.entries(labels).map(([label, { cbor }]) => [cbor as unknown, label as Label]),
)

function toEntries(record: unknown, index: number): [Label, unknown][] {
  if (!(record instanceof Map))
    throw new SenmlError('it is not a map', { reason: 'syntax', record: index })
  const entries: [Label, unknown][] = []
  for (const [key, value] of record) {
    const label = labelOf.get(key)
    if (label) entries.push([label, typeof value === 'bigint' ? Number(value) : value])
    else if (typeof key === 'string' && key.endsWith('_'))
      throw new SenmlError(`label ${JSON.stringify(key.slice(0, 40))} must be understood`, {
        reason: 'must-understand',
        record: index,
      })
  }
  return entries
}
