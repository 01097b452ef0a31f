import { readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import {
  openChallenge,
  readChallenges,
  readEpoch,
  readOperator,
  upholdChallenge,
} from '@machinefi/contracts'
import { fromHex, type Hex, type Signer, toHex } from '@machinefi/core'
import { createSoftwareSigner } from '@machinefi/device'
import {
  buildOmission,
  type Challenge,
  createLog,
  type EntryEvidence,
  type EpochEvidence,
  isInWindow,
  toCheckpointEvidence,
  verifyBundle,
} from '@machinefi/proof'
import { readBatch, type SignedBatch } from '@machinefi/telemetry'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { startChain } from '../../packages/contracts/test/startChain.js'
import { openChain } from '../../packages/stream/src/chain/openChain.js'
import { buildProcess } from './buildProcess.js'
import {
  type Chain,
  dayMs,
  hourMs,
  minuteMs,
  startNetwork,
  type TestNetwork,
  type TestOperator,
  toDevice,
} from './startNetwork.js'

// The operator's side of disputes against the real contracts: a challenger with an account of its
// own, and nodes that answer, or cannot.

const first = 20_000
const cleanups: (() => Promise<void> | void)[] = []
let chain: Chain

beforeAll(async () => {
  chain = await startChain({
    blockTimestampInterval: 1,
    hardfork: 'osaka',
    timestamp: (first * dayMs - 6 * hourMs) / 1000,
  })
}, 60_000)

afterAll(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup()
  await chain?.close()
})

/** Two windows of three devices, one of which does nothing; posted by the first operator. */
async function startPosted(options: Parameters<typeof startNetwork>[2] = {}) {
  const t = await startNetwork(chain, cleanups, {
    challengeWindow: 3 * 86_400,
    responseTime: 3600,
    ...options,
  })
  const signers = [createSoftwareSigner(), createSoftwareSigner({ algorithm: 'ES256K' })]
  await t.register([...signers, createSoftwareSigner()])
  const start = t.network.firstWindow
  for (let day = 0; day < 2; day++) {
    await t.setTime((start + day) * dayMs + 12 * hourMs)
    await send(t, t.operator, signers, day)
    await t.setTime((start + day + 1) * dayMs + 10 * minuteMs)
    expect(await t.operator.node.settle()).toHaveLength(1)
  }
  return {
    ...t,
    get now() {
      return t.now
    },
    signers,
    start,
  }
}

/** Three batches of every device; resolves to them. */
async function send(
  t: TestNetwork,
  operator: TestOperator,
  signers: readonly Signer[],
  day: number,
) {
  const batches: Uint8Array[] = []
  for (const signer of signers)
    for (let i = 0; i < 3; i++) {
      const { bytes } = await t.sign(signer, 3 * day + i, [100, 200])
      expect(await operator.node.ingest(t.network.id, [bytes])).toMatchObject([{ ok: true }])
      batches.push(bytes)
      await t.setTime(t.now + 10 * minuteMs)
    }
  return batches
}

async function readEvidence(t: TestNetwork, window: number): Promise<EpochEvidence> {
  const epoch = await readEpoch(t.client, { fromBlock: t.fromBlock, network: t.network, window })
  const { config } = await t.operator.json(`/epochs/${window}`)
  return {
    config: fromHex(config),
    logs: epoch!.logs.map(({ root, shard, size }) => ({
      root: fromHex(root),
      shard,
      size: Number(size),
    })),
    memberCount: epoch!.memberCount,
    parentHash: fromHex(epoch!.parentHash),
  }
}

async function readLog(operator: TestOperator): Promise<SignedBatch[]> {
  const bytes = await operator.bytes('/log/batches')
  const batches: SignedBatch[] = []
  for (let at = 0; at < bytes.length; ) {
    const { batch, end } = readBatch(bytes, at)
    batches.push(batch)
    at = end
  }
  return batches
}

