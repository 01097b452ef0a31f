import { connect } from 'node:net'
import { concatBytes, equalBytes, toHex } from '@machinefi/core'
import {
  createLog,
  decodeCheckpoint,
  decodeReceipt,
  verifyConsistency,
  verifyInclusion,
} from '@machinefi/proof'
import { batchId, decodeBatch, encodeBatch } from '@machinefi/telemetry'
import { decodeMultiple } from 'cbor-x'
import { expect, test } from 'vitest'
import { createSigner } from '../../test/createFakeChain.js'
import {
  createTestNode,
  dayMs,
  hourMs,
  minuteMs,
  type TestNode,
} from '../../test/createTestNode.js'
import { fetchChecked } from '../../test/fetchChecked.js'
import { findFaults } from '../../test/findFaults.js'
import { problemBase } from '../problems.js'
import type { JsonSchema } from './JsonSchema.js'

type Content = Record<string, { schema?: JsonSchema }>
type Operation = {
  requestBody?: { content: Content }
  responses: Record<string, { content: Content }>
}

async function call(t: TestNode, path: string, init: RequestInit = {}) {
  const url = t.node.url ?? (await t.node.listen({ port: 0 }))
  return fetchChecked(url + path.replace('{network}', `/networks/${t.chain.network.id}`), init)
}

const json = async (t: TestNode, path: string) => (await call(t, path)).json()
const bytes = async (t: TestNode, path: string) =>
  new Uint8Array(await (await call(t, path)).arrayBuffer())

function post(
  t: TestNode,
  body: Uint8Array,
  type = 'application/cose',
  path = '{network}/batches',
) {
  return call(t, path, {
    body: body as Uint8Array<ArrayBuffer>,
    headers: { 'content-type': type },
    method: 'POST',
  })
}

async function reason(response: Response) {
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  const { status, title, type } = (await response.json()) as Record<string, string>
  expect(status).toBe(response.status)
  expect(title).toBeTruthy()
  return [response.status, type!.slice(problemBase.length)]
}

/** A node with five batches of two devices, and one epoch posted. */
async function createSettledNode() {
  const t = await createTestNode({ devices: 2 })
  const { time } = t.chain
  const batches = []
  for (let seq = 0; seq < 5; seq++)
    batches.push(
      await t.sign({
        device: seq % 2,
        seq: seq >> 1,
        start: time + seq * 10 * minuteMs,
        steps: [50, 60],
      }),
    )
  await t.ingest(...batches.slice(0, 2))
  await t.ingest(...batches.slice(2))
  t.moveTo(time + dayMs + minuteMs)
  await t.node.settle()
  return Object.assign(t, { batches })
}

test('ingest: default', async () => {
  await using t = await createTestNode()
  const batch = await t.sign({})
  const response = await post(t, batch.bytes)
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toBe('application/cose')
  expect(decodeReceipt(new Uint8Array(await response.arrayBuffer()))).toMatchObject({
    index: 0,
    size: 1,
  })
})

test('ingest: a sequence is answered item by item', async () => {
  await using t = await createTestNode()
  const [first, second] = [
    await t.sign({}),
    await t.sign({ seq: 1, start: t.chain.time + hourMs / 2 }),
  ]
  const response = await post(
    t,
    concatBytes(
      first.bytes,
      // Well-formed, but no batches: what follows them can still be told.
      Uint8Array.of(0x83, 1, 0x61, 0x61, 0xa1, 0x18, 0x20, 0x40),
      encodeBatch({ ...second, signature: new Uint8Array(64) }),
      Uint8Array.of(0x82, ...first.bytes.subarray(1, -1 - first.records!.length), 0x40),
      second.bytes,
      first.bytes,
    ),
    'application/cbor-seq',
  )
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toBe('application/cbor-seq')
  const items = decodeMultiple(new Uint8Array(await response.arrayBuffer())) as unknown[]
  expect(
    items.map((item) =>
      item instanceof Uint8Array
        ? decodeReceipt(new Uint8Array(item)).index
        : (item as { type: string }).type.slice(problemBase.length),
    ),
  ).toEqual([0, 'not-canonical', 'signature', 'records-hash', 1, 0])
  expect(items[2]).toEqual({
    status: 403,
    title: 'altered, or signed for another network',
    type: `${problemBase}signature`,
  })
})

