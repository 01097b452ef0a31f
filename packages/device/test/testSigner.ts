import { createPublicKey, verify } from 'node:crypto'
import {
  normalizeSignature,
  publicKeyToAddress,
  type Signer,
  verifySignature,
} from '@machinefi/core'
import { batchId, decodeBatch, defineSchema, signBatch, sigStructure } from '@machinefi/telemetry'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

/** What every signer must do, wherever its key is. */
export function testSigner(
  name: string,
  open: () => Promise<Signer & { close?(): Promise<void> }>,
  options: { signatures?: number } = {},
) {
  const { signatures = 40 } = options

  describe(`${name}: signer`, () => {
    let signer: Signer & { close?(): Promise<void> }
    beforeAll(async () => {
      signer = await open()
    })
    afterAll(() => signer?.close?.())

    const check = (message: Uint8Array, signature: Uint8Array) =>
      verifySignature({
        algorithm: signer.algorithm,
        message,
        publicKey: signer.publicKey,
        signature,
      })

    test('default: 64 bytes of r‖s over SHA-256 of the message, once', async () => {
      expect(signer.publicKey).toHaveLength(64)
      expect(publicKeyToAddress(signer.publicKey)).toHaveLength(20)
      const text = (start: number) =>
        Buffer.from(signer.publicKey)
          .subarray(start, start + 32)
          .toString('base64url')
      const crv = signer.algorithm === 'ES256' ? 'P-256' : 'secp256k1'
      const key = createPublicKey({
        format: 'jwk',
        key: { kty: 'EC', crv, x: text(0), y: text(32) },
      })
      for (const length of [0, 1, 32, 64, 5_000]) {
        const message = new Uint8Array(length).fill(7)
        const signature = await signer.sign(message)
        expect(signature).toHaveLength(64)
        // OpenSSL, asked by other code than the signer's.
        expect(verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature)).toBe(true)
        expect(message).toEqual(new Uint8Array(length).fill(7))
      }
    })

    test('behavior: r and s keep their leading zeros, and verify in either form of s', async () => {
      for (let i = 0; i < signatures; i++) {
        const message = Uint8Array.of(i)
        const signature = await signer.sign(message)
        expect(signature).toHaveLength(64)
        const normalized = normalizeSignature(signature, signer.algorithm)
        expect(normalized[32]).toBeLessThan(0x80)
        expect([await check(message, signature), await check(message, normalized)]).toEqual([
          true,
          true,
        ])
        expect(await check(Uint8Array.of(i, 0), signature)).toBe(false)
      }
    })

    test('behavior: many at once, each its own', async () => {
      const messages = Array.from({ length: 16 }, (_, i) => new Uint8Array(i + 1).fill(i))
      const all = await Promise.all(messages.map((message) => signer.sign(message)))
      for (const [i, signature] of all.entries())
        expect(await check(messages[i]!, signature), `message ${i}`).toBe(true)
    })

    test('behavior: signs what it was given, whatever becomes of the bytes', async () => {
      const message = new Uint8Array(100).fill(1)
      const before = message.slice()
      const signing = [signer.sign(message), signer.sign(message)]
      message.fill(2)
      for (const signature of await Promise.all(signing))
        expect(await check(before, signature)).toBe(true)
    })

    test('behavior: the public key is of no one else to change', async () => {
      const { publicKey } = signer
      const message = Uint8Array.of(1)
      const signature = await signer.sign(message)
      expect(signer.publicKey).toBe(publicKey)
      expect(publicKey.byteLength).toBe(publicKey.buffer.byteLength)
      expect(await check(message, signature)).toBe(true)
    })

    test('behavior: a batch is low-s and verifies', async () => {
      const schema = defineSchema({ id: 1, tickMs: 1000, fields: { steps: { unit: 'count' } } })
      const network = new Uint8Array(32).fill(9)
      for (let seq = 0; seq < 8; seq++) {
        const rows = [{ time: 1_800_000_000_000 + 1000 * seq, values: [seq] }]
        const signed = await signBatch({ signer, network, schema, seq, rows })
        const batch = decodeBatch(signed.bytes)
        expect(batchId(batch, network)).toEqual(batchId(signed, network))
        expect(batch.device).toEqual(publicKeyToAddress(signer.publicKey))
        expect(normalizeSignature(batch.signature, signer.algorithm)).toEqual(batch.signature)
        expect(await check(sigStructure(batch, network), batch.signature)).toBe(true)
      }
    })
  })
}
