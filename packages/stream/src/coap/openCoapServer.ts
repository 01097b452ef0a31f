import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { generate, type Packet, type ParsedPacket, parse } from 'coap-packet'
import {
  matchPath,
  ProblemError,
  problemReply,
  type Reply,
  type Route,
} from '../http/openServer.js'
import { toProblem } from '../problems.js'
import { createBoundedMap } from './createBoundedMap.js'
import { type CoapRequest, decodeRequest, encodeBlock, encodeInteger } from './options.js'

/**
 * Serves the constrained routes of the API over CoAP (RFC 7252) on one UDP
 * socket: confirmable requests with retransmissions, block-wise bodies in both
 * directions (RFC 7959) also where each block has a token of its own, as
 * libcoap does it, separate responses for what takes long.
 *
 * There is no transport security: whoever is on the way can read, delay, drop
 * and repeat, but not alter a signed batch or forge a receipt.
 */
export function openCoapServer(options: openCoapServer.Options): CoapServer {
  const { limits, onError } = options
  const routes = options.routes
    .filter(({ constrained }) => constrained)
    .map((route) => ({ route, template: route.path.split('/').slice(1) }))
  /** The answer to each message, for when it is sent again; empty while there is none. */
  const exchanges = createBoundedMap<Buffer>({ lifeMs: exchangeMs, maxBytes: limits.maxCoapBytes })
  /** Bodies of which some blocks have arrived. */
  const uploads = createBoundedMap<Upload>({ lifeMs: transferMs, maxBytes: limits.maxCoapBytes })
  /** Answers of which some blocks have left. */
  const downloads = createBoundedMap<Answer>({ lifeMs: transferMs, maxBytes: limits.maxCoapBytes })
  /** Separate responses that were not acknowledged yet. */
  const unconfirmed = new Map<string, () => void>()
  const stats: CoapStats = { malformed: 0, pending: 0, requests: 0 }
  let nextMessageId = Math.floor(Math.random() * 65_536)
  let closing = false
  let socket: Socket | undefined

  function receive(bytes: Buffer, peer: RemoteInfo) {
    let packet: ParsedPacket
    try {
      packet = parse(bytes)
    } catch {
      stats.malformed++
      return
    }
    const { code, confirmable, messageId } = packet
    const from = `${peer.address}:${peer.port}`
    const exchange = `${from}/${messageId}`
    if (packet.ack || packet.reset) return void unconfirmed.get(exchange)?.()
    if (code === '0.00' || !code.startsWith('0.')) {
      // A ping, or a response to nothing (RFC 7252 §4.2, §4.3).
      if (confirmable) send({ code: '0.00', messageId, reset: true }, peer)
      return
    }
    const known = exchanges.get(exchange)
    if (known !== undefined) {
      if (known.length > 0) sendBytes(known, peer)
      return
    }
    remember(exchange, empty)
    stats.requests++
    stats.pending++
    let separate = false
    const timer = setTimeout(() => {
      // In time for the client not to send again; the answer follows by itself.
      separate = true
      if (confirmable) remember(exchange, send({ ack: true, code: '0.00', messageId }, peer))
    }, ackDelayMs)
    answer(packet, from)
      .catch((error): Answer => {
        if (!(error instanceof ProblemError)) onError(error)
        const problem = error instanceof ProblemError ? error.problem : toProblem('internal')
        return toAnswer(problemReply(problem), packet.code)
      })
      .then(({ body, ...rest }) => {
        clearTimeout(timer)
        const response = { ...rest, payload: body, token: packet.token }
        if (confirmable && !separate)
          return remember(exchange, send({ ...response, ack: true, messageId }, peer))
        return respond({ ...response, confirmable }, peer, from)
      })
      .catch(onError)
      .finally(() => {
        stats.pending--
      })
  }

  /** A response in a message of its own, until it is acknowledged (RFC 7252 §5.2.2). */
  async function respond(response: Packet, peer: RemoteInfo, from: string) {
    const messageId = nextMessageId++ & 0xffff
    const bytes = send({ ...response, messageId }, peer)
    if (!response.confirmable || unconfirmed.size >= maxUnconfirmed) return
    const exchange = `${from}/${messageId}`
    const stop = new AbortController()
    unconfirmed.set(exchange, () => stop.abort())
    try {
      let waitMs = 2000 * (1 + Math.random() / 2)
      for (let attempt = 0; attempt < 4 && !closing; attempt++) {
        await sleep(waitMs, undefined, { ref: false, signal: stop.signal })
        sendBytes(bytes, peer)
        waitMs *= 2
      }
    } catch {
      // It has arrived.
    } finally {
      unconfirmed.delete(exchange)
    }
  }

  async function answer(packet: ParsedPacket, from: string): Promise<Answer> {
    const request = decodeRequest(packet)
    if (request === undefined) return { body: empty, code: '4.02', options: [] }
    const { block1, block2, path, query, tag } = request
    // Not the token: libcoap takes another one for every block (RFC 7959 §2.3, RFC 9175 §3).
    const key = [from, packet.code, path.join('/'), query, tag].join(' ')
    const size = Math.min(block2?.size ?? maxBlock, maxBlock)
    if (block2 !== undefined && block2.number > 0) {
      const download = downloads.get(key)
      if (download === undefined) return { body: empty, code: '4.08', options: [] }
      return cut(download, block2.number, size)
    }
    if (block1 === undefined)
      return deliver(key, size, await handle(request, packet, packet.payload))
    const upload = uploads.get(key) ?? { length: 0, parts: [] }
    const offset = block1.number * block1.size
    if (block1.number === 0) upload.parts.length = upload.length = 0
    const echo = { name: 'Block1' as const, value: encodeBlock(block1) }
    // The one before may have come again under another message id.
    if (offset !== upload.length) return { body: empty, code: '4.08', options: [] }
    upload.parts.push(Buffer.from(packet.payload))
    upload.length += packet.payload.length
    if (upload.length > limits.maxCoapBodyBytes) {
      uploads.remove(key)
      return tooLarge(limits.maxCoapBodyBytes)
    }
    if (block1.more) {
      if (packet.payload.length !== block1.size) return { body: empty, code: '4.00', options: [] }
      uploads.set(key, upload, upload.length)
      return { body: empty, code: '2.31', options: [echo] }
    }
    uploads.remove(key)
    const whole = await handle(request, packet, Buffer.concat(upload.parts, upload.length))
    return deliver(key, size, { ...whole, options: [...whole.options, echo] })
  }

  /** The whole answer, or its first block. */
  function deliver(key: string, size: number, whole: Answer): Answer {
    if (whole.body.length <= size) return whole
    const options = whole.options.filter(({ name }) => name !== 'Block1')
    downloads.set(key, { ...whole, options }, whole.body.length)
    return cut(whole, 0, size)
  }

  async function handle(
    { format, path, query }: CoapRequest,
    { code }: ParsedPacket,
    body: Buffer,
  ): Promise<Answer> {
    if (closing) throw new ProblemError('unavailable', 'The node is shutting down.', 5)
    if (body.length > limits.maxCoapBodyBytes) return tooLarge(limits.maxCoapBodyBytes)
    let found = false
    for (const { route, template } of routes) {
      const values = matchPath(template, path)
      if (!values) continue
      found = true
      if (code !== (route.method === 'GET' ? '0.01' : '0.02')) continue
      const type = format === undefined ? Object.keys(route.accepts ?? {})[0] : mediaTypes[format]
      const reply = await route.handle({
        body: async () => body,
        path: values,
        query: new URLSearchParams(query),
        type: type ?? '',
      })
      return toAnswer(reply, code)
    }
    throw new ProblemError(found ? 'method' : 'not-found')
  }

  function remember(exchange: string, bytes: Buffer) {
    exchanges.set(exchange, bytes, bytes.length)
  }

  function send(packet: Packet, peer: RemoteInfo): Buffer {
    const bytes = generate(packet, 2048)
    sendBytes(bytes, peer)
    return bytes
  }

  function sendBytes(bytes: Buffer, { address, port }: RemoteInfo) {
    // A peer that cannot be reached is nobody's fault.
    socket?.send(bytes, port, address, () => {})
  }

  return {
    stats,
    listen: ({ host, port }) =>
      new Promise((resolve, reject) => {
        const opened = createSocket(isIPv6(host) ? 'udp6' : 'udp4')
        opened.once('error', reject)
        opened.bind(port, host, () => {
          opened.off('error', reject)
          opened.on('error', onError)
          opened.on('message', receive)
          socket = opened
          const { address, port } = opened.address()
          const any = address === '0.0.0.0' || address === '::'
          resolve(
            `coap://${any ? '127.0.0.1' : isIPv6(address) ? `[${address}]` : address}:${port}`,
          )
        })
      }),
    async close(graceMs) {
      closing = true
      const deadline = performance.now() + graceMs
      while (stats.pending > 0 && performance.now() < deadline) await sleep(5)
      for (const stop of unconfirmed.values()) stop()
      const open = socket
      socket = undefined
      if (open) await new Promise<void>((resolve) => open.close(() => resolve()))
      for (const map of [exchanges, uploads, downloads]) map.clear()
    },
  }
}

