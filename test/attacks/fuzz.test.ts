import { Agent, request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fromHex, publicKeyToAddress, toHex } from '@machinefi/core'
import { defineSchema } from '@machinefi/telemetry'
import { Decoder } from 'cbor-x'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createInput, type Input, type Material } from './createInput.js'
import { createRandom } from './createRandom.js'
import { parseResponses } from './parseResponses.js'
import { firstWindow, retentionMs, signSteps, startTime } from './startNetwork.js'
import { fuzzDevices, type Memory, type NodeProcess, startNodeProcess } from './startNodeProcess.js'

// FUZZ_INPUTS and FUZZ_SEED make it longer, or another one. A failure names the input.
const inputs = Number(process.env.FUZZ_INPUTS ?? 100_000)
const seed = Number(process.env.FUZZ_SEED ?? 1)
/** Every so many inputs a good batch is sent: the log grows by these alone. */
const controlEvery = 500
const tenth = Math.floor(inputs / 10)
const maxGrowth = 32 * 2 ** 20

let node: NodeProcess
const agent = new Agent({ keepAlive: true, maxSockets: 32 })

beforeAll(async () => {
  node = await startNodeProcess()
}, 120_000)

afterAll(async () => {
  agent.destroy()
  await node?.close()
})

test(`behavior: ${inputs} inputs over all endpoints`, async () => {
  const network = fromHex(node.network)
  const material = await createMaterial()
  const controls = await Promise.all(
    Array.from({ length: Math.ceil(inputs / controlEvery) }, (_, i) =>
      signSteps({
        network,
        seq: 100 + i,
        signer: fuzzDevices[i % 2]!,
        start: startTime + i * 240_000,
      }),
    ),
  )
  const before = await readSize()
  const statuses = new Map<string, number>()
  const operations = new Set<string>()
  const talks = new Set<Promise<void>>()
  let failed: Error | undefined
  const started = performance.now()

  await run(0, tenth)
  const first = await settleMemory()
  await run(tenth, inputs)
  expect(await node.errors()).toEqual([])
  const last = await settleMemory()

  const elapsed = performance.now() - started
  report(first, last, elapsed)
  // A tenth of less than this is too short for code to be compiled and heaps to be grown.
  if (inputs >= 100_000) {
    expect(last.resident - first.resident).toBeLessThan(maxGrowth)
    expect(last.live - first.live).toBeLessThan(maxGrowth / 4)
  }
  expect(node.alive()).toBe(true)
  expect(await readSize()).toBe(before + controls.length)
  const health = await fetch(`${node.url}/health`)
  expect([health.status, await health.json()]).toMatchObject([200, { ok: true, problems: [] }])
  // Not one operation was left out, and bodies got as far as the signature.
  expect([...operations].sort()).toEqual(
    material.operations.map(({ method, path }) => `${method} ${path}`).sort(),
  )
  for (const reason of [
    'signature',
    'records-hash',
    'unknown-device',
    'not-canonical',
    'header',
    'timeout',
  ])
    expect(statuses.get(reason), reason).toBeGreaterThan(0)

  async function run(from: number, to: number) {
    let next = from
    const work = async () => {
      while (next < to) {
        const i = next++
        await one(i).catch((cause) => {
          throw new Error(`Input ${i} of seed ${seed}: ${cause.message}`, { cause })
        })
        if (failed) throw failed
        if (!node.alive()) throw new Error(`The node died at input ${i} of seed ${seed}.`)
      }
    }
    await Promise.all(Array.from({ length: 32 }, work))
    while (talks.size > 0) await Promise.race(talks)
    if (failed) throw failed
  }

  async function one(i: number) {
    if (i % controlEvery === 0) {
      const response = await send({
        type: 'request',
        method: 'POST',
        path: `/networks/${node.network}/batches`,
        fields: { 'content-type': 'application/cose' },
        body: controls[i / controlEvery]!.bytes,
      })
      if (response.status !== 200) throw new Error(`A good batch got ${response.body}`)
      count(response)
      return
    }
    // The choices of an input are its own, whatever runs beside it.
    const random = createRandom(seed * 0x9e3779b1 + i * 0x85ebca6b)
    const input = createInput(random, material)
    if (input.type === 'request') {
      const response = await send(input)
      check(input, response)
      count(response)
      return
    }
    // Not waited for: a body that never comes takes the node its time to give up on.
    const done = talk(input)
      .then((responses) => {
        for (const response of responses) {
          check(input, response)
          count(response)
        }
        if (responses.length === 0) statuses.set('no answer', (statuses.get('no answer') ?? 0) + 1)
      })
      .catch((error) => {
        failed ??= new Error(`Input ${i} of seed ${seed}: ${error.message}`, { cause: error })
      })
      .finally(() => talks.delete(done))
    talks.add(done)
    while (talks.size > 300) await Promise.race(talks)
  }

  function count({ body, status, type }: Answer) {
    const key = `${Math.floor(status / 100)}xx`
    statuses.set(key, (statuses.get(key) ?? 0) + 1)
    if (type !== 'application/problem+json' || body.length === 0) return
    const reason = (JSON.parse(body.toString()) as Problem).type.slice(problemBase.length)
    statuses.set(reason, (statuses.get(reason) ?? 0) + 1)
  }

  /** Whether an answer is one that the node may give. */
  function check(input: Input, { body, fields, status, type }: Answer) {
    if (input.type === 'request')
      for (const { method, path } of material.operations)
        if (input.method === method && matches(path, input.path))
          operations.add(`${method} ${path}`)
    if (status >= 400) {
      const isHead = input.type === 'request' && input.method === 'HEAD'
      if (type !== 'application/problem+json') throw new Error(`${status} is ${type}`)
      if (!isHead) {
        const problem = JSON.parse(body.toString()) as Problem
        checkProblem(problem)
        if (problem.status !== status) throw new Error(`${status} says ${problem.status}`)
      }
      if (status >= 500 && (status !== 503 || !fields.get('retry-after')))
        throw new Error(`${status}: ${body}`)
    } else if (
      input.type === 'request' &&
      input.method === 'POST' &&
      type === 'application/cbor-seq'
    ) {
      for (const item of decoder.decodeMultiple(body) as unknown[])
        if (!(item instanceof Uint8Array)) {
          checkProblem(item as Problem)
          if ((item as Problem).status >= 500) throw new Error(JSON.stringify(item))
        }
    }
  }

  function report(first: Memory, last: Memory, elapsed: number) {
    const sorted = [...statuses].sort(([, a], [, b]) => b - a)
    const line = (entries: [string, number][]) =>
      entries.map(([name, n]) => `${name} ${n}`).join(', ')
    const mebibytes = (bytes: number) => (bytes / 2 ** 20).toFixed(1)
    process.stdout.write(
      `\n${inputs} inputs of seed ${seed} in ${(elapsed / 1000).toFixed(1)} s: ` +
        `${line(sorted.filter(([name]) => /^\dxx$|no answer/.test(name)))}\n` +
        `by reason: ${line(sorted.filter(([name]) => !/^\dxx$|no answer/.test(name)))}\n` +
        `after the first tenth and the last: resident ${mebibytes(first.resident)} and ` +
        `${mebibytes(last.resident)} MiB, live ${mebibytes(first.live)} and ${mebibytes(last.live)} MiB\n\n`,
    )
  }
}, 600_000)

