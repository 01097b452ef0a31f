import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runCli, startCli } from './runCli.js'

let cwd: string
let dev: ReturnType<typeof startCli>
let facts: { accounts: string[]; id: string; membership: string; node: string; rpc: string }
let env: Record<string, string>
const cli = (...argv: string[]) => runCli(argv, { cwd, env })
const json = async (...argv: string[]) => {
  const { code, stderr, stdout } = await cli(...argv, '--json')
  expect(code, `${argv.join(' ')}: ${stderr}`).toBe(0)
  return JSON.parse(stdout)
}
const refused = async (...argv: string[]) => {
  const { code, stderr, stdout } = await cli(...argv)
  expect(stdout).toBe('')
  return { code, stderr }
}
const create = async (name: string): Promise<string> =>
  (await json('device', 'create', `${name}.key`)).did

// Account 2 of a development chain, whose key is no secret.
const makerKey = '5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a'

beforeAll(async () => {
  cwd = mkdtempSync(join(tmpdir(), 'machinefi-models-'))
  dev = startCli(['dev', '--json', '--port', '0', '--rpc-port', '0', '--window', '1h'], { cwd })
  await dev.until('\n')
  facts = JSON.parse(dev.stdout())
  env = { MACHINEFI_NODE: facts.node, MACHINEFI_RPC: facts.rpc }
  writeFileSync(join(cwd, 'maker.hex'), makerKey, { mode: 0o600 })
}, 60_000)

afterAll(async () => {
  dev?.stop()
  expect(await dev?.exit).toBe(0)
  rmSync(cwd, { force: true, recursive: true })
}, 60_000)

