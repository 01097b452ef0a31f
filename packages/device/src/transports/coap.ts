import { createSocket, type Socket } from 'node:dgram'
import { toHex } from '@machinefi/core'
import { createCheckpointCache } from '@machinefi/proof'
import { Agent, type IncomingMessage, type OutgoingMessage } from 'coap'
import { InvalidDeviceError } from '../device/errors.js'
import { TransportError } from './errors.js'
import { parseDeviceState } from './parseDeviceState.js'
import { postBatches } from './postBatches.js'
import { type Answer, toProblem } from './request.js'
import { toDelivery } from './toDelivery.js'
import type { Transport } from './transport.js'

/**
 * Delivers batches over CoAP: confirmable requests, one at a time, in blocks
 * where they are longer than one datagram should be. One transport may serve
 * any number of devices.
 *
 * There is no transport security. Batches are signed and receipts verified, as
 * with {@link http}, so nobody on the way can alter or invent either; they can
 * read both, drop them, and say no in the node's name.
 *
 * @param url `coap://host:port`; 5683 by default.
 * @throws {InvalidDeviceError} no such URL.
 */
export function coap(url: string, options: coap.Options): coap.Transport {
  const {
    blockBytes = 1024,
    maxBatches = 8,
    maxSkewMs = 300_000,
    operator,
    timeoutMs = 30_000,
  } = options
  const { hostname, port } = parseCoapUrl(url)
  const exponent = Math.log2(blockBytes) - 4
  if (![0, 1, 2, 3, 4, 5, 6].includes(exponent))
    throw new InvalidDeviceError('blockBytes is no power of two from 16 to 1024')
  const cache = createCheckpointCache()
  const logKeys = [options.logKey].flat()
  let socket: Socket | undefined
  let agent: Agent | undefined
  let closed = false
  /** One request after the other: NSTART is 1 (RFC 7252 §4.7). */
  let tail: Promise<unknown> = Promise.resolve()

  function open(): Agent {
    if (closed) throw new TransportError('The transport is closed.')
    if (agent) return agent
    // A socket of its own: the agent would close its one after every answer.
    socket = createSocket(hostname.includes(':') ? 'udp6' : 'udp4').unref()
    agent = new Agent({ socket })
    agent.on('error', () => {})
    return agent
  }

  function request(parameters: RequestParameters): Promise<Answer> {
    const answer = tail.then(() => ask(parameters))
    tail = answer.catch(() => {})
    return answer
  }

  function ask({ body, contentFormat, path, signal }: RequestParameters): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const agent = open()
      const message: OutgoingMessage = agent.request({
        confirmable: true,
        hostname,
        method: body === undefined ? 'GET' : 'POST',
        pathname: path,
        port,
      })
      const finish = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
        message.removeAllListeners('error').on('error', () => {})
      }
      const give = (reason: unknown) => {
        finish()
        agent.abort(message)
        reject(reason)
      }
      const onAbort = () => give(signal!.reason)
      const timer = setTimeout(
        () => give(new TransportError(`The node did not answer within ${timeoutMs} ms.`)),
        timeoutMs,
      )
      signal?.addEventListener('abort', onAbort)
      message.on('error', (cause) =>
        give(new TransportError('The node cannot be reached.', { cause })),
      )
      message.on('response', (response: IncomingMessage) => {
        finish()
        resolve(toAnswer(response))
      })
      if (contentFormat !== undefined) message.setOption('Content-Format', Buffer.of(contentFormat))
      if (body !== undefined && body.length > blockBytes)
        message.setOption('Block1', Buffer.of(exponent))
      message.end(body === undefined ? undefined : Buffer.from(body))
    })
  }

  return {
    maxBatches,
    async send(batches, { clock, network, signal }) {
      const path = `/networks/${toHex(network)}/batches`
      const answers = await postBatches(batches, (body, { contentType }) =>
        request({ body, contentFormat: formats[contentType], path, signal }),
      )
      const rest = { cache, clock, logKeys, maxSkewMs, network, operator }
      return Promise.all(answers.map((answer, i) => toDelivery(answer, batches[i]!, rest)))
    },
    async readDevice({ device, network, signal }) {
      const path = `/networks/${toHex(network)}/devices/${toHex(device)}`
      return parseDeviceState(await request({ path, signal }))
    },
    async close() {
      closed = true
      agent?.close()
      socket?.close()
      agent = socket = undefined
    },
  }
}

type RequestParameters = {
  body?: Uint8Array
  contentFormat?: number
  path: string
  signal: AbortSignal | undefined
}

/** A {@link Transport} with a socket that is kept until it is closed. */
type ClosableTransport = Transport & {
  /** Lets go of the socket. */
  close(): Promise<void>
}

export declare namespace coap {
  type Options = {
    /** The operator's log key from the chain, P-256 X‖Y, 64 bytes; or with those that follow it, as with {@link http}. */
    logKey: Uint8Array | readonly Uint8Array[]
    /** The operator's account, 20 bytes, that receipts must name. */
    operator?: Uint8Array | undefined
    /** Most payload in one datagram, a power of two from 16: less for links with small frames. @default 1024 */
    blockBytes?: number | undefined
    /** Of one request. @default 8 */
    maxBatches?: number | undefined
    /** How far clocks of node and device may be apart. @default 5 minutes */
    maxSkewMs?: number | undefined
    /** Of one request, to the last block of the answer. @default 30 s */
    timeoutMs?: number | undefined
  }
  type Transport = ClosableTransport
}

/** Content-Formats (RFC 9052 §9, RFC 8742 §7.5). */
const formats = { 'application/cbor-seq': 63, 'application/cose': 18 } as const

/** CoAP's codes are those of HTTP, class and detail. */
function toAnswer({ code, headers, payload }: IncomingMessage): Answer {
  const [kind = 5, detail = 0] = code.split('.').map(Number)
  if (kind === 2) return { bytes: new Uint8Array(payload) }
  let fields: { [name: string]: unknown } = {}
  try {
    fields = Object(JSON.parse(payload.toString()))
  } catch {}
  const maxAge = Number(headers['Max-Age'])
  // An upload that the server forgot (4.08) may be begun again.
  return {
    problem: toProblem({ ...fields, status: 100 * kind + detail }),
    retryAfterMs: kind === 5 && Number.isFinite(maxAge) ? 1000 * maxAge : undefined,
  }
}

function parseCoapUrl(text: string): { hostname: string; port: number } {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'coap:' || url.hostname === '')
    throw new InvalidDeviceError('a URL of CoAP is coap://host:port; there is no coaps here')
  return {
    hostname: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? 5683 : Number(url.port),
  }
}
