import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fromHex, type Hex, toHex } from '@machinefi/core'
import { createSoftwareSigner, readNodeNetwork } from '@machinefi/device'
import { openKeyFile, readFileStore } from '@machinefi/device/node'
import { encodeSenml, parseSenml } from '@machinefi/telemetry/senml'
import { connectAsync } from 'mqtt'
import { describe, expect, test } from 'vitest'
import { createTestNode, dayMs, minuteMs } from '../../test/createTestNode.js'
import { fetchChecked } from '../../test/fetchChecked.js'
import { findFaults } from '../../test/findFaults.js'
import { problemBase } from '../problems.js'
import { createGateway } from './createGateway.js'
import { createReadingsMac } from './createReadingsMac.js'
import { openGatewayStore, outboxOf } from './openGatewayStore.js'

/** A gateway beside a node, with one device that is a member, and what that device can do. */
async function createTestGateway(options: Omit<createGateway.Options, 'directory' | 'node'> = {}) {
  const t = await createTestNode({ devices: 0 })
  const parent = mkdtempSync(join(tmpdir(), 'gateway-'))
  const directory = join(parent, 'gateway')
  const node = await t.node.listen({ port: 0 })
  const network = await readNodeNetwork(node, t.id)
  const store = openGatewayStore(directory, { create: true })
  const device = await store.create(network)
  t.chain.join(await openKeyFile(device.keyFile))
  await t.node.refresh()
  const errors: unknown[] = []
  const open = () =>
    createGateway({
      clock: () => t.now,
      directory,
      node,
      onError: (error) => errors.push(error),
      ...options,
      limits: { closeGraceMs: 5000, ...options.limits },
    })
  const gateway = await open()
  const test = {
    device,
    directory,
    errors,
    gateway,
    network,
    store,
    t,
    url: node,
    /** Where the readings of a message go. */
    pathOf(counter: number, body: string | Uint8Array, key = device.sharedKey) {
      const bytes = Buffer.from(body as string)
      const { address } = device
      const mac = createReadingsMac({ body: bytes, counter, device: address, key, network: t.id })
      return `/devices/${toHex(address)}/readings?counter=${counter}&mac=${toHex(mac).slice(2)}`
    },
    async post(path: string, body: string | Uint8Array, type = 'application/senml+json') {
      const response = await fetchChecked(test.gateway.urls.http + path, {
        body: Buffer.from(body as string),
        headers: { 'content-type': type },
        method: 'POST',
      })
      const answer = (await response.json()) as Record<string, unknown>
      const reason = answer.type && String(answer.type).slice(problemBase.length)
      return {
        answer,
        reason,
        retryAfter: response.headers.get('retry-after'),
        status: response.status,
      }
    },
    async send(counter: number, body: string | Uint8Array, type?: string) {
      return test.post(test.pathOf(counter, body), body, type)
    },
    async reopen() {
      await test.gateway.close()
      test.gateway = await open()
      await test.gateway.listen({ port: 0 })
    },
    /** Readings in the node's log, by time. */
    async logged() {
      await test.gateway.close()
      const did = toHex(device.address)
      const response = await fetchChecked(
        `${node}/networks/${toHex(t.id)}/devices/${did}/records?from=0`,
      )
      const text = await response.text()
      if (!response.ok) throw new Error(text)
      return JSON.parse(text).records as { time: number; steps: number }[]
    },
    async [Symbol.asyncDispose]() {
      await test.gateway.close()
      store.close()
      await t[Symbol.asyncDispose]()
      rmSync(parent, { force: true, recursive: true })
    },
  }
  await gateway.listen({ coapPort: 0, mqttPort: 0, port: 0 })
  return test
}

type Body = { content: Record<string, { schema?: object }> }
type Operation = { requestBody?: Body; responses: Record<string, Body> }

const steps = (value: number, time?: number) =>
  JSON.stringify([{ n: 'steps', u: 'count', v: value, ...(time === undefined ? {} : { t: time }) }])

