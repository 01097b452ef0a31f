import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatIoAddress, fromHex } from '@machinefi/core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { devAccount } from '../../contracts/test/startChain.js'
import { type IoidChain, startIoid } from '../../contracts/test/startIoid.js'
import { runCli } from './runCli.js'

let cwd: string
let chain: IoidChain
beforeAll(async () => {
  cwd = mkdtempSync(join(tmpdir(), 'machinefi-ioid-'))
  chain = await startIoid()
}, 60_000)
afterAll(async () => {
  await chain?.close()
  rmSync(cwd, { force: true, recursive: true })
})

const ioid = (...argv: string[]) =>
  runCli(['ioid', ...argv, '--registry', chain.registry, '--rpc', chain.url, '--json'], { cwd })
const document = ['--hash', `0x${'12'.repeat(32)}`, '--uri', 'ipfs://document']

test('default', async () => {
  const created = await runCli(
    ['device', 'create', 'tracker.key', '--algorithm', 'ES256K', '--json'],
    { cwd },
  )
  const { did } = JSON.parse(created.stdout)
  const contract = formatIoAddress(fromHex(chain.deviceContract))
  const token = `${await chain.mintToken()}`
  const registered = await ioid(
    ...['register', 'tracker.key', '--contract', contract, '--token', token, ...document],
  )
  expect(registered.stderr).toBe('')
  expect(JSON.parse(registered.stdout)).toEqual({
    did,
    transaction: expect.stringMatching(/^0x[0-9a-f]{64}$/),
  })
  const shown = await ioid('show', did)
  expect(JSON.parse(shown.stdout)).toMatchObject({
    did,
    hash: `0x${'12'.repeat(32)}`,
    id: '1',
    owner: devAccount(0).address.toLowerCase(),
    uri: 'ipfs://document',
  })

  const hash = `0x${'34'.repeat(32)}`
  expect((await ioid('update', 'tracker.key', '--hash', hash, '--uri', 'ar://other')).code).toBe(0)
  // The same address, as IoTeX writes it.
  const io = formatIoAddress(fromHex(did.slice('did:io:'.length)))
  expect(JSON.parse((await ioid('show', io)).stdout)).toMatchObject({
    did,
    hash,
    uri: 'ar://other',
  })

  expect((await ioid('remove', 'tracker.key')).code).toBe(0)
  const gone = await ioid('show', did)
  expect(gone.code).toBe(5)
  expect(gone.stderr).toContain('is not on this chain')
})

test('error: a P-256 key', async () => {
  await runCli(['device', 'create', 'p256.key'], { cwd })
  const { code, stderr } = await ioid('remove', 'p256.key')
  expect(code).toBe(2)
  expect(stderr).toContain('The key is of another algorithm')
})

test('error: no registry that is known', async () => {
  const { code, stderr } = await runCli(
    ['ioid', 'show', `0x${'12'.repeat(20)}`, '--rpc', chain.url],
    { cwd },
  )
  expect(code).toBe(2)
  expect(stderr).toContain('No ioIDRegistry is known on chain 31337.')
})

test('error: not the hash of a document', async () => {
  const { code, stderr } = await ioid('update', 'x.key', '--hash', '0x12', '--uri', 'x')
  expect(code).toBe(2)
  expect(stderr).toContain('Not the hash of a document')
})
