import { createHash } from 'node:crypto'
import { toHex } from '@machinefi/core'
import { createSoftwareSigner, type QueuedBatch } from '@machinefi/device'
import { mqtt } from '@machinefi/device/mqtt'
import { batchId, defineSchema, signBatch } from '@machinefi/telemetry'
import { encode } from 'cbor-x'
import { connectAsync, type MqttClient } from 'mqtt'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTestNode } from '../../packages/device/test/createTestNode.js'
import { type Mosquitto, mosquittoMissing, startMosquitto } from './startMosquitto.js'

// A broker where anyone may write anything, and somebody does.

const schema = defineSchema({ id: 1, tickMs: 1000, fields: { steps: { unit: 'count' } } })
const network = new Uint8Array(32).fill(1)
const clock = () => Date.UTC(2026, 3, 13)
const node = createTestNode({ clock, network })
const refusal = {
  status: 403,
  title: 'altered, or signed for another network',
  type: 'https://machinefi.dev/problems/signature',
}

const digestOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest()

describe.skipIf(mosquittoMissing)('an open broker', () => {
  let broker: Mosquitto
  let other: MqttClient
  let transport: mqtt.Transport
  /** What is said on the device's topic when a batch is published. */
  let answers: (batch: Buffer) => Promise<unknown[]> | unknown[]

  beforeAll(async () => {
    broker = await startMosquitto()
    other = await connectAsync(broker.url)
    await other.subscribeAsync(`machinefi/${toHex(network)}/batches`, { qos: 1 })
    other.on('message', async (topic, payload) => {
      const receipts = topic.replace('batches', `receipts/${toHex(device)}`)
      for (const answer of await answers(payload))
        other.publish(receipts, answer instanceof Buffer ? answer : encode(answer), { qos: 1 })
    })
    transport = mqtt(broker.url, { logKey: node.logKey, timeoutMs: 1000 })
  })
  afterAll(async () => {
    await transport?.close()
    await other?.endAsync()
    await broker?.close()
  })

  const signer = createSoftwareSigner()
  let device: Uint8Array
  let seq = 0
  async function send() {
    const rows = [{ time: clock() - 60_000, values: [seq] }]
    const batch = await signBatch({ network, rows, schema, seq, signer })
    device = batch.device
    const queued: QueuedBatch = {
      bytes: batch.bytes,
      end: clock() - 60_000,
      id: batchId(batch, network),
      seq: seq++,
    }
    const signal = new AbortController().signal
    return transport.send([queued], { clock, network, signal })
  }

  test('behavior: what is said of other bytes, and what is no answer, is passed over', async () => {
    answers = async (batch) => {
      const spoilt = Buffer.from(batch)
      spoilt[100]! ^= 1
      return [
        Buffer.from('nonsense'),
        Buffer.alloc(0),
        [digestOf(spoilt), refusal],
        [digestOf(spoilt).subarray(1), refusal],
        [digestOf(batch), Buffer.from(await node.receive(batch))],
      ]
    }
    expect(await send()).toMatchObject([{ status: 'delivered' }])
  })

  test('error: a receipt that does not verify', async () => {
    answers = async (batch) => {
      const forger = createSoftwareSigner()
      return [
        [digestOf(batch), Buffer.from(await node.receive(batch, undefined, { signer: forger }))],
      ]
    }
    expect(await send()).toMatchObject([{ error: { kind: 'integrity' }, status: 'failed' }])
  })

  test('error: acknowledged by the broker, and by nobody else', async () => {
    answers = () => []
    await expect(send()).rejects.toMatchObject({ kind: 'transport' })
  })
})
