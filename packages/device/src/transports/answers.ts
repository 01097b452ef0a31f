import { TransportError } from './errors.js'
import { type Answer, toProblem } from './request.js'

/**
 * Reads a node's answers to many batches: a CBOR sequence (RFC 8742) with, for
 * each batch, a byte string (its receipt) or a map of text to text or unsigned
 * integers (a problem).
 *
 * @throws {TransportError} anything else, or another number of answers.
 */
export function readAnswers(bytes: Uint8Array, count: number): readonly Answer[] {
  const reader = openReader(bytes)
  const answers: Answer[] = []
  while (!reader.done() && answers.length < count) answers.push(reader.answer())
  if (!reader.done() || answers.length < count) fail()
  return answers
}

/**
 * Reads the answers of one message on a device's topic: a CBOR sequence of
 * arrays `[digest, answer]`, with the SHA-256 of the bytes that are answered.
 *
 * @throws {TransportError} anything else.
 */
export function readNamedAnswers(
  bytes: Uint8Array,
): readonly { digest: Uint8Array; answer: Answer }[] {
  const reader = openReader(bytes)
  const answers: { digest: Uint8Array; answer: Answer }[] = []
  while (!reader.done()) answers.push({ digest: reader.digest(), answer: reader.answer() })
  return answers
}

function openReader(bytes: Uint8Array) {
  let at = 0

  function head(): [major: number, argument: number] {
    const byte = bytes[at++] ?? fail()
    const info = byte & 31
    let argument = info
    if (info >= 24) {
      // Four bytes of length are enough for any answer that was let in.
      const length = info === 24 ? 1 : info === 25 ? 2 : info === 26 ? 4 : fail()
      argument = 0
      for (let i = 0; i < length; i++) argument = argument * 256 + (bytes[at++] ?? fail())
    }
    return [byte >> 5, argument]
  }

  function take(length: number): Uint8Array {
    if (length > bytes.length - at) fail()
    at += length
    return bytes.subarray(at - length, at)
  }

  function text(): string {
    const [major, length] = head()
    return major === 3 ? new TextDecoder().decode(take(length)) : fail()
  }

  function answer(): Answer {
    const [major, argument] = head()
    if (major === 2) return { bytes: take(argument) }
    if (major !== 5) fail()
    const fields: { [name: string]: unknown } = Object.create(null)
    for (let i = 0; i < argument; i++) {
      const name = text()
      const start = at
      const [type, value] = head()
      if (type === 0) fields[name] = value
      else if (type === 3) {
        at = start
        fields[name] = text()
      } else fail()
    }
    const { retryAfter } = fields
    const retryAfterMs = typeof retryAfter === 'number' ? 1000 * retryAfter : undefined
    return { problem: toProblem(fields), retryAfterMs }
  }

  /** The head of an array of two, and its first item. */
  function digest(): Uint8Array {
    const [array, items] = head()
    const [string, length] = head()
    return array === 4 && items === 2 && string === 2 && length === 32 ? take(32) : fail()
  }

  return { answer, digest, done: () => at >= bytes.length }
}

function fail(): never {
  throw new TransportError("The node's answer cannot be read.")
}
