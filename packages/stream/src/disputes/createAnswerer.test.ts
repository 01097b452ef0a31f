import { join } from 'node:path'
import { publicKeyToAddress } from '@machinefi/core'
import { isInWindow, type Point } from '@machinefi/proof'
import { batchId } from '@machinefi/telemetry'
import Database from 'libsql'
import { expect, test, vi } from 'vitest'
import { createSigner } from '../../test/createFakeChain.js'
import {
  createTestNode,
  dayMs,
  hourMs,
  minuteMs,
  type TestNode,
} from '../../test/createTestNode.js'

const first = 20_000
const other = `0x${'0b'.repeat(20)}` as const

/** A node with two posted windows: of a walker, one that idles, one suspended, one that joined late. */
async function createSettledNode(options: createTestNode.Options = {}) {
  const t = await createTestNode({
    challengeWindowMs: 10 * dayMs,
    devices: 3,
    takeoverDelayMs: 0,
    ...options,
  })
  const { chain } = t
  const { time } = chain
  const batches = []
  for (let day = 0; day < 2; day++) {
    t.moveTo(time + day * dayMs + 12 * hourMs)
    for (let i = 0; i < 5; i++)
      batches.push(
        await t.sign({
          seq: 5 * day + i,
          start: time + day * dayMs + i * hourMs,
          steps: [60, 70, 80],
        }),
      )
    batches.push(await t.sign({ device: 2, seq: day, start: time + day * dayMs, steps: [200] }))
    if (day === 0) {
      const late = createSigner()
      chain.join(late, { joinedAt: t.now / 1000 })
      t.signers.push(late)
    }
    if (day === 1)
      chain.suspend(publicKeyToAddress(t.signers[2]!.publicKey), Math.floor(t.now / 1000))
    expect((await t.ingest(...batches.slice(-6))).every(({ ok }) => ok)).toBe(true)
    t.moveTo(time + (day + 1) * dayMs + minuteMs)
    expect(await t.node.settle()).toHaveLength(1)
  }
  await t.node.refresh()
  return Object.assign(t, { batches })
}

/** Everything that can be challenged in a window, but for what comes twice. */
function listPoints(t: Awaited<ReturnType<typeof createSettledNode>>, window: number): Point[] {
  const { chain, id: network, node } = t
  const epoch = chain.epochs.get(window)!
  const points: Point[] = []
  for (let slot = 0; slot < 2 ** epoch.depth; slot++) {
    for (const step of [0, 1, 4, 5, 4_000_000_000]) points.push({ kind: 'step', slot, step })
    const signer = t.signers[slot]
    const device = signer ? publicKeyToAddress(signer.publicKey) : null
    points.push({ device, kind: 'carry', slot })
  }
  for (let height = 1; height <= epoch.depth; height++)
    for (let index = 0; index < 2 ** (epoch.depth - height); index++)
      points.push({ height, index, kind: 'reveal' })
  const { size } = epoch.logs[0]!
  for (const [index, batch] of t.batches.slice(0, size).entries()) {
    const { device, header } = batch
    // Suspended in the second window: nobody can miss its batches.
    const paid = index % 6 < 5 || window === first
    if (!paid || !isInWindow(header, chain.windowOf(window))) continue
    const [seq, id] = [header.seq, batchId(batch, network)]
    points.push({ batchId: id, device, index, kind: 'omission', seq, shard: 0 })
  }
  expect(node.url).toBeUndefined()
  return points
}

const ask = (t: TestNode) => t.node.answer()
const stats = (t: TestNode) =>
  (t.node.health().networks as { challenges: unknown }[])[0]!.challenges

test('default', async () => {
  await using t = await createSettledNode()
  const answered: string[] = []
  await t.reopen({ onAnswer: ({ id }) => answered.push(id) })
  const { logs } = t.chain.epochs.get(first)!
  const ids = []
  for (const window of [first, first + 1]) {
    const points = listPoints(t, window)
    expect(points.length).toBeGreaterThan(25)
    points.push({ ...logs[0]!, kind: 'consistency' })
    for (const point of points) ids.push(t.chain.challenge(window, point))
  }
  await ask(t)
  expect(t.errors).toEqual([])
  expect(t.node.health()).toMatchObject({ ok: true, problems: [] })
  expect(stats(t)).toEqual({ answered: ids.length, open: 0, unanswerable: 0 })
  expect([...t.chain.disputes.values()].every(({ status }) => status === 'answered')).toBe(true)
  expect(answered.sort()).toEqual(ids.sort())
  // Nothing is read or sent twice.
  await ask(t)
  expect(t.chain.sent).toHaveLength(ids.length)
})

