import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { fromHex, toHex } from '@machinefi/core'
import { createLog, decodeCheckpoint, signCheckpoint } from '@machinefi/proof'
import { decodeBatch, readBatch } from '@machinefi/telemetry'
import { afterEach, describe, expect, test } from 'vitest'
import { createNodeReader } from '../../src/audit/createNodeReader.js'
import { openAuditStore } from '../../src/audit/openAuditStore.js'
import { openLogCopy } from '../../src/audit/openLogCopy.js'
import { type SyncReport, syncLog } from '../../src/audit/syncLog.js'
import { createSigner } from '../createFakeChain.js'
import { createTestNode, hourMs, type TestNode } from '../createTestNode.js'

// Between the auditor and an honest node stands one that changes answers.

type Tamper = (path: string, answer: Buffer, response: ServerResponse) => Buffer | undefined

const cleanups: (() => Promise<unknown> | unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function open(
  options: {
    batches?: number
    idleMs?: number
    paceMs?: number
    steps?: readonly number[]
    strangers?: boolean
  } = {},
) {
  const { batches: count = 6, steps = [60, 70] } = options
  const t = await createTestNode()
  cleanups.push(() => t[Symbol.asyncDispose]())
  const url = await t.node.listen({ port: 0 })
  const batches = []
  for (let seq = 0; seq < count; seq++)
    batches.push(await t.sign({ seq, start: t.chain.time + seq * 60 * 1000 * 4, steps }))
  t.moveTo(t.chain.time + 20 * hourMs)
  for (const batch of batches) await t.ingest(batch)

  const door: { tamper: Tamper | undefined } = { tamper: undefined }
  const server = createServer((request, response) => {
    fetch(url + request.url)
      .then(async (answer) => {
        const path = (request.url ?? '').replace(`/networks/${t.chain.network.id}`, '')
        const body = Buffer.from(await answer.arrayBuffer())
        const changed = door.tamper ? door.tamper(path, body, response) : body
        if (changed === undefined) return
        if (!response.headersSent) response.writeHead(answer.status)
        response.end(changed)
      })
      .catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => {
    server.closeAllConnections()
    server.close()
  })
  const directory = mkdtempSync(join(tmpdir(), 'audit-'))
  cleanups.push(() => rmSync(directory, { force: true, recursive: true }))
  const openCopy = () => {
    const store = openAuditStore({ directory, identity: { network: t.chain.network.id } })
    cleanups.push(() => store.close())
    return { copy: openLogCopy(store, fromHex(t.chain.operator), 0), store }
  }
  let { copy, store } = openCopy()
  const partial = { from: 0, parts: [], size: 0 }
  const members = await t.chain.members(0, t.chain.block)
  const reader = createNodeReader({
    idleMs: options.idleMs ?? 2000,
    network: t.chain.network.id,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  })
  return {
    t,
    /** Changes answers from now on. */
    tamper(next: Tamper | undefined) {
      door.tamper = next
    },
    get copy() {
      return copy
    },
    get store() {
      return store
    },
    reopen() {
      store.close()
      ;({ copy, store } = openCopy())
    },
    sync: (turnMs?: number): Promise<SyncReport> =>
      syncLog({
        copy,
        keyOf: (device) =>
          options.strangers
            ? undefined
            : members.find((m) => toHex(m.device) === toHex(device))?.publicKey,
        logKeys: () => t.logSigner.publicKey,
        network: t.id,
        paceMs: options.paceMs,
        partial,
        reader,
        store,
        turnMs,
      }),
  }
}

function signHead(t: TestNode, size: number, root: Uint8Array, network = t.id) {
  const operator = fromHex(t.chain.operator)
  return signCheckpoint({ network, operator, root, shard: 0, signer: t.logSigner, size, time: 0 })
}

const refusals: [string, Tamper][] = [
  ['an answer cut off', (_, body) => body.subarray(0, -7)],
  ['bytes that are nothing', (_, body) => Buffer.alloc(body.length, 0xff)],
  ['more than was asked for', (_, body) => Buffer.concat([body, body, Buffer.alloc(100)])],
  ['nothing', () => Buffer.alloc(0)],
  ['ten megabytes', () => Buffer.alloc(10 * 2 ** 20)],
  [
    'a bomb',
    (_, __, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' })
      return gzipSync(Buffer.alloc(64 * 2 ** 20))
    },
  ],
  [
    'a redirection',
    (_, __, response) => {
      response.writeHead(302, { location: 'http://127.0.0.1:1/' })
      return Buffer.alloc(0)
    },
  ],
  [
    'an endless answer',
    (_, __, response) => {
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
      }
      response
        .writeHead(200)
        .on('drain', more)
        .on('error', () => {})
      more()
      return undefined
    },
  ],
  [
    'a hang-up',
    (_, __, response) => {
      response.destroy()
      return undefined
    },
  ],
]

describe.each(refusals)('behavior: %s', (_, tamper) => {
  test.each(['/log/checkpoint', '/log/entries', '/log/batches', '/log/checkpoints', '/'])(
    'for %s',
    async (where) => {
      const scene = await open()
      const { heapUsed } = process.memoryUsage()
      scene.tamper((path, body, response) =>
        path.split('?')[0]!.startsWith(where) ? tamper(path, body, response) : body,
      )
      const report = await scene.sync()
      expect(process.memoryUsage().heapUsed - heapUsed).toBeLessThan(40 * 2 ** 20)
      expect(report.size).toBeLessThanOrEqual(6)
      // An honest answer mends it, also after a restart.
      scene.tamper(undefined)
      scene.reopen()
      await scene.sync()
      await scene.sync()
      expect(scene.copy.size).toBe(6)
      expect(scene.copy.holes(6)).toEqual([])
      for (let index = 0; index < 6; index++)
        expect(scene.copy.batch(index)).toMatchObject({ signed: true })
    },
  )
})

test('behavior: a slow answer has an end', async () => {
  const scene = await open({ idleMs: 100 })
  scene.tamper((_, __, response) => {
    response.writeHead(200).write('x')
    return undefined
  })
  const from = performance.now()
  const report = await scene.sync()
  expect(performance.now() - from).toBeLessThan(5_000)
  expect(report.problems).toEqual(['The node did not give /log/checkpoint: it is too slow.'])
})

test('behavior: other entries than the head was signed over', async () => {
  const scene = await open()
  scene.tamper((path, body) => {
    if (path.startsWith('/log/entries')) body[40]! ^= 1
    return body
  })
  const report = await scene.sync()
  expect(report).toMatchObject({ batches: 0, contradiction: false, size: 0 })
  expect(report.problems).toEqual([
    'The entries that the node shows do not lead to the head it signed.',
  ])
})

test('behavior: a batch with another signature is kept as one that was not signed', async () => {
  const scene = await open()
  scene.tamper((path, body) => {
    // The last byte of a signature is the one before the head of the records.
    if (path.startsWith('/log/batches')) {
      const at = body.indexOf(Buffer.of(0x58, 0x40))
      body[at + 10]! ^= 1
    }
    return body
  })
  await scene.sync()
  expect(scene.copy.batch(0)).toMatchObject({ signed: false })
  expect(scene.copy.batch(1)).toMatchObject({ signed: true })
})

test('behavior: heads of others count for nothing, those of its own against it', async () => {
  const scene = await open()
  await scene.sync()
  const { t } = scene
  const root = new Uint8Array(32).fill(9)
  const forged = await Promise.all([
    signHead(t, 5, root, new Uint8Array(32)),
    signCheckpoint({
      network: t.id,
      operator: fromHex(t.chain.operator),
      root,
      shard: 0,
      signer: createSigner(),
      size: 5,
      time: 0,
    }),
  ])
  scene.tamper((path, body) =>
    path.startsWith('/log/checkpoints') ? Buffer.concat([...forged, body]) : body,
  )
  expect(await scene.sync()).toMatchObject({ contradiction: false, problems: [] })
  const own = await signHead(t, 5, root)
  scene.tamper((path, body) =>
    path.startsWith('/log/checkpoints') ? Buffer.concat([own, body]) : body,
  )
  expect(await scene.sync()).toMatchObject({ contradiction: true, size: 6 })
})

test('behavior: heads that the copy comes to later leave room for one that contradicts it', async () => {
  const scene = await open({ batches: 2 })
  await scene.sync()
  const { copy, store, t } = scene
  // More than are kept, of a log that grows while it is read.
  const late = Array.from({ length: 300 }, (_, i) => ({
    ...{ bytes: new Uint8Array(), odd: true, time: 0, verified: true },
    ...{ root: new Uint8Array(32), size: 10 + i },
  }))
  const next = await t.sign({ seq: 2, start: t.chain.time - 8 * hourMs, steps: [60, 70] })
  expect(await t.ingest(next)).toMatchObject([{ ok: true }])
  const { bytes, ...head } = await fetchHead(t)
  store.putCheckpoints(copy.number, [{ ...head, bytes, odd: true, verified: true }, ...late])
  const contradicting = await signHead(t, 1, new Uint8Array(32).fill(9))
  scene.tamper((path, body) =>
    path.startsWith('/log/checkpoints') ? Buffer.concat([contradicting, body]) : body,
  )
  expect(await scene.sync()).toMatchObject({ contradiction: true, size: 3 })
  const odd = store.oddCheckpoints(copy.number).filter(({ size }) => size <= copy.size)
  // With the one that it contradicts.
  expect(odd.map(({ odd, size }) => [odd, size]).sort()).toEqual([
    [false, 1],
    [true, 1],
  ])
})

test('behavior: of heads beyond the copy the ones dated first stay, of each kind', async () => {
  const scene = await open()
  await scene.sync()
  const { copy, store } = scene
  const toHead = (time: number) => ({
    ...{ bytes: new Uint8Array(), odd: true, time, verified: true },
    ...{ root: new Uint8Array(32), size: 2 ** 40 - time },
  })
  const [early, late] = [0, 1000].map((from) =>
    Array.from({ length: 300 }, (_, i) => toHead(from + i)),
  )
  const countOf = (heads: typeof early) =>
    heads!.filter((head) => store.hasCheckpoint(copy.number, head)).length
  store.putCheckpoints(copy.number, late!)
  expect([countOf(early), countOf(late)]).toEqual([0, 256])
  store.putCheckpoints(copy.number, early!.slice(0, 100))
  expect([countOf(early), countOf(late)]).toEqual([100, 156])
  store.putCheckpoints(copy.number, early!.slice(100), { given: true })
  expect([countOf(early), countOf(late)]).toEqual([300, 156])
  store.putCheckpoints(copy.number, late!, { given: true })
  expect(store.hasCheckpoint(copy.number, late!.at(-1)!)).toBe(false)
  expect(countOf(early)).toBe(300)
})

async function fetchHead(t: TestNode) {
  const path = `${t.node.url}/networks/${t.chain.network.id}/log/checkpoint`
  const bytes = new Uint8Array(await (await fetch(path)).arrayBuffer())
  const { root, size, time } = decodeCheckpoint(bytes)
  return { bytes, root, size, time }
}

test('behavior: a head over more entries than anyone keeps', async () => {
  const scene = await open()
  await scene.sync()
  const head = await signHead(scene.t, 2 ** 40, createLog().root())
  let asked = 0
  scene.tamper((path, body) => {
    if (path.startsWith('/log/entries')) asked++
    return path === '/log/checkpoint' ? Buffer.from(head) : body
  })
  const report = await scene.sync()
  expect([report.size, asked]).toEqual([6, 0])
  expect(report.problems[0]).toContain('more than an auditor keeps')
})

test('behavior: a node without the sequence of batches gives them one by one', async () => {
  const scene = await open({ batches: 40 })
  scene.tamper((path, body, response) => {
    if (!path.startsWith('/log/batches?')) return body
    response.writeHead(404)
    return Buffer.alloc(0)
  })
  expect(await scene.sync()).toMatchObject({ batches: 40, problems: [], size: 40 })
})

/** Gives a few batches at a time, and takes its time for them. */
const drip =
  (eachMs: number, count = 1): Tamper =>
  (path, body, response) => {
    if (!path.startsWith('/log/batches?')) return body
    let end = 0
    for (let i = 0; i < count && end < body.length; i++) end = readBatch(body, end).end
    setTimeout(() => response.end(body.subarray(0, end)), eachMs)
    return undefined
  }

test.each([
  ['its turn', {}, 800],
  ['its pace', { paceMs: 800 }, undefined],
])('behavior: a log that comes in drops is left for %s, and kept', async (_, options, turnMs) => {
  const scene = await open({ batches: 40, ...options })
  scene.tamper(drip(100))
  const first = await scene.sync(turnMs)
  expect(first.problems).toEqual([expect.stringContaining('goes on from here')])
  expect(first.batches).toBeGreaterThan(0)
  expect(first.batches).toBeLessThan(40)
  expect(scene.copy.copied).toBe(first.batches)
  scene.tamper(undefined)
  const { batches, problems } = await scene.sync()
  expect([first.batches + batches, problems]).toEqual([40, []])
})

test('behavior: entries that came before a turn was over are not asked for again', async () => {
  const scene = await open({ batches: 40 })
  const asked: string[] = []
  scene.tamper((path, body, response) => {
    if (!path.startsWith('/log/entries')) return body
    asked.push(path)
    setTimeout(() => response.end(body.subarray(0, 32 * 4)), 100)
    return undefined
  })
  let turns = 0
  while (scene.copy.size === 0 && turns < 20) {
    await scene.sync(300)
    turns++
  }
  expect(scene.copy.size).toBe(40)
  expect(turns).toBeGreaterThan(1)
  expect(new Set(asked).size).toBeGreaterThanOrEqual(10)
})

test('behavior: a log that comes steadily is not left for being large', async () => {
  const steps = Array.from({ length: 600 }, (_, i) => (i * 7919) % 3000)
  const scene = await open({ batches: 100, paceMs: 3_000, steps })
  scene.tamper(drip(130, 4))
  const from = performance.now()
  expect(await scene.sync()).toMatchObject({ batches: 100, problems: [] })
  expect(performance.now() - from).toBeGreaterThan(3_000)
})

/** Keeps some batches back, whichever way they are asked for. */
const hide =
  (isHidden: (index: number) => boolean): Tamper =>
  (path, body, response) => {
    const [, one, from] = /^\/log\/batches(?:\/(\d+)|\?from=(\d+))/.exec(path) ?? []
    if (one === undefined && from === undefined) return body
    if (one !== undefined && !isHidden(Number(one))) return body
    let end = 0
    for (let i = Number(from); one === undefined && end < body.length && !isHidden(i); i++)
      end = readBatch(body, end).end
    if (end === 0) response.writeHead(one === undefined ? 200 : 404)
    return body.subarray(0, end)
  }

test.each([429, 503])(
  'behavior: a node that answers %i for a while is not one that keeps batches back',
  async (status) => {
    const scene = await open({ batches: 80 })
    let busy = true
    const asked: string[] = []
    scene.tamper((path, body, response) => {
      if (!path.startsWith('/log/batches')) return body
      asked.push(path)
      if (!busy) return body
      response.writeHead(status)
      return Buffer.alloc(0)
    })
    expect(await scene.sync()).toMatchObject({ batches: 0, size: 80 })
    busy = false
    expect(await scene.sync()).toMatchObject({ batches: 80, problems: [] })
    expect(asked.filter((path) => !path.includes('?'))).toEqual([])
  },
)

test('behavior: what is behind many batches that are kept back is copied', async () => {
  const scene = await open({ batches: 120 })
  scene.tamper(hide((index) => index >= 10 && index < 100))
  const { batches, problems } = await scene.sync()
  expect([batches, problems]).toEqual([30, ['The node does not give 90 batches of its log.']])
  expect([scene.copy.copied, scene.copy.holes(120).length]).toEqual([120, 90])
  scene.tamper(undefined)
  expect(await scene.sync()).toMatchObject({ batches: 90, problems: [] })
})

test('behavior: what never comes does not keep the rest from being asked for again', async () => {
  const scene = await open({ batches: 60 })
  scene.tamper(hide((index) => index < 50))
  await scene.sync()
  scene.tamper(hide((index) => index < 40))
  // Ten of fifty are there now, and sixteen that are not end a round.
  for (let round = 0; round < 200 && scene.copy.holes(60).length > 40; round++) await scene.sync()
  expect(scene.copy.holes(60)).toEqual(Array.from({ length: 40 }, (_, index) => index))
})

test('behavior: rows of devices that are no members are not kept', async () => {
  const scene = await open({ strangers: true })
  expect(await scene.sync()).toMatchObject({ batches: 6, problems: [] })
  for (let index = 0; index < 6; index++) {
    const { bytes, signed } = scene.copy.batch(index)!
    expect([decodeBatch(bytes).records, signed]).toEqual([null, undefined])
  }
})
