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
  const answers: Answer[] = []
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

  while (at < bytes.length && answers.length < count) {
    const [major, argument] = head()
    if (major === 2) answers.push({ bytes: take(argument) })
    else if (major === 5) {
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
      answers.push({ problem: toProblem(fields), retryAfterMs })
    } else fail()
  }
  if (at < bytes.length || answers.length < count) fail()
  return answers
}

function fail(): never {
  throw new TransportError("The node's answer cannot be read.")
}
