import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fromHex } from '@machinefi/core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Node, startNode } from '../../packages/stream/src/createNode.js'
import {
  createFakeChain,
  createSigner,
  signSteps,
  walker,
} from '../../packages/stream/test/createFakeChain.js'
import { parseResponses } from './parseResponses.js'

// What only shows on the wire: every end of a connection, and what is said before it.

const chain = createFakeChain()
const signer = createSigner(1)
let directory: string
let node: Node
let port: number
const errors: unknown[] = []

beforeAll(async () => {
  chain.join(signer)
  directory = mkdtempSync(join(tmpdir(), 'stream-'))
  node = await startNode({
    chains: [chain],
    clock: () => chain.time + 3_600_000,
    dataDir: directory,
    limits: { requestTimeoutMs: 500 },
    logSigner: createSigner(2),
    networks: [{ ...chain.network, schemas: [walker] }],
    onError: (error) => errors.push(error),
  })
  port = Number(new URL(await node.listen({ port: 0 })).port)
})

afterAll(async () => {
  await node.close()
  rmSync(directory, { force: true, recursive: true })
  expect(errors).toEqual([])
})

const path = () => `/networks/${chain.network.id}/batches`
const get = (url: string, ...fields: string[]) =>
  `GET ${url} HTTP/1.1\r\n${['host: node', ...fields].map((field) => `${field}\r\n`).join('')}\r\n`
const post = (body: string, ...fields: string[]) =>
  `POST ${path()} HTTP/1.1\r\n${['host: node', 'content-type: application/cose', ...fields]
    .map((field) => `${field}\r\n`)
    .join('')}\r\n${body}`

/** Writes, and reads until the node closes the connection. */
function talk(...parts: (string | Uint8Array)[]) {
  return new Promise<ReturnType<typeof parseResponses>>((resolve, reject) => {
    const chunks: Buffer[] = []
    // Half-open: this side never hangs up by itself.
    const socket = connect({ allowHalfOpen: true, host: '127.0.0.1', port })
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('error', () => {})
    socket.on('end', () => {
      try {
        resolve(parseResponses(Buffer.concat(chunks)))
      } catch (error) {
        reject(error)
      }
    })
    socket.on('close', () => resolve(parseResponses(Buffer.concat(chunks))))
    for (const part of parts) socket.write(part)
  })
}

const reasons = (responses: Awaited<ReturnType<typeof talk>>) =>
  responses.map(({ problem, status }) => (problem ? `${status} ${problem.type}` : status))
const problem = (status: number, reason: string) =>
  `${status} https://machinefi.dev/problems/${reason}`

test.each([
  ['garbage', 'garbage\r\n\r\n'],
  ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  ['no Host', 'GET /health HTTP/1.1\r\nconnection: close\r\n\r\n'],
  ['two lengths', post('ab', 'content-length: 1', 'content-length: 2')],
  ['a length and chunks', post('0\r\n\r\n', 'content-length: 5', 'transfer-encoding: chunked')],
  ['a negative length', post('', 'content-length: -1')],
  ['a length that is none', post('', 'content-length: 1e3')],
  ['a chunk without a length', post('xyz\r\n', 'transfer-encoding: chunked')],
  ['a chunk of 2^64 bytes', post('10000000000000000\r\n', 'transfer-encoding: chunked')],
  ['a field without a name', get('/health', ': x')],
  ['a field with a line feed in it', get('/health', 'a: b\nc')],
])('error: request: %s', async (_, text) => {
  expect(reasons(await talk(text))).toEqual([problem(400, 'request')])
})

test('error: header-fields', async () => {
  const responses = await talk(get('/health', `a: ${'x'.repeat(20_000)}`))
  expect(reasons(responses)).toEqual([problem(431, 'header-fields')])
})

test('error: timeout: a head, or a body, that does not come to its end', async () => {
  expect(reasons(await talk('GET /health HTTP/1.1\r\nhost: node\r\n'))).toEqual([
    problem(408, 'timeout'),
  ])
  expect(reasons(await talk(post('ab', 'content-length: 100')))).toEqual([problem(408, 'timeout')])
})

test('behavior: garbage after requests comes after their answers', async () => {
  const batch = await signSteps({
    network: fromHex(chain.network.id),
    seq: 0,
    signer,
    start: chain.time,
  })
  const responses = await talk(
    get('/networks'),
    post('', `content-length: ${batch.bytes.length}`),
    batch.bytes,
    get('/openapi.json'),
    '\0\0\0\0\r\n',
  )
  expect(reasons(responses)).toEqual([200, 200, 200, problem(400, 'request')])
  expect(responses[1]!.type).toBe('application/cose')
})

test('behavior: an unknown expectation is ignored', async () => {
  const responses = await talk(get('/networks', 'expect: miracles', 'connection: close'))
  expect(reasons(responses)).toEqual([200])
})

test('error: body-too-large: the answer arrives while the body still does', async () => {
  const body = Buffer.alloc(9 * 2 ** 20)
  const announced = await talk(post('', `content-length: ${body.length}`), body)
  expect(reasons(announced)).toEqual([problem(413, 'body-too-large')])
  const chunk = Buffer.concat([
    Buffer.from(`${body.length.toString(16)}\r\n`),
    body,
    Buffer.from('\r\n'),
  ])
  const chunked = await talk(post('', 'transfer-encoding: chunked'), chunk)
  expect(reasons(chunked)).toEqual([problem(413, 'body-too-large')])
  // And where it never comes.
  const huge = await talk(post('', 'content-length: 9007199254740991'))
  expect(reasons(huge)).toEqual([problem(413, 'body-too-large')])
})

test('behavior: whoever does not hang up is hung up on', async () => {
  const closed = await new Promise((resolve) => {
    const socket = connect({ allowHalfOpen: true, host: '127.0.0.1', port })
    socket.on('error', () => resolve(true))
    socket.on('close', () => resolve(true))
    socket.write('garbage\r\n\r\n')
    socket.resume()
    // Writes to a connection that is gone fail; to one that is half open they do not.
    const timer = setInterval(() => socket.write('x'), 50)
    socket.on('close', () => clearInterval(timer))
  })
  expect(closed).toBe(true)
})
