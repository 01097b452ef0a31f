import { execFileSync } from 'node:child_process'
import { mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { type Algorithm, verifySignature } from '@machinefi/core'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { softHsmMissing, startSoftHsm } from '../../test/startSoftHsm.js'
import { testSigner } from '../../test/testSigner.js'
import { createPkcs11Key, openPkcs11Key } from '../pkcs11.js'
import { isUnusedKey } from '../signers/knownKeys.js'
import { openModule } from './openModule.js'
import { closeSession, openSession } from './openSession.js'

test('error: pkcs11js is not installed', async () => {
  // Where there is no node_modules.
  const folder = mkdtempSync(join(tmpdir(), 'machinefi-'))
  const outfile = join(folder, 'main.mjs')
  await build({
    bundle: true,
    conditions: ['@machinefi/source', 'node'],
    external: ['pkcs11js'],
    format: 'esm',
    outfile,
    platform: 'node',
    stdin: {
      contents: `import { openPkcs11Key } from '../pkcs11.ts'
        openPkcs11Key({ key: 'walker', module: '/absent.so', pin: '24680', token: 'station' })
          .catch(({ kind, message, name }) => console.log(JSON.stringify({ kind, message, name })))`,
      resolveDir: fileURLToPath(new URL('.', import.meta.url)),
    },
  })
  const output = execFileSync(process.execPath, [outfile], { cwd: folder, encoding: 'utf8' })
  expect(JSON.parse(output)).toEqual({
    kind: 'input',
    message: expect.stringContaining('npm install pkcs11js'),
    name: 'Pkcs11MissingError',
  })
  rmSync(folder, { recursive: true })
})

const title = softHsmMissing === undefined ? 'SoftHSM' : `SoftHSM: ${softHsmMissing}`

describe.skipIf(softHsmMissing !== undefined)(title, () => {
  let hsm: ReturnType<typeof startSoftHsm>
  const options = () => ({ module: hsm.module, pin: hsm.pin, token: hsm.token })
  beforeAll(() => {
    hsm = startSoftHsm()
  })
  afterAll(() => hsm?.close())

  for (const algorithm of ['ES256', 'ES256K'] as Algorithm[])
    testSigner(`PKCS#11, ${algorithm}`, () =>
      createPkcs11Key({ ...options(), algorithm, key: algorithm }),
    )

  const check = async (signer: Awaited<ReturnType<typeof openPkcs11Key>>) => {
    const message = Uint8Array.of(1, 2, 3)
    const signature = await signer.sign(message)
    expect(await verifySignature({ ...signer, message, signature })).toBe(true)
  }

  test('default: a key is opened again, as the same', async () => {
    const created = await createPkcs11Key({ ...options(), key: 'walker' })
    expect(created.algorithm).toBe('ES256')
    expect(isUnusedKey(created.publicKey, new Uint8Array(32))).toBe(true)
    const opened = await openPkcs11Key({ ...options(), key: 'walker' })
    expect(opened.publicKey).toEqual(created.publicKey)
    expect(isUnusedKey(opened.publicKey, new Uint8Array(32))).toBe(false)
    await Promise.all([check(created), check(opened)])
    await created.close()
    await check(opened)
    await opened.close()
    // The module was ended with the last of them, and starts again.
    const again = await openPkcs11Key({ ...options(), key: 'walker' })
    await check(again)
    await again.close()
  })

  test('behavior: the private key cannot be read', async () => {
    const signer = await createPkcs11Key({ ...options(), key: 'secret' })
    const module = await openModule(hsm.module)
    const { constants, library } = module
    const session = openSession(module, options())
    library.C_FindObjectsInit(session, [
      { type: constants.CKA_CLASS, value: constants.CKO_PRIVATE_KEY },
      { type: constants.CKA_LABEL, value: 'secret' },
    ])
    const [key] = library.C_FindObjects(session, 2)
    library.C_FindObjectsFinal(session)
    const read = (type: number) => library.C_GetAttributeValue(session, key!, [{ type }])[0]?.value
    expect(read(constants.CKA_ALWAYS_SENSITIVE)).toEqual(Buffer.of(1))
    expect(read(constants.CKA_NEVER_EXTRACTABLE)).toEqual(Buffer.of(1))
    expect(() => read(constants.CKA_VALUE)).toThrow('CKR_ATTRIBUTE_SENSITIVE')
    closeSession(module, session)
    await module.close()
    await signer.close()
  })

  test('behavior: the event loop goes on while a chip signs', async () => {
    const signer = await createPkcs11Key({ ...options(), key: 'loop' })
    let turns = 0
    let signing = true
    const all = Promise.all(Array.from({ length: 50 }, () => check(signer))).then(() => {
      signing = false
    })
    while (signing) {
      await new Promise(setImmediate)
      turns++
    }
    await all
    expect(turns).toBeGreaterThan(50)
    await signer.close()
  })

  test('behavior: a token that was gone is opened again', async () => {
    const signer = await createPkcs11Key({ ...options(), key: 'plug' })
    const other = await createPkcs11Key({ ...options(), key: 'other' })
    renameSync(hsm.tokens, `${hsm.tokens}.gone`)
    const removed = { kind: 'transport', name: 'TokenRemovedError' }
    await expect(signer.sign(new Uint8Array(1))).rejects.toMatchObject(removed)
    await expect(signer.sign(new Uint8Array(1))).rejects.toMatchObject(removed)
    await expect(other.sign(new Uint8Array(1))).rejects.toMatchObject(removed)
    renameSync(`${hsm.tokens}.gone`, hsm.tokens)
    await Promise.all([check(signer), check(other), check(signer), check(other)])
    await signer.close()
    await check(other)
    await other.close()
  })

  test('behavior: close waits for what is being signed, and is the end', async () => {
    const signer = await createPkcs11Key({ ...options(), key: 'end' })
    const signing = [check(signer), check(signer)]
    await Promise.all([signer.close(), signer.close(), ...signing])
    await expect(signer.sign(new Uint8Array(1))).rejects.toMatchObject({
      name: 'SignerClosedError',
    })
  })

  test('error: no such module, token or key', async () => {
    const open = (change: object) => openPkcs11Key({ ...options(), key: 'absent', ...change })
    const input = { kind: 'input' }
    await expect(open({ module: '/absent.so' })).rejects.toMatchObject({
      ...input,
      name: 'ModuleError',
    })
    await expect(open({ module: import.meta.filename })).rejects.toMatchObject({
      name: 'ModuleError',
    })
    await expect(open({ token: 'absent' })).rejects.toMatchObject({
      ...input,
      metaMessages: [expect.stringContaining('There are: station')],
      name: 'TokenNotFoundError',
    })
    await expect(open({})).rejects.toMatchObject({ ...input, name: 'KeyNotFoundError' })
  })

  test('error: several tokens of one label', async () => {
    hsm.addToken('twin')
    hsm.addToken('twin')
    await expect(openPkcs11Key({ ...options(), key: 'x', token: 'twin' })).rejects.toMatchObject({
      name: 'TokenNotFoundError',
      shortMessage: '2 tokens are called twin.',
    })
  })

  test('error: the key is there already, or another one', async () => {
    const created = await createPkcs11Key({ ...options(), key: 'once' })
    await expect(createPkcs11Key({ ...options(), key: 'once' })).rejects.toMatchObject({
      kind: 'input',
      name: 'KeyExistsError',
    })
    const { publicKey } = created
    await (await openPkcs11Key({ ...options(), key: 'once', publicKey })).close()
    await expect(
      openPkcs11Key({ ...options(), key: 'once', publicKey: new Uint8Array(64) }),
    ).rejects.toMatchObject({ kind: 'integrity', name: 'KeyMismatchError' })
    await created.close()
  })

  test('error: a wrong PIN is tried once, and is in no message', async () => {
    for (const pin of ['hunter2-wrong', '', 'x'.repeat(300)]) {
      const error = await openPkcs11Key({ ...options(), key: 'walker', pin }).catch(
        (error) => error,
      )
      expect(error).toMatchObject({ kind: 'input', name: 'PinIncorrectError' })
      if (pin !== '') expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(pin)
    }
  })

  test('error: a PIN changed while the token was away is tried once', async () => {
    const signer = await openPkcs11Key({ ...options(), key: 'walker' })
    const module = await openModule(hsm.module)
    const { constants, library } = module
    const session = openSession(module, { ...options(), write: true })
    library.C_SetPIN(session, hsm.pin, '97531')
    module.restart()
    let logins = 0
    const { C_Login } = library
    library.C_Login = (...args: Parameters<typeof C_Login>) => {
      logins++
      return C_Login.apply(library, args)
    }
    for (let i = 0; i < 5; i++)
      await expect(signer.sign(new Uint8Array(1))).rejects.toMatchObject({
        name: 'PinIncorrectError',
      })
    expect(logins).toBe(1)
    library.C_Login = C_Login
    const back = openSession(module, { ...options(), pin: '97531', write: true })
    library.C_SetPIN(back, '97531', hsm.pin)
    expect(constants.CKU_USER).toBe(1)
    await module.close()
    await signer.close()
  })
})
