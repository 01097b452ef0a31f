import { SenmlError } from './errors.js'
import { type Label, labels } from './labels.js'
import { toPack } from './pack.js'
import { resolvePack, type SenmlRecord } from './resolve.js'

/**
 * Parses a SenML pack in JSON (RFC 8428 §5) into resolved records, in chronological order.
 *
 * Unknown labels are ignored unless they end in `_`. A value that is missing beside a base value
 * counts as 0, likewise a sum. The caller bounds the length of the text.
 *
 * @throws {SenmlError} whose `reason` says why.
 */
export function parseSenml(text: string, options: parseSenml.Options = {}): SenmlRecord[] {
  const { now = Date.now() } = options
  let pack: unknown
  try {
    pack = JSON.parse(text)
  } catch (cause) {
    throw new SenmlError('The text is not JSON.', { reason: 'syntax', cause })
  }
  if (!Array.isArray(pack)) throw new SenmlError('A pack is an array.', { reason: 'syntax' })
  return resolvePack(pack.map(toEntries), now)
}

export declare namespace parseSenml {
  type Options = {
    /** What relative times are relative to: ms since the Unix epoch. */
    now?: number | undefined
  }
}

/**
 * Formats records as a SenML pack in JSON, with base fields for what they share.
 *
 * @throws {SenmlError} if there are no records, or a time is before 1978.
 */
export function formatSenml(records: readonly SenmlRecord[]): string {
  return JSON.stringify(
    toPack(records).map(({ vd, ...record }) => ({ ...record, ...(vd && { vd: toBase64Url(vd) }) })),
  )
}

function toEntries(record: unknown, index: number): [Label, unknown][] {
  if (typeof record !== 'object' || record === null || Array.isArray(record))
    throw new SenmlError('it is not an object', { reason: 'syntax', record: index })
  const entries: [Label, unknown][] = []
  for (const [label, value] of Object.entries(record))
    if (Object.hasOwn(labels, label))
      entries.push([label as Label, label === 'vd' ? fromBase64Url(value, index) : value])
    else if (label.endsWith('_'))
      throw new SenmlError(`label ${JSON.stringify(label.slice(0, 40))} must be understood`, {
        reason: 'must-understand',
        record: index,
      })
  return entries
}

function toBase64Url(bytes: Uint8Array): string {
  const text = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))
  return text.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
}

function fromBase64Url(value: unknown, record: number): Uint8Array {
  if (typeof value !== 'string' || !/^[A-Za-z0-9_-]*$/.test(value) || value.length % 4 === 1)
    throw new SenmlError('vd is not base64url without padding', { reason: 'type', record })
  const binary = atob(value.replaceAll('-', '+').replaceAll('_', '/'))
  return Uint8Array.from(binary, (character) => character.charCodeAt(0))
}