test('default: readings in SenML end in the log of the node, signed', async () => {
  await using g = await createTestGateway()
  const second = Math.floor(g.t.now / 1000)
  const taken = await g.send(1, steps(12))
  expect(taken).toMatchObject({ answer: { counter: 1, readings: 1 }, status: 200 })
  g.t.now += minuteMs
  // Base values: a name of the device's own, a time, a value that all others add to.
  const pack = JSON.stringify([
    {
      bn: 'urn:dev:mac:0024befffe804ff1:',
      bt: second + 10,
      bu: 'count',
      bv: 100,
      n: 'steps',
      v: 1,
    },
    { n: 'steps', t: 10, v: 2 },
  ])
  expect((await g.send(2, pack)).answer).toEqual({ counter: 2, readings: 2 })
  const cbor = encodeSenml(parseSenml(steps(7, second + 40)))
  expect((await g.send(7, cbor, 'application/senml+cbor')).status).toBe(200)
  expect(await g.gateway.stats()).toMatchObject({ authentic: 3, devices: 1, readings: 4, rows: 4 })
  expect(await g.logged()).toMatchObject([
    { steps: 12, time: second * 1000 },
    { steps: 101, time: (second + 10) * 1000 },
    { steps: 102, time: (second + 20) * 1000 },
    { steps: 7, time: (second + 40) * 1000 },
  ])
  expect(g.errors).toEqual([])
})

test('default: files are the owner’s alone, and the shared key is told once', async () => {
  await using g = await createTestGateway()
  const modeOf = (...path: string[]) => statSync(join(g.directory, ...path)).mode & 0o777
  expect(modeOf()).toBe(0o700)
  for (const name of readdirSync(g.directory))
    expect([name, modeOf(name)]).toEqual([name, ['keys', 'outbox'].includes(name) ? 0o700 : 0o600])
  expect(modeOf('keys', `${toHex(g.device.address)}.key`)).toBe(0o600)
  const [device] = g.store.list()
  expect(device).toMatchObject({ address: g.device.address, network: g.t.id, newest: undefined })
})

test('default: openapi.json has all there is, and /health counts', async () => {
  await using g = await createTestGateway()
  const document = await (await fetchChecked(`${g.gateway.urls.http}/openapi.json`)).json()
  expect(document.info.title).toBe('MachineFi gateway')
  expect(Object.keys(document.paths)).toEqual([
    '/devices/{device}/readings',
    '/health',
    '/metrics',
    '/openapi.json',
  ])
  const { post } = document.paths['/devices/{device}/readings']
  expect(Object.keys(post.responses).map(Number)).toEqual([
    200, 400, 403, 409, 413, 415, 422, 429, 503,
  ])
  const senml = { $ref: '#/components/schemas/Senml' }
  expect(post.requestBody.content['application/senml+json']).toEqual({ schema: senml })
  const pack = (record: object) => findFaults([record], senml, document)
  expect(pack(JSON.parse(steps(1))[0])).toEqual([])
  expect(pack({ n: 'steps', vs: 'many' })).toEqual(['/0: vs is not in the schema'])
  expect(pack({ n: 'steps', v: '1' })).toEqual(['/0/v: not number'])
  expect(findFaults([], senml, document)).toEqual([': fewer than 1'])
  const bodies = Object.values<Record<string, Operation>>(document.paths)
    .flatMap(Object.values<Operation>)
    .flatMap(({ requestBody, responses }) => [
      ...Object.values(responses),
      ...(requestBody ? [requestBody] : []),
    ])
  expect(bodies.flatMap(({ content }) => Object.values(content)).every((body) => body.schema)).toBe(
    true,
  )
  await g.send(1, steps(1))
  await g.send(1, steps(2))
  const health = await (await fetchChecked(`${g.gateway.urls.http}/health`)).json()
  expect(health).toMatchObject({ authentic: 2, devices: 1, readings: 1, refused: 1, rows: 1 })
})

