import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/**
 * What stands in front of a node: requests that `answer` has an answer to never reach the node, all
 * others do, with their answers as the node gives them.
 */
export async function openProxy(options: openProxy.Options): Promise<Proxy> {
  const { answer, node } = options
  const server = createServer((request, response) => {
    handle(request, response).catch(() => {
      if (!response.headersSent) response.writeHead(502)
      response.end()
    })
  })

  async function handle(request: IncomingMessage, response: ServerResponse) {
    const url = new URL(request.url ?? '/', node)
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const method = request.method ?? 'GET'
    const reply =
      (method === 'GET' ? await answer(url) : undefined) ??
      (await fetch(url, {
        ...(chunks.length > 0 && { body: Buffer.concat(chunks) }),
        headers: { 'content-type': request.headers['content-type'] ?? 'application/octet-stream' },
        method,
      }))
    const body = Buffer.from(await reply.arrayBuffer())
    const type = reply.headers.get('content-type') ?? 'application/octet-stream'
    response.writeHead(reply.status, { 'content-length': body.length, 'content-type': type })
    response.end(body)
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

export declare namespace openProxy {
  type Options = {
    /** The answer to a GET, in the node's place; undefined leaves it to the node. */
    answer: (url: URL) => Promise<Response | undefined> | Response | undefined
    /** URL of the node. */
    node: string
  }
}

export type Proxy = { readonly url: string; close(): Promise<void> }
