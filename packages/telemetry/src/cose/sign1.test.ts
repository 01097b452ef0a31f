import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { concatBytes, fromHex, type Signer, toHex } from '@machinefi/core'
import { p256 } from '@noble/curves/nist.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeCbor } from '../cbor/generic.js'
import {
  decodeSign1,
  encodeSign1,
  MalformedSign1Error,
  sign1Structure,
  signSign1,
  verifySign1,
} from '../cose.js'
import { batchId, decodeBatch, defineSchema, signBatch, sigStructure } from '../index.js'

const vectors = new URL('../../../../../shared/vectors/cose/', import.meta.url)
const text = new TextEncoder()
const privateKey = new Uint8Array(32).fill(3)

function createSigner(algorithm: Signer['algorithm']): Signer {
  const curve = algorithm === 'ES256' ? p256 : secp256k1
  return {
    algorithm,
    publicKey: curve.getPublicKey(privateKey, false).slice(1),
    sign: async (message) => curve.sign(message, privateKey),
  }
}

describe.skipIf(!existsSync(vectors))('published vectors', () => {
  const names = existsSync(vectors) ? readdirSync(vectors) : []
  const verdicts: Record<string, string> = {
    'sign-fail-01.json': 'tag',
    'sign-fail-02.json': 'signature',
    'sign-fail-03.json': 'algorithm',
    'sign-fail-04.json': 'algorithm',
  }

  test.each(names)('%s', async (name) => {
    const vector = JSON.parse(readFileSync(new URL(name, vectors), 'utf8'))
    const { key, external } = vector.input.sign0
    const bytes = fromHex(`0x${vector.output.cbor.toLowerCase()}`)
    const publicKey = new Uint8Array(
      Buffer.concat([Buffer.from(key.x, 'base64url'), Buffer.from(key.y, 'base64url')]),
    )
    const externalData = external && fromHex(`0x${external}`)
    const verdict = await verifySign1(bytes, { publicKey, externalData })
    if (vector.fail) {
      expect(verdict).toEqual({ ok: false, reason: verdicts[name] })
      return
    }
    if (!verdict.ok) throw new Error(verdict.reason)
    expect(verdict.payload).toEqual(text.encode(vector.input.plaintext))
    const structure = sign1Structure({ ...verdict.sign1, payload: verdict.payload, externalData })
    expect(toHex(structure)).toBe(`0x${vector.intermediates.ToBeSign_hex.toLowerCase()}`)
    expect(encodeSign1(verdict.sign1, { tagged: bytes[0] === 0xd2 })).toEqual(bytes)
  })
})

describe.each(['ES256', 'ES256K'] as const)('%s', (algorithm) => {
  const signer = createSigner(algorithm)
  const { publicKey } = signer
  const payload = text.encode('a payload')

  test('default', async () => {
    const bytes = await signSign1({ signer, payload })
    expect(bytes[0]).toBe(0xd2)
    expect(await verifySign1(bytes, { publicKey })).toMatchObject({ ok: true, payload })
  })

  test('options: headers keep their order, large integers stay integers', async () => {
    const protectedHeader = new Map<number | string, unknown>([
      [4, Uint8Array.of(1, 2)],
      [395, 1],
      [15, new Map<number, unknown>([[6, 2 ** 40]])],
      [-65537, 2n ** 63n],
      ['text', -(2 ** 40)],
    ])
    const unprotectedHeader = new Map([[396, new Map([[-1, [Uint8Array.of(9)]]])]])
    const bytes = await signSign1({
      signer,
      payload,
      protectedHeader,
      unprotectedHeader,
      tagged: false,
    })
    expect(bytes[0]).toBe(0x84)
    const sign1 = decodeSign1(bytes)
    expect([...sign1.protectedHeader.keys()]).toEqual([1, 4, 395, 15, -65537, 'text'])
    expect(sign1.protectedHeader.get(15)).toEqual(new Map([[6, 2 ** 40]]))
    expect(sign1.protectedHeader.get(-65537)).toBe(2n ** 63n)
    expect(sign1.unprotectedHeader).toEqual(unprotectedHeader)
    expect((await verifySign1(bytes, { publicKey })).ok).toBe(true)
  })

  test('options: detached, externalData', async () => {
    const externalData = Uint8Array.of(1)
    const bytes = await signSign1({ signer, payload, detached: true, externalData })
    expect(decodeSign1(bytes).payload).toBeNull()
    expect(await verifySign1(bytes, { publicKey, payload, externalData })).toMatchObject({
      ok: true,
    })
    const without = await verifySign1(bytes, { publicKey, payload })
    expect(without).toEqual({ ok: false, reason: 'signature' })
    expect(await verifySign1(bytes, { publicKey })).toEqual({ ok: false, reason: 'payload' })
    const attached = await signSign1({ signer, payload })
    const both = await verifySign1(attached, { publicKey, payload })
    expect(both).toEqual({ ok: false, reason: 'payload' })
  })

  test('behavior: a batch is a COSE_Sign1', async () => {
    const schema = defineSchema({ id: 1, fields: { steps: { unit: 'count' } } })
    const network = new Uint8Array(32).fill(5)
    const batch = await signBatch({
      signer,
      network,
      schema,
      seq: 0,
      rows: [{ time: 1, values: [1] }],
    })
    const sign1 = concatBytes(batch.bytes.subarray(1, -(batch.records!.length + 1)))
    const verdict = await verifySign1(sign1, { publicKey, externalData: network })
    expect(verdict).toMatchObject({ ok: true, payload: batch.payload })
    expect(sign1Structure({ ...batch, externalData: network })).toEqual(
      sigStructure(batch, network),
    )
    expect(batchId(decodeBatch(batch.bytes), network).length).toBe(32)
  })
})