export declare namespace openCoapServer {
  type Options = {
    limits: CoapLimits
    /** Told of errors that are nobody's fault but the node's. */
    onError: (error: unknown) => void
    /** Those that are `constrained` are served. */
    routes: readonly Route[]
  }
}

export type CoapServer = {
  readonly stats: CoapStats
  /** Resolves to the URL to reach it at. */
  listen(options: { host: string; port: number }): Promise<string>
  /** Lets requests end within `graceMs`. */
  close(graceMs: number): Promise<void>
}

export type CoapLimits = {
  /** Of one request, all blocks together. */
  maxCoapBodyBytes: number
  /** Of unfinished uploads; as much again of answers in blocks, and of answers to be repeated. */
  maxCoapBytes: number
}

export type CoapStats = { malformed: number; pending: number; requests: number }

type Upload = { length: number; parts: Buffer[] }
type Answer = {
  body: Buffer
  code: string
  options: { name: 'Block1' | 'Block2' | 'Content-Format' | 'Max-Age' | 'Size1'; value: Buffer }[]
}

/** EXCHANGE_LIFETIME (RFC 7252 §4.8.2): how long a message may come again. */
const exchangeMs = 247_000
/** How long an unfinished transfer is kept without another block. */
const transferMs = 60_000
/** Below ACK_TIMEOUT, 2 s, after which a client sends again. */
const ackDelayMs = 1500
/** What fits an IPv6 packet of 1,280 bytes with all options. */
const maxBlock = 1024
const maxUnconfirmed = 1024
const empty = Buffer.alloc(0)

