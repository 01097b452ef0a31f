import { decodeConfig } from '@machinefi/proof'
import type { Schema } from '@machinefi/telemetry'
import type { ChainConfig } from '../chain/chain.js'

/**
 * The schema that a window's rules name, with all that folding needs of it and
 * without names: the contracts fold with nothing else, so that nobody has to be
 * asked for it, or believed.
 */
export function toSchema({ bytes }: Pick<ChainConfig, 'bytes'>): Schema {
  const { fields, schema, tickMs } = decodeConfig(bytes)
  return {
    id: schema,
    tickMs,
    fields: Array.from({ length: fields }, (_, i) => ({ name: `field${i}`, scale: 0, unit: '1' })),
  }
}
