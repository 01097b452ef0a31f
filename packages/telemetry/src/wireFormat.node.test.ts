import { readFileSync } from 'node:fs'
import { fromHex, type Hex, type Signer, toHex } from '@machinefi/core'
import { p256 } from '@noble/curves/nist.js'
import { expect, test } from 'vitest'
import {
  batchId,
  decodeBatch,
  defineSchema,
  encodeSchema,
  fromRow,
  rowAt,
  schemaHash,
  signBatch,
  sigStructure,
  toRow,
  verifyBatch,
} from './index.js'

const page = readFileSync(new URL('../../../docs/protocol/wire-format.md', import.meta.url), 'utf8')

/** The hex of the example: in each line what stands before two spaces and a comment. */
const example: Record<string, Hex> = {}
let name = ''
for (const line of page
  .slice(page.indexOf('## Example'))
  .matchAll(/^(?:# (.+)|( *[0-9a-f]{2}.*))$/gm))
  if (line[1]) {
    name = line[1]
    example[name] = '0x'
  } else if (name) example[name] += line[2]!.trim().split(/ {2,}/)[0]!.replaceAll(' ', '')

const privateKey = new Uint8Array(32).fill(1)
const signer: Signer = {
  algorithm: 'ES256',
  publicKey: p256.getPublicKey(privateKey, false).slice(1),
  sign: async (message) => p256.sign(message, privateKey),
}
const network = Uint8Array.from({ length: 32 }, (_, i) => i)
const schema = defineSchema({
  id: 1,
  tickMs: 1000,
  fields: { steps: { unit: 'count' }, temp: { unit: 'Cel', scale: 1 } },
})
const records = [
  { time: Date.parse('2023-11-14T22:13:20Z'), steps: 12, temp: 20.5 },
  { time: Date.parse('2023-11-14T22:14:20Z'), steps: 300, temp: -0.5 },
  { time: Date.parse('2023-11-14T22:15:20Z'), steps: 0, temp: null },
]

test('the example of the wire format, written', async () => {
  const rows = records.map((record) => toRow(schema, record))
  const batch = await signBatch({ signer, network, schema, seq: 7, rows })
  expect({
    schema: toHex(encodeSchema(schema)),
    'schema hash': toHex(schemaHash(schema)),
    records: toHex(batch.records!),
    payload: toHex(batch.payload),
    protected: toHex(batch.protected),
    Sig_structure: toHex(sigStructure(batch, network)),
    'batch id': toHex(batchId(batch, network)),
    batch: toHex(batch.bytes),
    'public key': toHex(signer.publicKey),
  }).toEqual(example)
})

test('the example of the wire format, read', async () => {
  const batch = decodeBatch(fromHex(example.batch!))
  const publicKey = fromHex(example['public key']!)
  const verdict = await verifyBatch({ batch, network, publicKey, schema })
  if (!verdict.ok) throw new Error(verdict.message)
  expect(records.map((_, i) => fromRow(schema, rowAt(verdict.rows, i)))).toEqual(records)
})
