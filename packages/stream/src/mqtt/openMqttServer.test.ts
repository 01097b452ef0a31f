import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { toHex } from '@machinefi/core'
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt'
import { generate, type Packet } from 'mqtt-packet'
import { describe, expect, test } from 'vitest'
import { createRandom } from '../../../../test/attacks/createRandom.js'
import { createTestNode, type TestNode } from '../../test/createTestNode.js'

async function setup(
  limits: createTestNode.Options['limits'] = {},
  options: createTestNode.Options = {},
) {
  const t = await createTestNode({ limits, ...options })
  await t.node.listen({ mqttPort: 0, port: 0 })
  const network = t.chain.network.id.toLowerCase()
  const clients: MqttClient[] = []
  return {
    t,
    batches: `machinefi/${network}/batches`,
    receipts: async () => `machinefi/${network}/receipts/${toHex((await t.sign({})).device)}`,
    async connect(options: IClientOptions = {}) {
      const client = await connectAsync(t.node.urls.mqtt!, { reconnectPeriod: 0, ...options })
      client.on('error', () => {})
      clients.push(client)
      return client
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.end(true)
      await t[Symbol.asyncDispose]()
    },
  }
}

const until = (client: MqttClient, event: 'close' | 'disconnect') =>
  new Promise<unknown>((resolve) => client.once(event, resolve))

const sizeOf = ({ node }: TestNode) => (node.health().networks as { size: number }[])[0]!.size
const metricsOf = async ({ node }: TestNode) => (await fetch(`${node.url}/metrics`)).text()

describe('publish', () => {
  test('default: acknowledged when it is in the log', async () => {
    await using s = await setup()
    const client = await s.connect()
    const answers: Buffer[] = []
    await client.subscribeAsync(await s.receipts(), { qos: 1 })
    client.on('message', (_, payload) => answers.push(payload))
    for (const seq of [0, 1, 2]) {
      await client.publishAsync(s.batches, Buffer.from((await s.t.sign({ seq })).bytes), { qos: 1 })
      expect(sizeOf(s.t)).toBe(seq + 1)
      // Sent before the acknowledgement.
      expect(answers).toHaveLength(seq + 1)
    }
  })

  test('options: QoS 0 and 2', async () => {
    await using s = await setup()
    const client = await s.connect()
    const batch = Buffer.from((await s.t.sign({})).bytes)
    await client.publishAsync(s.batches, batch, { qos: 2 })
    expect(sizeOf(s.t)).toBe(1)
    await client.publishAsync(s.batches, Buffer.from((await s.t.sign({ seq: 1 })).bytes))
    while (sizeOf(s.t) < 2) await new Promise((resolve) => setTimeout(resolve, 5))
  })

  test('behavior: what will never be a batch is acknowledged, and counted', async () => {
    await using s = await setup()
    const client = await s.connect()
    await client.publishAsync(s.batches, Buffer.from('not a batch'), { qos: 1 })
    await client.publishAsync(s.batches, Buffer.alloc(0), { qos: 1 })
    expect(sizeOf(s.t)).toBe(0)
    expect(await metricsOf(s.t)).toMatch(/batches_refused_total\{reason="[a-z-]+"\} 1/)
  })

  test('behavior: without room the acknowledgement waits', async () => {
    await using s = await setup({ commitDelayMs: 30, maxPending: 1 })
    const client = await s.connect()
    const seqs = [0, 1, 2, 3]
    await Promise.all(
      seqs.map(async (seq) =>
        client.publishAsync(s.batches, Buffer.from((await s.t.sign({ seq })).bytes), { qos: 1 }),
      ),
    )
    expect(sizeOf(s.t)).toBe(4)
  })

  test('error: no room for too long is no acknowledgement', async () => {
    await using s = await setup({ commitDelayMs: 200, maxAckDelayMs: 0, maxPending: 1 })
    const client = await s.connect()
    const closed = until(client, 'close')
    const acknowledged: number[] = []
    for (const seq of [0, 1])
      client.publish(
        s.batches,
        Buffer.from((await s.t.sign({ seq })).bytes),
        { qos: 1 },
        (error) => {
          if (!error) acknowledged.push(seq)
        },
      )
    await closed
    expect(acknowledged).not.toContain(1)
    expect(await metricsOf(s.t)).toContain('transport_unacknowledged_total{transport="mqtt"} 1')
  })

  test('error: what is not durable is not acknowledged, and comes again', async () => {
    await using s = await setup()
    const { logSigner } = s.t
    let failing = true
    await s.t.reopen({
      logSigner: {
        ...logSigner,
        sign: (message) =>
          failing ? Promise.reject(new Error('unplugged')) : logSigner.sign(message),
      },
    })
    await s.t.node.listen({ mqttPort: 0, port: 0 })
    const client = await s.connect({ reconnectPeriod: 10 })
    const closed = until(client, 'close')
    const published = client.publishAsync(s.batches, Buffer.from((await s.t.sign({})).bytes), {
      qos: 1,
    })
    await closed
    failing = false
    await published
    expect(sizeOf(s.t)).toBe(1)
  })

  test('error: any other topic', async () => {
    await using s = await setup()
    for (const topic of [
      'elsewhere',
      await s.receipts(),
      s.batches.replace(/0x../, '0x00'),
      `${s.batches}/more`,
    ]) {
      const old = await s.connect({ protocolVersion: 4 })
      const closed = until(old, 'close')
      old.publish(topic, 'x', { qos: 1 })
      await closed
      const client = await s.connect({ protocolVersion: 5 })
      await expect(client.publishAsync(topic, 'x', { qos: 1 })).rejects.toMatchObject({
        code: 0x87,
      })
    }
  })

  test('error: a packet that is too large', async () => {
    await using s = await setup({ maxPacketBytes: 10_000 })
    const client = await s.connect({ protocolVersion: 5 })
    const disconnected = until(client, 'disconnect')
    client.publish(s.batches, Buffer.alloc(200_000), { qos: 1 }, () => {})
    expect(await disconnected).toMatchObject({ reasonCode: 0x95 })
  })
})

