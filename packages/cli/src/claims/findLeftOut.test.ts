import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { sha256, toHex } from '@machinefi/core'
import { createLog } from '@machinefi/proof'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { findLeftOut } from './findLeftOut.js'
import type { GatheredClaim, NodeBatch } from './gatherClaim.js'

const ids = Array.from({ length: 5 }, (_, i) => sha256(Uint8Array.of(i)))
const log = createLog()
for (const id of ids) log.append(id)

// A node that proves what is asked for.
const server = createServer(({ url }, response) => {
  const query = new URL(url ?? '', 'http://localhost').searchParams
  response.end(log.inclusionProof(Number(query.get('index')), Number(query.get('size'))))
})
let node = ''
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  node = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => void server.close())

const batch = (seq: number, index: number, change: Partial<NodeBatch> = {}) => ({
  ...{ arrived: 0, count: 1, index, late: false, records: null, schema: 1, seq, span: 0, start: 0 },
  id: toHex(ids[index] as Uint8Array),
  ...change,
})

function gather(batches: NodeBatch[], used: number[], size = 4): GatheredClaim {
  return {
    batches,
    claim: { batches: used.map((index) => ({ index })) },
    config: { schema: 1n },
    epoch: { logs: [{ root: toHex(log.root(size)), shard: 0, size: BigInt(size) }] },
  } as unknown as GatheredClaim
}
const network = `0x${'00'.repeat(32)}` as const

test('default', async () => {
  const batches = [batch(0, 0), batch(1, 2), batch(2, 3), batch(3, 4)]
  const left = await findLeftOut(gather(batches, [0, 3]), { network, node })
  expect(left.map(({ seq }) => seq)).toEqual([1])
})

test.each([
  ['late', [batch(0, 0), batch(1, 4)]],
  ['of another schema', [batch(0, 0), batch(1, 2, { schema: 2 })]],
  ['of a seq that counts', [batch(0, 0), batch(0, 2)]],
  ['not in the log', [batch(0, 0), batch(1, 2, { id: toHex(sha256(Uint8Array.of(99))) })]],
])('behavior: a batch that is %s', async (_, batches) => {
  expect(await findLeftOut(gather(batches, [0]), { network, node })).toEqual([])
})

test('behavior: nothing was posted', async () => {
  const gathered = { ...gather([batch(0, 0)], []), claim: null }
  expect(await findLeftOut(gathered, { network, node })).toEqual([])
})