// One story, told in order: each test begins where the one before it ended.
describe('a maker, a network and an owner', { timeout: 60_000 }, () => {
  const maker = ['--account', 'maker.hex']
  let model: string
  let root: string

  test('model create, endorse, show', async () => {
    const made = await cli('model', 'create', 'Walker 2', '--assurance', 'secure-element', ...maker)
    expect(made.code, made.stderr).toBe(0)
    model = made.stdout.trim()
    expect(model).toMatch(/^0x[0-9a-f]{64}$/)
    expect(made.stderr).toContain(`machinefi model endorse run.txt --model ${model}`)
    const dids = [await create('a'), await create('b'), await create('c')]
    writeFileSync(join(cwd, 'run.txt'), dids.map((did) => `${did}\n`).join(''))
    const endorsed = await json('model', 'endorse', 'run.txt', '--model', model, ...maker)
    expect(endorsed).toMatchObject({ devices: 3, model })
    ;({ root } = endorsed)
    expect(await json('model', 'show', model)).toEqual({
      assurance: 'secure-element',
      id: model,
      maker: facts.accounts[2],
      name: 'Walker 2',
      runs: [{ endorsed: true, root }],
    })
    expect((await cli('model', 'show', model)).stdout).toContain(`run        ${root}\n`)
  })

  test('network accept, require, show', async () => {
    const free = await cli('network', 'show')
    expect(free.stdout).toContain('any device, also one that nobody vouches for; free')
    expect(await json('network', 'accept', model)).toMatchObject({ accepted: true, model })
    expect(await json('network', 'require', '--assurance', 'secure-element')).toMatchObject({
      joinFee: '0',
      leastAssurance: 'secure-element',
    })
    const required = await cli('network', 'require', '--join-fee', '0.01')
    expect(required.stdout).toBe(
      'devices that are secure-element at least, by a model that the network accepts; 0.01 coins each\n',
    )
    expect((await json('network', 'show')).joining).toEqual({
      fees: '0',
      joinFee: '10000000000000000',
      leastAssurance: 'secure-element',
      models: [
        { assurance: 'secure-element', id: model, maker: facts.accounts[2], name: 'Walker 2' },
      ],
    })
    expect((await cli('network', 'show')).stdout).toContain(
      `accepts     Walker 2, secure-element, by ${facts.accounts[2]}: ${model}\n`,
    )
    expect(await refused('network', 'accept', model, ...maker)).toMatchObject({
      code: 5,
      stderr: expect.stringContaining('Only the network’s owner can'),
    })
    expect(await refused('network', 'require', '--join-fee', 'free')).toEqual({
      code: 2,
      stderr: expect.stringContaining('is needed, 0 or more'),
    })
  })

  test('device register: told what is missing before anything is paid', async () => {
    const endorsement = ['--run', 'run.txt', '--model', model]
    const register = (...options: string[]) => refused('device', 'register', 'a.key', ...options)
    expect(await register()).toEqual({
      code: 5,
      stderr: expect.stringContaining('lets in devices that are secure-element at least'),
    })
    expect(await register(...endorsement)).toEqual({
      code: 5,
      stderr: expect.stringContaining('Agree to it with --fee 0.01.'),
    })
    expect(await register('--run', 'run.txt')).toEqual({
      code: 2,
      stderr: expect.stringContaining('--run and --model go together'),
    })
    const foreign = await create('foreign')
    expect(
      await refused('device', 'register', 'foreign.key', ...endorsement, '--fee', '0.01'),
    ).toEqual({
      code: 2,
      stderr: expect.stringContaining(`${foreign.slice('did:io:'.length)} is not of this run.`),
    })
    const registered = await json('device', 'register', 'a.key', ...endorsement, '--fee', '0.01')
    expect(registered.transaction).toMatch(/^0x/)
    expect((await json('device', 'show', registered.did)).member).toMatchObject({
      assurance: 'secure-element',
      slot: 0,
    })
    const explained = await cli('claim', 'explain', registered.did)
    expect(explained.stdout, explained.stderr).toContain('assurance  secure-element\n')
  })

  test('device join: all of a run that are the account’s, by one proof', async () => {
    const endorsement = ['--run', 'run.txt', '--model', model, '--fee', '0.02']
    const { did } = await json('device', 'register', 'b.key', '--no-join')
    expect(await refused('device', 'register', 'b.key', ...endorsement)).toEqual({
      code: 5,
      stderr: expect.stringContaining('Its owner joins it with `machinefi device join`.'),
    })
    const joined = await json('device', 'join', ...endorsement)
    expect(joined).toMatchObject({ devices: [did], network: facts.id })
    expect(joined.transactions).toHaveLength(1)
    expect(await json('device', 'join', ...endorsement)).toMatchObject({
      devices: [],
      transactions: [],
    })
    expect(await refused('device', 'join', did, ...endorsement)).toEqual({
      code: 5,
      stderr: expect.stringContaining('is a member already'),
    })
    expect(await refused('device', 'join')).toMatchObject({ code: 2 })
    // Terms that an unregistered device meets: it is the registration that is missing.
    const nobody = `0x${'1'.padStart(40, '0')}`
    writeFileSync(join(cwd, 'nobody.txt'), `${nobody}\n`)
    await json('model', 'endorse', 'nobody.txt', '--model', model, ...maker)
    const unregistered = ['--run', 'nobody.txt', '--model', model, '--fee', '0.02']
    expect(await refused('device', 'join', nobody, ...unregistered)).toEqual({
      code: 5,
      stderr: expect.stringContaining('One of the devices is not registered.'),
    })
  })

  test('network withdraw', async () => {
    expect((await json('network', 'show')).joining.fees).toBe('20000000000000000')
    expect(await json('network', 'withdraw', ...maker)).toMatchObject({
      amount: '20000000000000000',
      owner: facts.accounts[0],
    })
    const again = await cli('network', 'withdraw')
    expect(again.stdout).toBe(`0 coins paid to ${facts.accounts[0]}.\n`)
  })

  test('model revoke, network accept --revoke', async () => {
    const register = () =>
      refused(
        ...['device', 'register', 'c.key', '--run', 'run.txt', '--model', model, '--fee', '0.01'],
      )
    const revoked = await cli('model', 'revoke', 'run.txt', '--model', model, ...maker)
    expect(revoked.stdout).toContain(`${root} is revoked`)
    expect(await register()).toMatchObject({
      code: 5,
      stderr: expect.stringContaining('The maker does not endorse this run.'),
    })
    expect((await json('model', 'show', model)).runs).toContainEqual({ endorsed: false, root })
    await json('model', 'endorse', 'run.txt', '--model', model, ...maker)
    await json('model', 'revoke', root, '--model', model, ...maker)
    await json('model', 'endorse', 'run.txt', '--model', model, ...maker)
    expect(await json('network', 'accept', model, '--revoke')).toMatchObject({ accepted: false })
    expect((await json('network', 'show')).joining.models).toEqual([])
    const unborn = `0x${'22'.repeat(32)}`
    await json('network', 'accept', unborn)
    expect((await cli('network', 'show')).stdout).toContain(
      `accepts     a model that nobody has created yet: ${unborn}\n`,
    )
    await json('network', 'accept', unborn, '--revoke')
    expect(await register()).toMatchObject({
      code: 5,
      stderr: expect.stringContaining('The network does not accept the model.'),
    })
  })
})

