import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { toHex } from '@machinefi/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { developmentAccount } from '../src/chain/openAccount.js'
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

/** Accounts of the development chain by what they are here. */
const roles = { networkOwner: 0, owner: 2, auditor: 3, friend: 4, stranger: 5 } as const
type Role = keyof typeof roles

const account = (role: Role) => developmentAccount(roles[role])
const keyOf = (role: Role) => toHex(account(role).getHdKey().privateKey!)

describe('a private network', { timeout: 120_000 }, () => {
  let cwd: string
  let dev: ReturnType<typeof startCli>
  let facts: { id: string; node: string; rpc: string; windowMs: number }
  let did: string
  const cli = (role: Role, ...argv: string[]) => {
    const env = { MACHINEFI_NODE: facts.node, MACHINEFI_RPC: facts.rpc }
    return runCli(argv, { cwd, env: { ...env, MACHINEFI_PRIVATE_KEY: keyOf(role) } })
  }
  const json = async (role: Role, ...argv: string[]) => {
    const { code, stderr, stdout } = await cli(role, ...argv, '--json')
    if (code !== 0) throw new Error(`${argv.join(' ')}: exit ${code}\n${stderr}`)
    return JSON.parse(stdout)
  }

  beforeAll(async () => {
    cwd = mkdtempSync(join(tmpdir(), 'machinefi-private-'))
    dev = startCli(
      [
        ...['dev', '--private', '--json', '--port', '0', '--rpc-port', '0'],
        ...['--window', '4s', '--challenge', '5s'],
      ],
      { cwd },
    )
    await dev.until('\n')
    facts = JSON.parse(dev.stdout())
    did = (await runCli(['device', 'create', 'walker.key'], { cwd })).stdout.trim()
    await json('owner', 'device', 'register', 'walker.key')
  }, 60_000)

  afterAll(async () => {
    dev.stop()
    expect(await dev.exit).toBe(0)
    rmSync(cwd, { force: true, recursive: true })
  }, 60_000)

  test('default: from the device to its owner’s reward', async () => {
    const { member } = await json('owner', 'device', 'show', did)
    const first = (Math.floor(member.joinedAt / facts.windowMs) + 1) * facts.windowMs
    await poll(async () => (Date.now() > first + 1500 ? true : undefined))
    writeFileSync(join(cwd, 'walk.csv'), `time,steps\n${Math.floor(Date.now() / 1000) - 1},12\n`)
    // A device has no account; it is told where to go on.
    const replayed = await json('stranger', 'replay', 'walk.csv', '--key', 'walker.key')
    expect(replayed).toMatchObject({ batches: 1, did })

    const records = ['device', 'records', did]
    const { stdout } = await cli('owner', ...records)
    expect(stdout).toMatch(/^time\tsteps\n\d{4}-.*Z\t12\n$/)
    expect(await json('owner', ...records)).toMatchObject({ seq: 0, steps: 12 })

    const claim = await poll(async () => {
      const claims = await json('owner', 'claim', 'show', did)
      return claims.find(({ reward }: { reward: string }) => reward === '12')
    })
    const window = ['--window', `${claim.window}`]
    await json('owner', 'claim', 'show', did, ...window, '--out', 'claim.bundle')
    const chain = ['--check-chain', '--network', facts.id]
    const verified = await json('owner', 'claim', 'verify', 'claim.bundle', ...chain)
    expect(verified).toMatchObject({ claims: [{ did, value: '12' }], ok: true })
    const explained = await json('owner', 'claim', 'explain', did, ...window)
    expect(explained).toMatchObject({ verified: true })

    const redeemed = await poll(async () => {
      const { code, stdout } = await cli('owner', 'claim', 'redeem', did, '--json')
      const result = code === 0 ? JSON.parse(stdout) : undefined
      return result?.amount === '12' ? result : undefined
    })
    const owner = account('owner').address.toLowerCase()
    expect(redeemed.redeemed).toMatchObject([{ amount: '12', owner }])
  })

  test('error: a stranger is refused, and told why', async () => {
    for (const argv of [
      ['device', 'records', did],
      ['device', 'show', did],
      ['claim', 'show', did],
      ['claim', 'explain', did],
      ['epoch', 'show', 'now'],
    ]) {
      const { code, stderr } = await cli('stranger', ...argv)
      expect([code, stderr], argv.join(' ')).toEqual([
        2,
        expect.stringContaining('403: the account may not read this'),
      ])
      expect(stderr).toContain('private-networks.md')
    }
    const audited = await cli('stranger', 'audit', '--data', 'stranger', '--once', '--dry-run')
    expect([audited.code, audited.stderr]).toEqual([
      2,
      expect.stringContaining('Only its auditors can audit a private network.'),
    ])
    const granted = await cli('stranger', 'device', 'grant', did, '--to', `0x${'12'.repeat(20)}`)
    expect([granted.code, granted.stderr]).toEqual([5, expect.stringContaining('NotOwnerOfDevice')])
    const named = await cli('stranger', 'network', 'auditor', account('stranger').address)
    expect([named.code, named.stderr]).toEqual([5, expect.stringContaining('NotNetworkOwner')])
  })

  test('device grant, revoke', async () => {
    const friend = account('friend').address
    const read = () => cli('friend', 'device', 'records', did)
    expect((await read()).code).toBe(2)
    const granted = await json('owner', 'device', 'grant', did, '--to', friend, '--for', '1h')
    expect(granted).toMatchObject({ devices: [did], grantee: friend.toLowerCase() })
    expect(Date.parse(granted.until)).toBeGreaterThan(Date.now() + 3_000_000)
    await poll(async () => ((await read()).code === 0 ? true : undefined))
    const { stdout } = await cli('owner', 'device', 'revoke', did, '--from', friend)
    expect(stdout).toContain('may not read')
    await poll(async () => ((await read()).code === 2 ? true : undefined))
  })

  test('challenge open step', async () => {
    /** Opens one at the last window, until it is one that can be challenged. */
    const open = (role: Role) =>
      poll(async () => {
        const { window } = (await json(role, 'epoch', 'list')).at(-1)
        const opened = await cli(role, 'challenge', 'open', 'step', `${window}`, '0', '0')
        return /nothing to challenge|AlreadyChallenged/.test(opened.stderr) ? undefined : opened
      })
    const refused = await open('stranger')
    expect([refused.code, refused.stderr]).toEqual([
      5,
      expect.stringContaining('only the device’s owner, whom it lets read, and auditors'),
    ])
    expect(refused.stderr).toContain(did)
    const opened = await open('owner')
    expect([opened.code, opened.stdout]).toEqual([0, expect.stringMatching(/^0x[0-9a-f]{64}\n$/)])
  })

  test('network auditor, audit', async () => {
    const auditor = account('auditor').address
    const { stdout } = await cli('networkOwner', 'network', 'auditor', auditor)
    expect(stdout).toContain('may read and challenge all devices')
    // What the node knew of the account before is believed for some seconds.
    const report = await poll(async () => {
      const audited = await cli('auditor', 'audit', '--data', 'audit', '--once', '--json')
      return audited.code === 0 ? JSON.parse(audited.stdout) : undefined
    })
    expect(report.problems).toEqual([])
    expect(report.windows.length).toBeGreaterThan(0)
    for (const window of report.windows) expect(window).toMatchObject({ findings: [], ok: true })
    expect(
      (await json('auditor', 'epoch', 'show', `${report.windows[0].window}`)).entries,
    ).toBeDefined()

    await json('networkOwner', 'network', 'auditor', auditor, '--remove')
    expect((await cli('auditor', 'audit', '--data', 'audit', '--once')).code).toBe(2)
    await poll(async () =>
      (await cli('auditor', 'device', 'records', did)).code === 2 ? true : undefined,
    )
  })

  test('network show', async () => {
    expect((await cli('stranger', 'network', 'show')).stdout).toContain('private: for owners')
  })

  test('error: there is nothing to grant in a public network', async () => {
    const create = ['network', 'create', '--name', 'x', '--symbol', 'X', '--window', '4s']
    const files = ['--deployment', 'deployment.json', '--out', 'public.json']
    await json('owner', ...create, ...files)
    const grant = ['device', 'grant', did, '--to', account('friend').address]
    for (const argv of [grant, ['network', 'auditor', account('friend').address]]) {
      const { code, stderr } = await cli('owner', ...argv, '--network', 'public.json')
      expect([code, stderr]).toEqual([2, expect.stringContaining('The network is public')])
    }
  })
})