describe('behavior: malformed messages', () => {
  const signer = createSigner('ES256')
  const { publicKey } = signer
  const signature = new Uint8Array(64)
  const message = (protectedHeader: Uint8Array, unprotected: unknown = new Map()) =>
    encodeCbor([protectedHeader, unprotected, Uint8Array.of(1), signature])
  const alg = Uint8Array.of(0xa1, 0x01, 0x26)

  test.each([
    ['empty', new Uint8Array(0)],
    ['not an array', Uint8Array.of(0x01)],
    ['three parts', encodeCbor([alg, new Map(), Uint8Array.of(1)])],
    ['text payload', encodeCbor([alg, new Map(), 'x', signature])],
    ['a label twice', message(Uint8Array.of(0xa2, 0x01, 0x26, 0x01, 0x26))],
    [
      'a label twice, written in two ways',
      message(Uint8Array.of(0xa2, 0x01, 0x26, 0x18, 0x01, 0x26)),
    ],
    ['a label in both headers', message(alg, new Map([[1, -7]]))],
    ['a header that is no map', message(Uint8Array.of(0x80))],
    ['a label of another type', message(Uint8Array.of(0xa1, 0x41, 0x00, 0x26))],
    ['bytes after the end', concatBytes(message(alg), Uint8Array.of(0))],
  ])('%s', async (_name, bytes) => {
    expect(() => decodeSign1(bytes)).toThrow(MalformedSign1Error)
    expect(await verifySign1(bytes, { publicKey })).toEqual({ ok: false, reason: 'malformed' })
  })

  test('critical labels', async () => {
    const payload = Uint8Array.of(1)
    const sign = (header: [number, unknown][]) =>
      signSign1({ signer, payload, protectedHeader: new Map(header) })
    const unknown = await sign([
      [2, [99]],
      [99, 1],
    ])
    expect(await verifySign1(unknown, { publicKey })).toEqual({ ok: false, reason: 'critical' })
    expect((await verifySign1(unknown, { publicKey, understood: [99] })).ok).toBe(true)
    const absent = await sign([[2, [99]]])
    const verdict = await verifySign1(absent, { publicKey, understood: [99] })
    expect(verdict).toEqual({ ok: false, reason: 'critical' })
    const none = await sign([[2, []]])
    expect(await verifySign1(none, { publicKey })).toEqual({ ok: false, reason: 'critical' })
  })

  test('any byte changed: refused, with a reason', async () => {
    const payload = text.encode('payload')
    const bytes = await signSign1({ signer, payload })
    for (let i = 0; i < bytes.length; i++) {
      const changed = bytes.slice()
      changed[i]! ^= 1 << (i % 8)
      expect((await verifySign1(changed, { publicKey })).ok, `byte ${i}`).toBe(false)
    }
  })

  test('garbage: nothing but typed errors', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        for (const head of [[], [0x84], [0xd2, 0x84, 0x43, 0xa1, 0x01, 0x26]])
          try {
            decodeSign1(concatBytes(Uint8Array.from(head), bytes))
          } catch (error) {
            expect(error).toBeInstanceOf(MalformedSign1Error)
          }
      }),
      { seed: 1, numRuns: 2000 },
    )
  })
})