/** Operations and values from the node's own mouth, and batches that come to nothing. */
async function createMaterial(): Promise<Material> {
  const document = (await (await fetch(`${node.url}/openapi.json`)).json()) as {
    paths: Record<string, Record<string, { parameters: { in: string; name: string }[] }>>
  }
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters }]) => ({
      method: method.toUpperCase(),
      path,
      query: parameters.filter((parameter) => parameter.in === 'query').map(({ name }) => name),
    })),
  )
  const network = fromHex(node.network)
  const [signer, koblitz] = fuzzDevices as [(typeof fuzzDevices)[0], (typeof fuzzDevices)[0]]
  const { now } = node
  const refused = await Promise.all([
    signSteps({ network, seq: 50, signer, start: now + 60_000 }),
    signSteps({ network, seq: 51, signer, start: now - retentionMs - 1000 }),
    // A second one of its seq: evidence.
    signSteps({ network, seq: 0, signer, start: startTime, steps: [1] }),
    signSteps({ network: new Uint8Array(32), seq: 52, signer, start: startTime }),
    signSteps({ network, schema: { ...wide, id: 2 }, seq: 53, signer, start: startTime }),
    signSteps({ network, schema: wide, seq: 54, signer: koblitz, start: startTime }),
    signSteps({ network, seq: 55, signer, start: startTime, steps: Array(700).fill(800) }),
  ])
  const devices = fuzzDevices.map(({ publicKey }) => toHex(publicKeyToAddress(publicKey)))
  return {
    batches: [...node.batches, ...refused.map(({ bytes }) => bytes)],
    operations,
    values: {
      device: [...devices, `did:io:${devices[0]}`],
      index: ['0', '1', '8'],
      network: [node.network],
      window: [`${firstWindow}`, new Date(startTime).toISOString().slice(0, 10)],
    },
  }
}

