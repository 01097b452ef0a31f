import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { toHex } from '@machinefi/core'
import { readNodeNetwork } from '@machinefi/device'
import { createTlsFetch, openKeyFile } from '@machinefi/device/node'
import { createGateway, createReadingsMac, openGatewayStore } from '@machinefi/stream/gateway'
import { connectAsync } from 'mqtt'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { createTestNode, type TestNode } from '../../packages/stream/test/createTestNode.js'
import { createCertificates, opensslMissing } from '../transports/createCertificates.js'

const body = '[{"n":"steps","u":"count","v":12}]'

describe.skipIf(opensslMissing)(`TLS${opensslMissing ? `: ${opensslMissing}` : ''}`, () => {
  let certificates: ReturnType<typeof createCertificates>
  let t: TestNode
  let node: string
  const path = (name: string) => certificates.path(name)

  beforeAll(async () => {
    certificates = createCertificates()
    const { authority, issue } = certificates
    for (const name of ['ca', 'fleet']) authority(name)
    issue('gateway')
    issue('walker', 'fleet')
    issue('stranger')
    t = await createTestNode({ devices: 0 })
    node = await t.node.listen({ port: 0 })
  }, 60_000)

  afterAll(async () => {
    await t?.[Symbol.asyncDispose]()
    certificates?.remove()
  })

  /** A gateway with one device, which sends by HTTP and by MQTT. */
  async function start(clientCaFile?: string) {
    const folder = mkdtempSync(join(tmpdir(), 'gateway-'))
    const directory = join(folder, 'gateway')
    const store = openGatewayStore(directory, { create: true })
    const {
      address,
      keyFile,
      sharedKey: key,
    } = await store.create(await readNodeNetwork(node, t.id))
    t.chain.join(await openKeyFile(keyFile))
    await t.node.refresh()
    const gateway = await createGateway({ clock: () => t.now, directory, node })
    const tls = { certFile: path('gateway.pem'), clientCaFile, keyFile: path('gateway.key') }
    await gateway.listen({ mqttPort: 0, port: 0, tls })
    const device = toHex(address)
    const sign = (counter: number) => {
      const bytes = Buffer.from(body)
      const mac = createReadingsMac({ body: bytes, counter, device: address, key, network: t.id })
      return toHex(mac).slice(2)
    }
    return {
      gateway,
      async post(counter: number, name?: string) {
        const fetch = createTlsFetch(certificates.credentials(name))
        const query = `counter=${counter}&mac=${sign(counter)}`
        const headers = { 'content-type': 'application/senml+json' }
        const url = `${gateway.urls.http}/devices/${device}/readings?${query}`
        return (await fetch(url, { body: Buffer.from(body), headers, method: 'POST' })).status
      },
      async publish(counter: number, name?: string) {
        const options = { ...certificates.credentials(name), reconnectPeriod: 0 }
        const client = await connectAsync(gateway.urls.mqtt!, options, false)
        const topic = `machinefi/readings/${device}/${counter}/${sign(counter)}`
        await client.publishAsync(topic, body, { qos: 1 })
        await client.endAsync()
      },
      async [Symbol.asyncDispose]() {
        await gateway.close()
        store.close()
        rmSync(folder, { force: true, recursive: true })
      },
    }
  }

  test('default: a certificate for HTTP and MQTT, and anyone may come', async () => {
    await using g = await start()
    expect(g.gateway.urls).toMatchObject({
      http: expect.stringMatching(/^https:/),
      mqtt: expect.stringMatching(/^mqtts:/),
    })
    expect(await g.post(1)).toBe(200)
    t.now += 1000
    await g.publish(2)
    expect(await g.gateway.stats()).toMatchObject({ authentic: 2, readings: 2, refused: 0 })
    const plain = g.gateway.urls.http!.replace('https', 'http')
    await expect(fetch(`${plain}/health`)).rejects.toThrow()
  })

  test('behavior: machinefi gateway start reads it again on SIGHUP', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gateway-'))
    openGatewayStore(join(folder, 'gateway'), { create: true }).close()
    certificates.issue('renewed')
    for (const [from, to] of [
      ['gateway', 'current'],
      ['renewed', 'next'],
    ] as const)
      for (const kind of ['key', 'pem'])
        copyFileSync(path(`${from}.${kind}`), join(folder, `${to}.${kind}`))
    const program = fileURLToPath(new URL('../../scripts/machinefi.mjs', import.meta.url))
    const args = ['--tls-cert', 'current.pem', '--tls-key', 'current.key', '--port', '0']
    const gateway = spawn(
      process.execPath,
      [program, 'gateway', 'start', ...args, '--node', node, '--json'],
      { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] },
    )
    const exit = once(gateway, 'exit')
    const [line] = await once(createInterface(gateway.stdout), 'line')
    const { url } = JSON.parse(line)
    expect(await certificates.readPeer(url)).toBe('gateway')
    for (const kind of ['key', 'pem'])
      renameSync(join(folder, `next.${kind}`), join(folder, `current.${kind}`))
    gateway.kill('SIGHUP')
    await vi.waitFor(async () => expect(await certificates.readPeer(url)).toBe('renewed'), 20_000)
    gateway.kill()
    expect(await exit).toEqual([0, null])
    rmSync(folder, { force: true, recursive: true })
  })

  test('options: tls.clientCaFile: only clients of that authority', async () => {
    await using g = await start(path('fleet.pem'))
    for (const name of [undefined, 'stranger']) {
      await expect(g.post(1, name)).rejects.toThrow()
      await expect(g.publish(1, name)).rejects.toThrow()
    }
    expect(await g.gateway.stats()).toMatchObject({ authentic: 0, refused: 0 })
    expect(await g.post(1, 'walker')).toBe(200)
    t.now += 1000
    await g.publish(2, 'walker')
    expect(await g.gateway.stats()).toMatchObject({ authentic: 2, readings: 2, refused: 0 })
  })
})
