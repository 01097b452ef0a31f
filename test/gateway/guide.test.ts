import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startCli } from '../../packages/cli/test/runCli.js'

// What docs/guides/gateway.md tells a person to type, typed; only the ports are others.

const root = new URL('../..', import.meta.url).pathname
const page = readFileSync(join(root, 'docs/guides/gateway.md'), 'utf8')
const blocks = [...page.matchAll(/^```sh( dev| gateway)?\n([\s\S]*?)^```$/gm)].map(
  ([, kind = '', text = '']) => ({ kind: kind.trim(), text }),
)
const missing = [
  '/usr/bin/coap-client-notls',
  '/usr/bin/curl',
  '/usr/bin/mosquitto_pub',
  '/usr/bin/openssl',
].filter((path) => !existsSync(path))

let folder: string
let dev: ReturnType<typeof startCli>
let gateway: ReturnType<typeof startCli> | undefined
let facts: { node: string; rpc: string }
let env: Record<string, string>

const argsOf = (kind: string) =>
  blocks
    .find((block) => block.kind === kind)!
    .text.trim()
    .replace(/1883|5683/g, '0')
    .split(' ')
    .slice(1)

const bash = async (script: string) => {
  const { stdout } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', script], {
    cwd: folder,
    env: { ...process.env, ...env, PATH: `${folder}:${process.env.PATH}` },
  })
  return stdout
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'machinefi-gateway-'))
  dev = startCli([...argsOf('dev'), '--json', '--port', '0', '--rpc-port', '0'], { cwd: folder })
  await dev.until('\n')
  facts = JSON.parse(dev.stdout())
  env = { MACHINEFI_NODE: facts.node, MACHINEFI_RPC: facts.rpc }
  writeFileSync(
    join(folder, 'machinefi'),
    `#!/bin/sh\nexec node ${root}scripts/machinefi.mjs "$@"\n`,
    { mode: 0o755 },
  )
}, 60_000)

afterAll(async () => {
  gateway?.stop()
  expect(await gateway?.exit).toBe(0)
  dev?.stop()
  expect(await dev?.exit).toBe(0)
  rmSync(folder, { force: true, recursive: true })
}, 60_000)

test.skipIf(missing.length > 0 && !process.env.CI)(
  `behavior: every command of the page works${missing.length > 0 ? ` (needs ${missing.join(', ')})` : ''}`,
  { timeout: 120_000 },
  async () => {
    const [create, ...rest] = blocks.filter(({ kind }) => kind === '')
    expect(await bash(create!.text)).toMatch(/^shared key {2}[0-9a-f]{64}$/m)
    gateway = startCli([...argsOf('gateway'), '--json', '--port', '0'], { cwd: folder, env })
    await gateway.until('\n')
    const urls = JSON.parse(gateway.stdout())
    const portOf = (url: string) => new URL(url).port
    const script = rest
      .map(({ text }) => text)
      .join('\n')
      .replaceAll('4270', portOf(facts.node))
      .replaceAll('4280', portOf(urls.url))
      .replaceAll('1883', portOf(urls.mqtt))
      .replaceAll('5683', portOf(urls.coap))
    const stdout = await bash(script)
    // HTTP and CoAP answer; all three are in the node's log.
    expect(stdout.match(/\{"counter":\d+,"readings":1\}/g)).toHaveLength(2)
    expect(stdout.match(/"steps":12/g)).toHaveLength(3)
    expect(gateway.stderr()).toContain('CoAP has no transport security')

    // By another process than the one that has to know at once.
    const [, device] = /^device\s+(\S+)$/m.exec(readFileSync(join(folder, 'board.txt'), 'utf8'))!
    expect(await bash(`machinefi gateway revoke ${device}`)).toContain('is revoked')
    const http = script.slice(0, script.indexOf('sleep 1'))
    const refused = await bash(http.replace('--fail-with-body', ''))
    expect(JSON.parse(refused)).toMatchObject({
      status: 403,
      type: 'https://machinefi.dev/problems/revoked',
    })
  },
)