test('ingest: error', async () => {
  await using t = await createTestNode({ limits: { maxBatchesPerBody: 3, maxBodyBytes: 10_000 } })
  const { bytes } = await t.sign({})
  const seq = 'application/cbor-seq'
  const cases: [Promise<Response>, number, string][] = [
    [
      post(t, bytes, 'application/cose', `/networks/0x${'00'.repeat(32)}/batches`),
      404,
      'unknown-network',
    ],
    [post(t, bytes, 'application/cose', '/networks/nothing/batches'), 404, 'unknown-network'],
    [post(t, bytes, 'application/json'), 415, 'media-type'],
    [post(t, new Uint8Array(0)), 400, 'body'],
    [post(t, new Uint8Array(0), seq), 400, 'body'],
    [post(t, bytes.subarray(0, 50)), 400, 'truncated'],
    [post(t, concatBytes(bytes, bytes)), 400, 'body'],
    [post(t, Uint8Array.of(0xff, 0xff)), 400, 'not-canonical'],
    [post(t, concatBytes(bytes, bytes.subarray(0, 9)), seq), 400, 'body'],
    [post(t, concatBytes(bytes, Uint8Array.of(0x9f)), seq), 400, 'body'],
    [post(t, concatBytes(...Array(4).fill(bytes)), seq), 413, 'body-too-large'],
    [post(t, new Uint8Array(10_001)), 413, 'body-too-large'],
    [post(t, encodeBatch({ ...decodeBatch(bytes), records: null })), 400, 'records-missing'],
    [
      call(t, '{network}/batches', {
        body: bytes as Uint8Array<ArrayBuffer>,
        headers: { 'content-encoding': 'gzip', 'content-type': 'application/cose' },
        method: 'POST',
      }),
      415,
      'encoding',
    ],
  ]
  for (const [response, status, type] of cases)
    expect(await reason(await response)).toEqual([status, type])
  expect(t.node.health().networks).toMatchObject([{ size: 0 }])
})

test('ingest: a body without a length that grows too large', async () => {
  await using t = await createTestNode({ limits: { maxBodyBytes: 1000 } })
  const body = new ReadableStream({
    pull: (controller) => controller.enqueue(new Uint8Array(400)),
  })
  const response = await call(t, '{network}/batches', {
    body,
    duplex: 'half',
    headers: { 'content-type': 'application/cose' },
    method: 'POST',
  } as RequestInit)
  expect(await reason(response)).toEqual([413, 'body-too-large'])
})

test('ingest: overload', async () => {
  await using t = await createTestNode({ limits: { commitDelayMs: 50, maxPending: 1 } })
  await t.node.listen({ port: 0 })
  const batches = await Promise.all(
    [0, 1].map((seq) => t.sign({ seq, start: t.chain.time + (seq * hourMs) / 2 })),
  )
  const first = post(t, batches[0]!.bytes)
  const waiting = () => call(t, '/metrics').then((response) => response.text())
  while (!(await waiting()).includes('machinefi_batches_pending 1'));
  for (const type of ['application/cose', 'application/cbor-seq']) {
    const refused = await post(t, batches[1]!.bytes, type)
    expect(refused.headers.get('retry-after')).toBe('1')
    expect(await reason(refused)).toEqual([503, 'overloaded'])
  }
  expect((await first).status).toBe(200)
})

