import { BaseError, concatBytes } from '@machinefi/core'
import { RefusedError, TransportError, toDetails } from './errors.js'
import type { Problem } from './transport.js'

/** What a node said: bytes, or a problem. */
export type Answer =
  | { readonly bytes: Uint8Array }
  | { readonly problem: Problem; readonly retryAfterMs?: number | undefined }

/**
 * One HTTP request, bounded in time and in the size of its answer. Redirects
 * are not followed: a POST would become a GET.
 *
 * @throws {TransportError} no answer, or not all of it.
 */
export async function request(url: string, options: request.Options): Promise<Answer> {
  const { body, contentType, headers, maxResponseBytes, signal, timeoutMs } = options
  const controller = new AbortController()
  const abort = () => controller.abort()
  let failure = 'The node cannot be reached.'
  const timer = setTimeout(() => {
    failure = `The node did not answer within ${timeoutMs} ms.`
    abort()
  }, timeoutMs)
  signal?.addEventListener('abort', abort)
  try {
    const response = await (options.fetch ?? globalThis.fetch)(url, {
      method: body === undefined ? 'GET' : 'POST',
      redirect: 'error',
      signal: controller.signal,
      body: (body ?? null) as Uint8Array<ArrayBuffer> | null,
      headers: { ...headers, ...(contentType && { 'content-type': contentType }) },
    })
    const bytes = await readBody(response, maxResponseBytes)
    if (response.ok) return { bytes }
    return {
      problem: parseProblem(response.status, bytes),
      retryAfterMs: parseRetryAfter(response.headers.get('retry-after')),
    }
  } catch (cause) {
    if (cause instanceof BaseError) throw cause
    throw new TransportError(failure, { cause })
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
}

export declare namespace request {
  type Options = {
    maxResponseBytes: number
    timeoutMs: number
    body?: Uint8Array | undefined
    contentType?: string | undefined
    fetch?: typeof globalThis.fetch | undefined
    headers?: Readonly<Record<string, string>> | undefined
    signal?: AbortSignal | undefined
  }
}

/** Overload and accidents: the same request may pass later. */
export function isRetryable(status: number): boolean {
  return status >= 500 || [408, 425, 429].includes(status)
}

/** A problem as an error: kind `transport` where another try may pass, else `input`. */
export function toError(
  answer: Extract<Answer, { problem: Problem }>,
): RefusedError | TransportError {
  const { problem, retryAfterMs } = answer
  const { status, title } = problem
  if (!isRetryable(status)) return new RefusedError(problem, { final: false })
  return new TransportError(`The node answered ${status}: ${title}.`, {
    metaMessages: toDetails(problem),
    retryAfterMs,
  })
}

/** The answer's body, or an error as soon as it is larger than anything honest. */
async function readBody(response: Response, maxBytes: number): Promise<Uint8Array> {
  const reader = response.body?.getReader()
  if (reader === undefined) return new Uint8Array(0)
  const chunks: Uint8Array[] = []
  let length = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    length += value.length
    if (length > maxBytes) {
      await reader.cancel()
      throw new TransportError(`The node's answer is larger than ${maxBytes} bytes.`)
    }
    chunks.push(value)
  }
  return concatBytes(...chunks)
}

/** RFC 9457, or the bare status where a proxy answered. */
function parseProblem(status: number, bytes: Uint8Array): Problem {
  let fields: { [name: string]: unknown } = {}
  try {
    fields = Object(parseJson(bytes))
  } catch {}
  return toProblem({ ...fields, status })
}

/** JSON in UTF-8. @throws {SyntaxError} */
export function parseJson(bytes: Uint8Array) {
  return JSON.parse(new TextDecoder().decode(bytes))
}

/** Untrusted fields as a problem: text is cut to a length fit for a log. */
export function toProblem(fields: { readonly [name: string]: unknown }): Problem {
  const text = (value: unknown) => (typeof value === 'string' ? value.slice(0, 300) : undefined)
  const status = typeof fields.status === 'number' ? fields.status : 500
  const detail = text(fields.detail)
  return {
    status,
    type: text(fields.type) ?? 'about:blank',
    title: text(fields.title) ?? `status ${status}`,
    ...(detail !== undefined && { detail }),
  }
}

/** Seconds, or a date (RFC 9110 §10.2.3). */
function parseRetryAfter(value: string | null): number | undefined {
  if (value === null) return undefined
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now()
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined
}