test('default: /metrics', async () => {
  await using g = await createTestGateway()
  const { sharedKey } = g.device
  await g.send(1, steps(1))
  await g.send(1, steps(2))
  await g.post(g.pathOf(2, steps(3), sharedKey.toReversed()), steps(3))
  const response = await fetch(`${g.gateway.urls.http}/metrics`)
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
  const text = await response.text()
  for (const line of text.trimEnd().split('\n'))
    expect(line).toMatch(
      /^(# (HELP|TYPE) \w+ .+|\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? -?[\d.e+-]+)$/,
    )
  expect(text.split('\n')).toEqual(
    expect.arrayContaining([
      'machinefi_gateway_messages_authentic_total 2',
      'machinefi_gateway_messages_refused_total{reason="replayed"} 1',
      'machinefi_gateway_messages_refused_total{reason="mac"} 1',
      'machinefi_gateway_readings_total 1',
      'machinefi_gateway_devices 1',
      'machinefi_gateway_outbox_rows 1',
      'machinefi_gateway_batches_delivered_total 0',
      'machinefi_transport_connections{transport="mqtt"} 0',
      'machinefi_transport_failing{transport="coap"} 0',
    ]),
  )
})

test('options: limits: a device that is too fast is told when to come back', async () => {
  await using g = await createTestGateway({ limits: { burst: 2, messagesPerMinute: 6 } })
  expect((await g.send(1, steps(1))).status).toBe(200)
  // Whoever has no key takes nothing away from the device.
  for (let i = 0; i < 5; i++)
    expect((await g.post(g.pathOf(9, steps(1), randomBytes(32)), steps(1))).reason).toBe('mac')
  g.t.now += 2000
  expect((await g.send(2, steps(2))).status).toBe(200)
  const refused = await g.send(3, steps(3))
  expect(refused).toMatchObject({ reason: 'rate', status: 429 })
  expect(Number(refused.retryAfter)).toBeGreaterThan(5)
  expect(Number(refused.retryAfter)).toBeLessThanOrEqual(10)
})

test('options: limits: the outbox of a device is bounded, and what fits stays', async () => {
  await using g = await createTestGateway({ limits: { maxOutboxBytes: 400 } })
  const answers = []
  for (let counter = 1; counter <= 5; counter++) {
    answers.push(await g.send(counter, steps(counter)))
    g.t.now += 1000
  }
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 503, 503])
  expect(answers[3]).toMatchObject({ reason: 'overloaded', retryAfter: '60' })
  expect(await g.logged()).toHaveLength(3)
})

describe('behavior: replay', () => {
  test('the newest message is answered again, and taken once, after a restart too', async () => {
    await using g = await createTestGateway()
    const first = await g.send(5, steps(12))
    // No time in it: it means the time at which it came first.
    g.t.now += 10_000
    expect(await g.send(5, steps(12))).toEqual(first)
    await g.reopen()
    g.t.now += 10_000
    expect(await g.send(5, steps(12))).toEqual(first)
    expect(await g.logged()).toHaveLength(1)
  })

  test('every other counter that is not above the newest is refused', async () => {
    await using g = await createTestGateway()
    await g.send(5, steps(1))
    g.t.now += 1000
    await g.send(6, steps(2))
    g.t.now += 1000
    const again = { answer: { detail: 'The newest one is 6.' }, reason: 'replayed', status: 409 }
    expect(await g.send(5, steps(1))).toMatchObject(again)
    expect(await g.send(6, steps(3))).toMatchObject(again)
    await g.reopen()
    expect(await g.send(5, steps(1))).toMatchObject(again)
    expect(await g.send(0, steps(1))).toMatchObject(again)
    expect(await g.logged()).toHaveLength(2)
  })

  test('a message that was refused for what is in it cannot be used later', async () => {
    await using g = await createTestGateway()
    await g.send(1, steps(1))
    // Its tick is taken; a tick later it would not be.
    const refused = await g.send(2, steps(2))
    expect(refused).toMatchObject({ reason: 'time', status: 422 })
    g.t.now += 60_000
    expect(await g.send(2, steps(2))).toEqual(refused)
    expect(await g.logged()).toHaveLength(1)
  })

  test('of the same message many times at once one is stored, and all are answered', async () => {
    await using g = await createTestGateway()
    const answers = await Promise.all(Array.from({ length: 8 }, () => g.send(3, steps(3))))
    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200))
    expect(await g.logged()).toHaveLength(1)
  })
})

test('behavior: stored half, a message that comes again is completed', async () => {
  await using g = await createTestGateway({ limits: { maxOutboxBytes: 400 } })
  const second = Math.floor(g.t.now / 1000) - 100
  const pack = JSON.stringify(
    Array.from({ length: 4 }, (_, i) => ({ n: 'steps', t: second + i, v: i })),
  )
  expect(await g.send(1, pack)).toMatchObject({ reason: 'overloaded', status: 503 })
  expect(await g.gateway.stats()).toMatchObject({ rows: 3 })
  // Closing delivers; then there is room.
  await g.reopen()
  expect((await g.send(1, pack)).answer).toEqual({ counter: 1, readings: 4 })
  expect((await g.logged()).map(({ steps }) => steps)).toEqual([0, 1, 2, 3])
})