test('networks', async () => {
  await using t = await createSettledNode()
  const { networks } = await json(t, '/networks')
  expect(networks).toEqual([await json(t, '{network}')])
  expect(networks[0]).toMatchObject({
    chainId: 31337,
    firstWindow: 20_000,
    id: t.chain.network.id,
    logKey: toHex(t.logSigner.publicKey),
    maxRowsBytes: 4096,
    members: 2,
    metric: { type: 'sum', field: 0, min: 0, max: 900 },
    operator: t.chain.operator,
    policy: { threshold: '100' },
    retentionMs: 30 * dayMs,
    schema: { id: 1, tickMs: 1000, fields: [{ name: 'steps', unit: 'count', scale: 0 }] },
    size: 5,
    windowMs: dayMs,
  })
})

test('devices', async () => {
  await using t = await createSettledNode()
  const device = toHex(t.batches[0]!.device)
  const state = await json(t, `{network}/devices/did:io:${device}`)
  expect(state).toEqual(
    await json(t, `{network}/devices/${device.toUpperCase().replace('0X', '0x')}`),
  )
  // Tokens change hands: who owns it is the registry's to say.
  expect(state).not.toHaveProperty('owner')
  expect(state).toMatchObject({
    algorithm: 'ES256',
    batches: 3,
    did: `did:io:${device}`,
    evidence: 0,
    finalBefore: t.chain.network.firstWindow * dayMs,
    gaps: [],
    late: 0,
    member: { slot: 0, suspendedAt: null },
    nextSeq: 3,
  })
  const { records } = await json(t, `{network}/devices/${device}/records`)
  expect(records).toHaveLength(6)
  expect(records[0]).toEqual({
    schema: 1,
    seq: 0,
    steps: 50,
    time: t.chain.time - dayMs - minuteMs,
  })
  const from = records[1].time
  const iso = new Date(records[4].time).toISOString()
  const some = await json(t, `{network}/devices/${device}/records?from=${from}&to=${iso}`)
  expect(some.records).toEqual(records.slice(1, 4))
  const page = await json(t, `{network}/devices/${device}/records?limit=2`)
  expect([page.records.length, page.next]).toEqual([4, 2])
  const rest = await json(t, `{network}/devices/${device}/records?limit=2&seq=2`)
  expect([rest.records.length, rest.next]).toEqual([2, null])
  const { batches, next } = await json(t, `{network}/devices/${device}/batches`)
  expect([batches.length, next]).toEqual([3, null])
  expect(batches[0]).toMatchObject({ count: 2, late: false, schema: 1, seq: 0 })
  const logged = await call(t, `{network}/log/batches/${batches[0].index}`)
  expect(logged.headers.get('x-arrived')).toBe(`${batches[0].arrived}`)
  const { end, start } = { end: batches[1].start, start: batches[0].start + batches[0].span }
  const two = await json(t, `{network}/devices/${device}/batches?from=${start}&to=${end + 1}`)
  expect(two.batches).toEqual(batches.slice(0, 2))
  const first = await json(t, `{network}/devices/${device}/batches?limit=1&to=${end}`)
  expect(first).toEqual({ batches: batches.slice(0, 1), next: 1 })
  expect(await json(t, `{network}/devices/${device}/evidence`)).toMatchObject({ evidence: [] })
  const stranger = toHex(new Uint8Array(20))
  expect(await reason(await call(t, `{network}/devices/${stranger}`))).toEqual([404, 'not-found'])
  expect(await reason(await call(t, '{network}/devices/bob'))).toEqual([400, 'parameter'])
})