describe('subscribe', () => {
  test.each([true, false])('options: isPrivate %s', async (isPrivate) => {
    await using s = await setup({}, { isPrivate })
    const [device, watcher] = [await s.connect(), await s.connect()]
    const answers = new Map([device, watcher].map((client) => [client, [] as Buffer[]]))
    for (const [client, own] of answers) {
      await client.subscribeAsync(await s.receipts(), { qos: 1 })
      client.on('message', (_, payload) => own.push(payload))
    }
    const question = s.batches.replace('batches', `devices/${(await s.receipts()).slice(-42)}`)
    await device.publishAsync(s.batches, Buffer.from((await s.t.sign({})).bytes), { qos: 1 })
    await device.publishAsync(question, 'nonce', { qos: 1 })
    // What it was sent is before the answer to a later question of its own.
    await watcher.publishAsync(question, 'other', { qos: 1 })
    expect(answers.get(device)).toHaveLength(isPrivate ? 2 : 3)
    expect(answers.get(watcher)).toHaveLength(isPrivate ? 1 : 3)
  })

  test('error: wildcards, and topics that are nobody’s receipts', async () => {
    await using s = await setup()
    const own = await s.receipts()
    const client = await s.connect()
    const topics = [
      '#',
      'machinefi/#',
      own.replace(/0x[^/]*$/, '+'),
      s.batches,
      '$SYS/#',
      `$share/a/${own}`,
    ]
    for (const topic of topics)
      await expect(client.subscribeAsync(topic, { qos: 1 })).rejects.toThrow()
    expect(await client.subscribeAsync(own, { qos: 1 })).toMatchObject([{ qos: 0 }])
  })

  test('behavior: nothing is kept for anyone: no retained message, no session, no will', async () => {
    await using s = await setup()
    const topic = await s.receipts()
    const settings: IClientOptions = { clean: false, clientId: 'walker' }
    const first = await s.connect({
      ...settings,
      will: { payload: Buffer.from('gone'), qos: 1, retain: true, topic },
    })
    await first.subscribeAsync(topic)
    const batch = Buffer.from((await s.t.sign({})).bytes)
    await first.publishAsync(s.batches, batch, { qos: 1, retain: true })
    first.stream.destroy()
    const second = await s.connect(settings)
    const seen: Buffer[] = []
    second.on('message', (_, payload) => seen.push(payload))
    await second.subscribeAsync(topic)
    await second.publishAsync(s.batches, batch, { qos: 1 })
    // The answer to its own message, and nothing of the first one's.
    expect(seen).toHaveLength(1)
  })

  test('behavior: a client id takes no connection away', async () => {
    await using s = await setup()
    const first = await s.connect({ clientId: 'walker' })
    await s.connect({ clientId: 'walker' })
    await first.publishAsync(s.batches, Buffer.from((await s.t.sign({})).bytes), { qos: 1 })
    expect(sizeOf(s.t)).toBe(1)
  })
})

