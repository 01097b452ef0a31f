import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createCertificates, opensslMissing } from '../../../test/transports/createCertificates.js'
import { startAnvil } from '../src/chain/startAnvil.js'
import { runCli, startCli } from './runCli.js'

/** Asks again until the answer will do: windows end and become final in their own time. */
async function poll<value>(ask: () => Promise<value | undefined>): Promise<value> {
  const until = Date.now() + 60_000
  for (;;) {
    const answer = await ask()
    if (answer !== undefined) return answer
    if (Date.now() > until) throw new Error('it never came')
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
}

describe('a developer’s afternoon', { timeout: 120_000 }, () => {
  let cwd: string
  let dev: ReturnType<typeof startCli>
  let facts: { accounts: string[]; id: string; node: string; rpc: string; windowMs: number }
  let env: Record<string, string>
  let did: string
  const cli = (...argv: string[]) => runCli(argv, { cwd, env })
  const json = async (...argv: string[]) => {
    const { code, stderr, stdout } = await cli(...argv, '--json')
    if (code !== 0) throw new Error(`${argv.join(' ')}: exit ${code}\n${stderr}`)
    return JSON.parse(stdout)
  }

  beforeAll(async () => {
    cwd = mkdtempSync(join(tmpdir(), 'machinefi-flow-'))
    dev = startCli(
      ['dev', '--json', '--port', '0', '--rpc-port', '0', '--window', '4s', '--challenge', '2s'],
      { cwd },
    )
    await dev.until('\n')
    facts = JSON.parse(dev.stdout())
    env = { MACHINEFI_NODE: facts.node, MACHINEFI_RPC: facts.rpc }
  }, 60_000)

  afterAll(async () => {
    dev.stop()
    expect(await dev.exit).toBe(0)
    rmSync(cwd, { force: true, recursive: true })
  }, 60_000)

  /** Readings of the last seconds, one a second. */
  const writeCsv = (name: string, seconds: number) => {
    const last = Math.floor(Date.now() / 1000)
    const lines = Array.from({ length: seconds }, (_, i) => `${last - seconds + i},${10 + (i % 3)}`)
    writeFileSync(join(cwd, name), `time,steps\n${lines.join('\n')}\n`)
  }

  test('device create, show, register', async () => {
    const { code, stderr, stdout } = await cli('device', 'create', 'walker.key')
    expect(code).toBe(0)
    expect(stderr).toContain('machinefi device register walker.key')
    did = stdout.trim()
    expect(did).toMatch(/^did:io:0x[0-9a-f]{40}$/)
    expect(statSync(join(cwd, 'walker.key')).mode & 0o777).toBe(0o600)
    expect((await cli('device', 'create', 'walker.key')).code).toBe(2)
    const shown = await json('device', 'show', 'walker.key')
    expect(shown.did).toBe(did)
    expect(Object.values(shown).join()).not.toContain('PRIVATE')

    const registered = await json('device', 'register', 'walker.key')
    expect(registered).toMatchObject({ did, network: facts.id, owner: facts.accounts[0] })
    expect(registered.transaction).toMatch(/^0x/)
    const again = await cli('device', 'register', 'walker.key')
    expect([again.code, again.stderr]).toEqual([0, expect.stringContaining('already')])
    const [, other] = facts.accounts
    expect((await cli('device', 'register', 'walker.key', '--owner', `${other}`)).code).toBe(5)
    // Its membership is on the chain; the node sees it with the next block it reads.
    const member = await poll(async () => {
      const { code, stdout } = await cli('device', 'show', did, '--json')
      return code === 0 ? JSON.parse(stdout) : undefined
    })
    expect(member).toMatchObject({ did, member: { slot: 0 }, nextSeq: 0 })
  })

  test('device register --relay: the node pays', async () => {
    const owner = `0x${'a11ce'.padStart(40, '0')}`
    const { did } = await json('device', 'create', 'relayed.key')
    const register = ['device', 'register', 'relayed.key', '--relay']
    // No chain at hand, and no account.
    env = { MACHINEFI_NODE: facts.node, MACHINEFI_RPC: 'http://127.0.0.1:1' }
    try {
      expect((await cli(...register)).stderr).toContain('--relay needs --owner')
      expect((await cli(...register, '--owner', owner, '--no-join')).code).toBe(2)
      const sent = await json(...register, '--owner', owner)
      expect(sent).toMatchObject({ did, network: facts.id, owner })
      expect(Number(sent.gasUsed)).toBeGreaterThan(100_000)
      const again = await cli(...register, '--owner', owner)
      expect([again.code, again.stderr]).toEqual([0, expect.stringContaining('already')])
      const other = await cli(...register, '--owner', `0x${'b0b'.padStart(40, '0')}`)
      expect([other.code, other.stderr]).toEqual([2, expect.stringContaining('ERC721')])
    } finally {
      env = { MACHINEFI_NODE: facts.node, MACHINEFI_RPC: facts.rpc }
    }
  })

  test('batch inspect, verify', async () => {
    writeCsv('file.csv', 65)
    await json('device', 'create', 'other.key')
    const args = ['replay', 'file.csv', '--key', 'other.key', '--out', 'batches.cborseq']
    const signed = await json(...args)
    expect(signed.readings).toBe(65)
    expect((await cli(...args)).code).toBe(2)
    const inspected = await cli('batch', 'inspect', 'batches.cborseq', '--json')
    const batches = inspected.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(batches).toHaveLength(signed.batches)
    expect(batches.map(({ seq }) => seq)).toEqual(batches.map((_, i) => i))
    expect(batches[1]).toMatchObject({ did: signed.did, schema: 1, tickMs: 1000 })
    expect((await cli('batch', 'inspect', 'batches.cborseq')).stdout).toContain('bytes a row')

    const { publicKey } = await json('device', 'show', 'other.key')
    const verify = ['batch', 'verify', 'batches.cborseq', '--public-key', publicKey]
    expect((await cli(...verify)).code).toBe(0)
    const offline = [
      '--network',
      facts.id,
      '--fields',
      '1',
      '--tick',
      '1s',
      '--node',
      'http://127.0.0.1:1',
    ]
    expect((await cli(...verify, ...offline)).code).toBe(0)
    const foreign = [...offline]
    foreign[1] = `0x${'00'.repeat(32)}`
    const refused = await cli(...verify, ...foreign)
    expect(refused.code).toBe(3)
    expect(refused.stdout).toContain('signature')
  })

  test('replay, epoch list, claim show, verify, redeem', async () => {
    // A window pays who joined before it began.
    const { member } = await json('device', 'show', did)
    const { windowMs } = facts
    const first = (Math.floor(member.joinedAt / windowMs) + 1) * windowMs
    await poll(async () => (Date.now() > first + 1_500 ? true : undefined))
    writeCsv('walk.csv', 1)
    const replayed = await json('replay', 'walk.csv', '--key', 'walker.key')
    expect(replayed).toMatchObject({ batches: 1, did, readings: 1 })

    const [claim] = await poll(async () => {
      const claims = await json('claim', 'show', did)
      const rewarded = claims.filter((claim: { reward: string }) => claim.reward !== '0')
      return rewarded.length > 0 ? rewarded : undefined
    })
    expect(claim).toMatchObject({ paid: true, reward: '10', steps: 1, value: '10' })
    const epochs = await json('epoch', 'list')
    expect(epochs.map(({ window }: { window: number }) => window)).toContain(claim.window)
    expect((await cli('epoch', 'list')).stdout).toContain(claim.name)
    expect((await cli('claim', 'show', did, '--window', claim.name)).stdout).toContain('10')

    await json('epoch', 'show', `${claim.window}`, '--out', 'epoch.bundle')
    const verify = ['claim', 'verify', 'epoch.bundle', '--device', did]
    const verified = await json(...verify, '--check-chain', '--network', facts.id)
    // Anyone can create a network: which one is trusted must be said.
    expect((await cli(...verify, '--check-chain')).code).toBe(2)
    const other = await cli(...verify, '--network', `0x${'12'.repeat(32)}`)
    expect([other.code, other.stderr]).toEqual([3, expect.stringContaining('at network')])
    expect(verified).toMatchObject({ claims: [{ did, reward: '10', value: '10' }], ok: true })
    const bytes = readFileSync(join(cwd, 'epoch.bundle'))
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1
    writeFileSync(join(cwd, 'bent.bundle'), bytes)
    const bent = await cli('claim', 'verify', 'bent.bundle')
    expect(bent.code).toBe(3)
    expect(bent.stderr).toContain('Does not check out at')

    const redeemed = await poll(async () => {
      const { code, stdout } = await cli('claim', 'redeem', did, '--json')
      const result = code === 0 ? JSON.parse(stdout) : undefined
      return result?.amount === '10' ? result : undefined
    })
    expect(redeemed.redeemed).toMatchObject([{ amount: '10', owner: facts.accounts[0] }])
    expect((await json('claim', 'redeem', did)).amount).toBe('0')
  })

  test('network create, node start', async () => {
    const create = [
      ...['network', 'create', '--name', 'Weather', '--symbol', 'WX', '--out', 'weather.json'],
      ...['--deployment', 'deployment.json', '--schema', 'temperature:Cel:2'],
      ...['--metric', 'coverage(1s)', '--window', '4s', '--grace', '1s', '--challenge', '2s'],
    ]
    const network = await json(...create)
    expect((await cli(...create)).code).toBe(2)
    const start = ['node', 'start', '--network', 'weather.json', '--data', 'node', '--port', '0']
    const unbonded = await cli(...start, '--log-key', 'log.key')
    expect(unbonded.code).toBe(5)
    expect(unbonded.stderr).toContain('--bond')
    // RFC 9500 2.3: here it is warned of, elsewhere refused.
    const published = `-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIObLW92AqkWunJXowVR2Z5/+yVPBaFHnEedDk5WJxk/BoAoGCCqGSM49
AwEHoUQDQgAEQiVI+I+3gv+17KN0RFLHKh5Vj71vc75eSOkyMsxFxbFsTNEMTLjV
uKFxOelIgsiZJXKZNCX0FBmrfpCkKklCcg==
-----END EC PRIVATE KEY-----
`
    writeFileSync(join(cwd, 'rfc.key'), published, { mode: 0o600 })
    const warned = await cli(...start, '--log-key', 'rfc.key')
    expect([warned.code, warned.stderr]).toEqual([
      5,
      expect.stringContaining('rfc.key: a published test key'),
    ])
    const elsewhere = await startAnvil({ chainId: 4_690 })
    const refused = await runCli([...start, '--log-key', 'rfc.key', '--bond'], {
      cwd,
      env: { MACHINEFI_PRIVATE_KEY: `0x${'11'.repeat(32)}`, MACHINEFI_RPC: elsewhere.url },
    })
    await elsewhere.close()
    expect([refused.code, refused.stderr]).toEqual([
      2,
      expect.stringContaining('This private key is published'),
    ])
    const node = startCli([...start, '--log-key', 'log.key', '--bond', '--json'], { cwd, env })
    await node.until('\n')
    const { url } = JSON.parse(node.stdout())
    const served = await (await fetch(`${url}/networks/${network.id}`)).json()
    expect(served).toMatchObject({ id: network.id, metric: { type: 'coverage' }, size: 0 })
    expect((await fetch(`${url}/health`)).status).toBe(200)
    node.stop()
    expect(await node.exit).toBe(0)
    // The same directory again: it is this network's, and its lock is free.
    const again = startCli([...start, '--log-key', 'log.key', '--json'], { cwd, env })
    await again.until('\n')
    expect(again.hangup()).toBe(0)
    // While it runs, its key is not changed.
    const rotate = ['node', 'rotate-key', 'new.key', '--network', 'weather.json', '--data', 'node']
    const running = await cli(...rotate)
    expect([running.code, running.stderr]).toEqual([2, expect.stringContaining('Another process')])
    again.stop()
    expect(await again.exit).toBe(0)
    // A folder that is not the node's holds nobody back.
    for (const folder of ['nod', '.']) {
      const { code, stderr } = await cli(...rotate.slice(0, -1), folder)
      expect([code, stderr]).toEqual([2, expect.stringContaining('no data of a node here')])
    }
    const rotated = await json(...rotate)
    expect(rotated).toMatchObject({ networks: [{ network: network.id }] })
    expect((await cli(...rotate)).stdout).toBe(
      `It is the log key already.\nlog key ${rotated.logKey}\n`,
    )
    expect((await cli(...start, '--log-key', 'log.key')).code).toBe(2)
    const renewed = startCli([...start, '--log-key', 'new.key', '--json'], { cwd, env })
    await renewed.until('\n')
    const described = await fetch(`${JSON.parse(renewed.stdout()).url}/networks/${network.id}`)
    expect(await described.json()).toMatchObject({ logKey: rotated.logKey })
    renewed.stop()
    expect(await renewed.exit).toBe(0)
  })

  test.skipIf(opensslMissing)(
    `node start, with TLS${opensslMissing ? `: ${opensslMissing}` : ''}`,
    async () => {
      const certificates = createCertificates()
      certificates.authority('ca')
      certificates.issue('node')
      const [pem, key] = ['node.pem', 'node.key'].map(certificates.path)
      const start = ['node', 'start', '--network', 'weather.json', '--data', 'node', '--port', '0']
      const tls = ['--log-key', 'new.key', '--tls-cert', pem!, '--tls-key', key!]
      const node = startCli([...start, ...tls, '--json'], { cwd, env })
      await node.until('\n')
      const { url } = JSON.parse(node.stdout())
      certificates.issue('renewed')
      copyFileSync(certificates.path('renewed.pem'), pem!)
      copyFileSync(certificates.path('renewed.key'), key!)
      expect(node.hangup()).toBe(1)
      expect(await certificates.readPeer(url)).toBe('renewed')
      node.stop()
      expect(await node.exit).toBe(0)
      certificates.remove()
    },
  )
})
