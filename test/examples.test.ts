import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defineSchema } from '@machinefi/telemetry'
import { type Address, erc20Abi } from 'viem'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { type Devnet, startDevnet } from '../packages/cli/src/chain/startDevnet.js'
import { chromiumMissing, startChromium } from '../packages/device/test/startChromium.js'

// The examples as a person starts them, against a chain and a node with windows of four seconds.

const start = fileURLToPath(new URL('../examples/start.mjs', import.meta.url))
const patience = { timeout: 60_000 }

let devnet: Devnet
beforeAll(async () => {
  devnet = await startDevnet({
    anvil: { hardfork: 'osaka' },
    metric: { type: 'sum', field: 0, min: 0, max: 100 },
    policy: { cap: 1_000n, rate: 2n, threshold: 0n },
    schema: defineSchema({ id: 1, tickMs: 1000, fields: { steps: { unit: 'count' } } }),
    times: {
      challengeWindow: 1,
      grace: 1,
      responseTime: 60,
      retention: 86_400,
      takeoverDelay: 3_600,
    },
    windowMs: 4_000,
  })
  devnet.node.start({ everyMs: 200 })
  await devnet.anvil.request('evm_setIntervalMining', [1])
}, 60_000)
afterAll(() => devnet?.close())

const running = new Set<ChildProcess>()
const folders: string[] = []
afterEach(async () => {
  for (const child of running) await kill(child)
  for (const folder of folders.splice(0)) rmSync(folder, { force: true, recursive: true })
})

/** Runs an example in a folder of its own, where it keeps what it keeps. */
function run(args: readonly string[], folder = createFolder(), node = devnet.url) {
  const env = { ...process.env, MACHINEFI_NODE: node, MACHINEFI_RPC: devnet.anvil.url }
  const child = spawn(process.execPath, [start, ...args], { cwd: folder, env })
  running.add(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      output += chunk
    })
  const exit = once(child, 'exit').then(([code]) => {
    running.delete(child)
    return code as number | null
  })
  return { child, exit, folder, output: () => output }
}

function createFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'machinefi-example-'))
  folders.push(folder)
  return folder
}

async function kill(child: ChildProcess) {
  if (child.kill('SIGKILL')) await once(child, 'exit')
}

async function ask(path: string) {
  return (await fetch(`${devnet.url}/networks/${devnet.network.id}${path}`)).json()
}

test('step-counter: survives being killed', patience, async () => {
  const first = run(['step-counter'])
  await vi.waitFor(() => expect(first.output()).toMatch(/batch 0: entry \d+, receipt/), patience)
  const [did] = first.output().match(/did:io:0x[0-9a-f]{40}/) ?? []
  expect(first.output()).toContain('registered to 0x')
  await kill(first.child)
  const before = await ask(`/devices/${did}/records`)
  expect(before.records.length).toBeGreaterThan(0)

  const second = run(['step-counter', '3'], first.folder)
  expect(await second.exit, second.output()).toBe(0)
  expect(second.output()).toContain(did)
  expect(second.output()).not.toContain('registered')
  const after = await ask(`/devices/${did}/records`)
  expect(after.records.slice(0, before.records.length)).toEqual(before.records)
  expect(after.records.length).toBeGreaterThanOrEqual(before.records.length + 3)
  const { batches, evidence, gaps, nextSeq } = await ask(`/devices/${did}`)
  expect({ evidence, gaps, nextSeq }).toEqual({ evidence: 0, gaps: [], nextSeq: batches })
})

test('auditor: computes an epoch again', patience, async () => {
  const device = run(['step-counter'])
  await vi.waitFor(() => expect(device.output()).toMatch(/batch 0: entry \d+, receipt/), patience)
  const auditor = run(['auditor'])
  expect(await auditor.exit, auditor.output()).toBe(0)
  expect(auditor.output()).toMatch(/^epoch .*: [1-9]\d* claims, all as they must be$/m)
  expect(auditor.output()).toContain('nothing to dispute')
  expect(auditor.output()).not.toContain('WRONG')
})

