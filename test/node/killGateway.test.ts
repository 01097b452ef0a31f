import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { toHex } from '@machinefi/core'
import { readNodeNetwork } from '@machinefi/device'
import { openKeyFile } from '@machinefi/device/node'
import { createReadingsMac, openGatewayStore } from '@machinefi/stream/gateway'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestNode, hourMs } from '../../packages/stream/test/createTestNode.js'
import { buildProcess } from './buildProcess.js'

const kills = Number(process.env.KILLS ?? 12)
const timeoutMs = 60_000 + 3000 * kills
const devices = 3
/** Of one message: a kill may find some of them stored. */
const readings = 4

let directory: string
let runner: Awaited<ReturnType<typeof buildProcess>>

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'gateway-kill-'))
  runner = await buildProcess('runGateway.ts')
}, 60_000)

afterAll(() => {
  runner.remove()
  rmSync(directory, { force: true, recursive: true })
})

test(
  'behavior: killed at any moment, every reading that was acknowledged is in the node’s log once',
  async () => {
    await using t = await createTestNode({ devices: 0 })
    t.moveTo(t.chain.time + 20 * hourMs)
    const node = await t.node.listen({ port: 0 })
    const network = await readNodeNetwork(node, t.id)
    const store = openGatewayStore(directory, { create: true })
    const fleet = await Promise.all(
      Array.from({ length: devices }, async () => {
        const { address, keyFile, sharedKey } = await store.create(network)
        t.chain.join(await openKeyFile(keyFile))
        return {
          address,
          counter: 0,
          key: sharedKey,
          time: t.now - 19 * hourMs,
          values: [] as number[],
        }
      }),
    )
    store.close()
    await t.node.refresh()

    /** Sends until the gateway is gone. What was not answered is sent again, as it was, the next time. */
    async function sendAll(url: string, device: (typeof fleet)[number], signal: AbortSignal) {
      const { address, key } = device
      while (!signal.aborted) {
        const { counter } = device
        const values = Array.from({ length: readings }, (_, i) => counter * readings + i)
        const seconds = device.time / 1000 + counter * readings
        const pack = values.map((v, i) => ({ n: 'steps', t: i, v }))
        const body = Buffer.from(JSON.stringify([{ bt: seconds }, ...pack]))
        const mac = createReadingsMac({ body, counter, device: address, key, network: t.id })
        const path = `/devices/${toHex(address)}/readings?counter=${counter}&mac=${toHex(mac).slice(2)}`
        const response = await fetch(url + path, {
          body,
          headers: { 'content-type': 'application/senml+json' },
          method: 'POST',
        }).catch(() => undefined)
        if (response === undefined) return
        if (response.status !== 200) throw new Error(await response.text())
        device.values.push(...values)
        device.counter++
      }
    }

    for (let round = 0; round < kills; round++) {
      const { child, exited, url } = await runner.start(directory, node, `${t.now}`)
      const dead = new AbortController()
      const work = Promise.all(fleet.map((device) => sendAll(url, device, dead.signal)))
      await Promise.race([sleep(20 + 300 * Math.random()), work])
      child.kill('SIGKILL')
      dead.abort()
      await exited
      await work
    }

    const { child, exited } = await runner.start(directory, node, `${t.now}`)
    for (const { address, counter, values } of fleet) {
      expect(counter).toBeGreaterThan(0)
      const logged = await poll(async () => {
        const found = await readValues(node, network.id, address)
        // A message that was under way at the last kill may be there too.
        return found.length >= values.length ? found : undefined
      })
      expect(logged.slice(0, values.length)).toEqual(values)
      expect(logged.slice(values.length)).toEqual(
        Array.from({ length: logged.length - values.length }, (_, i) => values.length + i),
      )
    }
    expect(t.errors).toEqual([])
    child.kill('SIGKILL')
    await exited
  },
  timeoutMs,
)

async function readValues(node: string, network: Uint8Array, device: Uint8Array) {
  const values: number[] = []
  for (let page: string | null = ''; page !== null; ) {
    const path = `/networks/${toHex(network)}/devices/${toHex(device)}/records`
    const answer = await fetch(`${node}${path}${page === '' ? '' : `?from=${page}`}`)
    if (!answer.ok) throw new Error(await answer.text())
    const { next, records } = (await answer.json()) as {
      next: string | null
      records: { steps: number }[]
    }
    values.push(...records.map(({ steps }) => steps))
    page = next
  }
  return values
}

async function poll<value>(ask: () => Promise<value | undefined>): Promise<value> {
  const until = Date.now() + 30_000
  for (;;) {
    const answer = await ask()
    if (answer !== undefined) return answer
    if (Date.now() > until) throw new Error('it never came')
    await sleep(50)
  }
}