/** What a device has in a ledger, and its path. */
async function readEntry(t: TestNetwork, window: number, signer: Signer): Promise<EntryEvidence> {
  const claim = await t.operator.json(`/epochs/${window}/claims/${toDevice(signer)}`)
  return {
    entry: {
      cumulative: BigInt(claim.cumulative),
      device: fromHex(claim.device),
      steps: claim.steps,
      traceRoot: fromHex(claim.traceRoot),
      value: BigInt(claim.value),
    },
    siblings: fromHex(claim.proof),
  }
}

function challenge(t: TestNetwork, window: number, given: Challenge, attempt = 1) {
  const client = t.chain.createClient(5)
  return openChallenge(client, { attempt, challenge: given, network: t.network, window })
}

const statuses = async (t: TestNetwork) =>
  (await readChallenges(t.client, { fromBlock: t.fromBlock, network: t.network })).map(
    ({ status }) => status,
  )

test('behavior: challenges of every kind are answered at once', async () => {
  const t = await startPosted()
  const { operator, start } = t
  const evidence = [await readEvidence(t, start), await readEvidence(t, start + 1)]
  const batches = await readLog(operator)
  const log = createLog(await operator.bytes('/log/entries'))
  let opened = 0
  for (const [day, epoch] of evidence.entries()) {
    const window = start + day
    const challenges: Challenge[] = [
      ...[0, 1, 2].flatMap((slot): Challenge[] => [
        { kind: 'step', slot, step: 0 },
        { kind: 'step', slot, step: 2 },
        { kind: 'step', slot, step: 3 },
      ]),
      { kind: 'step', slot: 3, step: 0 },
      { device: fromHex(toDevice(t.signers[0]!)), kind: 'carry', slot: 0 },
      { device: null, kind: 'carry', slot: 3 },
      { height: 1, index: 1, kind: 'reveal' },
      { height: 2, index: 0, kind: 'reveal' },
      {
        checkpoint: toCheckpointEvidence(
          await operator.bytes('/log/checkpoint?size=1'),
          operator.logSigner.publicKey,
        ),
        epoch,
        kind: 'checkpoint',
      },
    ]
    if (day === 1)
      challenges.push({
        earlier: { epoch: evidence[0]!, window: start },
        epoch,
        kind: 'consistency',
        shard: 0,
      })
    const span = { end: (window + 1) * dayMs, start: window * dayMs }
    for (const [index, batch] of batches.entries())
      if (isInWindow(batch.header, span) && index < epoch.logs[0]!.size) {
        const signer = t.signers.find(
          ({ publicKey }) => toDevice({ publicKey } as Signer) === toHex(batch.device),
        )!
        challenges.push(
          buildOmission({ batch, epoch, index, log, publicKey: signer.publicKey, shard: 0 }),
        )
      }
    for (const one of challenges) await challenge(t, window, one)
    opened += challenges.length
  }
  await operator.node.answer()
  expect(operator.problems()).toEqual([])
  expect(operator.errors).toEqual([])
  expect(await statuses(t)).toEqual(new Array(opened).fill('answered'))
  expect(opened).toBeGreaterThan(35)
}, 120_000)

test('behavior: two hundred challenges at once are answered in time', async () => {
  const t = await startPosted()
  const spammer = t.chain.createClient(5)
  const before = await spammer.getBalance({ address: spammer.account.address })
  for (let step = 0; step < 200; step += 20)
    await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        challenge(t, t.start, {
          kind: 'step',
          slot: (step + i) % 3,
          step: Math.floor((step + i) / 3),
        }),
      ),
    )
  await t.operator.node.answer()
  expect(await statuses(t)).toEqual(new Array(200).fill('answered'))
  expect(t.operator.problems()).toEqual([])
  expect(t.operator.errors).toEqual([])
  // It has lost its bonds.
  const after = await spammer.getBalance({ address: spammer.account.address })
  expect(before - after).toBeGreaterThan(200n * 10n ** 15n)
  const { bond } = await readOperator(t.client, {
    fromBlock: t.fromBlock,
    network: t.network,
    operator: t.operator.account.address,
  })
  expect(bond).toBe(10n ** 18n)
}, 120_000)

