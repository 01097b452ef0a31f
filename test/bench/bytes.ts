import { formatDid, publicKeyToAddress } from '@machinefi/core'
import { createSoftwareSigner } from '@machinefi/device'
import { defineSchema, signBatch, toRow } from '@machinefi/telemetry'
import { encodeSenml, fromRecords } from '@machinefi/telemetry/senml'
import { type Benchmark, limit } from './Benchmark.js'
import { readHours } from './readings.js'

const walker = defineSchema({
  fields: { steps: { unit: 'count' } },
  id: 1,
  tickMs: 60_000,
})

/** Bytes on the wire: signed batches of an hour, against the same hours unsigned. */
export const bytes: Benchmark = {
  name: 'bytes',
  async run() {
    const hours = await readHours(2_000)
    const signer = createSoftwareSigner()
    const did = formatDid(publicKeyToAddress(signer.publicKey))
    let batches = 0
    let json = 0
    let senml = 0
    for (const [seq, hour] of hours.entries()) {
      const rows = hour.map((record) => toRow(walker, record))
      const batch = await signBatch({
        network: new Uint8Array(32),
        rows,
        schema: walker,
        seq,
        signer,
      })
      batches += batch.bytes.length
      const objects = hour.map(({ steps, time }) => ({ time: new Date(time).toISOString(), steps }))
      json += JSON.stringify({ device: did, records: objects }).length
      senml += encodeSenml(fromRecords(hour, { baseName: `${did}/`, schema: walker })).length
    }
    const records = 60 * hours.length
    const value = batches / records
    const name = 'bytes per record, minute steps, 60 a batch, signed'
    return [
      { against: 'JSON, unsigned', baseline: json / records, name: `${name}: JSON` },
      { against: 'SenML-CBOR, unsigned', baseline: senml / records, name: `${name}: SenML` },
    ].map((compared) => limit({ ...compared, budget: 8, unit: 'bytes', value }))
  },
}
