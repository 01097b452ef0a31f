import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { decodeMultiple } from 'cbor-x'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startCli } from '../../packages/cli/test/runCli.js'

// What docs/guides/transports.md tells a person to type, typed; only the ports are others.

const root = new URL('../..', import.meta.url).pathname
const page = readFileSync(join(root, 'docs/guides/transports.md'), 'utf8')
const blocks = [...page.matchAll(/^```sh( dev)?\n([\s\S]*?)^```$/gm)].map(([, dev, text = '']) => ({
  dev: dev !== undefined,
  text,
}))
const missing = [
  '/usr/bin/coap-client-notls',
  '/usr/bin/curl',
  '/usr/bin/mosquitto_pub',
  '/usr/bin/openssl',
].filter((path) => !existsSync(path))

let folder: string
let dev: ReturnType<typeof startCli>
let facts: { coap: string; mqtt: string; node: string; rpc: string }

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'machinefi-guide-'))
  const [command] = blocks.filter(({ dev }) => dev)
  const args = command!.text
    .trim()
    .replace(/1883|5683/g, '0')
    .split(' ')
    .slice(1)
  dev = startCli([...args, '--json', '--port', '0', '--rpc-port', '0'], { cwd: folder })
  await dev.until('\n')
  facts = JSON.parse(dev.stdout())
}, 60_000)

afterAll(async () => {
  dev?.stop()
  expect(await dev?.exit).toBe(0)
  rmSync(folder, { force: true, recursive: true })
}, 60_000)

test.skipIf(missing.length > 0 && !process.env.CI)(
  `behavior: every command of the page works${missing.length > 0 ? ` (needs ${missing.join(', ')})` : ''}`,
  { timeout: 120_000 },
  async () => {
    const portOf = (url: string) => new URL(url).port
    const script = blocks
      .filter(({ dev }) => !dev)
      .map(({ text }) => text)
      .join('\n')
      .replaceAll('4270', portOf(facts.node))
      .replaceAll('1883', portOf(facts.mqtt))
      .replaceAll('5683', portOf(facts.coap))
    writeFileSync(
      join(folder, 'machinefi'),
      `#!/bin/sh\nexec node ${root}scripts/machinefi.mjs "$@"\n`,
      {
        mode: 0o755,
      },
    )
    const { stdout } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', script], {
      cwd: folder,
      env: {
        ...process.env,
        MACHINEFI_NODE: facts.node,
        MACHINEFI_RPC: facts.rpc,
        PATH: `${folder}:${process.env.PATH}`,
      },
    })
    // The batch that no SDK has made, and receipts by each transport.
    expect(stdout).toContain('seq          0')
    const receipts = Object.fromEntries(
      ['http', 'mqtt', 'coap'].map((name) => [
        name,
        readFileSync(join(folder, `${name}.receipts`)),
      ]),
    )
    expect(receipts.http!.length).toBeGreaterThan(200)
    expect(receipts.coap).toEqual(receipts.http)
    // More than one where the readings lie on both sides of the end of a window.
    for (const receipt of decodeMultiple(receipts.http!) as Buffer[])
      expect(receipts.mqtt!.includes(receipt)).toBe(true)
    expect(dev.stderr()).toContain('CoAP has no transport security')
  },
)
