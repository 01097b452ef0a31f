import { readFileSync } from 'node:fs'
import { fromHex, type Hex, publicKeyToAddress, sha256, toHex } from '@machinefi/core'
import { decodeBatch, defineSchema } from '@machinefi/telemetry'
import { expect, test } from 'vitest'
import { createTestSigner } from '../test/createTestSigner.js'
import { checkpointMessage } from './checkpoint/signCheckpoint.js'
import {
  buildLedger,
  buildTrace,
  createLog,
  decodeCheckpoint,
  encodeReceipt,
  encodeState,
  entryDetail,
  epochHash,
  logsHash,
  reward,
  signCheckpoint,
  verifyReceipt,
} from './index.js'

/** The hex of a page's example: in each line what stands before two spaces and a comment. */
function readExample(page: string): Record<string, Hex> {
  const text = readFileSync(new URL(`../../../docs/protocol/${page}`, import.meta.url), 'utf8')
  const example: Record<string, Hex> = {}
  let name = ''
  for (const line of text
    .slice(text.indexOf('## Example'))
    .matchAll(/^(?:# (.+)|( *[0-9a-f]{2}.*))$/gm))
    if (line[1]) {
      name = line[1]
      example[name] = '0x'
    } else if (name) example[name] += line[2]!.trim().split(/ {2,}/)[0]!.replaceAll(' ', '')
  return example
}

const network = Uint8Array.from({ length: 32 }, (_, i) => i)

test('the example of the log', async () => {
  const example = readExample('log.md')
  const log = createLog()
  for (let i = 0; i < 7; i++) log.append(sha256(Uint8Array.of(i)))
  const { signature } = decodeCheckpoint(fromHex(example.checkpoint!))
  const { algorithm, publicKey } = createTestSigner(0)
  const checkpoint = await signCheckpoint({
    network,
    operator: new Uint8Array(20).fill(0x0b),
    root: log.root(),
    shard: 3,
    signer: { algorithm, publicKey, sign: async () => signature },
    size: 7,
    time: Date.parse('2023-11-14T22:13:20Z'),
  })
  const header = decodeCheckpoint(checkpoint).protected
  const receipt = encodeReceipt({ checkpoint, index: 2, proof: log.inclusionProof(2) })
  expect({
    'entry 2': toHex(log.id(2)),
    'root of 3': toHex(log.root(3)),
    'root of 7': toHex(log.root()),
    'inclusion of 2 in 7': toHex(log.inclusionProof(2)),
    'consistency of 3 and 7': toHex(log.consistencyProof(3)),
    'log key': toHex(publicKey),
    protected: toHex(header),
    Sig_structure: toHex(checkpointMessage(header, log.root())),
    checkpoint: toHex(checkpoint),
    'receipt for entry 2': toHex(receipt),
  }).toEqual(example)
  const verdict = await verifyReceipt(fromHex(example['receipt for entry 2']!), {
    id: log.id(2),
    network,
    publicKey,
  })
  expect(verdict).toMatchObject({ ok: true, index: 2 })
})

test('the example of claims', () => {
  const example = readExample('claims.md')
  const wire = readExample('wire-format.md')
  const schema = defineSchema({
    id: 1,
    tickMs: 1000,
    fields: { steps: { unit: 'count' }, temp: { unit: 'Cel', scale: 1 } },
  })
  const id = fromHex(wire['batch id']!)
  const log = createLog(id)
  const trace = buildTrace({
    batches: [{ batch: decodeBatch(fromHex(wire.batch!)), id }],
    metric: { type: 'sum', field: 0, max: 500, min: 0 },
    schema,
    window: { start: 19_675 * 86_400_000, end: 19_676 * 86_400_000 },
  })
  const { root: traceRoot, steps, value } = trace
  const earned = reward({ cap: 10n ** 18n, rate: 10n ** 15n, threshold: 100n, value })
  const entry = {
    cumulative: 10n ** 18n + earned,
    device: publicKeyToAddress(fromHex(wire['public key']!)),
    ...{ steps, traceRoot, value },
  }
  const unpaid = {
    cumulative: 5n,
    device: new Uint8Array(20).fill(0x0e),
    ...{ steps: 0, traceRoot: new Uint8Array(32), value: 0n },
  }
  const ledger = buildLedger([null, entry, unpaid])
  const logs = [{ root: log.root(), shard: 0, size: 1 }]
  const configHash = new Uint8Array(32).fill(0xcc)
  const parentHash = new Uint8Array(32).fill(0xaa)
  const uint = (n: bigint) => `0x${n.toString(16).padStart(32, '0')}` as Hex
  expect({
    'state after the step': toHex(encodeState(trace.states[0]!)),
    'trace root': toHex(traceRoot),
    'reward, uint128': uint(earned),
    detail: toHex(entryDetail(entry)),
    'siblings of slot 1': toHex(ledger.proof(1).siblings),
    'siblings of slots 1 and 2': toHex(ledger.fleetProof(1, 2).siblings),
    'ledger root': toHex(ledger.root),
    'ledger total': uint(ledger.total),
    'logs hash': toHex(logsHash(logs)),
    'epoch hash': toHex(
      epochHash({
        ...{ attempt: 1, configHash, logs, memberCount: 3, network, parentHash },
        ...{ ledgerRoot: ledger.root, ledgerTotal: ledger.total, window: 19_675 },
        windowSeconds: 86_400,
      }),
    ),
  }).toEqual(example)
})
