import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { BaseError } from '@machinefi/core'
import { isLoopback } from '../access/createAuthorities.js'
import { type Problem, type ProblemReason, toProblem } from '../problems.js'
import type { Tls } from '../tls/openTls.js'
import type { JsonSchema } from './JsonSchema.js'
import { problemDocument } from './splitSequence.js'

/**
 * Serves routes over node:http: bodies within bounds of size and time, CORS for
 * everything, every error a problem document.
 */
export function openServer(options: openServer.Options): HttpServer {
  const { limits, onError, routes, tls } = options
  const compiled = routes.map((route) => ({ route, segments: route.path.split('/').slice(1) }))
  /** The requests of every connection that are not answered yet. */
  const sockets = new Map<Duplex, Set<IncomingMessage>>()
  let bodyBytes = 0
  let closing = false

  const settings = {
    // Checked in `answer`: node would refuse without a word.
    requireHostHeader: false,
    headersTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    maxHeaderSize: 16_384,
    requestTimeout: limits.requestTimeoutMs,
    connectionsCheckingInterval: Math.min(30_000, limits.requestTimeoutMs),
  }
  let server: Server
  if (tls) {
    const secure = createTlsServer({ ...settings, ...tls.options }, onRequest)
    tls.onChange((options) => secure.setSecureContext(options))
    server = secure
  } else server = createServer(settings, onRequest)
  server.maxConnections = limits.maxConnections
  server.on(tls ? 'secureConnection' : 'connection', (socket: Duplex) => {
    sockets.set(socket, new Set())
    socket.on('close', () => sockets.delete(socket))
  })
  // Any expectation but 100-continue may be ignored (RFC 9110 §10.1.1).
  server.on('checkExpectation', onRequest)
  // Bytes that are not HTTP, header fields too large, a request that does not come to an end.
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const requests = sockets.get(socket)
    if (!requests || !socket.writable || error.code === 'ECONNRESET') return void socket.destroy()
    const problem =
      error.code === 'HPE_HEADER_OVERFLOW'
        ? toProblem('header-fields')
        : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
          ? toProblem('timeout')
          : toProblem('request')
    // In the body of a request: that is answered by this, unless it was answered without its body.
    const broken = [...requests].find(({ complete }) => !complete)
    if (broken) return void broken.emit(brokenEvent, new ProblemError(problem.reason))
    // After requests that are still being answered: nothing may come in between.
    const last = [...requests].at(-1)
    if (last) return void last.once(answeredEvent, () => refuse(socket, problem))
    refuse(socket, problem)
  })

  function onRequest(request: IncomingMessage, response: ServerResponse) {
    const requests = sockets.get(request.socket)
    requests?.add(request)
    response.once('close', () => {
      requests?.delete(request)
      request.emit(answeredEvent)
    })
    answer(request).then(
      (reply) => send(request, response, reply),
      (error) => {
        if (!(error instanceof ProblemError)) onError(error)
        const problem = error instanceof ProblemError ? error.problem : toProblem('internal')
        send(request, response, problemReply(problem))
      },
    )
  }

  /** The last answer of a connection, to what is no request. */
  function refuse(socket: Duplex, problem: Problem) {
    if (!socket.writable) return
    const body = JSON.stringify(problemDocument(problem))
    socket.end(
      `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\n` +
        `content-type: application/problem+json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n` +
        `access-control-allow-origin: *\r\nconnection: close\r\n\r\n${body}`,
    )
    // Whoever does not hang up would keep the connection.
    setTimeout(() => socket.destroy(), lingerMs).unref()
  }

  async function answer(request: IncomingMessage): Promise<Reply> {
    if (request.httpVersion === '1.1' && request.headers.host === undefined)
      throw new ProblemError('request', 'The Host field is missing.')
    const url = request.url ?? '/'
    const mark = url.indexOf('?')
    const path = mark < 0 ? url : url.slice(0, mark)
    const segments = path.split('/').slice(1)
    const method = request.method === 'HEAD' ? 'GET' : request.method
    const allowed: string[] = []
    for (const { route, segments: template } of compiled) {
      const values = matchPath(template, segments)
      if (!values) continue
      if (route.method !== method) {
        allowed.push(route.method)
        continue
      }
      const query = new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1))
      for (const name of query.keys())
        if (!Object.hasOwn(route.query ?? {}, name))
          throw new ProblemError('parameter', `There is no parameter ${quote(name)}.`)
      return route.handle({
        path: values,
        query,
        type: (request.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase(),
        body: () => readBody(request),
        signed: toSigned(request, path, mark < 0 ? '' : url.slice(mark)),
      })
    }
    if (allowed.length === 0) throw new ProblemError('not-found')
    const allow = [
      ...new Set([...allowed, ...(allowed.includes('GET') ? ['HEAD'] : []), 'OPTIONS']),
    ]
    if (method === 'OPTIONS')
      return {
        status: 204,
        headers: {
          allow: allow.join(', '),
          'access-control-allow-headers': 'content-type, signature, signature-input',
          'access-control-allow-methods': allow.join(', '),
          'access-control-max-age': '86400',
        },
      }
    return { ...problemReply(toProblem('method')), headers: { allow: allow.join(', ') } }
  }

  function readBody(request: IncomingMessage): Promise<Buffer> {
    const { maxBodyBytes, maxPendingBytes } = limits
    const encoding = request.headers['content-encoding']
    if (encoding !== undefined && encoding !== 'identity') throw new ProblemError('encoding')
    const announced = Number(request.headers['content-length'] ?? 0)
    const tooLarge = () => new ProblemError('body-too-large', `At most ${maxBodyBytes} bytes.`)
    if (announced > maxBodyBytes) throw tooLarge()
    if (bodyBytes > 0 && bodyBytes + announced > maxPendingBytes)
      throw new ProblemError('overloaded', undefined, 1)
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = []
      let length = 0
      const done = (error?: unknown) => {
        bodyBytes -= length
        if (error) reject(error)
        else resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, length))
        length = 0
      }
      request.on('data', (chunk: Buffer) => {
        length += chunk.length
        bodyBytes += chunk.length
        if (length <= maxBodyBytes && bodyBytes <= 2 * maxPendingBytes) chunks.push(chunk)
        else {
          request.removeAllListeners('data').removeAllListeners('end')
          chunks.length = 0
          done(length > maxBodyBytes ? tooLarge() : new ProblemError('overloaded', undefined, 1))
        }
      })
      request.once('end', () => done())
      request.once('close', () => {
        if (!request.complete) done(new ProblemError('body', 'The body is cut off.'))
      })
      request.once('error', () => {})
      request.once(brokenEvent, done)
    })
  }

  function send(request: IncomingMessage, response: ServerResponse, reply: Reply) {
    const { body, status } = reply
    const parts = body === undefined ? [] : Array.isArray(body) ? body : [body]
    let length = 0
    for (const part of parts)
      length += typeof part === 'string' ? Buffer.byteLength(part) : part.length
    // An unread body would be taken for the next request.
    const unread = !request.complete
    const close = closing || unread
    response.writeHead(status, {
      'access-control-allow-origin': '*',
      'access-control-expose-headers': 'accept-signature, retry-after, x-arrived, x-late',
      // What is for one reader is kept by nobody on the way.
      ...(request.headers.signature === undefined ? {} : { 'cache-control': 'no-store' }),
      ...(reply.type === undefined ? {} : { 'content-type': reply.type }),
      ...(status === 204 || reply.stream ? {} : { 'content-length': length }),
      ...(close ? { connection: 'close' } : {}),
      ...reply.headers,
    })
    if (reply.stream && request.method !== 'HEAD') {
      // An error in mid-body can only be shown by cutting the connection.
      pipeline(reply.stream, response).catch((error) => {
        // A reader that hangs up is nobody's fault.
        if (error.code !== 'ERR_STREAM_PREMATURE_CLOSE') onError(error)
      })
      return
    }
    const content =
      request.method === 'HEAD' || parts.length === 0
        ? undefined
        : parts.length === 1
          ? parts[0]
          : Buffer.concat(parts as Uint8Array[], length)
    if (!unread) return void response.end(content)
    if (content === undefined) response.flushHeaders()
    else response.write(content)
    linger(request, response)
  }

  /**
   * Ends an answer that was given before the request was read. Closing at once
   * would reset the connection, and the answer be lost on its way; so what still
   * comes is thrown away, for a while.
   */
  function linger(request: IncomingMessage, response: ServerResponse) {
    const timer = setTimeout(end, lingerMs).unref()
    function end() {
      clearTimeout(timer)
      response.end()
    }
    request.once('end', end).once('close', end)
    request.once(brokenEvent, end)
    request.resume()
  }

  return {
    listen: ({ host, port }) =>
      new Promise((resolve, reject) => {
        server.once('error', reject)
        server.listen(port, host, () => {
          server.off('error', reject)
          server.on('error', onError)
          const { address, family, port } = server.address() as AddressInfo
          const name = family === 'IPv6' ? `[${address}]` : address
          resolve(
            `${tls ? 'https' : 'http'}://${name === '0.0.0.0' || name === '[::]' ? '127.0.0.1' : name}:${port}`,
          )
        })
      }),
    async close(graceMs) {
      closing = true
      if (!server.listening) return
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeIdleConnections()
      const timer = setTimeout(() => {
        for (const socket of sockets.keys()) socket.destroy()
      }, graceMs)
      await closed
      clearTimeout(timer)
    },
  }
}