test('behavior: what was opened while the node was down is answered after the start', async () => {
  await using t = await createSettledNode()
  await t.node.close()
  t.chain.challenge(first, { kind: 'step', slot: 0, step: 2 })
  t.chain.challenge(first + 1, { kind: 'reveal', height: 1, index: 0 })
  t.chain.unminedCount = 1
  t.node = await t.open()
  // Perhaps it was answered before the node went down: that has to be known first.
  await ask(t)
  expect(t.chain.sent).toEqual([])
  t.chain.unminedCount = 0
  await ask(t)
  expect(t.chain.sent).toHaveLength(2)
  t.chain.unminedCount = 1
  t.chain.challenge(first, { kind: 'step', slot: 0, step: 3 })
  await ask(t)
  expect(t.chain.sent).toHaveLength(3)
})

test('behavior: started, it answers by itself', async () => {
  await using t = await createSettledNode()
  t.node.start({ everyMs: 5 })
  t.chain.challenge(first, { kind: 'step', slot: 0, step: 2 })
  await vi.waitFor(() => expect(t.chain.sent).toHaveLength(1))
  await vi.waitFor(() => expect(stats(t)).toEqual({ answered: 1, open: 0, unanswerable: 0 }))
})

test('options: maxAnswers: some at a time, the nearest deadline first, none twice', async () => {
  await using t = await createSettledNode()
  await t.reopen({ limits: { maxAnswers: 4 } })
  const ids = Array.from({ length: 200 }, (_, i) =>
    t.chain.challenge(
      first,
      { kind: 'step', slot: 0, step: i },
      { responseTimeMs: hourMs - i * 1000 },
    ),
  )
  let mine = (_?: unknown) => {}
  t.chain.mining = new Promise((resolve) => {
    mine = resolve
  })
  const rounds = [ask(t), ask(t)]
  await vi.waitFor(() => expect(t.chain.sent).toHaveLength(4))
  rounds.push(ask(t))
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(t.chain.sent).toHaveLength(4)
  expect(t.chain.sent.map(({ id }) => id).sort()).toEqual(ids.slice(-4).sort())
  mine()
  await Promise.all(rounds)
  expect(new Set(t.chain.sent.map(({ id }) => id)).size).toBe(200)
  expect(t.chain.sent).toHaveLength(200)
  expect(t.errors).toEqual([])
})

test('error: the rows are gone', async () => {
  await using t = await createSettledNode()
  await t.node.close()
  const database = new Database(join(t.directory, 'node.db'))
  database.exec('UPDATE days SET expired = 1')
  database.close()
  t.node = await t.open()
  const id = t.chain.challenge(first, { kind: 'step', slot: 0, step: 2 })
  // What needs no rows is answered all the same.
  t.chain.challenge(first, { kind: 'step', slot: 0, step: 5 })
  const [until, network] = [new Date(t.chain.time + hourMs).toISOString(), t.chain.network.id]
  const problem = (reason: string) =>
    `${network}: A challenge of window ${first} (step 2 in slot 0, until ${until}) is not answered: ${reason}`
  const gone = 'The step challenge cannot be answered: the rows of a batch have expired.'
  for (let i = 0; i < 2; i++) {
    await ask(t)
    expect(t.node.health()).toMatchObject({ ok: false, problems: [problem(gone)] })
  }
  expect(t.errors).toMatchObject([{ challenge: { id }, name: 'ChallengeError' }])
  const url = await t.node.listen({ port: 0 })
  expect((await fetch(`${url}/health`)).status).toBe(503)
  const metrics = await (await fetch(`${url}/metrics`)).text()
  for (const line of ['open', 'unanswerable', 'answered_total'])
    expect(metrics).toContain(`machinefi_challenges_${line}{network="${network}"} 1\n`)
  // Too late; then the operator is slashed for it.
  t.moveTo(t.now + hourMs)
  await ask(t)
  expect(t.node.health().problems).toEqual([problem('The deadline is over.')])
  expect(t.errors).toHaveLength(2)
  t.chain.disputes.get(id)!.status = 'upheld'
  await ask(t)
  expect(t.node.health().problems).toEqual([])
  expect(stats(t)).toEqual({ answered: 1, open: 0, unanswerable: 0 })
})

