import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { toHex, verifySignature } from '@machinefi/core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { softHsmMissing, startSoftHsm } from '../../test/startSoftHsm.js'
import { createKeyFile, openSigner, readKeyReference, writeKeyReference } from '../node.js'
import { createPkcs11Key } from '../pkcs11.js'

let dir: string
let path: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'machinefi-'))
  path = join(dir, 'walker')
})
afterEach(() => rm(dir, { recursive: true }))

const failure = (reason: string) => ({ kind: 'input', name: 'KeyFileError', reason })
const reference = {
  algorithm: 'ES256',
  key: 'walker',
  module: '/absent.so',
  publicKey: toHex(new Uint8Array(64)),
  signer: 'pkcs11',
  token: 'station',
} as const

test('default: a private key', async () => {
  const { publicKey } = await createKeyFile(path)
  const signer = await openSigner(path)
  expect(signer.publicKey).toEqual(publicKey)
  const message = new Uint8Array(1)
  const signature = await signer.sign(message)
  expect(await verifySignature({ ...signer, message, signature })).toBe(true)
  await signer.close()
  expect(await readKeyReference(path)).toBe(undefined)
})

test('error: missing, and exposed', async () => {
  await expect(openSigner(path)).rejects.toMatchObject(failure('missing'))
  await createKeyFile(path)
  await chmod(path, 0o640)
  await expect(openSigner(path)).rejects.toMatchObject(failure('exposed'))
})

test('behavior: a reference is written once, and read back', async () => {
  await writeKeyReference(path, { ...reference, pinFile: 'walker.pin' })
  expect(await readKeyReference(path)).toEqual({ ...reference, pinFile: 'walker.pin' })
  await expect(writeKeyReference(path, reference)).rejects.toMatchObject(failure('exists'))
})

test('error: not a reference', async () => {
  const { module: _, ...withoutModule } = reference
  for (const content of [
    '{',
    '{}',
    JSON.stringify(withoutModule),
    ...Object.keys(reference).map((name) => JSON.stringify({ ...reference, [name]: 7 })),
    JSON.stringify({ ...reference, publicKey: '0x00' }),
    JSON.stringify({ ...reference, pinFile: 1234 }),
  ]) {
    await writeFile(path, content)
    await expect(openSigner(path)).rejects.toMatchObject(failure('not-a-reference'))
  }
})

test('error: no PIN, or one that others can read', async () => {
  await writeKeyReference(path, reference)
  await expect(openSigner(path)).rejects.toMatchObject(failure('pin'))
  await rm(path)
  await writeKeyReference(path, { ...reference, pinFile: 'walker.pin' })
  await expect(openSigner(path)).rejects.toMatchObject(failure('missing'))
  await writeFile(join(dir, 'walker.pin'), '24680', { mode: 0o644 })
  await expect(openSigner(path)).rejects.toMatchObject(failure('exposed'))
})

const title = softHsmMissing === undefined ? 'SoftHSM' : `SoftHSM: ${softHsmMissing}`

describe.skipIf(softHsmMissing !== undefined)(title, () => {
  let hsm: ReturnType<typeof startSoftHsm>
  beforeAll(() => {
    hsm = startSoftHsm()
  })
  afterAll(() => hsm?.close())

  test('default: a key in a token, its PIN in a file or given', async () => {
    const { module, pin, token } = hsm
    const created = await createPkcs11Key({ key: 'walker', module, pin, token })
    const found = { ...reference, module, publicKey: toHex(created.publicKey) }
    await created.close()
    await writeKeyReference(path, { ...found, pinFile: 'walker.pin' })
    await writeFile(join(dir, 'walker.pin'), `${pin}\n`, { mode: 0o600 })
    for (const options of [{}, { pin }]) {
      const signer = await openSigner(path, options)
      const message = new Uint8Array(1)
      const signature = await signer.sign(message)
      expect(await verifySignature({ ...signer, message, signature })).toBe(true)
      await signer.close()
    }
    await rm(path)
    await writeKeyReference(path, { ...found, publicKey: reference.publicKey })
    await expect(openSigner(path, { pin })).rejects.toMatchObject({ name: 'KeyMismatchError' })
  })
})
