import { concatBytes, toHex } from '@machinefi/core'
import { batchId, decodeBatch, defineSchema, readBatch, signBatch } from '@machinefi/telemetry'
import { describe, expect, test } from 'vitest'
import { createTestNode } from '../../test/createTestNode.js'
import { createSoftwareSigner, http, type QueuedBatch, readNodeNetwork } from '../index.js'

const schema = defineSchema({ id: 1, tickMs: 1000, fields: { steps: { unit: 'count' } } })
const network = new Uint8Array(32).fill(1)
const start = Date.UTC(2026, 3, 13)
const clock = () => start + 60_000
const signer = createSoftwareSigner()
const url = 'http://hub.test/'
const networkUrl = `http://hub.test/networks/${toHex(network)}`

async function batchOf(seq: number, by = signer): Promise<QueuedBatch> {
  const rows = [{ time: start + seq * 1000, values: [seq] }]
  const batch = await signBatch({ signer: by, network, schema, seq, rows })
  return { seq, id: batchId(batch, network), bytes: batch.bytes, end: start + seq * 1000 }
}

const context = () => ({ network, clock, signal: new AbortController().signal })

type Received = { url: string; contentType: string | null; bytes: Uint8Array }

/** A fetch that answers from a test node, or as the test says. */
function setup(
  answer?: (received: Received, receipts: Uint8Array[]) => Promise<Response> | Response,
) {
  const node = createTestNode({ network, clock })
  const requests: Received[] = []
  const fetch = async (input: unknown, init?: RequestInit) => {
    const request = new Request(input as string, init)
    const bytes = new Uint8Array(await request.arrayBuffer())
    const received = { url: request.url, contentType: request.headers.get('content-type'), bytes }
    requests.push(received)
    if (request.method === 'GET') return Response.json(descriptionOf(node))
    const receipts: Uint8Array[] = []
    for (let at = 0; at < bytes.length; ) {
      const { end } = readBatch(bytes, at)
      receipts.push(await node.receive(bytes.slice(at, end)))
      at = end
    }
    if (answer !== undefined) return answer(received, receipts)
    if (received.contentType === 'application/cose') return toResponse(receipts[0]!)
    return toResponse(concatBytes(...receipts.map(bstr)))
  }
  return { fetch, node, requests, logKey: node.logKey }
}

const descriptionOf = (node: ReturnType<typeof createTestNode>) => ({
  id: toHex(network),
  logKey: toHex(node.logKey),
  operator: toHex(node.operator),
  schema,
  windowMs: 86_400_000,
  maxRowsBytes: 4096,
})

const toResponse = (bytes: Uint8Array, init?: ResponseInit) =>
  new Response(bytes as Uint8Array<ArrayBuffer>, init)

const bstr = (bytes: Uint8Array) =>
  concatBytes(new Uint8Array([0x59, bytes.length >> 8, bytes.length]), bytes)

const tstr = (text: string) => {
  const bytes = new TextEncoder().encode(text)
  return concatBytes(new Uint8Array([0x78, bytes.length]), bytes)
}

/** { status, type, title, retryAfter } as cbor-x writes it: the number of members in two bytes. */
const problemItem = (status: number, reason: string) =>
  concatBytes(
    new Uint8Array([0xb9, 0, 4]),
    tstr('status'),
    new Uint8Array([0x19, status >> 8, status]),
    tstr('type'),
    tstr(`https://machinefi.dev/problems/${reason}`),
    tstr('title'),
    tstr(`No: ${reason}`),
    tstr('retryAfter'),
    new Uint8Array([0x05]),
  )

const unknownDevice = 'The node does not know the device yet.'