export declare namespace openServer {
  type Options = {
    limits: HttpLimits
    /** Told of errors that are nobody's fault but the node's. */
    onError: (error: unknown) => void
    routes: readonly Route[]
    /** Without it the connections are plain. */
    tls?: Tls | undefined
  }
}

export type HttpServer = {
  /** Resolves to the URL to reach it at. */
  listen(options: { host: string; port: number }): Promise<string>
  /** Takes no new connections, lets requests end within `graceMs`. */
  close(graceMs: number): Promise<void>
}

export type HttpLimits = {
  maxBodyBytes: number
  maxConnections: number
  /** Bytes of bodies that are being received. */
  maxPendingBytes: number
  /** From the first byte of a request to its last. */
  requestTimeoutMs: number
  keepAliveTimeoutMs: number
}

/** One operation of the API; the OpenAPI document is made from these. */
export type Route = {
  method: 'GET' | 'POST'
  /** `/networks/{network}`: OpenAPI's template. */
  path: string
  summary: string
  /** Served over CoAP too: what a device needs. */
  constrained?: boolean
  query?: Readonly<Record<string, { description: string; integer?: boolean; required?: boolean }>>
  /** The request body, of one of these media types. */
  accepts?: Bodies
  /** The answer. */
  returns: Bodies
  /** Of an answer that is no problem. @default [200] */
  statuses?: readonly number[]
  problems: readonly ProblemReason[]
  /** Who may have the answer in a private network: the readers of a device, or only auditors of all. */
  readers?: 'device' | 'network'
  handle(call: Call): Reply | Promise<Reply>
}

