import { randomBytes } from 'node:crypto'
import { encodeReceipt, signCheckpoint } from '@machinefi/proof'
import { expect, test } from 'vitest'
import { createSigner } from '../../test/createFakeChain.js'
import { encodeReceipts } from './encodeReceipts.js'

test.each([1, 23, 24, 25, 255, 256, 257, 65_535, 65_536, 65_537, 2 ** 32, 2 ** 32 + 1, 2 ** 40])(
  'behavior: the bytes of encodeReceipt, in a log of %i',
  async (size) => {
    const checkpoint = await signCheckpoint({
      network: randomBytes(32),
      operator: randomBytes(20),
      root: randomBytes(32),
      shard: 0,
      signer: createSigner(),
      size,
      time: 1_700_000_000_000,
    })
    const receiptOf = encodeReceipts(checkpoint)
    for (const index of new Set([0, Math.min(size - 1, 23), Math.floor(size / 2), size - 1]))
      for (const hashes of [0, 1, 17, 23, 24, 40]) {
        const proof = new Uint8Array(randomBytes(32 * hashes))
        expect(receiptOf(index, proof)).toEqual(encodeReceipt({ checkpoint, index, proof }))
      }
  },
)
