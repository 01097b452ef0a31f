import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { generate, type Packet, type ParsedPacket, parse } from 'coap-packet'
import { describe, expect, test } from 'vitest'
import { createRandom } from '../../../../test/attacks/createRandom.js'
import { createTestNode, minuteMs } from '../../test/createTestNode.js'
import { encodeBlock } from './options.js'

/** A client that sends exactly what it is told to. */
async function setup(limits: createTestNode.Options['limits'] = {}) {
  const t = await createTestNode({ limits })
  await t.node.listen({ coapPort: 0, port: 0 })
  const port = Number(new URL(t.node.urls.coap!).port)
  const socket: Socket = createSocket('udp4')
  let messageId = 100
  const network = t.chain.network.id
  const path = (...segments: string[]) =>
    segments.map((segment) => ({ name: 'Uri-Path' as const, value: Buffer.from(segment) }))
  const toBatches = [...path('networks', network, 'batches')]

  async function exchange(packet: Packet, to = toBatches): Promise<ParsedPacket> {
    const bytes = generate(
      {
        code: '0.02',
        confirmable: true,
        messageId: messageId++,
        // As libcoap does: another token for every block.
        token: Buffer.from([messageId & 0xff, 7]),
        ...packet,
        options: [...to, ...(packet.options ?? [])],
      },
      70_000,
    )
    socket.send(bytes, port, '127.0.0.1')
    const [answer] = await once(socket, 'message')
    return parse(answer)
  }

  /** All blocks of a body; the answer to the last. */
  async function upload(body: Uint8Array, size: number) {
    let answer: ParsedPacket
    for (let number = 0; ; number++) {
      const more = (number + 1) * size < body.length
      const value = encodeBlock({ more, number, size })
      answer = await exchange({
        options: [{ name: 'Block1', value }],
        payload: Buffer.from(body.subarray(number * size, (number + 1) * size)),
      })
      if (!more || answer.code !== '2.31') return answer
    }
  }

  /** From another port, so that answers to what was sent before are not taken for this one's. */
  async function fresh(packet: Packet): Promise<ParsedPacket> {
    const other = createSocket('udp4')
    other.send(
      generate({ code: '0.02', confirmable: true, options: toBatches, ...packet }),
      port,
      '127.0.0.1',
    )
    const [answer] = await once(other, 'message')
    other.close()
    return parse(answer)
  }

  const stats = () =>
    (t.node.health().transports as { name: string; requests: number }[]).find(
      ({ name }) => name === 'coap',
    )!
  return {
    ...{ exchange, fresh, network, path, stats, t, upload },
    sendRaw: (bytes: Buffer) => socket.send(bytes, port, '127.0.0.1'),
    async [Symbol.asyncDispose]() {
      socket.close()
      await t[Symbol.asyncDispose]()
    },
  }
}

const size = (t: Awaited<ReturnType<typeof createTestNode>>) =>
  (t.node.health().networks as { size: number }[])[0]!.size
const textOf = ({ payload }: ParsedPacket) => JSON.parse(payload.toString())

describe('requests', () => {
  test('default: 2.04 and the receipt', async () => {
    await using s = await setup()
    const batch = await s.t.sign({})
    const answer = await s.exchange({ payload: Buffer.from(batch.bytes) })
    expect(answer).toMatchObject({ ack: true, code: '2.04', messageId: 100 })
    expect(size(s.t)).toBe(1)
    const [outcome] = await s.t.ingest(batch)
    expect(outcome).toMatchObject({ duplicate: true })
    expect(answer.payload.equals((outcome as { receipt: Uint8Array }).receipt)).toBe(true)
  })

  test('behavior: the same message again gets the same answer, and is not handled again', async () => {
    await using s = await setup()
    const packet = { messageId: 7, payload: Buffer.from((await s.t.sign({})).bytes) }
    const first = await s.exchange(packet)
    expect(await s.exchange(packet)).toEqual(first)
    expect(s.stats().requests).toBe(1)
  })

  test('behavior: a device, its next seq', async () => {
    await using s = await setup()
    const { device } = await s.t.sign({})
    const to = s.path('networks', s.network, 'devices', `0x${Buffer.from(device).toString('hex')}`)
    const answer = await s.exchange({ code: '0.01' }, to)
    expect(answer.code).toBe('2.05')
    expect(textOf(answer)).toMatchObject({ nextSeq: 0 })
  })

  test('error: by code', async () => {
    await using s = await setup({ maxCoapBodyBytes: 2000 })
    const payload = Buffer.from('no batch')
    const code = async (packet: Packet, to?: ReturnType<typeof s.path>) =>
      (await s.exchange({ payload, ...packet }, to)).code
    expect(await code({})).toBe('4.00')
    expect(await code({ payload: Buffer.alloc(3000) })).toBe('4.13')
    expect(await code({ code: '0.01' })).toBe('4.05')
    expect(await code({}, s.path('nothing'))).toBe('4.04')
    // Not for constrained devices: the answers are large, and the sender may be forged.
    expect(await code({ code: '0.01' }, s.path('networks'))).toBe('4.04')
    const option = (name: string, value: number) => ({
      options: [{ name, value: Buffer.of(value) }],
    })
    expect(await code(option('Content-Format', 50))).toBe('4.15')
    expect(await code(option('If-None-Match', 1))).toBe('4.02')
    expect(await code(option('65001', 1))).toBe('4.02')
    expect(await code(option('65000', 1))).toBe('4.00')
    const strange = await s.t.sign({ start: s.t.now + 60 * minuteMs })
    const refused = await s.exchange({ payload: Buffer.from(strange.bytes) })
    expect(refused.code).toBe('4.22')
    expect(textOf(refused)).toMatchObject({ type: 'https://machinefi.dev/problems/future' })
  })

  test('error: without room 5.03, and when to come again', async () => {
    await using s = await setup({ commitDelayMs: 200, maxPending: 1 })
    const held = s.t.ingest(await s.t.sign({}))
    const answer = await s.exchange({ payload: Buffer.from((await s.t.sign({ seq: 1 })).bytes) })
    expect(answer.code).toBe('5.03')
    expect(answer.options).toContainEqual({ name: 'Max-Age', value: Buffer.of(1) })
    await held
  })

  test('behavior: a ping', async () => {
    await using s = await setup()
    expect(await s.exchange({ code: '0.00', token: Buffer.alloc(0) }, [])).toMatchObject({
      code: '0.00',
      reset: true,
    })
  })

  test('behavior: what takes long is acknowledged first, and answered in a message of its own', async () => {
    await using s = await setup({ commitDelayMs: 1700, maxCommitDelayMs: 1700 })
    const batch = await s.t.sign({})
    const held = await s.exchange({ payload: Buffer.from(batch.bytes) })
    expect(held).toMatchObject({ ack: true, code: '0.00', messageId: 100 })
    // Nothing is acknowledged but that it came.
    expect(size(s.t)).toBe(0)
    const answer = await s.exchange(
      { code: '0.00', messageId: 9, reset: true, confirmable: false, token: Buffer.alloc(0) },
      [],
    )
    expect(answer).toMatchObject({ code: '2.04', confirmable: true })
    expect(size(s.t)).toBe(1)
  })
})