test('log', async () => {
  await using t = await createSettledNode()
  const checkpoint = decodeCheckpoint(await bytes(t, '{network}/log/checkpoint'))
  expect(checkpoint.size).toBe(5)
  const log = createLog(await bytes(t, '{network}/log/entries'))
  expect(log.ids()).toEqual(concatBytes(...t.batches.map((batch) => batchId(batch, t.id))))
  expect(log.root()).toEqual(checkpoint.root)
  expect(await bytes(t, '{network}/log/entries?from=1&to=3')).toEqual(log.ids(1, 3))
  expect(await bytes(t, '{network}/log/entries?from=5')).toEqual(new Uint8Array(0))

  const all = await bytes(t, '{network}/log/checkpoints')
  const sizes = (decodeMultiple(all) as unknown[]).length
  expect(sizes).toBe(2)
  expect(decodeCheckpoint(await bytes(t, '{network}/log/checkpoints?limit=1')).size).toBe(2)
  expect(decodeCheckpoint(await bytes(t, '{network}/log/checkpoints?from=3')).size).toBe(5)
  expect(decodeCheckpoint(await bytes(t, '{network}/log/checkpoint?size=1')).size).toBe(2)

  for (let size = 1; size <= 5; size++) {
    for (let index = 0; index < size; index++)
      expect(
        verifyInclusion({
          id: log.id(index),
          index,
          proof: await bytes(t, `{network}/log/inclusion?index=${index}&size=${size}`),
          root: log.root(size),
          size,
        }),
      ).toBe(true)
    expect(
      verifyConsistency({
        from: size,
        fromRoot: log.root(size),
        proof: await bytes(t, `{network}/log/consistency?from=${size}`),
        to: 5,
        toRoot: log.root(),
      }),
    ).toBe(true)
  }
  expect(await bytes(t, '{network}/log/batches/3')).toEqual(t.batches[3]!.bytes)
  const sequence = (from: number, to: number) =>
    concatBytes(...t.batches.slice(from, to).map((batch) => batch.bytes))
  expect(await bytes(t, '{network}/log/batches')).toEqual(sequence(0, 5))
  expect(await bytes(t, '{network}/log/batches?from=1&to=4')).toEqual(sequence(1, 4))
  expect(await bytes(t, '{network}/log/batches?from=5')).toEqual(new Uint8Array(0))

  for (const [path, status, type] of [
    ['log/batches/5', 404, 'not-found'],
    ['log/batches/-1', 400, 'parameter'],
    ['log/checkpoint?size=6', 404, 'not-found'],
    ['log/entries?from=6', 400, 'parameter'],
    ['log/entries?from=3&to=2', 400, 'parameter'],
    ['log/batches?from=6', 400, 'parameter'],
    ['log/batches?from=3&to=2', 400, 'parameter'],
    ['log/batches?to=6', 400, 'parameter'],
    ['log/inclusion', 400, 'parameter'],
    ['log/inclusion?index=5', 400, 'parameter'],
    ['log/inclusion?index=0&size=6', 400, 'parameter'],
    ['log/consistency?from=6', 400, 'parameter'],
    ['log/consistency?from=1e3', 400, 'parameter'],
    ['log/consistency?from=1&too=3', 400, 'parameter'],
  ] as const)
    expect(await reason(await call(t, `{network}/${path}`)), path).toEqual([status, type])
})

test('log: batches in answers of bounded length', async () => {
  await using t = await createTestNode({ maxRowsBytes: 32_768 })
  const steps = Array.from({ length: 1400 }, (_, i) => 10 ** 12 + i)
  const start = t.chain.time - dayMs
  const batches = await Promise.all(
    Array.from({ length: 300 }, (_, seq) => t.sign({ seq, start, steps })),
  )
  for (let i = 0; i < 300; i += 100) await t.ingest(...batches.slice(i, i + 100))
  const sequence = concatBytes(...batches.map((batch) => batch.bytes))
  const first = await bytes(t, '{network}/log/batches')
  expect(equalBytes(first, sequence.subarray(0, first.length))).toBe(true)
  const sent = decodeMultiple(first)!.length
  expect(first.length).toBeLessThanOrEqual(4 * 2 ** 20)
  expect(first.length + batches[sent]!.bytes.length).toBeGreaterThan(4 * 2 ** 20)
  const rest = await bytes(t, `{network}/log/batches?from=${sent}`)
  expect(equalBytes(rest, sequence.subarray(first.length))).toBe(true)
})

