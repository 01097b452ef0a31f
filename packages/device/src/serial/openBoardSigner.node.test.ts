import { PassThrough } from 'node:stream'
import { concatBytes, publicKeyToAddress, toHex, verifySignature } from '@machinefi/core'
import { p256 } from '@noble/curves/nist.js'
import { expect, test } from 'vitest'
import { createSoftwareSigner } from '../signers/createSoftwareSigner.js'
import { createFrameReader } from './createFrameReader.js'
import { encodeFrame, type Frame, frameTypes } from './encodeFrame.js'
import { type Line, LineError } from './line.js'
import { openBoardSigner } from './openBoardSigner.js'

/** The end of a line at which a board signs; `answer` changes what it says, or is silent. */
function createLine(answer: (honest: Frame, asked: number) => Frame | undefined = (it) => it) {
  const key = createSoftwareSigner()
  const bytes = new PassThrough()
  const reader = createFrameReader()
  const asked: Frame[] = []
  const line: Line = {
    bytes,
    close: async () => void bytes.end(),
    async write(written) {
      for (const { frame } of reader.push(written)) {
        asked.push(frame!)
        const message = concatBytes(Uint8Array.of(0x19, 0x01), frame!.body)
        // As chips do, it leaves s as it comes.
        const signature = p256.sign(message, key.privateKey, { lowS: false })
        const body = concatBytes(publicKeyToAddress(key.publicKey), signature)
        const honest = { body, number: frame!.number, type: frameTypes.registration }
        const said = answer(honest, asked.length)
        if (said !== undefined) bytes.write(encodeFrame(said))
      }
    },
  }
  return { asked, bytes, key, line }
}

const message = concatBytes(Uint8Array.of(0x19, 0x01), new Uint8Array(64).fill(7))

test('default', async () => {
  const { asked, bytes, key, line } = createLine()
  const signer = await openBoardSigner(line)
  expect(toHex(signer.publicKey)).toBe(toHex(key.publicKey))
  const { algorithm, publicKey } = signer
  const signature = await signer.sign(message)
  expect(await verifySignature({ algorithm, message, publicKey, signature })).toBe(true)
  expect(asked).toEqual([
    { body: new Uint8Array(64), number: 0, type: frameTypes.register },
    { body: message.subarray(2), number: 0, type: frameTypes.register },
  ])
  await signer.close()
  expect(bytes.writableEnded).toBe(true)
})

test('behavior: keys with either y, and either s', async () => {
  for (let i = 0; i < 16; i++) {
    const { key, line } = createLine()
    const { publicKey } = await openBoardSigner(line)
    expect(toHex(publicKey)).toBe(toHex(key.publicKey))
  }
})

test('behavior: what was lost or spoilt is asked for again', async () => {
  const spoil = (frame: Frame, at: number) => ({
    ...frame,
    body: frame.body.map((byte, i) => (i === at ? byte ^ 1 : byte)),
  })
  const { asked, key, line } = createLine((honest, asked) => {
    if (asked === 1 || asked === 6) return undefined
    if (asked === 2) return { ...honest, type: frameTypes.hello }
    if (asked === 3) return { ...honest, body: honest.body.slice(1) }
    // The address; then r, of the other message.
    if (asked === 4) return spoil(honest, 0)
    return asked === 7 ? spoil(honest, 30) : honest
  })
  const signer = await openBoardSigner(line, { resendMs: 5 })
  expect(toHex(signer.publicKey)).toBe(toHex(key.publicKey))
  expect(asked).toHaveLength(5)
  await signer.sign(message)
  expect(asked).toHaveLength(8)
})

test('error: no answer', async () => {
  const { bytes, line } = createLine(() => undefined)
  const opened = openBoardSigner(line, { resendMs: 2, timeoutMs: 20 })
  await expect(opened).rejects.toMatchObject({ kind: 'transport', name: 'BoardSilentError' })
  expect(bytes.writableEnded).toBe(true)
})

test('error: a line that ends', async () => {
  const { bytes, line } = createLine((honest, asked) => {
    if (asked === 2) bytes.end()
    return asked === 1 ? honest : undefined
  })
  const signer = await openBoardSigner(line)
  await expect(signer.sign(message)).rejects.toThrow(LineError)
})

test.each([
  ['nothing', new Uint8Array(0)],
  ['a byte too many', concatBytes(message, Uint8Array.of(0))],
  ['as long, and a Sig_structure', concatBytes(Uint8Array.of(0x84, 0x6a), new Uint8Array(64))],
])('error: not a registration: %s', async (_, message) => {
  const { asked, line } = createLine()
  const signer = await openBoardSigner(line)
  await expect(signer.sign(message)).rejects.toMatchObject({ name: 'NotARegistrationError' })
  expect(asked).toHaveLength(1)
})