test('behavior: no datagram brings it down', async () => {
  await using s = await setup()
  const random = createRandom(7)
  const payload = Buffer.from((await s.t.sign({})).bytes)
  const value = encodeBlock({ more: true, number: 0, size: 256 })
  const bytes = generate({
    code: '0.02',
    confirmable: true,
    messageId: 1,
    options: [
      { name: 'Uri-Path', value: Buffer.from('%zz') },
      { name: 'Block1', value },
      { name: 'Block2', value },
      { name: '292', value },
    ],
    payload: payload.subarray(0, 256),
    token: Buffer.of(1),
  })
  for (let i = 0; i < 2000; i++) {
    const mutated = Buffer.from(bytes.subarray(0, 1 + random.below(bytes.length)))
    for (let flips = 0; flips < 4; flips++)
      mutated[random.below(Math.min(40, mutated.length))]! ^= 1 << random.below(8)
    s.sendRaw(mutated)
    if (i % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
  }
  s.sendRaw(Buffer.alloc(0))
  expect((await s.fresh({ payload })).code).toBe('2.04')
  expect(s.t.errors).toEqual([])
})

describe('blocks', () => {
  test.each([1024, 256, 64])(
    'default: an upload in blocks of %i, each with a token of its own',
    async (block) => {
      await using s = await setup()
      const steps = Array.from({ length: 200 }, (_, i) => i * 1_000_000)
      const batch = await s.t.sign({ start: s.t.now - 300 * minuteMs, steps })
      expect(batch.bytes.length).toBeGreaterThan(1024)
      const answer = await s.upload(batch.bytes, block)
      expect(answer.code).toBe('2.04')
      expect(answer.options.map(({ name }) => name)).toContain('Block1')
      expect(size(s.t)).toBe(1)
    },
  )

  test('behavior: an answer in blocks', async () => {
    await using s = await setup()
    const payload = Buffer.from((await s.t.sign({})).bytes)
    const whole = await s.exchange({ payload })
    const parts: Buffer[] = []
    for (let number = 0; ; number++) {
      const value = encodeBlock({ more: false, number, size: 64 })
      const options = [{ name: 'Block2' as const, value }]
      const part = await s.exchange(number === 0 ? { options, payload } : { options })
      expect(part.code).toBe('2.04')
      parts.push(part.payload)
      const { value: block } = part.options.find(({ name }) => name === 'Block2')!
      if ((block.at(-1)! & 8) === 0) break
    }
    expect(Buffer.concat(parts).equals(whole.payload)).toBe(true)
  })

  test('error: a block that is missing, an upload without an end', async () => {
    await using s = await setup({ maxCoapBodyBytes: 2048 })
    const block = (number: number) => ({
      options: [
        { name: 'Block1' as const, value: encodeBlock({ more: true, number, size: 1024 }) },
      ],
      payload: Buffer.alloc(1024),
    })
    expect((await s.exchange(block(1))).code).toBe('4.08')
    expect((await s.exchange(block(0))).code).toBe('2.31')
    expect((await s.exchange(block(2))).code).toBe('4.08')
    expect((await s.exchange(block(1))).code).toBe('2.31')
    expect((await s.exchange(block(2))).code).toBe('4.13')
    const bertOption = { name: 'Block1' as const, value: Buffer.of(15) }
    expect((await s.exchange({ options: [bertOption] })).code).toBe('4.02')
    const later = {
      name: 'Block2' as const,
      value: encodeBlock({ more: false, number: 3, size: 64 }),
    }
    expect((await s.exchange({ options: [later] })).code).toBe('4.08')
  })
})
