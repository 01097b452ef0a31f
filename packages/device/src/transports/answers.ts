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
  const cursor = { bytes, at: 0 }
  const answers: Answer[] = []
  while (answers.length < count) answers.push(readAnswer(cursor))
  return cursor.at < bytes.length ? fail() : answers
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
  const cursor = { bytes, at: 0 }
  const answers: { digest: Uint8Array; answer: Answer }[] = []
  while (cursor.at < bytes.length)
    answers.push({ digest: readDigest(cursor), answer: readAnswer(cursor) })
  return answers
}

type Cursor = { readonly bytes: Uint8Array; at: number }

function readAnswer(cursor: Cursor): Answer {
  const [major, argument] = readHead(cursor)
  if (major === 2) return { bytes: take(cursor, argument) }
  if (major !== 5) fail()
  const fields: { [name: string]: unknown } = Object.create(null)
  for (let i = 0; i < argument; i++) {
    const name = readScalar(cursor)
    if (typeof name === 'number') fail()
    fields[name] = readScalar(cursor)
  }
  const { retryAfter } = fields
  const retryAfterMs = typeof retryAfter === 'number' ? 1000 * retryAfter : undefined
  return { problem: toProblem(fields), retryAfterMs }
}

/** The head of an array of two, and its first item. */
function readDigest(cursor: Cursor): Uint8Array {
  const [array, items] = readHead(cursor)
  const [string, length] = readHead(cursor)
  return array === 4 && items === 2 && string === 2 && length === 32 ? take(cursor, 32) : fail()
}

/** A text, or an unsigned integer. */
function readScalar(cursor: Cursor): number | string {
  const [major, argument] = readHead(cursor)
  if (major === 0) return argument
  return major === 3 ? new TextDecoder().decode(take(cursor, argument)) : fail()
}

/** Four bytes of length are enough for any answer that was let in. */
function readHead(cursor: Cursor): [major: number, argument: number] {
  const byte = take(cursor, 1)[0]!
  const info = byte & 31
  if (info > 26) fail()
  let argument = info
  if (info > 23) {
    argument = 0
    for (const next of take(cursor, 1 << (info - 24))) argument = argument * 256 + next
  }
  return [byte >> 5, argument]
}

function take(cursor: Cursor, length: number): Uint8Array {
  const start = cursor.at
  if (length > cursor.bytes.length - start) fail()
  cursor.at += length
  return cursor.bytes.subarray(start, cursor.at)
}

function fail(): never {
  throw new TransportError("The node's answer cannot be read.")
}
