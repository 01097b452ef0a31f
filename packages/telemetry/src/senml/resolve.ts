import { SenmlError } from './errors.js'
import { type Label, labels, type PackRecord } from './labels.js'

/** A resolved SenML record (RFC 8428 §4.6): nothing relative, no base fields. */
export type SenmlRecord = {
  readonly name: string
  readonly unit?: string
  /** Seconds since the Unix epoch. */
  readonly time: number
  /** At most one kind of value, and none only beside a sum. */
  readonly value?: number | string | boolean | Uint8Array
  readonly sum?: number
  /** Seconds until the next reading at the latest. */
  readonly updateTime?: number
}

/** Times below this are relative to now (RFC 8428 §4.5.3). */
export const firstAbsoluteTime = 2 ** 28

/** Resolves the records of a pack, given as label and value pairs, into chronological order. */
export function resolvePack(
  pack: readonly Iterable<readonly [Label, unknown]>[],
  nowMs: number,
): SenmlRecord[] {
  const base: Required<Pick<PackRecord, 'bn' | 'bt'>> & PackRecord = { bn: '', bt: 0 }
  const records: SenmlRecord[] = []
  let version = 10
  for (let index = 0; index < pack.length; index++) {
    const record: PackRecord = {}
    let isBaseOnly = true
    for (const [label, value] of pack[index]!) {
      assertType(label, value, index)
      if (label.startsWith('b')) Object.assign(base, { [label]: value })
      else {
        Object.assign(record, { [label]: value })
        isBaseOnly = false
      }
      if (label === 'bver') assertVersion(value as number, index === 0 ? undefined : version, index)
    }
    version = base.bver ?? 10
    if (!isBaseOnly) records.push(resolveRecord(base, record, nowMs / 1000, index))
  }
  return records.sort((a, b) => a.time - b.time)
}

function resolveRecord(
  base: Required<Pick<PackRecord, 'bn' | 'bt'>> & PackRecord,
  record: PackRecord,
  now: number,
  index: number,
): SenmlRecord {
  const name = base.bn + (record.n ?? '')
  if (!namePattern.test(name))
    throw new SenmlError(`name ${JSON.stringify(name.slice(0, 80))} is not allowed`, {
      reason: 'name',
      record: index,
    })
  const values: NonNullable<SenmlRecord['value']>[] = [record.vs, record.vb, record.vd].filter(
    (value) => value !== undefined,
  )
  const sum =
    record.s === undefined && base.bs === undefined ? undefined : (record.s ?? 0) + (base.bs ?? 0)
  if (record.v !== undefined || (values.length === 0 && sum === undefined && base.bv !== undefined))
    values.push((record.v ?? 0) + (base.bv ?? 0))
  if (values.length > 1 || (values.length === 0 && sum === undefined))
    throw new SenmlError('exactly one of v, vs, vb and vd is needed, or a sum', {
      reason: 'value',
      record: index,
    })
  const time = base.bt + (record.t ?? 0)
  const unit = record.u ?? base.bu
  return {
    name,
    ...(unit !== undefined && { unit }),
    time: time < firstAbsoluteTime ? now + time : time,
    ...(values.length === 1 && { value: values[0]! }),
    ...(sum !== undefined && { sum }),
    ...(record.ut !== undefined && { updateTime: record.ut }),
  }
}

/** Letters and digits, then also - : . / _ (RFC 8428 §4.5.1). */
const namePattern = /^[A-Za-z0-9][A-Za-z0-9\-:./_]*$/

/** Versions up to 10 (RFC 8428 §4.4) are understood; one pack has one version. */
function assertVersion(version: number, before: number | undefined, record: number): void {
  if (!Number.isInteger(version) || version < 1 || version > 10)
    throw new SenmlError(`version ${version} is not supported`, { reason: 'version', record })
  if (before !== undefined && before !== version)
    throw new SenmlError(`version ${version} in a pack of version ${before}`, {
      reason: 'version',
      record,
    })
}

function assertType(label: Label, value: unknown, record: number): void {
  const { type } = labels[label]
  const isRight =
    type === 'bytes'
      ? value instanceof Uint8Array
      : typeof value === type && (type !== 'number' || Number.isFinite(value))
  if (!isRight) throw new SenmlError(`${label} is not a ${type}`, { reason: 'type', record })
}