test('dapp-rewards: verifies and redeems', patience, async () => {
  const device = run(['step-counter'])
  await vi.waitFor(() => expect(device.output()).toContain('registered'), patience)
  const [did] = device.output().match(/did:io:0x[0-9a-f]{40}/) ?? []
  const dapp = run(['dapp-rewards', did as string])
  expect(await dapp.exit, dapp.output()).toBe(0)
  expect(dapp.output()).toContain(`device   ${did}`)
  expect(dapp.output()).toMatch(/^epoch .*: [1-9]\d*, reward [1-9]\d* \(verified\)$/m)
  const [, amount, owner, balance] =
    dapp.output().match(/^redeemed (\d+); (0x[0-9a-f]{40}) now has (\d+)$/m) ?? []
  expect(Number(amount)).toBeGreaterThan(0)
  const now = await devnet.client.readContract({
    abi: erc20Abi,
    address: devnet.network.token,
    args: [owner as Address],
    functionName: 'balanceOf',
  })
  expect(String(now)).toBe(balance)
})

test('arduino-tracker: one board is signed for, the other signs', patience, async () => {
  const boards = run(['arduino-tracker', '14'])
  expect(await boards.exit, boards.output()).toBe(0)
  const dids = boards.output().match(/did:io:0x[0-9a-f]{40}/g) ?? []
  expect(boards.output()).toMatch(/^uno: 1[0-4] readings, 0 lost$/m)
  expect(boards.output()).toMatch(/^mega: 1 batches, 0 lost$/m)
  const [uno, mega] = await Promise.all(dids.map((did) => ask(`/devices/${did}/records`)))
  expect(uno.records.length).toBeGreaterThanOrEqual(10)
  expect(mega.records).toHaveLength(10)
  for (const { steps } of [...uno.records, ...mega.records]) {
    expect(steps).toBeGreaterThanOrEqual(1)
    expect(steps).toBeLessThanOrEqual(3)
  }
})

test('raspberry-pi-weather-station: survives an outage of the node', patience, async () => {
  // A node of its own, whose network is one of weather stations.
  const station = run(['raspberry-pi-weather-station', '12'], undefined, '')
  expect(await station.exit, station.output()).toBe(0)
  const [, before, after] = station.output().split(/the node is (?:gone|back).*\n/)
  expect(before).toContain('The node cannot be reached.')
  expect(before).not.toMatch(/^batch \d+: entry/m)
  expect(after).toMatch(/^batch \d+: entry/m)
  expect(station.output()).toMatch(/^12 readings, \d+ batches delivered, 0 waiting$/m)
})

const browserTitle = `browser-device: a page is a device${chromiumMissing ? `, ${chromiumMissing}` : ''}`

test.skipIf(chromiumMissing !== undefined)(browserTitle, patience, async () => {
  const example = run(['browser-device', '0'])
  await vi.waitFor(() => expect(example.output()).toMatch(/^http:.*\/$/m), patience)
  const [url = ''] = example.output().match(/^http:.*\/$/m) ?? []
  const chromium = await startChromium()
  try {
    const page = await chromium.newPage()
    const lines = () => page.locator('li').allTextContents()
    const receipts = async () => (await lines()).filter((line) => line.startsWith('batch ')).length
    await page.goto(url)
    await vi.waitFor(async () => expect(await receipts()).toBeGreaterThan(1), patience)
    const [did, registered, first] = await lines()
    expect(did).toMatch(/^did:io:0x[0-9a-f]{40}$/)
    expect(registered).toMatch(/^registered to 0x/)
    expect(first).toMatch(/^batch 0: entry \d+, receipt of \d+ bytes verified$/)
    // The node is behind no receipt: what was promised is in its log.
    const before = await ask(`/devices/${did}`)
    expect(before).toMatchObject({ evidence: 0, gaps: [] })
    expect(before.batches).toBeGreaterThan(1)

    // The key outlives page and browser; the store of this example does not.
    await chromium.restart()
    const again = await chromium.newPage()
    await again.goto(url)
    const batch = again.locator('li', { hasText: 'bytes verified' }).first()
    await batch.waitFor(patience)
    expect(await again.locator('li').first().textContent()).toBe(did)
    expect(await again.locator('li', { hasText: 'registered' }).count()).toBe(0)
    expect((await ask(`/devices/${did}`)).evidence).toBe(0)
  } finally {
    await chromium.close()
  }
  example.child.kill('SIGTERM')
  expect(await example.exit, example.output()).toBe(0)
})
