import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { toHex } from '@machinefi/core'
import { defineSchema } from '@machinefi/telemetry'
import { delay, HttpResponse, http as msw } from 'msw'
import { setupServer } from 'msw/node'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { createTestNode } from '../../test/createTestNode.js'
import { createDevice, createSoftwareSigner, http } from '../index.js'

const schema = defineSchema({ id: 1, tickMs: 1000, fields: { steps: { unit: 'count' } } })
const network = { id: new Uint8Array(32).fill(1), windowMs: 86_400_000 }
const url = 'http://hub.test'
const batchesUrl = `${url}/networks/${toHex(network.id)}/batches`
const deviceUrl = `${url}/networks/${toHex(network.id)}/devices/:device`

const server = setupServer()
beforeAll(() => server.listen({ onUnhandledRequest: 'error' }))
afterEach(() => server.resetHandlers())
afterAll(() => server.close())

/** A device in front of a node that first gives the answers of the test, then receipts. */
function setup(answers: (() => Response | Promise<Response>)[], options: http.Options = {}) {
  const node = createTestNode({ network: network.id })
  let requests = 0
  server.use(
    msw.get(deviceUrl, () => HttpResponse.json({ nextSeq: node.nextSeq() })),
    msw.post(batchesUrl, async ({ request }) => {
      requests++
      const answer = answers.shift()
      if (answer !== undefined) return answer()
      const receipt = await node.receive(new Uint8Array(await request.arrayBuffer()))
      return new HttpResponse(receipt as Uint8Array<ArrayBuffer>, {
        headers: { 'content-type': 'application/cose' },
      })
    }),
  )
  const errors: Error[] = []
  const device = createDevice({
    schema,
    signer: createSoftwareSigner(),
    network,
    transport: http(url, { logKey: node.logKey, operator: node.operator, ...options }),
    retry: { minMs: 2, maxMs: 5 },
    onError: (error) => errors.push(error),
  })
  return { device, errors, node, requests: () => requests }
}

test('default', async () => {
  const { device, errors, node } = setup([])
  await device.record({ steps: 12 })
  await device.flush()
  expect(node.batches).toHaveLength(1)
  expect(errors).toEqual([])
  await device.close()
})

test('behavior: overload, accidents and broken bodies are tried again', async () => {
  const { device, errors, node, requests } = setup([
    () => new HttpResponse(null, { status: 429, headers: { 'retry-after': '0' } }),
    () =>
      new HttpResponse(null, { status: 503, headers: { 'retry-after': new Date().toUTCString() } }),
    () => HttpResponse.error(),
    () => new HttpResponse('<h1>Bad gateway</h1>', { status: 502 }),
    () => Response.redirect('http://elsewhere.test/', 307),
    () =>
      new HttpResponse(
        new ReadableStream({
          start(controller) {
            controller.enqueue(new Uint8Array([0xd2]))
            controller.error(new Error('cable cut'))
          },
        }),
      ),
  ])
  await device.record({ steps: 12 })
  await device.flush()
  expect(errors).toHaveLength(6)
  for (const error of errors) expect(error).toMatchObject({ kind: 'transport' })
  expect(requests()).toBe(7)
  expect(node.batches).toHaveLength(1)
  await device.close()
})

test('behavior: Retry-After', async () => {
  const { device, errors } = setup([
    () => new HttpResponse(null, { status: 429, headers: { 'retry-after': '1' } }),
  ])
  const begin = Date.now()
  await device.record({ steps: 12 })
  await device.flush()
  expect(Date.now() - begin).toBeGreaterThanOrEqual(1000)
  expect(errors).toMatchObject([{ retryAfterMs: 1000 }])
  await device.close()
})

test('options: timeoutMs', async () => {
  const { device, errors } = setup(
    [
      async () => {
        await delay('infinite')
        return HttpResponse.error()
      },
    ],
    { timeoutMs: 50 },
  )
  await device.record({ steps: 12 })
  await device.flush()
  expect(errors).toMatchObject([{ shortMessage: 'The node did not answer within 50 ms.' }])
  await device.close()
})

test('error: a forged receipt is told at once, and the batch is sent again', async () => {
  const { device, errors, node } = setup([() => new HttpResponse('not a receipt')])
  await device.record({ steps: 12 })
  await expect(device.flush()).rejects.toMatchObject({ kind: 'integrity', name: 'ReceiptError' })
  await device.flush()
  expect(errors).toHaveLength(1)
  expect(node.batches).toHaveLength(1)
  await device.close()
})

test('error: refused', async () => {
  const problem = {
    type: 'https://machinefi.dev/problems/signature',
    title: 'Altered',
    status: 422,
  }
  const { device, requests } = setup([
    () =>
      HttpResponse.json(problem, {
        status: 422,
        headers: { 'content-type': 'application/problem+json' },
      }),
  ])
  await device.record({ steps: 12 })
  await expect(device.flush()).rejects.toMatchObject({ name: 'RefusedError', problem })
  expect(requests()).toBe(1)
  expect(await device.refused()).toHaveLength(1)
  await device.close()
})

test('behavior: close does not wait for a node that hangs', async () => {
  const silent = createServer(() => {})
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  const { port } = silent.address() as AddressInfo
  server.close()
  try {
    const device = createDevice({
      schema,
      signer: createSoftwareSigner(),
      network,
      transport: http(`http://127.0.0.1:${port}`),
    })
    await device.record({ steps: 12 })
    const flushed = device.flush().catch((error) => error)
    await new Promise((resolve) => silent.once('request', resolve))
    await device.close()
    expect(await flushed).toMatchObject({ name: 'DeviceClosedError' })
  } finally {
    silent.closeAllConnections()
    silent.close()
    server.listen({ onUnhandledRequest: 'error' })
  }
})

test('behavior: a node that is not there', async () => {
  server.close()
  try {
    const device = createDevice({
      schema,
      signer: createSoftwareSigner(),
      network,
      transport: http('http://127.0.0.1:1'),
    })
    await device.record({ steps: 12 })
    await expect(device.flush({ timeoutMs: 50 })).rejects.toMatchObject({
      cause: { kind: 'transport', shortMessage: 'The node cannot be reached.' },
    })
    await device.close()
  } finally {
    server.listen({ onUnhandledRequest: 'error' })
  }
})