test('behavior: a revoked device is refused at once; what it had sent is delivered', async () => {
  await using g = await createTestGateway()
  expect((await g.send(1, steps(1))).status).toBe(200)
  g.t.now += 1000
  // As the CLI does, in another process.
  const other = openGatewayStore(g.directory)
  expect(other.revoke(g.device.address)).toBe(true)
  expect(other.revoke(g.device.address)).toBe(false)
  other.close()
  expect(await g.send(2, steps(2))).toMatchObject({ reason: 'revoked', status: 403 })
  // To whoever has not its key it is no other than one that never was.
  expect((await g.post(g.pathOf(3, steps(1), randomBytes(32)), steps(1))).reason).toBe('mac')
  await g.reopen()
  expect(await g.send(2, steps(2))).toMatchObject({ reason: 'revoked', status: 403 })
  expect(await g.logged()).toHaveLength(1)
})

test('behavior: a device that is created while it runs can send', async () => {
  await using g = await createTestGateway({ limits: { closeGraceMs: 10 } })
  const { address, sharedKey } = await g.store.create(g.network)
  const body = Buffer.from(steps(3))
  const mac = createReadingsMac({
    body,
    counter: 1,
    device: address,
    key: sharedKey,
    network: g.t.id,
  })
  const path = `/devices/${toHex(address)}/readings`
  const sent = await g.post(`${path}?counter=1&mac=${toHex(mac).slice(2)}`, body)
  expect(sent.status).toBe(200)
  expect(await g.gateway.stats()).toMatchObject({ devices: 2 })
})

test('behavior: with the node away readings are taken, and delivered when it is back', async () => {
  await using g = await createTestGateway()
  const { port } = new URL(g.t.node.url!)
  await g.t.node.close()
  await g.reopen()
  expect((await g.send(1, steps(1))).status).toBe(200)
  await g.t.reopen()
  await g.t.node.refresh()
  await g.t.node.listen({ port: Number(port) })
  expect(await g.logged()).toHaveLength(1)
})

describe('MQTT', () => {
  async function connect(g: Awaited<ReturnType<typeof createTestGateway>>) {
    const client = await connectAsync(g.gateway.urls.mqtt!, { reconnectPeriod: 0 })
    client.on('error', () => {})
    const answers: string[] = []
    client.on('message', (_, payload) => answers.push(payload.toString()))
    const device = toHex(g.device.address)
    await client.subscribeAsync(`machinefi/answers/${device}`)
    return {
      answers,
      client,
      publish(counter: number, body: string, key?: Uint8Array) {
        const [, mac] = g.pathOf(counter, body, key).split('mac=')
        const topic = `machinefi/readings/${device}/${counter}/${mac}`
        return client.publishAsync(topic, body, { qos: 1 })
      },
      [Symbol.dispose]: () => client.end(true),
    }
  }

  test('default: a PUBACK says stored, or never; the answer says which', async () => {
    await using g = await createTestGateway()
    using m = await connect(g)
    await m.publish(1, steps(1))
    expect(await g.gateway.stats()).toMatchObject({ rows: 1 })
    await m.publish(2, '[]')
    // Whoever has no key is told nothing, on a topic that the device reads.
    await m.publish(3, steps(3), randomBytes(32))
    await m.publish(1, steps(1))
    expect(m.answers.map((answer) => answer.slice(0, 40))).toEqual([
      '1 {"counter":1,"readings":1}',
      expect.stringContaining('2 {"type":"https://machinefi.dev'),
      expect.stringContaining('1 {"type":"https://machinefi.dev'),
    ])
    expect(m.answers[2]).toContain('replayed')
    expect(await g.logged()).toHaveLength(1)
  })

  test('behavior: above its rate a device waits, and none of its messages overtakes another', async () => {
    await using g = await createTestGateway({ limits: { burst: 2, messagesPerMinute: 120 } })
    using m = await connect(g)
    const second = Math.floor(g.t.now / 1000) - 100
    await Promise.all(
      [1, 2, 3, 4].map((counter) => m.publish(counter, steps(counter, second + counter))),
    )
    expect(m.answers.map((answer) => answer[0])).toEqual(['1', '2', '3', '4'])
    expect((await g.logged()).map(({ steps }) => steps)).toEqual([1, 2, 3, 4])
  })

  test('behavior: what waits too long is left unacknowledged, and so is all behind it', async () => {
    await using g = await createTestGateway({
      limits: { burst: 1, maxAckDelayMs: 0, messagesPerMinute: 1 },
    })
    using m = await connect(g)
    const closed = new Promise<void>((resolve) => m.client.once('close', () => resolve()))
    const second = Math.floor(g.t.now / 1000) - 100
    for (const counter of [1, 2, 3])
      m.publish(counter, steps(counter, second + counter)).catch(() => {})
    await closed
    expect(m.answers.map((answer) => answer[0])).toEqual(['1'])
    expect(await g.logged()).toHaveLength(1)
  })
})

