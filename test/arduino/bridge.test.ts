import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createKeyFile } from '@machinefi/device/node'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startCli } from '../../packages/cli/test/runCli.js'
import { createTestNode, type TestNode } from '../../packages/stream/test/createTestNode.js'

// `machinefi bridge` at a real serial device, a pseudo-terminal, behind which simavr runs the board.

const simavr = '/usr/include/simavr/sim_avr.h'
const missing = existsSync(simavr) ? undefined : 'needs Debian’s libsimavr-dev'

let folder: string
let node: TestNode
let url: string
let board: ChildProcess | undefined

beforeAll(async () => {
  if (missing) return
  folder = mkdtempSync(join(tmpdir(), 'machinefi-bridge-'))
  const source = fileURLToPath(new URL('board.c', import.meta.url))
  const include = ['-I/usr/include/simavr', '-lsimavr', '-lutil', '-lpthread']
  execFileSync('cc', ['-O2', '-o', join(folder, 'board'), source, ...include])
  node = await createTestNode({ devices: 0 })
  Object.defineProperty(node, 'now', { get: Date.now })
  url = await node.node.listen({ port: 0 })
}, 60_000)

afterAll(async () => {
  if (board) await stopBoard(board)
  await node?.[Symbol.asyncDispose]()
  if (folder) rmSync(folder, { force: true, recursive: true })
})

/** Resolves to the path of its serial port. */
async function startBoard(): Promise<string> {
  const hex = fileURLToPath(
    new URL('../../examples/arduino-tracker/firmware/tracker.hex', import.meta.url),
  )
  board = spawn(join(folder, 'board'), ['atmega328p', hex], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [path] = await once(createInterface(board.stdout!), 'line')
  return path
}

/** The simulator does not always listen. */
async function stopBoard(child: ChildProcess) {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill()
  const timeout = new AbortController()
  const late = sleep(1000, undefined, { signal: timeout.signal }).then(() => child.kill('SIGKILL'))
  await exit
  timeout.abort()
  await late.catch(() => {})
}

test.skipIf(missing)(
  `behavior: machinefi bridge at a pseudo-terminal, unplugged and plugged in again${missing ? `: ${missing}` : ''}`,
  { timeout: 60_000 },
  async () => {
    const key = join(folder, 'board.key')
    node.chain.join(await createKeyFile(key))
    // The name stays when the device behind it changes, as udev has it.
    const port = join(folder, 'ttyUSB0')
    const plug = async () => execFileSync('ln', ['-sfn', await startBoard(), port])
    await plug()
    const args = ['--port', port, '--key', key, '--node', url, '--max-age', '1s']
    const cli = startCli(['bridge', ...args], { cwd: folder })
    await cli.until('batch 0: entry 0, receipt verified')
    await stopBoard(board!)
    await plug()
    await cli.until('batch 1: entry 1')
    cli.stop()
    expect(await cli.exit, cli.stderr()).toBe(0)
    const [did] = cli.stdout().match(/did:io:0x[0-9a-f]{40}/) ?? []
    const [, readings, lost] =
      cli.stdout().match(/frames: (\d+) readings, 0 batches; (\d+) lost, \d+ damaged$/m) ?? []
    const path = `${url}/networks/${node.chain.network.id}/devices/${did}/records`
    const { records } = await (await fetch(path)).json()
    expect(records).toHaveLength(Number(readings))
    expect(records.length).toBeGreaterThan(1)
    expect(Number(lost)).toBeLessThanOrEqual(1)
    for (const { steps } of records) expect(steps).toBeGreaterThanOrEqual(8)
  },
)
