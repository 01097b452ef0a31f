import { SenmlError } from './errors.js'
import type { PackRecord } from './labels.js'
import { firstAbsoluteTime, type SenmlRecord } from './resolve.js'

/**
 * Writes resolved records as a pack: the longest common name, the first time and the first unit
 * become base fields, and what equals its base is left out. Resolving it gives the same records.
 */
export function toPack(records: readonly SenmlRecord[]): PackRecord[] {
  const sorted = [...records].sort((a, b) => a.time - b.time)
  const first = sorted[0]
  if (!first) throw new SenmlError('A pack has at least one record.', { reason: 'syntax' })
  const bn = commonPrefix(sorted.map(({ name }) => name))
  const bu = sorted.every(({ unit }) => unit !== undefined) ? first.unit : undefined
  let bt = Number.NaN
  return sorted.map((record, index) => {
    const { name, time, unit, value, sum, updateTime } = record
    if (!Number.isFinite(time) || time < firstAbsoluteTime)
      throw new SenmlError(`time ${time} s is before 1978, which SenML reads as relative`, {
        reason: 'time',
        record: index,
      })
    // The shortest difference that gives the time back to the bit, else a new base time.
    const t = [Math.round((time - bt) * 1000) / 1000, time - bt].find((dt) => bt + dt === time)
    const packed: PackRecord = {}
    if (index === 0 && bn !== '') packed.bn = bn
    if (t === undefined) {
      packed.bt = time
      bt = time
    }
    if (index === 0 && bu !== undefined) packed.bu = bu
    if (name !== bn) packed.n = name.slice(bn.length)
    if (unit !== undefined && unit !== bu) packed.u = unit
    if (t) packed.t = t
    if (typeof value === 'number') packed.v = value
    else if (typeof value === 'string') packed.vs = value
    else if (typeof value === 'boolean') packed.vb = value
    else if (value) packed.vd = value
    if (sum !== undefined) packed.s = sum
    if (updateTime !== undefined) packed.ut = updateTime
    return packed
  })
}

function commonPrefix(names: readonly string[]): string {
  let prefix = names[0] ?? ''
  for (const name of names) while (!name.startsWith(prefix)) prefix = prefix.slice(0, -1)
  return prefix
}