describe('error: what is not authentic', () => {
  test('any bit changed, of body, path, counter or code', async () => {
    await using g = await createTestGateway()
    const other = await g.store.create(g.network)
    const path = g.pathOf(1, steps(1))
    const refused = { reason: 'mac', status: 403 }
    expect(await g.post(path, steps(2))).toMatchObject(refused)
    expect(await g.post(path.replace('counter=1', 'counter=2'), steps(1))).toMatchObject(refused)
    const flipped = path.slice(0, -1) + (path.endsWith('0') ? '1' : '0')
    expect(await g.post(flipped, steps(1))).toMatchObject(refused)
    const device = toHex(g.device.address)
    for (const address of [toHex(other.address), `0x${'11'.repeat(20)}`])
      expect(await g.post(path.replace(device, address), steps(1))).toMatchObject(refused)
    const { address, sharedKey: key } = g.device
    const body = Buffer.from(steps(1))
    const network = randomBytes(32)
    const mac = createReadingsMac({ body, counter: 1, device: address, key, network })
    const elsewhere = path.replace(/mac=.*/, `mac=${toHex(mac).slice(2)}`)
    expect(await g.post(elsewhere, steps(1))).toMatchObject(refused)
    expect((await g.post(path, steps(1))).status).toBe(200)
  })

  test('a parameter that is missing, doubled, or written in another way', async () => {
    await using g = await createTestGateway()
    const path = g.pathOf(1, steps(1))
    const upper = (hex: Hex) => path.replace(hex, `0x${hex.slice(2).toUpperCase()}`)
    for (const spoilt of [
      path.replace('counter=1', 'counter=01'),
      path.replace('counter=1', 'counter=-1'),
      path.replace('counter=1', `counter=${2 ** 53}`),
      path.replace('counter=1&', ''),
      `${path}&counter=1`,
      path.slice(0, -1),
      upper(toHex(g.device.address)),
    ])
      expect([spoilt, (await g.post(spoilt, steps(1))).reason]).toEqual([spoilt, 'parameter'])
    expect((await g.post(path, steps(1), 'text/plain')).reason).toBe('media-type')
    expect((await g.post(path, 'x'.repeat(65_537))).reason).toBe('body-too-large')
  })
})

test('behavior: what is delivered is kept until its window is final', async () => {
  await using g = await createTestGateway()
  const kept = async () => {
    await g.reopen()
    const { kept } = await readFileStore(outboxOf(g.directory, g.device.address))
    return kept
  }
  await g.send(1, steps(12))
  expect(await kept()).toBe(1)
  g.t.moveTo(g.t.now + 8 * dayMs)
  await g.t.node.settle()
  await g.send(2, steps(13))
  expect(await kept()).toBe(2)
  // The first is final by now; but the chain might say so eight days after its window at the earliest.
  g.t.moveTo(g.t.now + dayMs)
  await g.t.node.settle()
  await g.send(3, steps(14))
  expect(await kept()).toBe(2)
})

