import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runCli, startCli } from './runCli.js'

describe('machinefi audit', { timeout: 60_000 }, () => {
  let cwd: string
  let dev: ReturnType<typeof startCli>
  let facts: { id: string; node: string; rpc: string }
  let env: Record<string, string>

  beforeAll(async () => {
    cwd = mkdtempSync(join(tmpdir(), 'machinefi-audit-'))
    dev = startCli(
      [
        ...['dev', '--json', '--port', '0', '--rpc-port', '0', '--window', '2s'],
        ...['--challenge', '60s', '--network-file', 'net.json'],
      ],
      { cwd },
    )
    await dev.until('\n')
    facts = JSON.parse(dev.stdout())
    env = { MACHINEFI_NODE: facts.node, MACHINEFI_RPC: facts.rpc }
  }, 60_000)

  afterAll(async () => {
    dev.stop()
    await dev.exit
    rmSync(cwd, { force: true, recursive: true })
  })

  const cli = (...argv: string[]) => runCli(['audit', ...argv], { cwd, env })

  test('--once --json', async () => {
    for (;;) {
      const { code, stderr, stdout } = await cli(
        ...['--data', 'a', '--once', '--dry-run', '--json', '--network', facts.id],
      )
      expect([code, stderr]).toEqual([0, ''])
      const report = JSON.parse(stdout)
      expect(report).toMatchObject({ actions: [], dryRun: true, network: facts.id })
      if (report.windows.length === 0) continue
      for (const window of report.windows) expect(window).toMatchObject({ findings: [], ok: true })
      break
    }
  })

  test('follows until it is told to stop', async () => {
    const follower = startCli(
      ['audit', '--data', 'b', '--network', 'net.json', '--every', '100ms', '--json'],
      { cwd, env },
    )
    await follower.until('"ok":true')
    follower.stop()
    expect(await follower.exit).toBe(0)
    expect(JSON.parse(follower.stdout().split('\n')[0]!)).toMatchObject({ type: 'checked' })
  })

  test('error: addresses of nodes', async () => {
    for (const option of ['--also', '--node'])
      for (const url of ['notaurl', 'ftp://x']) {
        const network = ['--network', 'net.json', '--data', 'a', '--once', '--dry-run']
        const { code, stderr } = await cli(...network, option, url)
        expect([code, stderr]).toEqual([2, expect.stringContaining(`Not a URL: "${url}"`)])
      }
    const { stdout } = await cli(
      ...['--network', 'net.json', '--data', 'c', '--once', '--dry-run'],
      ...['--also', 'http://user:secret@127.0.0.1:1/a?key=secret'],
    )
    expect(stdout).toContain('node      http://127.0.0.1:1/a: ')
    expect(stdout).not.toContain('secret')
  })

  test('behavior: an account that could not challenge is told so', async () => {
    const { code, stderr, stdout } = await runCli(
      ['audit', '--network', 'net.json', '--data', 'd', '--once'],
      { cwd, env: { ...env, MACHINEFI_PRIVATE_KEY: `0x${'11'.repeat(32)}` } },
    )
    expect([code, stderr]).toEqual([0, expect.stringMatching(/could not challenge: it has 0, /)])
    expect(stdout).toContain('right')
    const again = await cli('--network', 'net.json', '--data', 'd', '--once', '--dry-run', '--json')
    expect(JSON.parse(again.stdout).checkedBefore).toBeGreaterThan(0)
  })

  test('options: --sample', async () => {
    const sample = ['--network', 'net.json', '--data', 'e', '--once', '--sample', '1']
    const { code, stdout } = await cli(...sample, '--dry-run', '--json')
    expect(code).toBe(0)
    const { claims, sampled, windows } = JSON.parse(stdout)
    expect(claims).toBe(0)
    expect(sampled).toMatchObject({ answered: 0, open: 0, windows: windows.length })
    for (const window of windows) expect(window).toMatchObject({ ok: false, sampled: {} })
    const shown = await cli(...sample, '--dry-run')
    expect(shown.code).toBe(0)
    expect(shown.stdout).not.toContain('right:')
    expect(shown.stdout).toContain('looked at by samples')
  })

  test('error: data directories that cannot be used', async () => {
    const once = ['--network', 'net.json', '--once', '--dry-run', '--data']
    for (const folder of ['net.json', 'net.json/below']) {
      const { code, stderr } = await cli(...once, folder)
      expect([code, stderr]).toEqual([2, expect.stringContaining('There is a file in its place')])
    }
    mkdirSync(join(cwd, 'damaged'))
    writeFileSync(join(cwd, 'damaged', 'audit.db'), 'no database'.repeat(1000))
    const { code, stderr } = await cli(...once, 'damaged')
    expect([code, stderr]).toEqual([2, expect.stringContaining('what was copied is copied again')])
  })

  test('error: a foreign data directory', async () => {
    const { code, stderr } = await cli('--data', 'a', '--once', '--network', 'nowhere.json')
    expect([code, stderr]).toMatchObject([2, expect.stringContaining('nowhere.json')])
  })
})
