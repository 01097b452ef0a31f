import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startCli } from '../../packages/cli/test/runCli.js'

// What docs/guides/makers.md tells a person to type, typed; only the ports are others.

const root = new URL('../..', import.meta.url).pathname
const page = readFileSync(join(root, 'docs/guides/makers.md'), 'utf8')
const blocks = [...page.matchAll(/^```sh( dev)?\n([\s\S]*?)^```$/gm)].map(
  ([, kind = '', text = '']) => ({ kind: kind.trim(), text }),
)

let folder: string
let dev: ReturnType<typeof startCli>

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'machinefi-makers-'))
  const [, ...argv] = blocks
    .find(({ kind }) => kind === 'dev')!
    .text.trim()
    .split(' ')
  dev = startCli([...argv, '--json', '--port', '0', '--rpc-port', '0'], { cwd: folder })
  await dev.until('\n')
  writeFileSync(
    join(folder, 'machinefi'),
    `#!/bin/sh\nexec node ${root}scripts/machinefi.mjs "$@"\n`,
    { mode: 0o755 },
  )
}, 60_000)

afterAll(async () => {
  dev?.stop()
  expect(await dev?.exit).toBe(0)
  rmSync(folder, { force: true, recursive: true })
}, 60_000)

test('behavior: every command of the page works, with a run of 1,000', {
  timeout: 120_000,
}, async () => {
  const { node, rpc } = JSON.parse(dev.stdout())
  const script = blocks
    .filter(({ kind }) => kind === '')
    .map(({ text }) => text)
    .join('\n')
  const { stderr, stdout } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', script], {
    cwd: folder,
    env: {
      ...process.env,
      MACHINEFI_NODE: node,
      MACHINEFI_RPC: rpc,
      PATH: `${folder}:${process.env.PATH}`,
    },
  })
  expect(stderr).toContain('1,000 devices endorsed. Publish run.txt')
  expect(stderr).toContain('No device of the run is left to join')
  expect(stdout).toContain('assurance  secure-element, says the maker\n')
  expect(stdout).toContain('devices that are secure-element at least')
  expect(stdout).toContain('"assurance":"secure-element"')
  expect(stdout).toContain('0.01 coins paid to 0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266.\n')
})