test('behavior: without its rows an operator says so, is slashed, and others go on', async () => {
  const t = await startPosted({ challengeWindow: 6 * 3600 })
  const { operator: a, start } = t
  // A peer that inflates what it was asked for, and one that does not.
  let lies = true
  const proxy = createServer(async (request, response) => {
    const url = await a.node.listen({ port: 0 })
    const text = await (await fetch(url + request.url)).text()
    response.end(lies ? text.replace('"cumulative":"1800"', '"cumulative":"1801"') : text)
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => void proxy.close())
  const peers = [`http://127.0.0.1:${(proxy.address() as AddressInfo).port}`]
  const b = await t.addOperator(2, { peers })

  // The first window becomes final, a third is posted, then the rows of the second day are lost.
  await t.setTime((start + 2) * dayMs + 12 * hourMs)
  const kept = await send(t, a, t.signers, 2)
  await t.setTime((start + 3) * dayMs + 10 * minuteMs)
  expect(await a.node.settle()).toHaveLength(1)
  await t.setTime((start + 3) * dayMs + 20 * minuteMs)
  const { deadline, id } = await challenge(t, start + 2, { kind: 'step', slot: 0, step: 1 })
  const rows = join(a.dataDir, 'rows', t.network.id.slice(2))
  await a.node.close()
  const lost = readdirSync(rows).filter(
    (name) => name >= new Date((start + 2) * dayMs).toISOString().slice(0, 10),
  )
  expect(lost.length).toBeGreaterThan(0)
  const database = new (await import('libsql')).default(join(a.dataDir, 'node.db'))
  database.exec(`UPDATE days SET expired = 1 WHERE day >= ${start + 2}`)
  database.close()
  for (const name of lost) rmSync(join(rows, name))
  a.node = await a.open()
  await a.node.answer()
  const alarm = `A challenge of window ${start + 2} (step 1 in slot 0, until ${new Date(deadline * 1000).toISOString()}) is not answered: `
  expect(a.problems()).toEqual([
    `${alarm}The step challenge cannot be answered: the rows of a batch have expired.`,
  ])
  expect(a.errors).toMatchObject([{ name: 'ChallengeError' }])
  await t.setTime(deadline * 1000 + 1000)
  await a.node.answer()
  expect(a.problems()).toEqual([`${alarm}The deadline is over.`])
  await upholdChallenge(t.chain.createClient(5), { id, network: t.network })
  await a.node.answer()
  expect(a.problems()).toEqual(['The operator is not bonded: its receipts bind nobody.'])

  // The slashed operator waits, and goes on taking in.
  expect(await a.node.settle()).toEqual([])
  expect(a.problems()).toContain(`Window ${start + 2} waits. The operator is not listed.`)
  expect(await a.send(t.signers[0]!, 9, [300])).toBe('ok')

  // The other one has an empty directory: it needs the ledger of the window before, as it was posted.
  await t.setTime((start + 3) * dayMs + 12 * hourMs)
  // The devices have kept what was not final.
  for (const outcome of await b.node.ingest(t.network.id, kept)) expect(outcome.ok).toBe(true)
  expect(await b.node.settle()).toEqual([])
  expect(b.problems()).toEqual([
    `Window ${start + 2} waits. The ledger of window ${start + 1} is of another operator: ` +
      "this node's data does not give it, and no peer has it.",
  ])
  expect(b.errors).toMatchObject([{ name: 'PeerError' }])
  lies = false
  const settled = await b.node.settle()
  expect(settled).toMatchObject([{ attempt: 2, ledgerTotal: 5400n, window: start + 2 }])
  expect(b.problems()).toEqual([])
  expect(await verifyBundle(await b.bytes(`/epochs/${start + 2}/bundle`))).toMatchObject({
    ok: true,
  })
  // What it has posted on the ledger of another, it can defend.
  for (let slot = 0; slot < 3; slot++)
    await challenge(t, start + 2, { kind: 'step', slot, step: 0 }, 2)
  await challenge(
    t,
    start + 2,
    { device: fromHex(toDevice(t.signers[0]!)), kind: 'carry', slot: 0 },
    2,
  )
  await b.node.answer()
  expect((await statuses(t)).slice(1)).toEqual(new Array(4).fill('answered'))
  expect(b.problems()).toEqual([])
}, 120_000)

test('behavior: who builds on an operator that is slashed posts its own windows again', async () => {
  const t = await startPosted()
  const { operator: a, start } = t
  const b = await t.addOperator(2)
  // The devices send to both.
  for (const outcome of await b.node.ingest(
    t.network.id,
    (await readLog(a)).map(({ bytes }) => bytes),
  ))
    expect(outcome.ok).toBe(true)
  await t.setTime((start + 3) * dayMs + 2 * hourMs)
  expect(await b.node.settle()).toMatchObject([
    { attempt: 1, ledgerTotal: 3600n, window: start + 2 },
  ])
  const { deadline, id } = await challenge(t, start, { kind: 'step', slot: 0, step: 0 })
  await t.setTime(deadline * 1000 + 1000)
  await upholdChallenge(t.chain.createClient(5), { id, network: t.network })
  // Of all three windows none stands; what is posted now is what it was.
  expect(await b.node.settle()).toMatchObject([
    {
      attempt: 2,
      ledgerTotal: 1800n,
      posted: { operator: b.account.address.toLowerCase() },
      window: start,
    },
    { attempt: 2, ledgerTotal: 3600n, window: start + 1 },
    { attempt: 2, ledgerTotal: 3600n, window: start + 2 },
  ])
  for (let day = 0; day < 3; day++) {
    const bundle = await b.bytes(`/epochs/${start + day}/bundle`)
    expect(await verifyBundle(bundle)).toMatchObject({ complete: true, ok: true })
    await challenge(t, start + day, { kind: 'step', slot: 1, step: 0 }, 2)
    const device = fromHex(toDevice(t.signers[1]!))
    await challenge(t, start + day, { device, kind: 'carry', slot: 1 }, 2)
  }
  await b.node.answer()
  expect((await statuses(t)).slice(1)).toEqual(new Array(6).fill('answered'))
  expect([a.errors, b.errors, b.problems()]).toEqual([[], [], []])
}, 120_000)

test('behavior: for what no block takes, more is offered, and it stays one answer', async () => {
  const t = await startPosted()
  const seam = openChain(t.operator.client, {
    deployment: t.deployment,
    fromBlock: t.fromBlock,
    network: t.network,
  })
  const { address } = t.operator.account
  const sent = (blockTag: 'latest' | 'pending') =>
    t.client.getTransactionCount({ address, blockTag })
  const before = await sent('latest')
  await challenge(t, t.start, { kind: 'step', slot: 0, step: 4 })
  const answer = {
    answer: {
      entry: await readEntry(t, t.start, t.signers[0]!),
      epoch: await readEvidence(t, t.start),
      kind: 'step',
      step: null,
    },
    attempt: 1,
    point: { kind: 'step', slot: 0, step: 4 },
    window: t.start,
  } as const
  await chain.request('evm_setAutomine', [false])
  try {
    const hashes: Hex[] = []
    const answered = seam.answer(answer, (hash) => hashes.push(hash))
    await vi.waitFor(async () => expect(await sent('pending')).toBe(before + 1), {
      timeout: 20_000,
    })
    expect(await seam.isPending(hashes[0]!)).toBe(true)
    const offered = await t.client.getTransaction({ hash: hashes[0]! })
    // Too little for the next block.
    await chain.request('anvil_setNextBlockBaseFeePerGas', [
      `0x${(offered.maxFeePerGas! + 1n).toString(16)}`,
    ])
    await seam.hasten()
    expect(await sent('pending')).toBe(before + 1)
    expect(await seam.isPending(hashes[0]!)).toBe(true)
    await chain.request('evm_mine')
    const { transaction } = await answered
    expect(transaction).not.toBe(hashes[0])
    expect(await seam.isPending(hashes[0]!)).toBe(false)
    expect(await statuses(t)).toEqual(['answered'])
    expect(await sent('latest')).toBe(before + 1)
    await seam.hasten()
    expect(await sent('pending')).toBe(before + 1)
  } finally {
    await chain.request('evm_setAutomine', [true])
  }
}, 120_000)

test('behavior: killed with its answers on their way, it sends none of them twice', async () => {
  const t = await startPosted()
  const { address } = t.operator.account
  await t.operator.node.close()
  const runner = await buildProcess('runChainNode.ts')
  cleanups.push(runner.remove)
  /** The requests of the node, by method. */
  const requests = new Map<string, number>()
  const proxy = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const { method } = JSON.parse(body) as { method: string }
    requests.set(method, (requests.get(method) ?? 0) + 1)
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(chain.url, { body, headers, method: 'POST' })
    response.writeHead(200, headers).end(await answer.text())
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => void proxy.close())
  const { deployment, network } = t
  const given = JSON.stringify({
    dataDir: t.operator.dataDir,
    deployment,
    logKey: Buffer.from(t.operator.logSigner.privateKey).toString('hex'),
    network: { ...network, serial: String(network.serial) },
    now: t.now,
    rpcUrl: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
  })
  const sent = (blockTag: 'latest' | 'pending') =>
    t.client.getTransactionCount({ address, blockTag })
  const readStats = async (url: string) =>
    ((await (await fetch(`${url}/health`)).json()) as { networks: { challenges: unknown }[] })
      .networks[0]!.challenges

  for (let step = 0; step < 3; step++) await challenge(t, t.start, { kind: 'step', slot: 0, step })
  const before = await sent('latest')
  await chain.request('evm_setAutomine', [false])
  try {
    const first = await runner.start(given)
    await vi.waitFor(async () => expect(await sent('pending')).toBe(before + 3), {
      timeout: 20_000,
    })
    first.child.kill('SIGKILL')
    await first.exited

    const second = await runner.start(given)
    cleanups.push(() => void second.child.kill('SIGKILL'))
    expect(await readStats(second.url)).toMatchObject({ answered: 0 })
    // It looks again and again, and leaves what it finds alone.
    const asked = requests.get('eth_getTransactionCount') ?? 0
    await vi.waitFor(
      () => expect(requests.get('eth_getTransactionCount')).toBeGreaterThan(asked + 10),
      { timeout: 20_000 },
    )
    expect(await readStats(second.url)).toEqual({ answered: 0, open: 3, unanswerable: 0 })
    expect(await sent('pending')).toBe(before + 3)
    await chain.request('evm_mine')
    expect(await statuses(t)).toEqual(new Array(3).fill('answered'))
    // What is opened next is answered by the new process.
    await chain.request('evm_setAutomine', [true])
    await challenge(t, t.start, { kind: 'step', slot: 1, step: 0 })
    await vi.waitFor(async () => expect(await statuses(t)).toEqual(new Array(4).fill('answered')), {
      timeout: 20_000,
    })
    expect(await sent('latest')).toBe(before + 4)
    await vi.waitFor(async () =>
      expect(await readStats(second.url)).toMatchObject({ open: 0, unanswerable: 0 }),
    )
  } finally {
    await chain.request('evm_setAutomine', [true])
  }
}, 120_000)