test('log: empty', async () => {
  await using t = await createTestNode()
  expect(await reason(await call(t, '{network}/log/checkpoint'))).toEqual([404, 'not-found'])
  expect(await bytes(t, '{network}/log/entries')).toEqual(new Uint8Array(0))
  expect(await reason(await call(t, '{network}/log/inclusion?index=0'))).toEqual([400, 'parameter'])
})

test('epochs', async () => {
  await using t = await createSettledNode()
  const { epochs } = await json(t, '{network}/epochs')
  expect(epochs).toHaveLength(1)
  expect(epochs[0]).toMatchObject({
    attempt: 1,
    epochHash: t.chain.epochs.get(20_000)!.epochHash,
    ledgerTotal: '550',
    logs: [{ shard: 0, size: 5 }],
    name: '2024-10-04',
    window: 20_000,
  })
  for (const window of ['20000', '2024-10-04', '2024-10-04T00:00:00Z', '2024-10-04T13:00'])
    expect(await json(t, `{network}/epochs/${window}`)).toEqual(epochs[0])
  const { entries } = await json(t, '{network}/epochs/20000/ledger')
  expect(entries).toMatchObject([{ value: '330' }, { value: '220' }])
  for (const [path, status, type] of [
    ['epochs/20001', 404, 'not-found'],
    ['epochs/yesterday', 400, 'parameter'],
    ['epochs/2024-13-45', 400, 'parameter'],
    ['epochs/99999999999', 400, 'parameter'],
    ['epochs/20000/claims/bob', 400, 'parameter'],
    [`epochs/20000/claims/${toHex(new Uint8Array(20))}`, 404, 'not-found'],
    ['epochs/20001/bundle', 404, 'not-found'],
  ] as const)
    expect(await reason(await call(t, `{network}/${path}`)), path).toEqual([status, type])
})

test('behavior: a device that has joined since is found', async () => {
  await using t = await createTestNode({ limits: { refreshMs: 0 } })
  for (const path of ['', '/claims', '/records', '/evidence']) {
    const device = toHex(t.chain.join(createSigner()))
    expect(await json(t, `{network}/devices/${device}${path}`)).not.toHaveProperty('status')
  }
})

test('options: refreshMs holds for reading too', async () => {
  await using t = await createTestNode({ limits: { refreshMs: 1e9 } })
  const device = toHex(t.chain.join(createSigner()))
  expect(await reason(await call(t, `{network}/devices/${device}`))).toEqual([404, 'not-found'])
})

