import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { softHsmMissing, startSoftHsm } from '../../device/test/startSoftHsm.js'
import { startSwtpm, swtpmMissing } from '../../device/test/startSwtpm.js'
import { runCli, startCli } from './runCli.js'

let cwd: string
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'machinefi-signers-'))
})
afterEach(() => rm(cwd, { recursive: true }))

const create = ['device', 'create', 'walker.json', '--signer']
const titled = (name: string, missing: string | undefined) =>
  missing === undefined ? name : `${name}: ${missing}`

test('error: options that do not go together, and a PIN that is nowhere', async () => {
  for (const [args, message] of [
    [['pkcs11'], '--signer pkcs11 needs --module and --token'],
    [['software', '--token', 'x'], '--token is for --signer pkcs11'],
    [['tpm', '--algorithm', 'ES256K'], 'A TPM has no secp256k1'],
    [['tpm'], 'The token needs a PIN'],
    [['tpm', '--pin-file', '-'], 'The token needs a PIN'],
    [['tpm', '--pin-file', 'absent.pin'], 'No key file'],
    [['cloud'], 'Allowed choices are software, pkcs11, tpm'],
  ] as const) {
    const { code, stderr, stdout } = await runCli([...create, ...args], { cwd })
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain(message)
  }
})

test('behavior: a published test key is told', async () => {
  // RFC 9500 2.3
  const pem = `-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIObLW92AqkWunJXowVR2Z5/+yVPBaFHnEedDk5WJxk/BoAoGCCqGSM49
AwEHoUQDQgAEQiVI+I+3gv+17KN0RFLHKh5Vj71vc75eSOkyMsxFxbFsTNEMTLjV
uKFxOelIgsiZJXKZNCX0FBmrfpCkKklCcg==
-----END EC PRIVATE KEY-----
`
  writeFileSync(join(cwd, 'rfc.key'), pem, { mode: 0o600 })
  const { stdout } = await runCli(['device', 'show', 'rfc.key', '--json'], { cwd })
  expect(JSON.parse(stdout)).toMatchObject({ testKey: true })
})

describe.skipIf(softHsmMissing !== undefined)(titled('SoftHSM', softHsmMissing), () => {
  let hsm: ReturnType<typeof startSoftHsm>
  beforeAll(() => {
    hsm = startSoftHsm()
  })
  afterAll(() => hsm?.close())

  test.each(['a file', 'standard input', 'the environment'])(
    'device create, show: the PIN from %s',
    async (source) => {
      const label = source.replaceAll(' ', '-')
      writeFileSync(join(cwd, 'pin'), `${hsm.pin}\n`, { mode: 0o600 })
      const args = [...create, 'pkcs11', '--module', hsm.module, '--token', hsm.token]
      args.push('--label', label)
      if (source !== 'the environment') args.push('--pin-file', source === 'a file' ? 'pin' : '-')
      const created = await runCli([...args, '--json'], {
        cwd,
        env: source === 'the environment' ? { MACHINEFI_PIN: hsm.pin } : {},
        stdin: Buffer.from(source === 'standard input' ? `${hsm.pin}\n` : ''),
      })
      expect(created.stderr).toBe('')
      const device = JSON.parse(created.stdout)
      expect(device.did).toMatch(/^did:io:0x[0-9a-f]{40}$/)
      const written = readFileSync(join(cwd, 'walker.json'), 'utf8')
      expect(written + created.stdout).not.toContain(hsm.pin)
      expect(JSON.parse(written)).toEqual({
        signer: 'pkcs11',
        module: hsm.module,
        token: hsm.token,
        key: label,
        algorithm: 'ES256',
        publicKey: device.publicKey,
        ...(source === 'a file' && { pinFile: 'pin' }),
      })
      const shown = await runCli(['device', 'show', 'walker.json', '--json'], { cwd })
      expect(JSON.parse(shown.stdout)).toMatchObject({ did: device.did, signer: 'pkcs11' })
      expect((await runCli([...args], { cwd, env: { MACHINEFI_PIN: hsm.pin } })).stderr).toContain(
        'There is a file already',
      )
      rmSync(join(cwd, 'walker.json'))
    },
  )

  test('error: a wrong PIN, which is not in the message', async () => {
    const args = [...create, 'pkcs11', '--module', hsm.module, '--token', hsm.token]
    const env = { MACHINEFI_PIN: 'hunter2-wrong' }
    for (const json of [[], ['--json']]) {
      const { code, stderr } = await runCli([...args, ...json], { cwd, env })
      expect(code).toBe(2)
      expect(stderr).toContain('refuses the PIN')
      expect(stderr).not.toContain('hunter2')
    }
  })
})

describe.skipIf(swtpmMissing !== undefined)(titled('TPM', swtpmMissing), () => {
  let tpm: Awaited<ReturnType<typeof startSwtpm>>
  beforeAll(async () => {
    tpm = await startSwtpm()
  })
  afterAll(() => tpm?.close())

  test('device create, register, replay', { timeout: 90_000 }, async () => {
    const dev = startCli(
      ['dev', '--json', '--port', '0', '--rpc-port', '0', '--window', '4s', '--challenge', '2s'],
      { cwd },
    )
    await dev.until('\n')
    const { node, rpc } = JSON.parse(dev.stdout())
    const env = { MACHINEFI_NODE: node, MACHINEFI_RPC: rpc }
    const cli = async (...argv: string[]) => {
      const { code, stderr, stdout } = await runCli([...argv, '--json'], { cwd, env })
      expect(code, stderr).toBe(0)
      return JSON.parse(stdout)
    }
    writeFileSync(join(cwd, 'pin'), '86420-tpm', { mode: 0o600 })
    const { did } = await cli(...create, 'tpm', '--pin-file', 'pin')
    // The module itself leaves one object behind where it makes a token.
    const loaded = () => tpm.run('tpm2_getcap', 'handles-transient')
    const before = loaded()
    expect(await cli('device', 'register', 'walker.json')).toMatchObject({ did })
    const time = Math.floor(Date.now() / 1000) - 10
    writeFileSync(join(cwd, 'walk.csv'), `time,steps\n${time},12\n${time + 1},13\n`)
    const replayed = await cli('replay', 'walk.csv', '--key', 'walker.json')
    expect(replayed).toMatchObject({ did, readings: 2 })
    expect(loaded()).toBe(before)
    // A bridge takes a reference like everyone else. Nothing is on the line here.
    const line = join(cwd, 'no-such-line')
    const bridge = startCli(['bridge', '--port', line, '--key', 'walker.json'], { cwd, env })
    await bridge.until(did)
    bridge.stop()
    expect(await bridge.exit).toBe(0)
    dev.stop()
    expect(await dev.exit).toBe(0)
  })
})
