import { createSocket, type RemoteInfo } from 'node:dgram'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fromHex } from '@machinefi/core'
import { createSoftwareSigner, http, type Transport } from '@machinefi/device'
import { coap } from '@machinefi/device/coap'
import { mqtt } from '@machinefi/device/mqtt'
import { batchId, signBatch, toRow } from '@machinefi/telemetry'
import { startNode } from '../../packages/stream/src/createNode.js'
import {
  createFakeChain,
  createSigner,
  walker,
} from '../../packages/stream/test/createFakeChain.js'
import { type Benchmark, limit, type Result } from './Benchmark.js'
import { readHours } from './readings.js'

const minuteMs = 60_000

/** Bytes between a device and a node for a batch of 60 readings and its receipt, by transport: payload of TCP or UDP, both ways. */
export const wire: Benchmark = {
  name: 'wire',
  async run() {
    const directory = mkdtempSync(join(tmpdir(), 'machinefi-bench-'))
    const chain = createFakeChain({ firstWindow: 20_000, serial: 1 })
    const signer = createSoftwareSigner()
    chain.join(signer)
    const start = 20_001 * 86_400_000
    const clock = () => start + 10 * 86_400_000
    const logSigner = createSigner(100)
    const node = await startNode({
      chains: [chain],
      clock,
      dataDir: directory,
      logSigner,
      networks: [{ ...chain.network, schemas: [walker] }],
    })
    try {
      await node.listen({ coapPort: 0, mqttPort: 0, port: 0 })
      const network = fromHex(chain.network.id)
      const hours = await readHours(100)
      let seq = 0
      const nextBatch = async () => {
        const from = start + seq * 60 * minuteMs
        const rows = hours[seq % hours.length]!.map(({ steps }, i) =>
          toRow(walker, { steps, time: from + i * minuteMs }),
        )
        const batch = await signBatch({ network, rows, schema: walker, seq, signer })
        const id = batchId(batch, network)
        return { bytes: batch.bytes, end: from + 59 * minuteMs, id, seq: seq++ }
      }
      const results: Result[] = []
      const measure = async (
        name: string,
        proxy: Counter,
        transport: Transport & { close?(): Promise<void> },
      ) => {
        for (const part of ['first', 'next']) {
          const before = proxy.bytes()
          const batch = await nextBatch()
          const signal = new AbortController().signal
          const [delivery] = await transport.send([batch], { clock, network, signal })
          if (delivery?.status !== 'delivered') throw new Error(`${name}: ${delivery?.status}`)
          // What acknowledges the answer is on its way.
          await new Promise((resolve) => setTimeout(resolve, 50))
          results.push(
            limit({
              against: 'the batch alone',
              baseline: batch.bytes.length,
              budget: part === 'first' ? 2000 : 1500,
              name: `bytes on the wire, ${name}, ${part} batch of 60 readings`,
              unit: 'bytes',
              value: proxy.bytes() - before,
            }),
          )
        }
        await transport.close?.()
        proxy.close()
      }
      const options = { logKey: logSigner.publicKey }
      const { urls } = node
      const overHttp = await countTcp(urls.http!)
      await measure('HTTP/1.1', overHttp, http(`http://127.0.0.1:${overHttp.port}`, options))
      const overMqtt = await countTcp(urls.mqtt!)
      await measure('MQTT 3.1.1', overMqtt, mqtt(`mqtt://127.0.0.1:${overMqtt.port}`, options))
      const overCoap = await countUdp(urls.coap!)
      await measure('CoAP', overCoap, coap(`coap://127.0.0.1:${overCoap.port}`, options))
      return results
    } finally {
      await node.close()
      rmSync(directory, { force: true, recursive: true })
    }
  },
}

type Counter = { port: number; bytes(): number; close(): void }

/** Passes connections on, and counts what goes through in both directions. */
async function countTcp(url: string): Promise<Counter> {
  let bytes = 0
  const target = Number(new URL(url).port)
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1')
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('data', (chunk) => {
        bytes += chunk.length
        to.write(chunk)
      })
      from.on('error', () => to.destroy())
      from.on('close', () => to.destroy())
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { bytes: () => bytes, close: () => server.close(), port }
}

/** The same for the datagrams of one client. */
async function countUdp(url: string): Promise<Counter> {
  let bytes = 0
  let client: RemoteInfo | undefined
  const target = Number(new URL(url).port)
  const socket = createSocket('udp4').bind(0, '127.0.0.1')
  await once(socket, 'listening')
  socket.on('message', (message, from) => {
    bytes += message.length
    if (from.port !== target) client = from
    socket.send(message, from.port === target ? client!.port : target, '127.0.0.1')
  })
  return { bytes: () => bytes, close: () => socket.close(), port: socket.address().port }
}
