import { generateKeyPairSync } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { type Algorithm, verifySignature } from '@machinefi/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createKeyFile, openKeyFile } from '../node.js'

let dir: string
let path: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'machinefi-'))
  path = join(dir, 'device.key')
})
afterEach(() => rm(dir, { recursive: true }))

const failure = (reason: string) => ({ kind: 'input', name: 'KeyFileError', path, reason })

describe.each(['ES256', 'ES256K'] as Algorithm[])('%s', (algorithm) => {
  test('default', async () => {
    const created = await createKeyFile(path, { algorithm })
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await readFile(path, 'utf8')).toMatch(/^-----BEGIN PRIVATE KEY-----\n/)
    const signer = await openKeyFile(path)
    expect(signer).toMatchObject({ algorithm, publicKey: created.publicKey })
    const message = new Uint8Array([1])
    const signature = await signer.sign(message)
    const { publicKey } = created
    expect(await verifySignature({ algorithm, message, publicKey, signature })).toBe(true)
  })

  test.each(['pkcs8', 'sec1'] as const)('behavior: reads %s of OpenSSL', async (type) => {
    const namedCurve = algorithm === 'ES256' ? 'P-256' : 'secp256k1'
    const { privateKey } = generateKeyPairSync('ec', { namedCurve })
    await writeFile(path, privateKey.export({ format: 'pem', type }), { mode: 0o600 })
    const { d } = privateKey.export({ format: 'jwk' })
    const signer = await openKeyFile(path, { algorithm })
    expect(Buffer.from(signer.privateKey).toString('base64url')).toBe(d)
  })
})

test('options: create', async () => {
  const created = await openKeyFile(path, { create: true, algorithm: 'ES256K' })
  const opened = await openKeyFile(path, { create: true })
  expect(opened).toMatchObject({ algorithm: 'ES256K', publicKey: created.publicKey })
})

test('options: privateKey', async () => {
  const privateKey = new Uint8Array(32).fill(3)
  await createKeyFile(path, { privateKey })
  expect((await openKeyFile(path)).privateKey).toEqual(privateKey)
})

test('error: exists', async () => {
  const { publicKey } = await createKeyFile(path)
  await expect(createKeyFile(path)).rejects.toMatchObject(failure('exists'))
  expect((await openKeyFile(path)).publicKey).toEqual(publicKey)
})

test('error: missing', async () => {
  await expect(openKeyFile(path)).rejects.toMatchObject(failure('missing'))
})

test('error: unwritable', async () => {
  path = join(dir, 'no', 'device.key')
  await expect(createKeyFile(path)).rejects.toMatchObject(failure('unwritable'))
})

test('error: exposed, also through a link', async () => {
  await createKeyFile(path)
  for (const mode of [0o640, 0o604, 0o620, 0o610]) {
    await chmod(path, mode)
    await expect(openKeyFile(path)).rejects.toMatchObject(failure('exposed'))
  }
  const link = join(dir, 'link')
  await symlink(path, link)
  await expect(openKeyFile(link)).rejects.toMatchObject({ reason: 'exposed' })
})

test('error: algorithm', async () => {
  await createKeyFile(path)
  const opened = openKeyFile(path, { algorithm: 'ES256K' })
  await expect(opened).rejects.toMatchObject(failure('algorithm'))
})

test('error: not a key, and nothing of it in the error', async () => {
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey
  const ed25519 = generateKeyPairSync('ed25519').privateKey
  const encrypted = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const pem = { format: 'pem', type: 'pkcs8' } as const
  const contents = [
    '',
    'hunter2',
    p384.export(pem),
    ed25519.export(pem),
    encrypted.export({ ...pem, cipher: 'aes-256-cbc', passphrase: 'hunter2' }),
    (encrypted.export(pem) as string).slice(0, 120),
  ]
  for (const content of contents) {
    await writeFile(path, content, { mode: 0o600 })
    const error = await openKeyFile(path).catch((error) => error)
    expect(error).toMatchObject(failure('not-a-key'))
    const secret = String(content).split('\n')[1] || 'hunter2'
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(secret)
  }
})