describe('send', () => {
  test('default: one', async () => {
    const { fetch, node, requests, logKey } = setup()
    const batch = await batchOf(0)
    const deliveries = await http(url, { fetch, logKey }).send([batch], context())
    expect(deliveries).toMatchObject([{ status: 'delivered', index: 0 }])
    expect(requests).toMatchObject([
      { url: `${networkUrl}/batches`, contentType: 'application/cose', bytes: batch.bytes },
    ])
    expect(node.batches).toHaveLength(1)
  })

  test('default: many in one body', async () => {
    const { fetch, requests, logKey } = setup()
    const batches = await Promise.all([0, 1, 2].map((seq) => batchOf(seq)))
    const deliveries = await http(url, { fetch, logKey }).send(batches, context())
    expect(deliveries.map((delivery) => 'index' in delivery && delivery.index)).toEqual([0, 1, 2])
    expect(requests).toHaveLength(1)
    expect(requests[0]!.contentType).toBe('application/cbor-seq')
  })

  test('behavior: what devices send at the same time shares requests', async () => {
    const { fetch, requests, node, logKey } = setup()
    const transport = http(url, { fetch, logKey, maxRequests: 1, maxBatches: 6 })
    const signers = Array.from({ length: 11 }, () => createSoftwareSigner())
    const batches = await Promise.all(signers.map((by) => batchOf(0, by)))
    const all = await Promise.all(batches.map((batch) => transport.send([batch], context())))
    for (const [i, [delivery]] of all.entries()) {
      if (delivery?.status !== 'delivered') throw new Error('not delivered')
      expect(decodeBatch(batches[i]!.bytes).device).toEqual(node.batches[delivery.index]!.device)
    }
    expect(requests).toHaveLength(2)
  })

  test('behavior: a duplicate is delivered by its first receipt', async () => {
    const { fetch, logKey } = setup()
    const transport = http(url, { fetch, logKey })
    const batch = await batchOf(0)
    await transport.send([batch], context())
    // The receipt is older than the skew by now.
    const later = { ...context(), clock: () => start + 86_400_000 }
    expect(await transport.send([batch], later)).toMatchObject([{ status: 'delivered', index: 0 }])
  })

  test('options: logKey is asked once when absent', async () => {
    const { fetch, requests } = setup()
    const transport = http(url, { fetch })
    for (const seq of [0, 1]) {
      const deliveries = await transport.send([await batchOf(seq)], context())
      expect(deliveries).toMatchObject([{ status: 'delivered' }])
    }
    expect(requests.map((request) => request.url)).toEqual([
      networkUrl,
      `${networkUrl}/batches`,
      `${networkUrl}/batches`,
    ])
  })

  test('behavior: a key that was asked for is asked for again when another one signs', async () => {
    const { fetch, node, requests } = setup()
    const transport = http(url, { fetch })
    expect(await transport.send([await batchOf(0)], context())).toMatchObject([
      { status: 'delivered' },
    ])
    node.rotate(createSoftwareSigner())
    const batches = await Promise.all([0, 1, 2].map((seq) => batchOf(seq)))
    expect(await transport.send(batches, context())).toMatchObject(
      batches.map(() => ({ status: 'delivered' })),
    )
    expect(await transport.send([await batchOf(3)], context())).toMatchObject([
      { status: 'delivered' },
    ])
    expect(requests.filter((request) => request.url === networkUrl)).toHaveLength(2)
  })

  test('error: a receipt by a key that the node does not name, which is asked once a request', async () => {
    const { fetch, node, requests } = setup(async ({ bytes }) => {
      const change = { signer: createSoftwareSigner() }
      const receipts: Uint8Array[] = []
      for (let at = 0, end = 0; at < bytes.length; at = end) {
        end = readBatch(bytes, at).end
        receipts.push(await node.receive(bytes.slice(at, end), undefined, change))
      }
      return toResponse(concatBytes(...receipts.map(bstr)))
    })
    const transport = http(url, { fetch })
    const batches = await Promise.all([0, 1, 2].map((seq) => batchOf(seq)))
    const failed = { status: 'failed', error: { kind: 'integrity', reason: 'key' } }
    expect(await transport.send(batches, context())).toMatchObject([failed, failed, failed])
    expect(await transport.send(batches, context())).toMatchObject([failed, failed, failed])
    expect(requests.filter((request) => request.url === networkUrl)).toHaveLength(2)
  })

  test('options: logKey with those that follow it, each in the place of all before', async () => {
    const { fetch, node, requests } = setup()
    const thief = node.signer
    const [second, third] = [createSoftwareSigner(), createSoftwareSigner()]
    const logKey = [node.logKey, second.publicKey, third.publicKey]
    const transport = http(url, { fetch, logKey })
    const send = async (seq: number, by = transport) =>
      (await by.send([await batchOf(seq)], context()))[0]
    const delivered = { status: 'delivered' }
    const failed = { status: 'failed', error: { kind: 'integrity', reason: 'key' } }
    expect(await send(0)).toMatchObject(delivered)
    node.rotate(second)
    const many = await Promise.all([1, 2, 3].map((seq) => batchOf(seq)))
    const apart = await Promise.all(many.map((batch) => transport.send([batch], context())))
    expect(apart.flat()).toMatchObject([delivered, delivered, delivered])
    expect(await transport.send(many, context())).toMatchObject([delivered, delivered, delivered])
    // What a thief of the first key signs counts no more; the third may still come.
    node.rotate(thief)
    expect(await send(4)).toMatchObject(failed)
    node.rotate(third)
    expect(await send(4)).toMatchObject(delivered)
    node.rotate(second)
    expect(await send(5)).toMatchObject(failed)
    // Not remembered by others, nor are strangers let in, nor is anybody asked.
    expect(await send(5, http(url, { fetch, logKey }))).toMatchObject(delivered)
    node.rotate(createSoftwareSigner())
    expect(await send(6, http(url, { fetch, logKey }))).toMatchObject(failed)
    expect(logKey).toHaveLength(3)
    expect(requests.filter((request) => request.url === networkUrl)).toEqual([])
  })

  test('options: headers', async () => {
    const { fetch, logKey } = setup()
    let authorization: string | null = null
    const transport = http(url, {
      logKey,
      headers: { authorization: 'Bearer x' },
      fetch: (input, init) => {
        authorization = new Headers(init?.headers).get('authorization')
        return fetch(input, init)
      },
    })
    await transport.send([await batchOf(0)], context())
    expect(authorization).toBe('Bearer x')
  })

  test('error: a forged receipt, in each way', async () => {
    const other = createSoftwareSigner()
    const forgeries: [string, Parameters<ReturnType<typeof createTestNode>['receive']>[2]][] = [
      ['signature', { signer: other }],
      ['network', { network: new Uint8Array(32).fill(2) }],
      ['dated in the future', { time: clock() + 301_000 }],
      ['dated before the batch', { time: start - 302_000 }],
    ]
    for (const [reason, change] of forgeries) {
      const { fetch, node, logKey } = setup(async ({ bytes }) => {
        return toResponse(await node.receive(bytes, undefined, change))
      })
      const [delivery] = await http(url, { fetch, logKey }).send([await batchOf(0)], context())
      expect(delivery).toMatchObject({
        status: 'failed',
        error: { kind: 'integrity', name: 'ReceiptError' },
      })
      // The kid of the protected header names the key, so another key may be seen before its signature.
      if (reason !== 'signature') expect(delivery).toMatchObject({ error: { reason } })
    }
  })

  test('error: the receipt of another batch, of another operator, flipped, empty', async () => {
    const first = await batchOf(0)
    const { fetch, node, logKey } = setup(async (_, receipts) => toResponse(mutate(receipts[0]!)))
    let mutate = (receipt: Uint8Array) => receipt
    const transport = http(url, { fetch, logKey })
    await transport.send([first], context())
    const otherReceipt = await node.receive(first.bytes)
    const second = await batchOf(1)
    const mutations: (typeof mutate)[] = [
      () => otherReceipt,
      () => new Uint8Array(0),
      (receipt) => receipt.slice(0, -1),
    ]
    for (let at = 0; at < otherReceipt.length; at += 7)
      mutations.push((receipt) => receipt.map((byte, i) => (i === at ? byte ^ 1 : byte)))
    for (mutate of mutations) {
      const deliveries = await transport.send([second], context())
      expect(deliveries).toMatchObject([{ status: 'failed', error: { kind: 'integrity' } }])
    }
    mutate = (receipt) => receipt
    expect(await transport.send([second], context())).toMatchObject([{ status: 'delivered' }])
    const operator = new Uint8Array(20).fill(8)
    const demanding = http(url, { fetch, logKey, operator })
    expect(await demanding.send([second], context())).toMatchObject([
      { status: 'failed', error: { reason: 'operator' } },
    ])
  })

  test('behavior: each of many has its own answer', async () => {
    const { fetch, logKey } = setup((_, [first, second]) =>
      toResponse(
        concatBytes(
          bstr(first!),
          problemItem(422, 'fields'),
          problemItem(403, 'unknown-device'),
          problemItem(422, 'future'),
          problemItem(403, 'signature'),
          problemItem(429, 'busy'),
          bstr(second!),
        ),
      ),
    )
    const batches = await Promise.all([0, 1, 2, 3, 4, 5, 6].map((seq) => batchOf(seq)))
    expect(await http(url, { fetch, logKey }).send(batches, context())).toMatchObject([
      { status: 'delivered', index: 0 },
      { status: 'refused', final: true, problem: { status: 422, title: 'No: fields' } },
      { status: 'failed', error: { kind: 'transport', shortMessage: unknownDevice } },
      { status: 'refused', final: false, problem: { status: 422 } },
      { status: 'refused', final: true, problem: { status: 403 } },
      { status: 'failed', error: { kind: 'transport', retryAfterMs: 5000 } },
      { status: 'failed', error: { kind: 'integrity' } },
    ])
  })

  test('behavior: a body too large, or spoilt by one batch, is halved', async () => {
    const { fetch, logKey, requests } = setup(({ bytes, contentType }, receipts) => {
      const spoilt = receipts.some((_, i) => readSeqs(bytes)[i] === 3)
      if (spoilt) return Response.json({ type: 'about:blank', title: 'Odd' }, { status: 400 })
      if (receipts.length > 2) return new Response('too large', { status: 413 })
      const single = contentType === 'application/cose'
      return toResponse(single ? receipts[0]! : concatBytes(...receipts.map(bstr)))
    })
    const batches = await Promise.all([0, 1, 2, 3, 4, 5, 6].map((seq) => batchOf(seq)))
    const deliveries = await http(url, { fetch, logKey }).send(batches, context())
    const delivered = { status: 'delivered' }
    const refused = { status: 'refused', final: true, problem: { status: 400, title: 'Odd' } }
    expect(deliveries).toMatchObject(
      [0, 1, 2, 3, 4, 5, 6].map((i) => (i === 3 ? refused : delivered)),
    )
    expect(requests.length).toBeLessThan(10)
  })

  test('error: broken bodies', async () => {
    const batches = await Promise.all([0, 1].map((seq) => batchOf(seq)))
    const bodies: ((receipts: Uint8Array[]) => Uint8Array)[] = [
      () => new Uint8Array(0),
      ([first]) => bstr(first!),
      ([first, second]) => concatBytes(bstr(first!), bstr(second!), new Uint8Array([0x40])),
      ([first, second]) => concatBytes(bstr(first!), bstr(second!)).slice(0, -1),
      () => new TextEncoder().encode('<html>'),
      () => new Uint8Array([0x5b, 0, 0, 0, 1, 0, 0, 0, 0]),
      () => new Uint8Array([0x5a, 0xff, 0xff, 0xff, 0xff]),
      () => new Uint8Array([0x5f, 0x41, 0, 0xff]),
      () => new Uint8Array([0xba, 0xff, 0xff, 0xff, 0xff]),
      () => new Uint8Array([0xa1, 0x01, 0x01, 0x40]),
      () => new Uint8Array([0xa1, 0x61, 0x61, 0x80, 0x40]),
      () => new Uint8Array(100_000),
    ]
    for (const body of bodies) {
      const { fetch, logKey } = setup((_, receipts) => toResponse(body(receipts)))
      await expect(http(url, { fetch, logKey }).send(batches, context())).rejects.toMatchObject({
        kind: 'transport',
        name: 'TransportError',
      })
    }
  })

  test('error: aborted', async () => {
    const aborted: boolean[] = []
    const { logKey } = setup()
    const transport = http(url, {
      logKey,
      fetch: (_, init) =>
        new Promise((_, reject) => {
          init!.signal!.addEventListener('abort', () => {
            aborted.push(true)
            reject(init!.signal!.reason)
          })
        }),
    })
    const controller = new AbortController()
    const sent = transport.send([await batchOf(0)], { ...context(), signal: controller.signal })
    await new Promise((resolve) => setTimeout(resolve))
    controller.abort(new Error('closed'))
    await expect(sent).rejects.toThrow('closed')
    expect(aborted).toEqual([true])
    const again = transport.send([await batchOf(0)], { ...context(), signal: controller.signal })
    await expect(again).rejects.toThrow('closed')
  })
})