/** What is said of a body, by its media type. */
export type Bodies = Readonly<Record<string, JsonSchema>>

/** In place of a schema: a body that is neither JSON nor text. */
export const bytes: JsonSchema = {}

export type Call = {
  path: Readonly<Record<string, string>>
  query: URLSearchParams
  /** Media type of the body, without parameters. */
  type: string
  body(): Promise<Buffer>
  /** What HTTP has of a signature (RFC 9421), if anything; nothing of it is checked. */
  signed?: SignedCall | undefined
}

export type SignedCall = {
  /** Whether it comes from this machine. */
  isLocal: boolean
  signature: string
  signatureInput: string
  /** As it was sent; the authority is the `Host`. */
  target: { authority: string; method: string; path: string; query: string }
}

export type Reply = {
  status: number
  type?: string
  headers?: Record<string, string>
  body?: string | Uint8Array | Uint8Array[]
  /** A body of unknown length, in place of `body`. */
  stream?: AsyncIterable<Uint8Array>
}

/** Thrown by a handler to answer with a problem. */
export class ProblemError extends BaseError {
  override readonly name = 'ProblemError'
  readonly problem: Problem
  constructor(reason: ProblemReason, detail?: string, retryAfterSeconds?: number) {
    const problem = toProblem(reason, detail, retryAfterSeconds)
    super(detail ?? problem.title, { kind: 'input' })
    this.problem = problem
  }
}

export function problemReply(problem: Problem): Reply {
  const { retryAfterSeconds, status } = problem
  return {
    status,
    type: 'application/problem+json',
    body: JSON.stringify(problemDocument(problem)),
    headers: {
      ...(retryAfterSeconds !== undefined && { 'retry-after': String(retryAfterSeconds) }),
      ...(status === 401 && signatureWanted),
    },
  }
}

/** How to ask again: RFC 9110 §11.6.1, and RFC 9421 §5.1. */
const signatureWanted = {
  'www-authenticate': 'ERC-8128',
  'accept-signature': 'eth=("@method" "@authority" "@path" "@query");keyid;created;expires;nonce',
}

function toSigned(request: IncomingMessage, path: string, query: string): SignedCall | undefined {
  const { host = '', signature, 'signature-input': signatureInput } = request.headers
  if (typeof signature !== 'string' || typeof signatureInput !== 'string') return undefined
  return {
    isLocal: isLoopback(request.socket.remoteAddress ?? ''),
    signature,
    signatureInput,
    target: { authority: host, method: request.method!, path, query },
  }
}

/** Emitted by a request whose body will not come to its end, with a {@link ProblemError}. */
const brokenEvent = 'machinefi:broken'
/** Emitted by a request once its answer is out, or nobody is there to get it. */
const answeredEvent = 'machinefi:answered'
/** How long a connection is kept for a client that has its answer, but has not read it. */
const lingerMs = 1000

/** Text from a request, made safe and short for a message. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text)
}

/** The parameters of a path that fits a template, both split at `/`. */
export function matchPath(
  template: readonly string[],
  segments: readonly string[],
): Record<string, string> | undefined {
  if (template.length !== segments.length) return undefined
  const values: Record<string, string> = {}
  for (let i = 0; i < template.length; i++) {
    const part = template[i]!
    const segment = segments[i]!
    if (part.startsWith('{')) {
      try {
        values[part.slice(1, -1)] = segment.includes('%') ? decodeURIComponent(segment) : segment
      } catch {
        throw new ProblemError('parameter', 'The path is not percent-encoded UTF-8.')
      }
    } else if (part !== segment) return undefined
  }
  return values
}
