import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runCli, startCli } from './runCli.js'

describe('node start', () => {
  const start = (...options: string[]) =>
    runCli(['node', 'start', '--network', 'a', '--data', 'b', '--log-key', 'c', ...options])

  test('error: half of a certificate', async () => {
    for (const options of [
      ['--tls-cert', 'node.pem'],
      ['--tls-key', 'node.key'],
      ['--tls-client-ca', 'ca.pem'],
    ]) {
      const { code, stderr } = await start(...options)
      expect([code, stderr]).toEqual([2, expect.stringContaining('--tls-cert and --tls-key')])
    }
  })

  test('error: ports that are none', async () => {
    for (const options of [
      ['--mqtt', '65536'],
      ['--coap', 'x'],
    ])
      expect((await start(...options)).code).toBe(2)
  })
})

describe('replay', { timeout: 60_000 }, () => {
  let cwd: string
  let dev: ReturnType<typeof startCli>
  let node: ReturnType<typeof startCli>
  let env: Record<string, string>
  let urls: { coap: string; mqtt: string; url: string }
  const cli = (...argv: string[]) => runCli(argv, { cwd, env })
  const json = async (...argv: string[]) => {
    const { code, stderr, stdout } = await cli(...argv, '--json')
    if (code !== 0) throw new Error(`${argv.join(' ')}: exit ${code}\n${stderr}`)
    return JSON.parse(stdout)
  }

  beforeAll(async () => {
    cwd = mkdtempSync(join(tmpdir(), 'machinefi-transports-'))
    dev = startCli(['dev', '--json', '--port', '0', '--rpc-port', '0'], { cwd })
    await dev.until('\n')
    env = { MACHINEFI_RPC: JSON.parse(dev.stdout()).rpc }
    await json(
      ...['network', 'create', '--name', 'Steps', '--symbol', 'STEP', '--out', 'steps.json'],
      ...['--deployment', 'deployment.json'],
    )
    const ports = ['--port', '0', '--mqtt', '0', '--coap', '0']
    node = startCli(
      [
        ...['node', 'start', '--network', 'steps.json', '--data', 'node', '--log-key', 'log.key'],
        ...['--bond', '--json', ...ports],
      ],
      { cwd, env },
    )
    await node.until('\n')
    urls = JSON.parse(node.stdout())
  }, 60_000)

  afterAll(async () => {
    for (const running of [node, dev]) {
      running?.stop()
      expect(await running?.exit).toBe(0)
    }
    rmSync(cwd, { force: true, recursive: true })
  }, 60_000)

  const replay = (name: string, url: string, ...options: string[]) => {
    const last = Math.floor(Date.now() / 1000) - 1
    writeFileSync(join(cwd, `${name}.csv`), `time,steps\n${last - 1},1\n${last},2\n`)
    return [
      ...['replay', `${name}.csv`, '--key', `${name}.key`, '--network', 'steps.json'],
      ...['--node', url, ...options],
    ]
  }

  test.each(['url', 'mqtt', 'coap'] as const)('default: by %s', async (scheme) => {
    await json('device', 'create', `${scheme}.key`)
    const { did } = await json('device', 'register', `${scheme}.key`, '--node', urls.url)
    expect(await json(...replay(scheme, urls[scheme]))).toMatchObject({
      batches: 1,
      did,
      readings: 2,
    })
    expect(await json('device', 'show', did, '--node', urls.url)).toMatchObject({ nextSeq: 1 })
  })

  test('error: a device that is no member', async () => {
    await json('device', 'create', 'stranger.key')
    for (const url of [urls.mqtt, urls.coap]) {
      const { code, stderr } = await cli(...replay('stranger', url))
      expect([code, stderr]).toEqual([2, expect.stringContaining('is no member of the network')])
    }
  })

  test('error: without a network file, or with --out', async () => {
    const args = replay('mqtt', urls.mqtt)
    const id = await cli(...args.filter((arg) => arg !== '--network' && arg !== 'steps.json'))
    expect([id.code, id.stderr]).toEqual([2, expect.stringContaining('Name the network file')])
    const out = await cli(...args, '--out', 'batches.cborseq')
    expect([out.code, out.stderr]).toEqual([2, expect.stringContaining('--out asks a node')])
  })

  test('behavior: says what it waits for, and stops when told to', async () => {
    await json('device', 'create', 'waiting.key')
    const { did } = await json('device', 'register', 'waiting.key', '--node', urls.url)
    const args = replay('waiting', 'mqtt://127.0.0.1:1')
    const waiting = startCli(args, { cwd, env })
    await expect.poll(waiting.stderr, { timeout: 20_000 }).toContain('machinefi: ')
    waiting.stop()
    expect(await waiting.exit).toBe(130)
    // What was taken is delivered the next time.
    const last = Math.floor(Date.now() / 1000) - 1
    writeFileSync(join(cwd, 'waiting.csv'), `time,steps\n${last + 1},3\n`)
    const next = args.map((arg) => (arg === 'mqtt://127.0.0.1:1' ? urls.mqtt : arg))
    await json(...next)
    const { stdout } = await cli('device', 'records', did, '--node', urls.url)
    expect(stdout.match(/Z\t\d$/gm)?.map((line) => line.at(-1))).toEqual(['1', '2', '3'])
  })

  test('error: readings from before the last one are not taken, nor any after them', async () => {
    await json('device', 'create', 'again.key')
    const { did } = await json('device', 'register', 'again.key', '--node', urls.url)
    const args = replay('again', urls.url)
    await json(...args)
    // The last one would be in time.
    const last = Math.floor(Date.now() / 1000)
    writeFileSync(join(cwd, 'again.csv'), `time,steps\n${last - 60},1\n${last + 1},2\n`)
    const { code, stderr } = await cli(...args)
    expect(code).toBe(2)
    expect(stderr).toContain('Reading 1 was refused: The clock went back')
    expect(stderr).toContain('Nothing was taken.')
    expect(await json('device', 'show', did, '--node', urls.url)).toMatchObject({ batches: 1 })
  })

  test('error: a chain without the network', async () => {
    const { code, stderr } = await cli(...replay('mqtt', urls.mqtt), '--rpc', 'http://127.0.0.1:1')
    expect([code, stderr]).toEqual([4, expect.stringContaining('No chain answers')])
  })
})