function readSeqs(bytes: Uint8Array): number[] {
  const seqs: number[] = []
  for (let at = 0; at < bytes.length; ) {
    const { batch, end } = readBatch(bytes, at)
    seqs.push(batch.header.seq)
    at = end
  }
  return seqs
}

describe('readDevice', () => {
  const device = new Uint8Array(20).fill(5)
  const read = (response: Response) =>
    http(url, { fetch: async () => response }).readDevice!({ network, device })

  test('default', async () => {
    let asked: unknown
    const transport = http(url, {
      fetch: async (input) => {
        asked = input
        return Response.json({ nextSeq: 12, gaps: [] })
      },
    })
    expect(await transport.readDevice!({ network, device })).toMatchObject({ nextSeq: 12 })
    expect(asked).toBe(`${networkUrl}/devices/${toHex(device)}`)
  })

  test('error: anything else is no answer', async () => {
    const transport = { kind: 'transport' }
    const answer = (reason: string) =>
      Response.json({ type: `https://machinefi.dev/problems/${reason}` }, { status: 404 })
    await expect(read(answer('not-found'))).rejects.toMatchObject({
      ...transport,
      shortMessage: unknownDevice,
    })
    await expect(read(answer('unknown-network'))).rejects.toMatchObject({ name: 'RefusedError' })
    await expect(read(new Response('<html>', { status: 404 }))).rejects.toMatchObject({
      name: 'RefusedError',
    })
    await expect(read(new Response('', { status: 503 }))).rejects.toMatchObject(transport)
    await expect(read(new Response('<html>'))).rejects.toMatchObject(transport)
    await expect(read(Response.json({ nextSeq: -1 }))).rejects.toMatchObject(transport)
    await expect(read(Response.json(null))).rejects.toMatchObject(transport)
  })
})

describe('readNodeNetwork', () => {
  test('default', async () => {
    const { fetch, node } = setup()
    expect(await readNodeNetwork(url, network, { fetch })).toEqual({
      id: network,
      logKey: node.logKey,
      operator: node.operator,
      schema,
      windowMs: 86_400_000,
      maxRowsBytes: 4096,
    })
  })

  test('error: another network, or no description', async () => {
    const { node } = setup()
    const good = descriptionOf(node)
    const bad = [
      null,
      {},
      { ...good, id: toHex(new Uint8Array(32)) },
      { ...good, logKey: '0x00' },
      { ...good, operator: 7 },
      { ...good, schema: { id: 1 } },
      { ...good, windowMs: '60' },
    ]
    for (const json of bad) {
      const fetch = async () => Response.json(json)
      await expect(readNodeNetwork(url, network, { fetch })).rejects.toMatchObject({
        kind: 'transport',
      })
    }
    const fetch = async () => Response.json({ title: 'No such network' }, { status: 404 })
    await expect(readNodeNetwork(url, network, { fetch })).rejects.toMatchObject({
      name: 'RefusedError',
    })
  })
})
