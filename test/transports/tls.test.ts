import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { http, type Transport } from '@machinefi/device'
import { mqtt } from '@machinefi/device/mqtt'
import { createTlsFetch } from '@machinefi/device/node'
import { batchId } from '@machinefi/telemetry'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTls } from '../../packages/stream/src/tls/openTls.js'
import { createTestNode, type TestNode } from '../../packages/stream/test/createTestNode.js'
import { createCertificates, opensslMissing } from './createCertificates.js'

describe.skipIf(opensslMissing)(`TLS${opensslMissing ? `: ${opensslMissing}` : ''}`, () => {
  let certificates: ReturnType<typeof createCertificates>
  let t: TestNode
  const path = (name: string) => certificates.path(name)

  beforeAll(async () => {
    certificates = createCertificates()
    const { authority, issue } = certificates
    for (const name of ['ca', 'fleet']) authority(name)
    issue('node')
    issue('walker', 'fleet')
    issue('stranger')
    t = await createTestNode({ devices: 2 })
    await t.node.listen({
      mqttPort: 0,
      port: 0,
      tls: {
        certFile: path('node.pem'),
        clientCaFile: path('fleet.pem'),
        keyFile: path('node.key'),
      },
    })
  }, 60_000)

  afterAll(async () => {
    await t?.[Symbol.asyncDispose]()
    certificates?.remove()
  })

  const send = async (device: number, by: 'http' | 'mqtt', name?: string) => {
    const batch = await t.sign({ device })
    const credentials = certificates.credentials(name)
    const logKey = t.logSigner.publicKey
    const transport: Transport & { close?(): Promise<void> } =
      by === 'http'
        ? http(t.node.url!, { fetch: createTlsFetch(credentials), logKey })
        : mqtt(t.node.urls.mqtt!, { ...credentials, logKey, timeoutMs: 5000 })
    const { bytes, header } = batch
    const queued = {
      bytes,
      end: header.start + header.span,
      id: batchId(batch, t.id),
      seq: header.seq,
    }
    try {
      return await transport.send([queued], {
        clock: () => t.now,
        network: t.id,
        signal: new AbortController().signal,
      })
    } finally {
      await transport.close?.()
    }
  }

  /** Puts another certificate in the place of the node's. */
  const install = (name: string) => {
    certificates.issue(name)
    copyFileSync(path(`${name}.key`), path('node.key'))
    copyFileSync(path(`${name}.pem`), path('node.pem'))
  }

  test('default: a client of the fleet is let in, over HTTP and MQTT', async () => {
    expect(t.node.urls).toMatchObject({
      http: expect.stringMatching(/^https:/),
      mqtt: expect.stringMatching(/^mqtts:/),
    })
    expect(await send(0, 'http', 'walker')).toMatchObject([{ status: 'delivered' }])
    expect(await send(1, 'mqtt', 'walker')).toMatchObject([{ status: 'delivered' }])
  })

  test.each([undefined, 'stranger'])('error: nobody else, such as %s', async (name) => {
    for (const by of ['http', 'mqtt'] as const)
      await expect(send(0, by, name)).rejects.toMatchObject({ kind: 'transport' })
  })

  test('error: a node of another authority', async () => {
    const fetch = createTlsFetch({ ca: readFileSync(path('fleet.pem')) })
    await expect(fetch(`${t.node.url}/health`)).rejects.toThrow()
  })

  test('behavior: a renewed certificate is used without a restart, a broken one is not', async () => {
    const seen = () => certificates.readPeer(t.node.url!)
    expect(await seen()).toBe('node')
    install('renewed')
    while ((await seen()) !== 'renewed') await new Promise((resolve) => setTimeout(resolve, 200))
    writeFileSync(path('node.pem'), 'no certificate')
    const errors = t.errors.length
    while (t.errors.length === errors) await new Promise((resolve) => setTimeout(resolve, 200))
    expect(t.errors.at(-1)).toMatchObject({ name: 'NodeConfigurationError' })
    expect(await seen()).toBe('renewed')
  })

  test('behavior: reloadTls reads the certificate at once', async () => {
    install('hurried')
    t.node.reloadTls()
    expect(await certificates.readPeer(t.node.url!)).toBe('hurried')
    expect(await certificates.readPeer(t.node.urls.mqtt!)).toBe('hurried')
    writeFileSync(path('node.pem'), 'no certificate')
    const errors = t.errors.length
    t.node.reloadTls()
    expect(t.errors.slice(errors)).toMatchObject([{ name: 'NodeConfigurationError' }])
    expect(await certificates.readPeer(t.node.url!)).toBe('hurried')
  })

  test('error: files that do not fit', () => {
    const files = { certFile: path('walker.pem'), keyFile: path('stranger.key') }
    expect(() => openTls(files, () => {})).toThrow('The TLS certificate cannot be used.')
    expect(() => openTls({ ...files, keyFile: path('none') }, () => {})).toThrow()
  })
})