/** Content-Formats (RFC 7252 §12.3, RFC 9052 §9, RFC 8742 §7.5). */
const mediaTypes: Readonly<Record<number, string>> = {
  0: 'text/plain',
  18: 'application/cose',
  50: 'application/json',
  60: 'application/cbor',
  63: 'application/cbor-seq',
  110: 'application/senml+json',
  112: 'application/senml+cbor',
}
const formats = new Map(Object.entries(mediaTypes).map(([format, type]) => [type, Number(format)]))
formats.set('application/problem+json', 50)

function toAnswer({ body, headers, status, type }: Reply, code: string): Answer {
  const parts = body === undefined ? [] : Array.isArray(body) ? body : [body]
  const format = type === undefined ? undefined : formats.get(type)
  const retryAfter = headers?.['retry-after']
  return {
    body: Buffer.concat(parts.map((part) => Buffer.from(part as Uint8Array))),
    code: toCode(status, code),
    options: [
      ...(format === undefined
        ? []
        : [{ name: 'Content-Format' as const, value: encodeInteger(format) }]),
      ...(retryAfter === undefined
        ? []
        : [{ name: 'Max-Age' as const, value: encodeInteger(Number(retryAfter)) }]),
    ],
  }
}

/** CoAP's code of the same meaning; what it has none for is of its class. */
function toCode(status: number, method: string): string {
  if (status < 300) return method === '0.01' ? '2.05' : '2.04'
  const detail = known.has(status) ? status % 100 : 0
  return `${Math.floor(status / 100)}.${`${detail}`.padStart(2, '0')}`
}

const known = new Set([400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429, 500, 503])

function tooLarge(maxBytes: number): Answer {
  const answer = toAnswer(
    problemReply(toProblem('body-too-large', `At most ${maxBytes} bytes.`)),
    '0.02',
  )
  return {
    ...answer,
    options: [...answer.options, { name: 'Size1', value: encodeInteger(maxBytes) }],
  }
}

/** One block of an answer; one behind its end is empty. */
function cut({ body, code, options }: Answer, number: number, size: number): Answer {
  const start = number * size
  const more = start + size < body.length
  return {
    body: body.subarray(start, start + size),
    code,
    options: [...options, { name: 'Block2', value: encodeBlock({ more, number, size }) }],
  }
}