test('error: the log or the ledger is not the one that was posted', async () => {
  await using t = await createSettledNode()
  const { size } = t.chain.epochs.get(first)!.logs[0]!
  const root = new Uint8Array(32).fill(1)
  t.chain.challenge(first, { kind: 'consistency', root, shard: 0, size })
  await ask(t)
  expect(t.node.health().problems).toEqual([
    expect.stringContaining(
      'the log that was posted does not begin with the one pointed at.',
    ) as string,
  ])
  expect(t.chain.sent).toEqual([])
})

test('behavior: what fails is tried again, with its reason in /health until it has worked', async () => {
  await using t = await createSettledNode()
  t.chain.challenge(first, { kind: 'step', slot: 0, step: 2 })
  const { answer } = t.chain
  let fails = 2
  t.chain.answer = async (...given) => {
    if (fails-- > 0) throw new Error('https://rpc.example/api-key does not answer')
    return answer(...given)
  }
  await ask(t)
  expect(t.node.health().problems).toEqual([
    expect.stringContaining('is not answered: An unexpected error.') as string,
  ])
  expect(stats(t)).toEqual({ answered: 0, open: 1, unanswerable: 0 })
  // Not again at once.
  await ask(t)
  expect(fails).toBe(1)
  await vi.waitFor(
    async () => {
      await ask(t)
      expect(t.chain.sent).toHaveLength(1)
    },
    { interval: 100, timeout: 10_000 },
  )
  expect(t.node.health().problems).toEqual([])
  expect(t.errors).toHaveLength(1)
})

test('behavior: sent, and its answer lost, it is not sent again before it is known to be gone', async () => {
  await using t = await createSettledNode()
  const id = t.chain.challenge(first, { kind: 'step', slot: 0, step: 2 })
  const { answer } = t.chain
  let sent = 0
  t.chain.answer = async (given, onSent) => {
    if (sent++ > 0) return answer(given, onSent)
    onSent('0x01')
    throw new Error('no answer')
  }
  let pending = true
  t.chain.isPending = async () => pending
  await ask(t)
  await new Promise((resolve) => setTimeout(resolve, 1100))
  await ask(t)
  expect(sent).toBe(1)
  expect(t.node.health().problems[0]).toContain('An answer is sent, and in no block yet.')
  expect(stats(t)).toEqual({ answered: 0, open: 1, unanswerable: 0 })
  pending = false
  await vi.waitFor(
    async () => {
      await ask(t)
      expect(t.chain.disputes.get(id)!.status).toBe('answered')
    },
    { interval: 100, timeout: 10_000 },
  )
  expect(sent).toBe(2)
})

test('behavior: an answer that a reorganisation took back is given again', async () => {
  await using t = await createSettledNode()
  const id = t.chain.challenge(first, { kind: 'step', slot: 0, step: 2 })
  await ask(t)
  expect(t.chain.sent).toHaveLength(1)
  t.chain.disputes.get(id)!.status = 'open'
  await ask(t)
  expect(t.chain.sent).toHaveLength(1)
  t.moveTo(t.now + hourMs / 2)
  await ask(t)
  expect(t.chain.disputes.get(id)!.status).toBe('answered')
  expect(t.chain.sent).toHaveLength(2)
  t.moveTo(t.now + hourMs / 4)
  await ask(t)
  expect(t.chain.sent).toHaveLength(2)
})

test('behavior: a challenge in a block that was read before is answered', async () => {
  await using t = await createSettledNode()
  const { chain } = t
  chain.block += 40
  await ask(t)
  // A reorganisation has put it there, or the endpoint that was asked was behind.
  const id = chain.challenge(first, { kind: 'step', slot: 0, step: 2 })
  chain.disputes.get(id)!.block = chain.block - 20
  await ask(t)
  expect(chain.disputes.get(id)!.status).toBe('answered')
})

test('behavior: answers while members and rules cannot be read', async () => {
  await using t = await createSettledNode()
  const { chain } = t
  const { config } = chain
  // The owner has set a schema that this node was not given.
  chain.config = async (window) => ({ ...(await config(window)), schema: 77 })
  t.moveTo(chain.time + dayMs)
  const id = chain.challenge(
    first + 1,
    { kind: 'step', slot: 0, step: 2 },
    { responseTimeMs: dayMs },
  )
  await expect(ask(t)).rejects.toThrow('schema 77 was not given')
  expect(chain.disputes.get(id)!.status).toBe('answered')
})

