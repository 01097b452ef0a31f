import { createSocket } from 'node:dgram'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent as HttpAgent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fromHex, publicKeyToAddress, toHex } from '@machinefi/core'
import { createSoftwareSigner } from '@machinefi/device'
import { defineSchema, signBatch, toRow } from '@machinefi/telemetry'
import { Agent } from 'coap'
import { connectAsync } from 'mqtt'
import { type Benchmark, limitRatio, type Result } from './Benchmark.js'
import { endProcess, nextMessage, startProcess } from './build.js'
import { median } from './cpu.js'
import { type Reading, readHours } from './readings.js'

/** Distinct keys: more than any cache between the node and OpenSSL could hide. */
const devices = 1_000
const minuteMs = 60_000
const walker = defineSchema({ fields: { steps: { unit: 'count' } }, id: 1, tickMs: 1_000 })

/** What the node in the other process tells. */
export type NodeReady = {
  network: string
  startTime: number
  url: string
  urls: { coap?: string; mqtt?: string }
}
/** The state of the node's process between two loads. */
export type NodeMark = {
  /** Batches in the log. */
  accepted: number
  /** Of the process so far, without the verifications for comparison, µs. */
  cpu: number
  /** CPU of one `crypto.verify`, µs, in each slice of them since the last mark. */
  slices: number[]
}

/**
 * CPU of the node for one accepted batch: HTTP, decoding, checks, signature,
 * SQLite with fsync, log, receipt. The node is a process of its own, loaded by
 * this one; in between, the same process does bare verifications.
 */
export const ingest: Benchmark = {
  name: 'ingest',
  async run() {
    const directory = mkdtempSync(join(tmpdir(), 'machinefi-bench-'))
    const child = startProcess('node', [directory, `${devices}`])
    try {
      const { network, startTime, url, urls } = await nextMessage<NodeReady>(child)
      const mark = () => {
        child.send('mark')
        return nextMessage<NodeMark>(child)
      }
      const signer = await createSigners(fromHex(network), startTime)
      const post = createPoster(`${url}/networks/${network}/batches`)
      const publisher = await openPublisher(urls.mqtt!, network, signer.devices)
      const uploader = openUploader(`${urls.coap}/networks/${network}/batches`)

      const measure = async (options: {
        budget: number
        name: string
        /** Bodies on their way at a time. */
        concurrency: number
        perBody: number
        perRound: number
        rounds: number
        /** @default HTTP */
        send?: (body: Uint8Array) => Promise<void>
      }): Promise<Result> => {
        const { concurrency, perBody, perRound, rounds } = options
        const { send = (body) => post(body, perBody > 1) } = options
        const ratios: number[] = []
        const batchMicros: number[] = []
        // The first rounds warm up: code, and the keys that the node has not seen.
        for (let round = -4; round < rounds; round++) {
          const bodies = await signer.bodies(perRound / perBody, perBody)
          const before = await mark()
          await inParallel(bodies, concurrency, send)
          const after = await mark()
          const accepted = after.accepted - before.accepted
          if (accepted !== perRound) throw new Error(`${accepted} of ${perRound} were accepted.`)
          if (round < 0) continue
          const verify = median(after.slices)
          const micros = (after.cpu - before.cpu) / accepted
          batchMicros.push(micros)
          ratios.push(micros / verify)
        }
        const value = median(batchMicros)
        // The median of the rounds' ratios, each with the verifications amid it.
        const baseline = value / median(ratios)
        return limitRatio({
          against: 'one crypto.verify (P-256, DER, cached key)',
          baseline,
          budget: options.budget,
          name: options.name,
          unit: 'µs CPU',
          value,
        })
      }
      const results = [
        await measure({
          budget: 1.4,
          concurrency: 8,
          name: 'node CPU per accepted batch, 100 a body',
          perBody: 100,
          perRound: 3_000,
          rounds: 8,
        }),
        await measure({
          budget: 2,
          concurrency: 32,
          name: 'node CPU per accepted batch, one a request',
          perBody: 1,
          perRound: 2_000,
          rounds: 8,
        }),
        await measure({
          budget: 2.2,
          concurrency: 32,
          name: 'node CPU per accepted batch, one a message, MQTT, receipts read',
          perBody: 1,
          perRound: 2_000,
          rounds: 4,
          send: publisher.send,
        }),
        await measure({
          budget: 2.4,
          concurrency: 32,
          name: 'node CPU per accepted batch, one a request, CoAP',
          perBody: 1,
          perRound: 2_000,
          rounds: 4,
          send: uploader.send,
        }),
      ]
      await publisher.close()
      uploader.close()
      return results
    } finally {
      await endProcess(child)
      rmSync(directory, { force: true, recursive: true })
    }
  },
}

