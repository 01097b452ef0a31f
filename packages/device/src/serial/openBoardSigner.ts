import { setTimeout as sleep } from 'node:timers/promises'
import {
  BaseError,
  concatBytes,
  equalBytes,
  publicKeyToAddress,
  verifySignature,
} from '@machinefi/core'
import type { OpenedSigner } from '../keys/openSigner.js'
import { createFrameReader } from './createFrameReader.js'
import { encodeFrame, frameTypes } from './encodeFrame.js'
import { type Line, LineError } from './line.js'

/**
 * Opens the key of a board at the other end of a serial line, to have the board sign its own
 * registration, see docs/protocol/serial.md. It signs nothing else: of what it is sent it hashes
 * `1901` and 64 bytes, which can be no batch.
 *
 * The board says its address, not its key: the key is recovered from its first signature.
 *
 * @param line closed by `close`, and where the board does not answer.
 * @throws {BoardSilentError} nothing that signs answers in time.
 * @throws {LineError} the line ended.
 * @example
 * const signer = await openBoardSigner(await openSerialPort('/dev/ttyACM0'))
 */
export async function openBoardSigner(
  line: Line,
  options: openBoardSigner.Options = {},
): Promise<OpenedSigner> {
  const { resendMs = 2_000, timeoutMs = 30_000 } = options
  const answers = readAnswers(line)
  let next = answers.next()
  // Waited for only while something is asked.
  next.catch(() => {})

  /** Asks until an answer is found good. What the line spoilt is not, and is asked for again. */
  async function ask<T>(
    message: Uint8Array,
    check: (answer: Answer) => Promise<T | undefined>,
  ): Promise<T> {
    const body = message.subarray(2)
    const request = encodeFrame({ body, number: 0, type: frameTypes.register })
    for (const end = Date.now() + timeoutMs; Date.now() < end; ) {
      await line.write(request)
      const over = new AbortController()
      // Cut short where an answer comes first.
      const pause = sleep(resendMs, undefined, { signal: over.signal }).catch(() => {})
      try {
        for (;;) {
          const answer = await Promise.race([next, pause])
          if (!answer) break
          if (answer.done) throw new LineError('The line ended.')
          next = answers.next()
          next.catch(() => {})
          const result = await check(answer.value)
          if (result !== undefined) return result
        }
      } finally {
        over.abort()
      }
    }
    throw new BoardSilentError(timeoutMs)
  }

  try {
    // No hashes of any registration, so that it is none.
    const message = concatBytes(eip712, new Uint8Array(64))
    const publicKey = await ask(message, (answer) => recoverKey(message, answer))
    return {
      algorithm: 'ES256',
      publicKey,
      async sign(message) {
        if (message.length !== 66 || !equalBytes(message.subarray(0, 2), eip712))
          throw new NotARegistrationError()
        return ask(message, async ({ signature }) => {
          const own = { algorithm: 'ES256', message, publicKey, signature } as const
          return (await verifySignature(own)) ? signature : undefined
        })
      },
      close: () => line.close(),
    }
  } catch (error) {
    await line.close()
    throw error
  }
}

export declare namespace openBoardSigner {
  type Options = {
    /** After how long it is asked again. @default 2 s */
    resendMs?: number | undefined
    /** How long it is asked: an AVR signs in software in 10 s. @default 30 s */
    timeoutMs?: number | undefined
  }
}

/** Nothing on the line signs registrations, or it took too long. */
export class BoardSilentError extends BaseError {
  override readonly name = 'BoardSilentError'
  constructor(timeoutMs: number) {
    super(`The board did not sign within ${timeoutMs / 1000} s.`, {
      kind: 'transport',
      metaMessages: [
        'Only a board with a key of its own does, and only if its program answers it.',
      ],
    })
  }
}

/** A board signs registrations over a line, and nothing else. */
export class NotARegistrationError extends BaseError {
  override readonly name = 'NotARegistrationError'
  constructor() {
    super('A board signs nothing but registrations over its line.', { kind: 'input' })
  }
}

type Answer = { address: Uint8Array; signature: Uint8Array }

/** How the bytes of EIP-712 begin. */
const eip712 = Uint8Array.of(0x19, 0x01)

/** Whole frames of the one type; a board says other things meanwhile. */
async function* readAnswers({ bytes }: Line): AsyncGenerator<Answer, undefined> {
  const reader = createFrameReader()
  try {
    for await (const chunk of bytes)
      for (const { frame } of reader.push(chunk))
        if (frame?.type === frameTypes.registration && frame.body.length === 84)
          yield { address: frame.body.slice(0, 20), signature: frame.body.slice(20) }
  } catch (cause) {
    throw new LineError('The line broke.', { cause })
  }
}

/** X‖Y of the key that signed, and has this address (SEC 1, 4.1.6); undefined if none does. */
async function recoverKey(
  message: Uint8Array,
  { address, signature }: Answer,
): Promise<Uint8Array | undefined> {
  // Loaded on first use: bridges have none.
  const { p256 } = await import('@noble/curves/nist.js')
  // Which of the points with this r it was: an even or odd y, and, once in 2^32, r + n.
  for (let recovery = 0; recovery < 4; recovery++) {
    try {
      const recovered = concatBytes(Uint8Array.of(recovery), signature)
      const point = p256.Point.fromBytes(p256.recoverPublicKey(recovered, message))
      const publicKey = point.toBytes(false).slice(1)
      if (equalBytes(publicKeyToAddress(publicKey), address)) return publicKey
    } catch {
      // No point with this r, or no numbers of the group at all.
    }
  }
  return undefined
}