test('behavior: answers while what was sent cannot be hastened', async () => {
  await using t = await createSettledNode()
  const { chain } = t
  vi.useFakeTimers({ toFake: ['performance'] })
  try {
    let mine = () => {}
    chain.mining = new Promise((resolve) => {
      mine = resolve as () => void
    })
    const ids = [chain.challenge(first, { kind: 'step', slot: 0, step: 2 })]
    const waiting = ask(t)
    await vi.waitFor(() => expect(chain.sent).toHaveLength(1))
    vi.advanceTimersByTime(61_000)
    chain.hasten = () => Promise.reject(new Error('nonce too low'))
    ids.push(chain.challenge(first, { kind: 'step', slot: 0, step: 3 }))
    const next = ask(t)
    await vi.waitFor(() => expect(chain.sent).toHaveLength(2))
    mine()
    await Promise.all([waiting, next])
    expect(ids.map((id) => chain.disputes.get(id)!.status)).toEqual(['answered', 'answered'])
    expect(t.errors).toMatchObject([{ message: 'nonce too low' }])
  } finally {
    vi.useRealTimers()
  }
})

test('behavior: answered by somebody else, voided, or of another operator: nothing to do', async () => {
  await using t = await createSettledNode()
  const id = t.chain.challenge(first, { kind: 'step', slot: 0, step: 2 })
  t.chain.mining = new Promise((resolve) => {
    setTimeout(() => {
      t.chain.disputes.get(id)!.status = 'answered'
      resolve(undefined)
    }, 5)
  })
  await ask(t)
  expect(stats(t)).toEqual({ answered: 1, open: 0, unanswerable: 0 })

  t.chain.challenge(first + 1, { kind: 'step', slot: 0, step: 2 })
  t.chain.void(first + 1)
  await ask(t)
  expect(stats(t)).toEqual({ answered: 1, open: 0, unanswerable: 0 })

  await using b = await createTestNode({ chain: t.chain, devices: 0, operator: other })
  b.now = t.now
  t.chain.challenge(first, { kind: 'step', slot: 0, step: 9 })
  await ask(b)
  expect(stats(b)).toEqual({ answered: 0, open: 0, unanswerable: 0 })
  for (const node of [t, b]) {
    expect(node.errors).toEqual([])
    expect(node.node.health().problems).toEqual([])
  }
})

test('behavior: an operator answers for what it built on the ledger of another one', async () => {
  await using t = await createSettledNode()
  t.chain.void(first + 1)
  t.chain.operators.get(t.chain.operator)!.listed = false
  const peers = [await t.node.listen({ port: 0 })]
  await using b = await createTestNode({ chain: t.chain, devices: 0, operator: other, peers })
  b.now = t.now
  // The devices have kept what they sent.
  expect((await b.ingest(...t.batches.slice(6))).every(({ ok }) => ok)).toBe(true)
  expect(await b.node.settle()).toMatchObject([{ attempt: 2, ledgerTotal: 2300n }])
  for (let slot = 0; slot < 4; slot++) {
    const device = publicKeyToAddress(t.signers[slot]!.publicKey)
    t.chain.challenge(first + 1, { device, kind: 'carry', slot })
    t.chain.challenge(first + 1, { kind: 'step', slot, step: 0 })
  }
  await ask(b)
  await ask(t)
  expect(stats(b)).toEqual({ answered: 8, open: 0, unanswerable: 0 })
  expect(stats(t)).toEqual({ answered: 0, open: 0, unanswerable: 0 })
  expect(b.node.health().problems).toEqual([])
})

test('behavior: a balance too low for the answers is named', async () => {
  await using t = await createSettledNode()
  t.chain.balance = 10n ** 15n
  let mine = (_?: unknown) => {}
  t.chain.mining = new Promise((resolve) => {
    mine = resolve
  })
  t.chain.challenge(first, { kind: 'step', slot: 0, step: 2 })
  t.chain.challenge(first, { kind: 'step', slot: 0, step: 3 })
  const round = ask(t)
  await vi.waitFor(() => expect(t.chain.sent).toHaveLength(2))
  expect(t.node.health().problems).toEqual([
    `${t.chain.network.id}: The operator's balance is too low to answer 2 open challenges: ${10n ** 15n} wei of about ${12n * 10n ** 14n}.`,
  ])
  mine()
  await round
  expect(t.node.health().problems).toEqual([])
})

test('behavior: rows of a window under challenge do not expire', async () => {
  await using t = await createSettledNode({ challengeWindowMs: dayMs, retentionMs: 2 * dayMs })
  const id = t.chain.challenge(
    first,
    { kind: 'step', slot: 0, step: 2 },
    { responseTimeMs: 9 * dayMs },
  )
  t.moveTo(t.now + 8 * dayMs)
  await t.node.settle()
  await ask(t)
  expect(t.chain.disputes.get(id)!.status).toBe('answered')
})
