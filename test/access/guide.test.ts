import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { parseDid, toHex } from '@machinefi/core'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { developmentAccount } from '../../packages/cli/src/chain/openAccount.js'
import { startCli } from '../../packages/cli/test/runCli.js'

// What docs/guides/private-networks.md tells people to type and to write, typed and run; only the
// ports and the device are others.

const root = new URL('../..', import.meta.url).pathname
const page = readFileSync(join(root, 'docs/guides/private-networks.md'), 'utf8')
const blocks = new Map(
  [...page.matchAll(/^```(sh \w+|ts)\n([\s\S]*?)^```$/gm)].map(([, kind = '', text = '']) => [
    kind.replace('sh ', ''),
    text,
  ]),
)
/** Development accounts by the files that the page names. */
const accounts = { 'network-owner.hex': 0, 'owner.hex': 2, 'auditor.hex': 3 }
const keyOf = (index: number) => toHex(developmentAccount(index).getHdKey().privateKey!)

let folder: string
/** Within the repository, so that its packages are found. */
const module = join(root, '.tmp/private-networks')
let dev: ReturnType<typeof startCli>
let facts: { factory: string; node: string; rpc: string }

const bash = async (script: string) => {
  const { stdout } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', script], {
    cwd: folder,
    env: {
      ...process.env,
      MACHINEFI_NODE: facts.node,
      MACHINEFI_RPC: facts.rpc,
      PATH: `${folder}:${process.env.PATH}`,
    },
  })
  return stdout
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'machinefi-private-'))
  const options = blocks.get('dev')!.trim().split(' ').slice(1)
  dev = startCli([...options, '--json', '--port', '0', '--rpc-port', '0'], { cwd: folder })
  await dev.until('\n')
  facts = JSON.parse(dev.stdout())
  for (const [file, index] of Object.entries(accounts))
    writeFileSync(join(folder, file), keyOf(index), { mode: 0o600 })
  writeFileSync(join(folder, 'walk.csv'), 'time,steps\n1790000000,12\n1790000001,13\n')
  writeFileSync(
    join(folder, 'machinefi'),
    `#!/bin/sh\nexec node ${root}scripts/machinefi.mjs "$@"\n`,
    { mode: 0o755 },
  )
}, 60_000)

afterAll(async () => {
  dev.stop()
  expect(await dev.exit).toBe(0)
  for (const path of [folder, module]) rmSync(path, { force: true, recursive: true })
}, 60_000)

test('owners', async () => {
  const printed = await bash(blocks.get('owner')!)
  expect(printed).toMatch(/^time\tsteps\n.*Z\t12\n.*Z\t13$/m)
  const granted = await bash(blocks.get('grant')!)
  expect(granted).toMatch(/may read .* until .*\n.* may not read/)
}, 60_000)

test('dApps', async () => {
  const device = toHex(parseDid(readFileSync(join(folder, 'did.txt'), 'utf8').trim()))
  const code = blocks
    .get('ts')!
    .replace('http://127.0.0.1:4270', facts.node)
    .replace('http://127.0.0.1:8545', facts.rpc)
    .replace(/(?<=const device = ')0x\w+/, device)
    .replace(/(?<=const factory = ')0x\w+/, facts.factory)
  mkdirSync(module, { recursive: true })
  const file = join(module, 'dapp.ts')
  writeFileSync(file, code)
  process.env.OWNER_KEY = keyOf(2)
  const log = vi.spyOn(console, 'log').mockImplementation(() => {})
  try {
    await import(file)
    expect(log).toHaveBeenCalledWith(2)
  } finally {
    log.mockRestore()
    delete process.env.OWNER_KEY
  }
}, 60_000)

test('auditors', async () => {
  const printed = await bash(blocks.get('auditor')!)
  expect(printed).toMatch(/may read and challenge all devices/)
  expect(printed).toMatch(/right: |Nothing to check yet/)
}, 60_000)