test('health, metrics', async () => {
  await using t = await createSettledNode()
  await t.ingest(await t.sign({ signer: createSigner() }))
  expect(await json(t, '/health')).toMatchObject({ ok: true, problems: [] })
  const text = await (await call(t, '/metrics')).text()
  expect(text).toContain('machinefi_batches_accepted_total 5\n')
  expect(text).toContain('machinefi_batches_refused_total{reason="unknown-device"} 1\n')
  expect(text).toContain(`machinefi_log_size{network="${t.chain.network.id}"} 5\n`)
  for (const line of text.trimEnd().split('\n'))
    expect(line).toMatch(
      /^(# (HELP|TYPE) \w+ .+|\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? -?[\d.e+-]+)$/,
    )
})

test('metrics: what is refused while decoding is counted', async () => {
  await using t = await createTestNode()
  const { bytes: whole } = await t.sign({})
  await post(t, whole.subarray(0, 100))
  // An array of three is no batch, but tells where the next item begins.
  await post(t, concatBytes(Uint8Array.of(0x83, 1, 2, 3), whole), 'application/cbor-seq')
  await post(t, concatBytes(whole, whole.subarray(0, 100)), 'application/cbor-seq')
  await t.ingest(Uint8Array.of(...whole, 0))
  const text = await (await call(t, '/metrics')).text()
  expect(text.match(/^machinefi_batches_refused_total.*$/gm)?.sort()).toEqual([
    'machinefi_batches_refused_total{reason="body"} 1',
    'machinefi_batches_refused_total{reason="not-canonical"} 2',
    'machinefi_batches_refused_total{reason="truncated"} 1',
  ])
  expect(text).toContain('machinefi_batches_accepted_total 1\n')
})

test('openapi.json: every operation of it answers, and nothing else does', async () => {
  await using t = await createSettledNode()
  const document = await json(t, '/openapi.json')
  expect(document.openapi).toBe('3.1.0')
  const values: Record<string, string> = {
    device: toHex(t.batches[0]!.device),
    index: '0',
    network: t.chain.network.id,
    window: '20000',
  }
  const required: Record<string, string> = { from: '1', index: '0' }
  for (const [template, operations] of Object.entries(document.paths as object)) {
    const names = [...template.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!)
    const path = template.replace(/\{(\w+)\}/g, (_, name) => values[name]!)
    for (const [method, operation] of Object.entries(operations as object)) {
      const inPath = operation.parameters.filter((p: { in: string }) => p.in === 'path')
      expect(inPath.map((p: { name: string }) => p.name)).toEqual(names)
      const query = operation.parameters
        .filter((p: { required: boolean; in: string }) => p.in === 'query' && p.required)
        .map((p: { name: string }) => `${p.name}=${required[p.name]}`)
        .join('&')
      const init = operation.requestBody
        ? {
            body: t.batches[0]!.bytes as Uint8Array<ArrayBuffer>,
            headers: { 'content-type': Object.keys(operation.requestBody.content)[0]! },
          }
        : {}
      const response = await call(t, `${path}${query && `?${query}`}`, {
        method: method.toUpperCase(),
        ...init,
      })
      expect([template, response.status]).toEqual([template, 200])
      const type = response.headers.get('content-type')!.split(';')[0]!
      expect(Object.keys(operation.responses['200'].content)).toContain(type)
      await response.arrayBuffer()
      for (const other of ['DELETE', 'PUT', 'PATCH']) {
        const refused = await call(t, path, { method: other })
        expect(refused.headers.get('allow')).toContain(method.toUpperCase())
        expect(await reason(refused)).toEqual([405, 'method'])
      }
    }
  }
})

test('openapi.json: every body in JSON has a schema, and every schema a body', async () => {
  await using t = await createTestNode()
  await t.reopen({ relay: { perDay: 1, send: async () => [] } })
  const document = await json(t, '/openapi.json')
  const bare: string[] = []
  for (const [path, operations] of Object.entries<Record<string, Operation>>(document.paths))
    for (const { requestBody, responses } of Object.values(operations))
      for (const { content } of [requestBody ?? { content: {} }, ...Object.values(responses)])
        for (const [type, { schema }] of Object.entries(content))
          if (type.endsWith('json') && !schema?.$ref) bare.push(`${path} ${type}`)
  expect(bare).toEqual([])
  const refs = JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)
  expect([...new Set([...refs].map(([, name]) => name))].sort()).toEqual(
    Object.keys(document.components.schemas).sort(),
  )
})

test('openapi.json: an answer with anything missing, added or of another type is none', async () => {
  await using t = await createSettledNode()
  const document = await json(t, '/openapi.json')
  const device = toHex(t.batches[0]!.device)
  for (const [name, path] of [
    ['Network', '{network}'],
    ['Device', `{network}/devices/${device}`],
    ['Records', `{network}/devices/${device}/records`],
    ['Claim', `{network}/epochs/20000/claims/${device}`],
    ['Health', '/health'],
  ] as const) {
    const schema = document.components.schemas[name] as JsonSchema
    const answer = await json(t, path)
    const faultsOf = (changes: object) => findFaults({ ...answer, ...changes }, schema, document)
    expect(faultsOf({})).toEqual([])
    expect(faultsOf({ more: 1 })).toEqual([': more is not in the schema'])
    for (const member of Object.keys(answer)) {
      expect(faultsOf({ [member]: Symbol() }), member).not.toEqual([])
      const { [member]: _, ...rest } = answer
      const isRequired = schema.required!.includes(member)
      expect(findFaults(rest, schema, document)).toEqual(isRequired ? [`: no ${member}`] : [])
    }
  }
  const [record] = (await json(t, `{network}/devices/${device}/records`)).records
  const faultsOf = (changes: object) =>
    findFaults(
      { records: [{ ...record, ...changes }], expiredBatches: 0, next: null },
      document.components.schemas.Records,
      document,
    )
  expect(faultsOf({ steps: null })).toEqual([])
  expect(faultsOf({ steps: '50' })).toEqual(['/records/0/steps: not number,null'])
  expect(faultsOf({ seq: -1 })).toEqual(['/records/0/seq: < 0'])
})

