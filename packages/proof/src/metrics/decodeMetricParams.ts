import { equalBytes } from '@machinefi/core'
import { readInt } from '../abi/readWord.js'
import { encodeMetricParams } from './fold.js'
import { InvalidMetricError, type Metric } from './Metric.js'

/**
 * Decodes the parameters of a metric whose type is known, strictly.
 *
 * @throws {InvalidMetricError}
 */
export function decodeMetricParams(type: string, params: Uint8Array): Metric {
  const number = (i: number) => Number(readInt(params.subarray(32 * i, 32 * (i + 1))))
  const metric = read(type, number)
  if (metric === null) throw new InvalidMetricError(`there is no metric ${JSON.stringify(type)}`)
  // Also refuses what is out of bounds for the type.
  if (!equalBytes(encodeMetricParams(metric), params))
    throw new InvalidMetricError(`these are no parameters for ${type}`)
  return metric
}

function read(type: string, number: (i: number) => number): Metric | null {
  if (type === 'average') return { type, field: number(0) }
  if (type === 'count') return { type }
  if (type === 'coverage') return { type, intervalMs: number(0) }
  if (type === 'distance')
    return { type, latitude: number(0), longitude: number(1), maxSpeed: number(2) }
  if (type === 'sum') return { type, field: number(0), max: number(2), min: number(1) }
  return null
}
