import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { startAnvil } from '../src/chain/startAnvil.js'
import { runCli, startCli } from './runCli.js'

/** Well-known keys of a development chain: the first two accounts. */
const owner = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80'
const operatorKey = '0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d'
const operator = '0x70997970c51812dc3a010c7d01b50e0d17dc79c8'
const patience = { interval: 200, timeout: 60_000 }

describe('disputes by hand', { timeout: 120_000 }, () => {
  let anvil: Awaited<ReturnType<typeof startAnvil>>
  let cwd: string
  let env: Record<string, string>
  const cli = (...argv: string[]) => runCli(argv, { cwd, env })
  const json = async (...argv: string[]) => {
    const { code, stderr, stdout } = await cli(...argv, '--json')
    if (code !== 0) throw new Error(`${argv.join(' ')}: exit ${code}\n${stderr}`)
    return JSON.parse(stdout)
  }
  const create = (file: string, ...options: string[]) => [
    ...['network', 'create', '--name', 'Steps', '--symbol', 'STEP', '--out', file],
    ...['--deployment', 'deployment.json', '--operator', operator, '--window', '2s'],
    ...['--grace', '1s', ...options],
  ]

  beforeAll(async () => {
    cwd = mkdtempSync(join(tmpdir(), 'machinefi-disputes-'))
    anvil = await startAnvil({ hardfork: 'osaka' })
    await anvil.request('evm_setIntervalMining', [1])
    env = {
      MACHINEFI_NETWORK: 'steps.json',
      MACHINEFI_PRIVATE_KEY: owner,
      MACHINEFI_RPC: anvil.url,
    }
    const times = ['--challenge-window', '10m', '--response-time', '60s']
    await json(...create('steps.json', ...times, '--challenge-bond', '0.25', '--min-bond', '2'))
  }, 60_000)

  afterAll(async () => {
    await anvil?.close()
    rmSync(cwd, { force: true, recursive: true })
  })

  const startNode = async () => {
    const node = startCli(
      [
        ...['node', 'start', '--network', 'steps.json', '--data', 'node', '--port', '0'],
        ...['--log-key', 'log.key', '--bond', '--peer', 'http://127.0.0.1:1', '--json'],
      ],
      { cwd, env: { ...env, MACHINEFI_PRIVATE_KEY: operatorKey } },
    )
    await node.until('\n')
    return node
  }

  test('network show', async () => {
    const facts = await json('network', 'show')
    expect(facts).toMatchObject({
      challengeBond: '250000000000000000',
      config: { minBond: '2000000000000000000', responseTime: 60 },
      finalWindow: null,
      metric: { field: 0, type: 'sum' },
      operator: { bond: '0', listed: true, slashed: 0 },
      policy: { cap: '1000000', rate: '1', threshold: '0' },
      schema: { fields: [{ name: 'steps' }] },
      trust: 'optimistic',
    })
    const { stdout } = await cli('network', 'show')
    for (const text of ['optimistic: ', 'sum(steps)', 'within 10m', 'too small to post'])
      expect(stdout).toContain(text)
  })

  test('error: nobody can challenge in an attested network', async () => {
    await json(...create('attested.json', '--attested'))
    const { code, stderr } = await cli('challenge', 'list', '--network', 'attested.json')
    expect([code, stderr]).toEqual([5, expect.stringContaining('it is attested')])
    const shown = await cli('network', 'show', '--network', 'attested.json')
    expect(shown.stdout).toContain('attested: the operator’s word is all there is')
    expect(shown.stdout).not.toContain('stake')
  })

  test('error: bonds and times that a settlement refuses', async () => {
    for (const [options, name] of [
      [['--challenge-bond', '3', '--min-bond', '2'], 'InvalidChallengeBond'],
      [['--response-time', '59s'], 'InvalidTime'],
      [['--retention', '1d'], 'RetentionTooShort'],
    ] as const) {
      const { code, stderr } = await cli(...create('never.json', ...options))
      expect([code, stderr]).toEqual([5, expect.stringContaining(name)])
    }
  })

  test('error: files of an older version', async () => {
    const { metrics, ...deployment } = JSON.parse(
      readFileSync(join(cwd, 'deployment.json'), 'utf8'),
    )
    const { disputes: _, ...older } = deployment
    writeFileSync(join(cwd, 'older.json'), JSON.stringify({ ...older, metrics }))
    const { distance: __, ...fewer } = metrics
    writeFileSync(join(cwd, 'fewer.json'), JSON.stringify({ ...deployment, metrics: fewer }))
    writeFileSync(join(cwd, 'null.json'), 'null')
    for (const [file, reason] of [
      ['older.json', 'older.json has no address for disputes.'],
      ['fewer.json', 'fewer.json has no address for metrics.distance.'],
      ['null.json', 'null.json does not say of which chain it is.'],
    ] as const) {
      const { code, stderr } = await cli(...create('never.json', '--deployment', file))
      expect([code, stderr]).toEqual([2, expect.stringContaining(reason)])
    }
    const network = JSON.parse(readFileSync(join(cwd, 'steps.json'), 'utf8'))
    delete network.network.disputes
    writeFileSync(join(cwd, 'old-steps.json'), JSON.stringify(network))
    const { code, stderr } = await cli('network', 'show', '--network', 'old-steps.json')
    expect([code, stderr]).toEqual([2, expect.stringContaining('it is of another version')])
  })

  test('challenge open, list, show: a node answers by itself', async () => {
    expect((await cli('challenge', 'list')).stdout).toBe('Nobody has challenged anything.\n')
    const node = await startNode()
    await vi.waitFor(() => expect(node.stderr()).toContain('posted '), patience)
    const { firstWindow } = await json('network', 'show')
    const window = `${firstWindow}`
    const { bond, id, point } = await json('challenge', 'open', 'step', window, '0', '7')
    expect(point).toEqual({ kind: 'step', slot: 0, step: 7 })
    expect(BigInt(bond)).toBeGreaterThanOrEqual(25n * 10n ** 16n)
    await vi.waitFor(() => expect(node.stderr()).toContain(`answered a challenge (step)`), patience)
    const [challenge] = await json('challenge', 'list', '--window', window)
    expect(challenge).toMatchObject({ id, status: 'answered', window: firstWindow })
    expect((await cli('challenge', 'show', id)).stdout).toContain('answered: the stake is lost')
    // A point is challenged once, and what is settled stays so.
    for (const verb of ['uphold', 'refund']) {
      const refused = await cli('challenge', verb, id)
      expect(refused).toMatchObject({ code: 5, stdout: '' })
      expect(refused.stderr).toContain('the challenge is not open (NotOpen).\n  It is answered.')
    }
    const again = await cli('challenge', 'open', 'step', window, '0', '7')
    expect([again.code, again.stderr]).toEqual([
      5,
      expect.stringContaining('this has been challenged before (AlreadyChallenged)'),
    ])
    // Nobody has this slot; and a ledger of one slot has nothing to reveal.
    await json('challenge', 'open', 'carry', window, '0')
    const reveal = await cli('challenge', 'open', 'reveal', window, '1', '0')
    expect([reveal.code, reveal.stderr]).toEqual([5, expect.stringContaining('NodeOutOfBounds')])
    expect(reveal.stderr).toContain('The ledger has one slot')
    const nobody = `did:io:0x${'11'.repeat(20)}`
    const carry = await cli('challenge', 'open', 'carry', window, '0', nobody)
    expect([carry.code, carry.stderr]).toEqual([
      5,
      expect.stringContaining('No member has slot 0: leave the device out.'),
    ])
    const poor = await runCli(['challenge', 'open', 'step', window, '0', '9'], {
      cwd,
      env: { ...env, MACHINEFI_PRIVATE_KEY: `0x${'11'.repeat(32)}` },
    })
    expect([poor.code, poor.stderr]).toEqual([5, expect.stringMatching(/has 0: too little/)])
    await vi.waitFor(() => expect(node.stderr()).toContain('(carry)'), patience)
    node.stop()
    expect(await node.exit).toBe(0)

    expect((await cli('challenge', 'withdraw')).stdout).toMatch(/^Nothing is kept for 0x/)
    const key = { MACHINEFI_PRIVATE_KEY: operatorKey }
    const paid = await runCli(['challenge', 'withdraw', '--json'], { cwd, env: { ...env, ...key } })
    expect(JSON.parse(paid.stdout)).toMatchObject({ amount: `${BigInt(bond)}` })
  })

  test('challenge uphold, refund, withdraw: a node that is silent', async () => {
    const { finalWindow, nextWindow } = await json('network', 'show')
    expect(finalWindow).toBe(null)
    const unposted = await cli('challenge', 'open', 'step', `${nextWindow}`, '0', '0')
    expect([unposted.code, unposted.stderr]).toEqual([5, expect.stringContaining('never posted')])

    const last = `${nextWindow - 1}`
    const step = await json('challenge', 'open', 'step', last, '0', '0', '--bond', '0.5')
    expect(step.bond).toBe('500000000000000000')
    const carry = await json('challenge', 'open', 'carry', last, '0')
    expect((await cli('challenge', 'show', step.id)).stdout).toContain('open: anyone may answer')
    const early = await cli('challenge', 'uphold', step.id)
    expect([early.code, early.stderr]).toEqual([5, expect.stringContaining('DeadlineNotOver')])
    expect(early.stderr).toMatch(/Until \d{4}-.*Z\. Uphold it after that\./)
    const stands = await cli('challenge', 'refund', step.id)
    expect([stands.code, stands.stderr]).toEqual([5, expect.stringContaining('(NotVoid)')])

    await anvil.request('evm_increaseTime', [61])
    await anvil.request('evm_mine')
    expect((await cli('challenge', 'show', step.id)).stdout).toContain('challenge uphold')
    const poor = await runCli(['challenge', 'uphold', step.id], {
      cwd,
      env: { ...env, MACHINEFI_PRIVATE_KEY: `0x${'11'.repeat(32)}` },
    })
    expect([poor.code, poor.stderr]).toEqual([5, expect.stringMatching(/has 0: too little/)])
    const upheld = await json('challenge', 'uphold', step.id)
    expect(upheld).toMatchObject({ operator, reward: `${10n ** 18n}` })
    expect((await cli('challenge', 'show', carry.id)).stdout).toContain('challenge refund')
    await json('challenge', 'refund', carry.id)
    const { amount } = await json('challenge', 'withdraw')
    expect(BigInt(amount)).toBe(10n ** 18n + BigInt(step.bond) + BigInt(carry.bond))

    const { stdout } = await cli('network', 'show')
    expect(stdout).toMatch(/standing +SLASHED/)
    const statuses = (await json('challenge', 'list')).map((one: { status: string }) => one.status)
    expect(statuses).toEqual(['answered', 'answered', 'upheld', 'refunded'])
    const table = await cli('challenge', 'list')
    expect(table.stdout).toContain('slot 0, no member')

    // Its node may still serve what it has.
    const node = await startNode()
    expect(node.stderr()).toContain('not listed (any more)')
    node.stop()
    expect(await node.exit).toBe(0)
  })
})