const wide = defineSchema({
  id: 1,
  tickMs: 1000,
  fields: { a: { unit: 'count' }, b: { unit: 'count' }, c: { unit: 'count' } },
})

type Problem = { status: number; title: string; type: string }
type Answer = {
  body: Buffer
  fields: ReadonlyMap<string, string>
  status: number
  type: string | undefined
}
const problemBase = 'https://machinefi.dev/problems/'
const decoder = new Decoder({ mapsAsObjects: true, useRecords: false })

function checkProblem({ status, title, type }: Problem) {
  if (!type.startsWith(problemBase) || !/^[a-z-]+$/.test(type.slice(problemBase.length)))
    throw new Error(`type ${type}`)
  if (typeof title !== 'string' || title === '') throw new Error(`title ${title}`)
  if (!(status >= 400 && status < 600)) throw new Error(`status ${status}`)
}

function send(input: Extract<Input, { type: 'request' }>): Promise<Answer> {
  const { body, fields, method, path } = input
  const { hostname, port } = new URL(node.url)
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      agent,
      headers: { ...fields, ...(body ? { 'content-length': body.length } : {}) },
      hostname,
      method,
      path,
      port,
      timeout: 60_000,
    })
    let answered = false
    request.on('response', (response) => {
      answered = true
      const chunks: Buffer[] = []
      response.on('data', (chunk) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () =>
        resolve({
          body: Buffer.concat(chunks),
          fields: new Map(Object.entries(response.headers as Record<string, string>)),
          status: response.statusCode!,
          type: response.headers['content-type'],
        }),
      )
    })
    request.on('timeout', () => request.destroy(new Error('no answer in a minute')))
    request.on('error', (error: NodeJS.ErrnoException) => {
      if (answered) return
      // The connection was closed as the request went out: as any client, again.
      if (request.reusedSocket && ['ECONNRESET', 'EPIPE'].includes(error.code ?? ''))
        send(input).then(resolve, reject)
      else reject(error)
    })
    request.end(body)
  })
}

function talk(input: Extract<Input, { type: 'raw' }>) {
  const { hostname, port } = new URL(node.url)
  return new Promise<Answer[]>((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = connect({ host: hostname, port: Number(port) })
    socket.setTimeout(20_000, () => {
      socket.destroy()
      const text = Buffer.from(input.bytes).toString('latin1', 0, 1000)
      reject(new Error(`a connection left open: ${JSON.stringify(text)}`))
    })
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('error', () => {})
    socket.on('close', () => {
      try {
        resolve(input.end === 'client' ? [] : parseResponses(Buffer.concat(chunks)))
      } catch (error) {
        reject(error)
      }
    })
    socket.write(input.bytes, () => {
      if (input.end === 'client') socket.destroy()
    })
  })
}

/** Memory once it falls no more: pages are given back with delay. */
async function settleMemory(): Promise<Memory> {
  const least = await node.memory()
  for (let still = 0; still < 8; still++) {
    // Sweeping goes on behind a collection.
    await sleep(50)
    const { live, resident } = await node.memory()
    if (resident < least.resident - 2 ** 18) still = 0
    least.resident = Math.min(least.resident, resident)
    least.live = Math.min(least.live, live)
  }
  return least
}

async function readSize(): Promise<number> {
  const response = await fetch(`${node.url}/networks/${node.network}`)
  return ((await response.json()) as { size: number }).size
}

function matches(template: string, path: string): boolean {
  const parts = path.split('?')[0]!.split('/')
  const wanted = template.split('/')
  return (
    parts.length === wanted.length &&
    wanted.every((part, i) => part.startsWith('{') || part === parts[i])
  )
}