/** Private key of a device, in both processes. */
export function deviceKey(index: number): Uint8Array {
  const key = new Uint8Array(32).fill(1)
  new DataView(key.buffer).setUint32(28, index)
  return key
}

async function createSigners(network: Uint8Array, startTime: number) {
  const hours = await readHours(2_000)
  const signers = Array.from({ length: devices }, (_, i) =>
    createSoftwareSigner({ privateKey: deviceKey(i) }),
  )
  let next = 0
  return {
    devices: signers.map(({ publicKey }) => toHex(publicKeyToAddress(publicKey))),
    /** Bodies of new batches, device after device. */
    async bodies(count: number, perBody: number): Promise<Uint8Array[]> {
      const bodies: Uint8Array[] = []
      for (let i = 0; i < count; i++) {
        const parts: Uint8Array[] = []
        for (let j = 0; j < perBody; j++) {
          const seq = Math.floor(next / devices)
          const hour = hours[next % hours.length] as Reading[]
          const start = startTime + seq * 60 * minuteMs
          const batch = await signBatch({
            network,
            rows: hour.map(({ steps }, k) => toRow(walker, { steps, time: start + k * minuteMs })),
            schema: walker,
            seq,
            signer: signers[next % devices]!,
          })
          parts.push(batch.bytes)
          next++
        }
        bodies.push(Buffer.concat(parts))
      }
      return bodies
    },
  }
}

function createPoster(url: string) {
  const agent = new HttpAgent({ keepAlive: true })
  return (body: Uint8Array, isSequence: boolean): Promise<void> =>
    new Promise((resolve, reject) => {
      const sent = request(
        url,
        {
          agent,
          headers: {
            'content-length': body.length,
            'content-type': isSequence ? 'application/cbor-seq' : 'application/cose',
          },
          method: 'POST',
        },
        (response) => {
          response.resume()
          response.once('end', () =>
            response.statusCode === 200
              ? resolve()
              : reject(new Error(`The node answered ${response.statusCode}.`)),
          )
        },
      )
      sent.once('error', reject)
      sent.end(body)
    })
}

/** Publishes at QoS 1, and reads the receipts of all devices: as a gateway in front of them would. */
async function openPublisher(url: string, network: string, devices: readonly string[]) {
  const client = await connectAsync(url)
  const base = `machinefi/${network.toLowerCase()}`
  await client.subscribeAsync(devices.map((device) => `${base}/receipts/${device}`))
  return {
    async send(body: Uint8Array) {
      await client.publishAsync(`${base}/batches`, Buffer.from(body), { qos: 1 })
    },
    close: () => client.endAsync(),
  }
}

/** Confirmable requests, many on their way at a time: as many devices would. */
function openUploader(url: string) {
  const { hostname, pathname, port } = new URL(url)
  const socket = createSocket('udp4')
  const agent = new Agent({ socket })
  return {
    send: (body: Uint8Array) =>
      new Promise<void>((resolve, reject) => {
        const sent = agent.request({ hostname, method: 'POST', pathname, port: Number(port) })
        sent.once('error', reject)
        sent.once('response', ({ code }) =>
          code === '2.04' ? resolve() : reject(new Error(`The node answered ${code}.`)),
        )
        sent.end(Buffer.from(body))
      }),
    close: () => socket.close(),
  }
}

async function inParallel<item>(
  items: readonly item[],
  concurrency: number,
  work: (item: item) => Promise<void>,
): Promise<void> {
  const iterator = items.values()
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      for (const item of iterator) await work(item)
    }),
  )
}
