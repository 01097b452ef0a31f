import { BatchError, readBatch, type SignedBatch } from '@machinefi/telemetry'
import { encode } from 'cbor-x'
import type { Outcome } from '../ingest/createPipeline.js'
import { type Problem, problemBase, toProblem } from '../problems.js'

/**
 * Splits a body into batches: one, or a CBOR sequence (RFC 8742) of them. An
 * item that is well-formed CBOR but no batch is a problem in its place; bytes
 * that are not CBOR at all leave no way to tell the next item, so the whole
 * body is refused.
 */
export function splitSequence(
  body: Uint8Array,
  options: splitSequence.Options,
): splitSequence.Result {
  const { maxItems, tooMany } = options
  const items: (SignedBatch | Problem)[] = []
  for (let at = 0; at < body.length; ) {
    if (items.length === maxItems) return { ok: false, problem: tooMany }
    try {
      const { batch, end } = readBatch(body, at)
      items.push(batch)
      at = end
    } catch (error) {
      if (!(error instanceof BatchError)) throw error
      const end = skipItem(body, at)
      if (end === undefined)
        return {
          ok: false,
          problem:
            items.length === 0
              ? toProblem(error.reason, error.shortMessage)
              : toProblem('body', `Item ${items.length} is not well-formed: ${error.shortMessage}`),
        }
      items.push(toProblem(error.reason, error.shortMessage))
      at = end
    }
  }
  return { ok: true, items }
}

export declare namespace splitSequence {
  type Options = {
    maxItems: number
    /** What is said of bytes after the last item. */
    tooMany: Problem
  }
  type Result = { ok: true; items: (SignedBatch | Problem)[] } | { ok: false; problem: Problem }
}

/** Answers to a sequence, in its order: a receipt as a byte string, a problem as a map. */
export function encodeOutcomes(outcomes: readonly Outcome[]): Uint8Array {
  const items = outcomes.map((outcome) =>
    outcome.ok ? outcome.receipt : encode(problemDocument(outcome.problem)),
  )
  let length = 0
  for (const item of items) length += item.length + 3
  const bytes = Buffer.allocUnsafe(length)
  let at = 0
  for (let i = 0; i < items.length; i++) {
    const item = items[i]!
    if (outcomes[i]!.ok) {
      // A receipt has 200 to 2,000 bytes.
      if (item.length < 256) bytes[at++] = 0x58
      else {
        bytes[at++] = 0x59
        bytes[at++] = item.length >> 8
      }
      bytes[at++] = item.length & 0xff
    }
    bytes.set(item, at)
    at += item.length
  }
  return bytes.subarray(0, at)
}

/** A problem as RFC 9457 members. */
export function problemDocument(problem: Problem): Record<string, string | number> {
  const { detail, reason, retryAfterSeconds, status, title } = problem
  return {
    type: problemBase + reason,
    status,
    title,
    ...(detail === undefined ? {} : { detail }),
    ...(retryAfterSeconds === undefined ? {} : { retryAfter: retryAfterSeconds }),
  }
}

/** Where a well-formed item of definite lengths ends; undefined if there is none. */
function skipItem(bytes: Uint8Array, start: number): number | undefined {
  let at = start
  // Items still to be skipped; every one takes at least a byte, so this bounds the work.
  for (let left = 1; left > 0; left--) {
    if (at >= bytes.length || left > bytes.length - at) return undefined
    const first = bytes[at++]!
    const major = first >> 5
    let argument = first & 0x1f
    if (argument >= 24) {
      const width = argument === 24 ? 1 : argument === 25 ? 2 : argument === 26 ? 4 : 8
      if (argument > 27 || at + width > bytes.length) return undefined
      argument = 0
      for (const end = at + width; at < end; at++) argument = argument * 256 + bytes[at]!
    }
    if (major === 2 || major === 3) at += argument
    else if (major === 4) left += argument
    else if (major === 5) left += 2 * argument
    else if (major === 6) left++
  }
  return at <= bytes.length ? at : undefined
}