test('behavior: CORS, HEAD, OPTIONS, 404', async () => {
  await using t = await createTestNode()
  const preflight = await call(t, '{network}/batches', { method: 'OPTIONS' })
  expect(preflight.status).toBe(204)
  expect(preflight.headers.get('access-control-allow-origin')).toBe('*')
  expect(preflight.headers.get('access-control-allow-methods')).toBe('POST, OPTIONS')
  expect(preflight.headers.get('access-control-allow-headers')).toBe(
    'content-type, signature, signature-input',
  )
  const head = await call(t, '/networks', { method: 'HEAD' })
  expect([head.status, await head.text()]).toEqual([200, ''])
  expect(Number(head.headers.get('content-length'))).toBeGreaterThan(100)
  for (const path of ['/', '/nothing', '/networks/', '//', '/networks/%zz'])
    expect((await call(t, path)).status, path).toBeGreaterThanOrEqual(400)
  const refused = await call(t, '/nothing')
  expect(refused.headers.get('access-control-allow-origin')).toBe('*')
  expect(await reason(refused)).toEqual([404, 'not-found'])
  expect(await reason(await call(t, '/networks/%zz'))).toEqual([400, 'parameter'])
})

test('behavior: what is not HTTP gets a problem too', async () => {
  await using t = await createTestNode({ limits: { requestTimeoutMs: 300 } })
  const url = new URL(await t.node.listen({ port: 0 }))
  const talk = (text: string) =>
    new Promise<string>((resolve) => {
      const socket = connect(Number(url.port), url.hostname, () => socket.write(text))
      let answer = ''
      socket.on('data', (chunk) => {
        answer += chunk
      })
      socket.on('close', () => resolve(answer))
      socket.on('error', () => {})
    })
  expect(await talk('garbage\r\n\r\n')).toMatch(/^HTTP\/1.1 400 [\s\S]*problems\/request"/)
  expect(await talk(`GET / HTTP/1.1\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`)).toMatch(
    /^HTTP\/1.1 431 /,
  )
  // A body that never comes to its end.
  const path = `/networks/${t.chain.network.id}/batches`
  expect(
    await talk(
      `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/cose\r\ncontent-length: 100\r\n\r\nabc`,
    ),
  ).toMatch(/^HTTP\/1.1 408 [\s\S]*problems\/timeout"/)
  expect((await json(t, '/health')).ok).toBe(true)
})

test('behavior: closing answers what was taken in, and refuses the rest', async () => {
  const t = await createTestNode({ limits: { commitDelayMs: 100 } })
  await t.node.listen({ port: 0 })
  const batch = await t.sign({})
  const answer = post(t, batch.bytes)
  const pending = async () => (await (await call(t, '/metrics')).text()).includes('pending 1')
  while (!(await pending()));
  const closed = t.node.close()
  expect((await answer).status).toBe(200)
  await closed
  await expect(fetch(`${t.node.url}/health`)).rejects.toThrow()
  expect(await t.ingest(batch)).toMatchObject([{ problem: { reason: 'unavailable' } }])
  t.node = await t.open()
  expect(await t.ingest(batch)).toMatchObject([{ ok: true, duplicate: true }])
  await t[Symbol.asyncDispose]()
})