describe('connections', () => {
  test('error: bytes that are no MQTT, or no CONNECT', async () => {
    await using s = await setup({ requestTimeoutMs: 100 })
    const port = Number(new URL(s.t.node.urls.mqtt!).port)
    for (const bytes of ['GET / HTTP/1.1\r\n\r\n', '\xc0\x00', '\x00\x00\x00', '']) {
      const socket = connectTcp(port, '127.0.0.1').resume()
      socket.write(Buffer.from(bytes, 'latin1'))
      await once(socket, 'close')
    }
  })

  test('behavior: no bytes bring it down', async () => {
    await using s = await setup()
    const port = Number(new URL(s.t.node.urls.mqtt!).port)
    const network = s.batches.split('/')[1]
    const id = { messageId: 7 }
    const packets: Packet[] = [
      { clientId: 'a', clean: true, cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4 },
      { ...id, cmd: 'publish', dup: false, payload: 'x', qos: 1, retain: true, topic: s.batches },
      { ...id, cmd: 'publish', dup: false, payload: 'x', qos: 2, retain: false, topic: 'a/%zz' },
      {
        ...id,
        cmd: 'publish',
        dup: false,
        payload: 'x',
        qos: 1,
        retain: false,
        topic: `machinefi/${network}/devices/%zz`,
      },
      { ...id, cmd: 'subscribe', subscriptions: [{ qos: 1, topic: await s.receipts() }] },
      { ...id, cmd: 'unsubscribe', unsubscriptions: ['a'] },
      { ...id, cmd: 'pubrel' },
      { cmd: 'pingreq' },
    ]
    const [connect, ...rest] = packets.map((packet) => generate(packet))
    const random = createRandom(7)
    for (let i = 0; i < 300; i++) {
      const body = Buffer.concat([0, 1, 2].map(() => random.of(rest)))
      for (let flips = 0; flips < 3; flips++)
        body[random.below(body.length)]! ^= 1 << random.below(8)
      const socket = connectTcp(port, '127.0.0.1').resume()
      socket.on('error', () => {})
      socket.end(Buffer.concat([connect!, body]))
      await once(socket, 'close')
    }
    const client = await s.connect()
    await client.publishAsync(s.batches, Buffer.from((await s.t.sign({})).bytes), { qos: 1 })
    expect(sizeOf(s.t)).toBe(1)
    expect(s.t.errors).toEqual([])
  })

  test('behavior: /health and /metrics count them', async () => {
    await using s = await setup()
    await s.connect()
    expect(s.t.node.health().transports).toMatchObject([
      { name: 'http', ok: true },
      { connections: 1, name: 'mqtt', ok: true },
    ])
    expect(await metricsOf(s.t)).toContain('machinefi_transport_connections{transport="mqtt"} 1')
  })

  test('behavior: a broker that cannot be reached is a problem of the node', async () => {
    await using t = await createTestNode()
    await t.node.listen({ brokers: [{ url: 'mqtt://127.0.0.1:9' }], port: 0 })
    expect(t.node.health().problems).toEqual([expect.stringContaining('127.0.0.1:9')])
    for (const url of ['http://hub', 'mqtt://name:secret@hub', 'hub']) {
      const other = await createTestNode()
      const listening = other.node.listen({ brokers: [{ url }], port: 0 })
      await expect(listening).rejects.toMatchObject({ name: 'NodeConfigurationError' })
      await expect(listening).rejects.not.toThrow('secret')
      await other[Symbol.asyncDispose]()
    }
  })
})
