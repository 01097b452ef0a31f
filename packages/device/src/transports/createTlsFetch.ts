import { Agent, request } from 'node:https'
import { Readable } from 'node:stream'

/**
 * A `fetch` for {@link http} that trusts an authority of its own, or shows a
 * certificate: what Node's own fetch has no options for.
 *
 * It does what a transport needs, and no more: https, bodies of bytes, no
 * redirects.
 *
 * @example
 * const ca = readFileSync('ca.pem')
 * const transport = http('https://hub.local:4270', { fetch: createTlsFetch({ ca }) })
 */
export function createTlsFetch(options: createTlsFetch.Options): typeof globalThis.fetch {
  const { ca, cert, key } = options
  const agent = new Agent({
    keepAlive: true,
    ...(ca !== undefined && { ca: Buffer.from(ca) }),
    ...(cert !== undefined && { cert: Buffer.from(cert) }),
    ...(key !== undefined && { key: Buffer.from(key) }),
  })
  return (input, init = {}) =>
    new Promise((resolve, reject) => {
      const { body, headers, method = 'GET', signal } = init
      const sent = request(
        input instanceof Request ? input.url : input,
        {
          agent,
          headers: Object.fromEntries(new Headers(headers)),
          method,
          ...(signal && { signal }),
        },
        (message) => {
          const { statusCode: status = 500 } = message
          if (status >= 300 && status < 400) {
            message.destroy()
            return reject(new TypeError('A redirect is not followed.'))
          }
          const fields = new Headers()
          for (const [name, value] of Object.entries(message.headers))
            if (value !== undefined) fields.set(name, `${value}`)
          const stream = status === 204 ? null : (Readable.toWeb(message) as ReadableStream)
          resolve(new Response(stream, { headers: fields, status }))
        },
      )
      sent.on('error', reject)
      sent.end(body ?? undefined)
    })
}

export declare namespace createTlsFetch {
  type Options = {
    /** Authorities of the node's certificate, PEM. @default those of Node */
    ca?: string | Uint8Array | undefined
    /** The device's certificate and its key, PEM, where the node asks for one. */
    cert?: string | Uint8Array | undefined
    key?: string | Uint8Array | undefined
  }
}
