import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDevice, createSoftwareSigner, TransportError } from '@machinefi/device'
import { openFileStore } from '@machinefi/device/node'
import { defineSchema } from '@machinefi/telemetry'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createTestNode, toTransport } from '../../device/test/createTestNode.js'
import { runCli } from './runCli.js'

let cwd: string
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'machinefi-outbox-'))
})
afterEach(() => rmSync(cwd, { force: true, recursive: true }))

const start = Date.UTC(2026, 3, 13)

/** A device whose node is away, with seven readings in batches of three. */
async function setup() {
  const device = createDevice({
    clock: () => start,
    maxRows: 3,
    network: { id: new Uint8Array(32).fill(1), windowMs: 86_400_000 },
    schema: defineSchema({ id: 5, tickMs: 1000, fields: { steps: { unit: 'count' } } }),
    signer: createSoftwareSigner({ privateKey: new Uint8Array(32).fill(1) }),
    store: openFileStore(join(cwd, 'outbox')),
    transport: {
      maxBatches: 100,
      readDevice: async () => ({ nextSeq: 0 }),
      send: async () => {
        throw new TransportError('away')
      },
    },
  })
  for (let i = 0; i < 7; i++) await device.record({ steps: i }, { time: start + 1000 * i })
  await vi.waitFor(() => expect(device.stats().stored.batches).toBe(2))
  return device
}

const readAll = () =>
  readdirSync(join(cwd, 'outbox'))
    .filter((name) => name.endsWith('.segment'))
    .map((name) => readFileSync(join(cwd, 'outbox', name), 'hex'))

test('default: while the device is at work, and changing nothing', async () => {
  const device = await setup()
  const before = readAll()
  const { code, stdout } = await runCli(['device', 'outbox', 'outbox'], { cwd })
  expect(code).toBe(0)
  expect(stdout.replaceAll(/[\d,]+ bytes/g, 'N bytes')).toMatchInlineSnapshot(`
    "device    did:io:0xa0e0162b1a12ed06d63dd1bf0cd5b0d1e6614b3c
    network   0x0101010101010101010101010101010101010101010101010101010101010101
    waiting   7 readings, N bytes: 2 batches, and 1 reading not signed yet
    oldest    batch 0, to 2026-04-13T00:00:02.000Z
    newest    2026-04-13T00:00:06.000Z
    refused   0 batches
    dropped   0 batches, to make room
    kept      0 batches, N bytes, for another node
    until     –
    final     the node was not asked yet
    next seq  2
    disk      N bytes
    "
  `)
  expect(readAll()).toEqual(before)
  await device.record({ steps: 1 }, { time: start + 10_000 })
  await device.close()
})

test('options: --json', async () => {
  const device = await setup()
  const { stdout } = await runCli(['device', 'outbox', 'outbox', '--json'], { cwd })
  const { stored } = device.stats()
  expect(JSON.parse(stdout)).toEqual({
    device: device.did,
    network: `0x${'01'.repeat(32)}`,
    schema: 5,
    nextSeq: 2,
    lastTime: start + 6000,
    ...stored,
    final: null,
    held: null,
    diskBytes: readAll().join('').length / 2,
  })
  await device.close()
})

test('behavior: shows what is kept until final, and until when', async () => {
  const node = createTestNode({ network: new Uint8Array(32).fill(1), clock: () => now })
  node.finalBefore = start + 86_400_000
  let now = start
  const device = createDevice({
    clock: () => now,
    maxRows: 1,
    network: { id: new Uint8Array(32).fill(1), windowMs: 86_400_000, finalAfterMs: 2 * 86_400_000 },
    nextSeq: 0,
    schema: defineSchema({ id: 5, tickMs: 1000, fields: { steps: { unit: 'count' } } }),
    signer: createSoftwareSigner({ privateKey: new Uint8Array(32).fill(1) }),
    store: openFileStore(join(cwd, 'outbox')),
    transport: toTransport(node),
  })
  for (let day = 0; day < 4; day++) {
    now = start + day * 86_400_000
    await device.record({ steps: 1 })
    await device.flush()
  }
  await device.close()
  const { stdout } = await runCli(['device', 'outbox', 'outbox'], { cwd })
  expect(
    stdout
      .replaceAll(/[\d,]+ bytes/g, 'N bytes')
      .split('\n')
      .slice(7, 10)
      .join('\n'),
  ).toMatchInlineSnapshot(`
      "kept      3 batches, N bytes, for another node
      until     their windows are final: from 2026-04-17T00:00:00.000Z to 2026-04-19T00:00:00.000Z at the earliest
      final     before 2026-04-14T00:00:00.000Z, as the node said at 2026-04-16T00:00:00.000Z"
    `)
  const json = await runCli(['device', 'outbox', 'outbox', '--json'], { cwd })
  expect(JSON.parse(json.stdout)).toMatchObject({
    final: { at: now, before: start + 86_400_000 },
    held: { first: start + 4 * 86_400_000, last: start + 6 * 86_400_000 },
    kept: 3,
  })
})

test('error: no store', async () => {
  const { code, stderr } = await runCli(['device', 'outbox', 'absent'], { cwd })
  expect(code).toBe(2)
  expect(stderr).toContain('There is no store')
})