test('error: SenML that has no readings of the network', async () => {
  await using g = await createTestGateway()
  const one = (record: object) => JSON.stringify([{ n: 'steps', v: 1, ...record }])
  const second = Math.floor(g.t.now / 1000)
  const bad: [string | Uint8Array, string, RegExp][] = [
    ['', 'senml', /not JSON/],
    ['{}', 'senml', /array/],
    ['[]', 'senml', /nothing/],
    ['[{"bn":"steps"}]', 'senml', /nothing/],
    [Uint8Array.of(0x9f), 'senml', /not CBOR/],
    [Uint8Array.of(0xff, 0xfe), 'senml', /neither/],
    [one({ n: 'stairs' }), 'senml', /"stairs" is not/],
    [one({ u: 'm' }), 'senml', /in count/],
    [one({ v: 1.5 }), 'senml', /steps/],
    [one({ v: undefined, vs: '1' }), 'senml', /takes a number/],
    [one({ bver: 11 }), 'senml', /version/],
    [one({ x_: 1 }), 'senml', /must be understood/],
    [
      JSON.stringify([
        { n: 'a:steps', v: 1 },
        { n: 'b:steps', t: 5, v: 1 },
      ]),
      'senml',
      /b:steps/,
    ],
    [
      JSON.stringify(Array.from({ length: 101 }, (_, t) => ({ n: 'steps', t: -t, v: 1 }))),
      'senml',
      /101/,
    ],
    [one({ t: second + 301 }), 'time', /ahead/],
    [one({ t: 946_684_799 }), 'time', /2001/],
    [
      JSON.stringify([
        { n: 'steps', t: second, v: 1 },
        { n: 'steps', t: second + 0.5, v: 1 },
      ]),
      'time',
      /tick/,
    ],
  ]
  for (const [index, [body, reason, detail]] of bad.entries()) {
    const { answer, ...refused } = await g.send(index, body)
    expect([body, refused.reason, refused.status]).toEqual([body, reason, 422])
    expect(answer.detail).toMatch(detail)
  }
  // Nothing of any of them was taken.
  expect((await g.send(bad.length, steps(1))).status).toBe(200)
  expect(await g.logged()).toHaveLength(1)
})

test('options: logKey: a receipt by another key leaves the batch in the outbox', async () => {
  const { publicKey } = createSoftwareSigner()
  await using g = await createTestGateway({
    limits: { closeGraceMs: 1, maxAgeMs: 1 },
    logKey: publicKey,
  })
  await g.send(1, steps(12))
  g.t.now += minuteMs
  // It looks at the clock when something comes.
  await g.send(2, steps(13))
  await expect.poll(() => g.errors[0], { timeout: 5000 }).toMatchObject({ reason: 'key' })
  const { batches, delivered } = await g.gateway.stats()
  expect([batches > 0, delivered]).toEqual([true, 0])
  await g.gateway.close()
  // The next one is given the key that the log has, after the one before.
  const next = await createGateway({
    clock: () => g.t.now,
    directory: g.directory,
    finalAfterMs: 2 * dayMs,
    logKey: [publicKey, g.t.logSigner.publicKey],
    node: g.url,
    operator: fromHex(g.t.chain.operator),
  })
  // Delivers what is there.
  await next.close()
  expect(await next.stats()).toMatchObject({ batches: 0, kept: 0, rows: 0 })
  const { held } = await readFileStore(outboxOf(g.directory, g.device.address))
  expect(held!.first).toBe(Math.ceil(g.t.now / dayMs) * dayMs + 2 * dayMs)
})

test('error: a reading that is late, or a year after the one before', async () => {
  await using g = await createTestGateway()
  const second = Math.floor(g.t.now / 1000)
  await g.send(1, steps(1, second - 10))
  expect(await g.send(2, steps(1, second - 10))).toMatchObject({ reason: 'time' })
  expect(await g.send(3, steps(1, second - 11))).toMatchObject({ reason: 'time' })
  g.t.now += 367 * 86_400_000
  expect((await g.send(4, steps(1))).answer.detail).toMatch(/too long after/)
})

describe('error: the data directory', () => {
  test('is missing', async () => {
    await expect(
      createGateway({ directory: '/nowhere/gateway', node: 'http://127.0.0.1:1' }),
    ).rejects.toThrow('There is no gateway here.')
  })

  test('is open to others', async () => {
    await using g = await createTestGateway()
    chmodSync(join(g.directory, 'gateway.db'), 0o640)
    expect(() => openGatewayStore(g.directory)).toThrow('The shared keys can be read by others.')
  })

  test('is in use by another gateway', async () => {
    await using g = await createTestGateway()
    await expect(
      createGateway({ directory: g.directory, node: 'http://127.0.0.1:1' }),
    ).rejects.toMatchObject({ name: 'StoreLockedError' })
  })

  test('does not know the device', async () => {
    await using g = await createTestGateway()
    expect(() => g.store.revoke(fromHex(`0x${'11'.repeat(20)}`))).toThrow(
      'no device of this gateway',
    )
  })
})
