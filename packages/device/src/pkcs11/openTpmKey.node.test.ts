import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { verifySignature } from '@machinefi/core'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startSwtpm, swtpmMissing } from '../../test/startSwtpm.js'
import { testSigner } from '../../test/testSigner.js'
import { createTpmKey, openTpmKey } from '../tpm.js'
import { openModule } from './openModule.js'
import type { Pkcs11Signer } from './openPkcs11Key.js'
import { openSession } from './openSession.js'

const title = swtpmMissing === undefined ? 'TPM' : `TPM: ${swtpmMissing}`
const pin = '86420-tpm'

describe.skipIf(swtpmMissing !== undefined)(title, () => {
  let tpm: Awaited<ReturnType<typeof startSwtpm>>
  beforeAll(async () => {
    tpm = await startSwtpm()
    // Power cuts count as wrong PINs: as many as a test makes.
    tpm.run('tpm2_dictionarylockout', '-s', '-n', '5', '-t', '1000', '-l', '1000')
  })
  afterAll(() => tpm?.close())

  testSigner('TPM', () => createTpmKey({ key: 'suite', pin }), { signatures: 10 })

  const check = async (signer: Pkcs11Signer) => {
    const message = Uint8Array.of(1, 2, 3)
    const signature = await signer.sign(message)
    expect(await verifySignature({ ...signer, message, signature })).toBe(true)
  }

  test('default: makes the token, then keys in it, which are opened again', async () => {
    const walker = await createTpmKey({ key: 'walker', pin })
    const other = await createTpmKey({ key: 'other', pin })
    expect(other.publicKey).not.toEqual(walker.publicKey)
    await walker.close()
    await other.close()
    const { publicKey } = walker
    const opened = await openTpmKey({ key: 'walker', pin, publicKey })
    await check(opened)
    await opened.close()
    await expect(createTpmKey({ key: 'walker', pin })).rejects.toMatchObject({
      name: 'KeyExistsError',
    })
  })

  test('options: token', async () => {
    const options = { key: 'walker', pin: '13579-other', token: 'other' }
    const signer = await createTpmKey(options)
    await check(signer)
    await signer.close()
    await expect(openTpmKey({ ...options, pin })).rejects.toMatchObject({
      name: 'PinIncorrectError',
    })
    tpm.run('tpm2_dictionarylockout', '-c')
  })

  test('behavior: the private key cannot be read', async () => {
    const module = await openModule('libtpm2_pkcs11.so.1')
    const { constants, library } = module
    const session = openSession(module, { pin, token: 'machinefi' })
    library.C_FindObjectsInit(session, [
      { type: constants.CKA_CLASS, value: constants.CKO_PRIVATE_KEY },
    ])
    const keys = library.C_FindObjects(session, 9)
    library.C_FindObjectsFinal(session)
    expect(keys.length).toBeGreaterThan(1)
    const read = (type: number) =>
      library.C_GetAttributeValue(session, keys[0]!, [{ type }])[0]?.value
    expect(read(constants.CKA_NEVER_EXTRACTABLE)).toEqual(Buffer.of(1))
    expect(() => read(constants.CKA_VALUE)).toThrow('CKR_')
    await module.close()
  })

  test('behavior: a TPM that was gone is opened again', async () => {
    const signer = await openTpmKey({ key: 'walker', pin })
    await check(signer)
    await tpm.stop({ clean: false })
    for (let i = 0; i < 2; i++)
      await expect(signer.sign(new Uint8Array(1))).rejects.toMatchObject({
        kind: 'transport',
        name: 'TokenRemovedError',
      })
    await tpm.start()
    await Promise.all([check(signer), check(signer)])
    await signer.close()
    tpm.run('tpm2_dictionarylockout', '-c')
  })

  test('behavior: a process that ends without closing leaves nothing in the TPM', async () => {
    const { code } = await run('exit')
    expect(code).toBe(0)
    expect(tpm.run('tpm2_getcap', 'handles-transient')).toBe('')
  })

  test('error: killed processes fill the TPM, until they are flushed', async () => {
    const full = { kind: 'transport', name: 'TokenFailedError', code: 'CKR_GENERAL_ERROR' }
    let error: unknown
    for (let killed = 0; killed < 4 && error === undefined; killed++) {
      await run('kill')
      error = await openTpmKey({ key: 'walker', pin }).then(
        (signer) => signer.close(),
        (error) => error,
      )
    }
    expect(error).toMatchObject(full)
    expect((error as Error).message).toContain('tpm2_flushcontext --transient-object')
    tpm.run('tpm2_flushcontext', '--transient-object')
    tpm.run('tpm2_flushcontext', '--loaded-session')
    const signer = await openTpmKey({ key: 'walker', pin })
    await check(signer)
    await signer.close()
  })

  test('error: wrong PINs lock the TPM, a signer’s never more than one', async () => {
    const wrong = { key: 'walker', pin: 'hunter2-wrong' }
    const errors: Error[] = []
    for (let i = 0; i < 7; i++) errors.push(await openTpmKey(wrong).catch((error) => error))
    expect(errors[0]).toMatchObject({ kind: 'input', name: 'PinIncorrectError' })
    expect(errors.at(-1)).toMatchObject({ kind: 'input', name: 'PinLockedError' })
    expect(inspect(errors, { depth: 9, showHidden: true })).not.toContain('hunter2-wrong')
    await expect(openTpmKey({ key: 'walker', pin })).rejects.toMatchObject({
      name: 'PinLockedError',
    })
    tpm.run('tpm2_dictionarylockout', '-c')
    const signer = await openTpmKey({ key: 'walker', pin })
    await check(signer)
    await signer.close()
  })

  /** Another process that signs, and then ends or waits to be killed. */
  async function run(end: 'exit' | 'kill'): Promise<{ code: number | null }> {
    const entry = fileURLToPath(new URL('../tpm.ts', import.meta.url))
    const { outputFiles } = await build({
      bundle: true,
      conditions: ['@machinefi/source', 'node'],
      external: ['pkcs11js'],
      format: 'esm',
      platform: 'node',
      stdin: {
        contents: `import { openTpmKey } from ${JSON.stringify(entry)}
          const signer = await openTpmKey({ key: 'walker', pin: ${JSON.stringify(pin)} })
          await signer.sign(new Uint8Array(1))
          console.log('signed')
          ${end === 'kill' ? 'setInterval(() => {}, 1000)' : ''}`,
        resolveDir: fileURLToPath(new URL('.', import.meta.url)),
      },
      write: false,
    })
    const child = spawn(process.execPath, ['--input-type=module'], {
      cwd: fileURLToPath(new URL('.', import.meta.url)),
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const exit = once(child, 'exit')
    child.stdin.end(outputFiles[0]!.text)
    await Promise.race([once(child.stdout, 'data'), exit])
    if (end === 'kill') child.kill('SIGKILL')
    const [code] = await exit
    return { code }
  }
})