test('behavior: a gateway’s devices join a network that asks for a gateway at least', {
  timeout: 60_000,
}, async () => {
  await json('network', 'require', '--assurance', 'gateway', '--join-fee', '0')
  const devices = [await json('gateway', 'create'), await json('gateway', 'create')]
  const gone = await json('gateway', 'create')
  await json('gateway', 'revoke', gone.did)

  const run = (await cli('gateway', 'list', '--addresses')).stdout
  expect(run.split('\n').sort()).toEqual(['', ...devices.map(({ address }) => address)].sort())
  writeFileSync(join(cwd, 'gateway.txt'), run)
  const { model } = await json('model', 'create', 'My gateway', '--assurance', 'gateway')
  await json('model', 'endorse', 'gateway.txt', '--model', model)
  await json('network', 'accept', model)
  const [, owner] = facts.accounts
  for (const [i, { address, did }] of devices.entries()) {
    // The second one’s owner has no gas: the node sends the endorsement too.
    const relay = i === 0 ? [] : ['--relay', '--owner', `${owner}`]
    const key = `gateway/keys/${address}.key`
    await json('device', 'register', key, '--run', 'gateway.txt', '--model', model, ...relay)
    expect((await json('device', 'show', did)).member.assurance).toBe('gateway')
  }
  expect(await refused('device', 'register', `gateway/keys/${gone.address}.key`)).toMatchObject({
    code: 5,
  })
  expect(readFileSync(join(cwd, 'gateway.txt'), 'utf8')).not.toContain('PRIVATE')
})

test('error: what is no id, no run, and no terms', { timeout: 30_000 }, async () => {
  const id = `0x${'11'.repeat(32)}`
  writeFileSync(join(cwd, 'bad.txt'), 'walker\n')
  for (const [argv, code, message] of [
    [['model', 'show', 'Walker'], 2, 'Not the id of a model'],
    [['model', 'show', id], 5, `Model ${id} is not on this chain.`],
    [['model', 'endorse', 'bad.txt', '--model', id], 2, 'Line 1 of the run'],
    [['model', 'endorse', 'gone.txt', '--model', id], 2, 'There is no file gone.txt'],
    [['model', 'create', '', '--assurance', 'gateway'], 5, 'InvalidName'],
    [['model', 'create', 'x', '--assurance', 'none'], 2, 'Allowed choices are gateway'],
    [['network', 'require'], 2, 'Nothing to set'],
    [['network', 'require', '--join-fee', 'free'], 2, '--join-fee is "free"'],
  ] as const) {
    const failed = await refused(...argv)
    expect(failed.stderr).toContain(message)
    expect(failed.code, argv.join(' ')).toBe(code)
  }
})
