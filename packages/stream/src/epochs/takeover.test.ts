import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fromHex, publicKeyToAddress, toHex } from '@machinefi/core'
import { type Point, verifyBundle } from '@machinefi/proof'
import { expect, test } from 'vitest'
import { createSigner } from '../../test/createFakeChain.js'
import {
  createTestNode,
  dayMs,
  hourMs,
  minuteMs,
  type TestNode,
} from '../../test/createTestNode.js'
import { fetchChecked } from '../../test/fetchChecked.js'

const first = 20_000
const other = `0x${'0b'.repeat(20)}` as const

/** A day's steps of every device, sent to some nodes; ends at the end of the day and the grace. */
async function walk(day: number, nodes: readonly TestNode[], steps: readonly number[]) {
  const t = nodes[0]!
  const start = (first + day) * dayMs
  for (const node of nodes) node.now = start + 12 * hourMs
  t.chain.time = start + 12 * hourMs
  const batches = await Promise.all(
    steps.map((value, device) =>
      t.sign({ device, seq: day, start: start + hourMs, steps: [value] }),
    ),
  )
  for (const node of nodes) expect((await node.ingest(...batches)).every(({ ok }) => ok)).toBe(true)
  moveTo(nodes, start + dayMs + minuteMs)
}

function moveTo([t, ...others]: readonly TestNode[], time: number) {
  t!.moveTo(time)
  for (const node of others) node.now = time
}

async function fetchJson(t: TestNode, path: string) {
  const url = t.node.url ?? (await t.node.listen({ port: 0 }))
  // biome-ignore lint/suspicious/noExplicitAny: JSON of many shapes, matched below
  return (await (await fetchChecked(`${url}/networks/${t.chain.network.id}${path}`)).json()) as any
}

async function fetchBundle(t: TestNode, window: number) {
  const url = t.node.url ?? (await t.node.listen({ port: 0 }))
  const path = `/networks/${t.chain.network.id}/epochs/${window}/bundle`
  return new Uint8Array(await (await fetch(url + path)).arrayBuffer())
}

/** A server that answers as a node does, but for what `change` makes of it. */
async function startProxy(t: TestNode, change: (body: string) => string) {
  const url = await t.node.listen({ port: 0 })
  const server = createServer(async (request, response) => {
    const answer = await fetch(url + request.url)
    response.writeHead(answer.status).end(change(await answer.text()))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://user:secret@127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const problems = (t: TestNode) =>
  t.node.health().problems.map((text) => text.replace(`${t.chain.network.id}: `, ''))

test('behavior: windows that were voided are built and posted again, several in a row', async () => {
  await using t = await createTestNode({ devices: 2 })
  for (let day = 0; day < 4; day++) {
    await walk(day, [t], [100 + day, 200])
    expect(await t.node.settle()).toHaveLength(1)
  }
  const before = [...t.chain.epochs.values()]
  for (const attempt of [2, 3]) {
    t.chain.void(first + 1)
    expect(await t.node.settle()).toMatchObject(
      [1, 2, 3].map((day) => ({ attempt, window: first + day })),
    )
    expect([...t.chain.epochs.values()].map(({ ledgerRoot }) => toHex(ledgerRoot))).toEqual(
      before.map(({ ledgerRoot }) => toHex(ledgerRoot)),
    )
    await t.reopen()
  }
  expect(problems(t)).toEqual([])
  for (const { epochHash, window } of t.chain.epochs.values())
    expect(
      await verifyBundle(await fetchBundle(t, window), {
        epochHash: Buffer.from(epochHash.slice(2), 'hex'),
      }),
    ).toMatchObject({ complete: true, ok: true })
  const { epochs } = await fetchJson(t, '/epochs')
  expect(epochs.map(({ attempt }: { attempt: number }) => attempt)).toEqual([1, 3, 3, 3])
  expect(epochs[3].void).toBe(false)
  t.chain.void(first + 3)
  t.chain.operators.get(t.chain.operator)!.listed = false
  await t.node.settle()
  expect((await fetchJson(t, `/epochs/${first + 3}`)).void).toBe(true)
})

test('behavior: an operator that is not listed or bonded waits, says so, and goes on taking in', async () => {
  await using t = await createTestNode()
  await walk(0, [t], [150])
  await t.node.settle()
  t.chain.void(first)
  const state = t.chain.operators.get(t.chain.operator)!
  Object.assign(state, { bond: 0n, listed: false })
  for (const [problem, change] of [
    ['The operator is not listed.', { listed: true }],
    ['The bond of the operator is too small.', { bond: 10n ** 18n }],
  ] as const) {
    expect(await t.node.settle()).toEqual([])
    expect(problems(t)).toContain(`Window ${first} waits. ${problem}`)
    expect(t.node.health().ok).toBe(false)
    Object.assign(state, change)
  }
  await walk(1, [t], [160])
  expect(await t.node.settle()).toMatchObject([
    { attempt: 2, ledgerTotal: 150n, window: first },
    { attempt: 1, ledgerTotal: 310n, window: first + 1 },
  ])
  expect(t.node.health()).toMatchObject({ ok: true, problems: [] })
})

test('behavior: another operator goes on from its own data, not before its time', async () => {
  await using a = await createTestNode({ devices: 2 })
  await using b = await createTestNode({ chain: a.chain, devices: 0, operator: other })
  const both = [a, b]
  await walk(0, both, [150, 250])
  await a.node.settle()
  expect(await b.node.settle()).toEqual([])
  await walk(1, both, [150, 250])
  await a.node.settle()
  // The first is slashed: what it posted last is void.
  a.chain.void(first + 1)
  a.chain.operators.get(a.chain.operator)!.listed = false
  expect(await b.node.settle()).toEqual([])
  expect(problems(b)).toEqual([])
  moveTo(both, a.chain.time + hourMs)
  expect(await b.node.settle()).toMatchObject([
    { attempt: 2, ledgerTotal: 800n, posted: { operator: other }, window: first + 1 },
  ])
  expect(await verifyBundle(await fetchBundle(b, first + 1))).toMatchObject({ ok: true })
  // What the other operator posted can be redeemed with what this node says, but not proven by it.
  const device = toHex(publicKeyToAddress(a.signers[0]!.publicKey))
  expect(await fetchJson(b, `/epochs/${first}/claims/${device}`)).toMatchObject({
    cumulative: '150',
    operator: a.chain.operator,
    paid: true,
    reward: '150',
  })
  expect(await fetchJson(b, `/epochs/${first}/bundle`)).toMatchObject({ status: 404 })

  // And back again, on what the other one has made of the window.
  a.chain.operators.get(a.chain.operator)!.listed = true
  await walk(2, both, [150, 250])
  expect(await a.node.settle()).toMatchObject([{ ledgerTotal: 1200n, window: first + 2 }])
  expect(a.chain.epochs.get(first + 2)!.parentHash).toBe(a.chain.epochs.get(first + 1)!.epochHash)
  expect(await b.node.settle()).toEqual([])
  for (const t of both) expect(t.node.health()).toMatchObject({ ok: true, problems: [] })
})

test('behavior: an empty directory takes over with the ledger of a peer', async () => {
  await using a = await createTestNode({ devices: 3 })
  for (let day = 0; day < 3; day++) {
    await walk(day, [a], [150, 250, 10])
    await a.node.settle()
  }
  a.chain.join(createSigner())
  const peers = ['http://127.0.0.1:1/', await a.node.listen({ port: 0 })]
  await using b = await createTestNode({ chain: a.chain, devices: 0, operator: other, peers })
  a.chain.operators.get(a.chain.operator)!.listed = false
  await walk(3, [a, b], [200])
  moveTo([a, b], a.chain.time + hourMs)
  expect(await b.node.settle()).toMatchObject([{ ledgerTotal: 1400n, window: first + 3 }])
  // The dead peer is reported, once.
  expect(b.errors).toMatchObject([{ name: 'PeerError' }])
  const { entries } = await fetchJson(b, `/epochs/${first + 3}/ledger`)
  expect(entries.map(({ cumulative }: { cumulative: string }) => cumulative)).toEqual([
    '650',
    '750',
    '0',
  ])
  expect(await verifyBundle(await fetchBundle(b, first + 3))).toMatchObject({ ok: true })
})

test.each([
  ['inflated', (body: string) => body.replace('"cumulative":"300"', '"cumulative":"301"')],
  ['moved', (body: string) => body.replaceAll('"slot":1', '"slot":2')],
  ['cut', (body: string) => body.replace(/"entries":.*/, '"entries":[]}')],
  ['no ledger', () => '{"entries":[{"slot":4e9}]}'],
  ['no JSON', () => 'nothing'],
  ['too long', (body: string) => body + ' '.repeat(100_000)],
] as const)('error: a peer lies: %s', async (_, change) => {
  await using a = await createTestNode({ devices: 2 })
  for (let day = 0; day < 2; day++) {
    await walk(day, [a], [150, 250])
    await a.node.settle()
  }
  let lies = true
  await using proxy = await startProxy(a, (body) => (lies ? change(body) : body))
  await using b = await createTestNode({
    chain: a.chain,
    devices: 0,
    operator: other,
    peers: [proxy.url],
  })
  a.chain.operators.get(a.chain.operator)!.listed = false
  await walk(2, [a, b], [150])
  moveTo([a, b], a.chain.time + hourMs)
  for (let i = 0; i < 2; i++) {
    expect(await b.node.settle()).toEqual([])
    expect(problems(b)).toEqual([
      `Window ${first + 2} waits. The ledger of window ${first + 1} is of another operator: ` +
        "this node's data does not give it, and no peer has it.",
    ])
  }
  expect(b.errors).toHaveLength(1)
  expect(String(b.errors[0])).not.toContain('secret')
  expect(a.chain.epochs.size).toBe(2)
  // Until somebody tells the truth.
  lies = false
  expect(await b.node.settle()).toMatchObject([{ ledgerTotal: 950n }])
  expect(problems(b)).toEqual([])
})

test('behavior: goes on from a final parent that says nonsense, as the contract does', async () => {
  await using a = await createTestNode({
    challengeWindowMs: hourMs,
    devices: 3,
    takeoverDelayMs: 0,
  })
  const { chain } = a
  const { members } = chain
  const stranger = createSigner()
  // An operator that has two members in the slots of each other, and one that there is not.
  const lie: typeof members = async (from, to) => {
    const read = (await members(from, to)).map((member) => ({
      ...member,
      slot: [1, 0, 2][member.slot]!,
    }))
    const [one] = read
    if (!one) return read
    const device = publicKeyToAddress(stranger.publicKey)
    const nobody = { ...one, device: new Uint8Array(20), joinedAt: 2 ** 40, slot: 3 }
    return [...read, nobody, { ...one, device, publicKey: stranger.publicKey, slot: 4 }]
  }
  const { memberCount } = chain
  chain.members = lie
  await using liar = await createTestNode({ chain, devices: 0, operator: other })
  liar.chain.members = lie
  liar.chain.memberCount = async (block) => (block === undefined ? memberCount() : 5)
  chain.members = members
  const strange = await liar.sign({
    signer: stranger,
    start: first * dayMs + hourMs,
    steps: [700],
  })
  liar.now = first * dayMs + 12 * hourMs
  expect(await liar.ingest(strange)).toMatchObject([{ ok: true }])
  await walk(0, [a, liar], [150, 250, 300])
  expect(await liar.node.settle()).toMatchObject([{ depth: 3, ledgerTotal: 1400n }])

  // Nobody has challenged it.
  await a.reopen({ peers: [await liar.node.listen({ port: 0 })] })
  const [zeroth, second, last] = a.signers.map(({ publicKey }) => publicKeyToAddress(publicKey))
  chain.suspend(zeroth!, ((first + 1) * dayMs + hourMs) / 1000)
  await walk(1, [a], [110, 260, 310])
  expect(await a.node.settle()).toMatchObject([{ depth: 3, window: first + 1 }])
  expect(problems(a)).toEqual([])
  const { entries } = await fetchJson(a, `/epochs/${first + 1}/ledger`)
  const shown = entries.map((entry: Record<string, unknown>) => [
    ...[entry.slot, entry.device, entry.cumulative, entry.value, entry.steps],
  ])
  expect(shown).toEqual([
    // Not paid: what was there.
    [0, toHex(second!), '250', '0', 0],
    // Paid: the member, from what was there.
    [1, toHex(second!), '410', '260', 1],
    [2, toHex(last!), '610', '310', 1],
    // Of nobody: what was there.
    [4, toHex(publicKeyToAddress(stranger.publicKey)), '700', '0', 0],
  ])

  // All of it can be answered for.
  const { logs } = chain.epochs.get(first + 1)!
  const points: Point[] = [0, 1, 2, 3, 4, 7].flatMap((slot) => [
    { device: [zeroth, second, last][slot] ?? null, kind: 'carry', slot },
    { kind: 'step', slot, step: 0 },
  ])
  const index = logs[0]!.size - 2
  const found = await fetchJson(a, `/devices/${toHex(second!)}/batches`)
  const { id } = found.batches.find((batch: { index: number }) => batch.index === index)
  points.push({
    ...{ batchId: fromHex(id), device: second!, index, kind: 'omission', seq: 1, shard: 0 },
  })
  const ids = points.map((point) => chain.challenge(first + 1, point))
  await a.node.answer()
  expect(problems(a)).toEqual([])
  expect(ids.map((id) => chain.disputes.get(id)!.status)).toEqual(ids.map(() => 'answered'))

  // What can be proven is: the member's own day.
  expect(await verifyBundle(await fetchBundle(a, first + 1))).toMatchObject({
    claims: [{ slot: 1 }, { slot: 2 }],
    ok: true,
  })
  const path = `/epochs/${first + 1}/claims/`
  expect(await fetchJson(a, path + toHex(second!))).toMatchObject({ cumulative: '410', slot: 1 })
  expect(await fetchJson(a, path + toHex(zeroth!))).toMatchObject({ status: 404 })
  expect(await fetchJson(a, `/devices/${toHex(second!)}/claims`)).toMatchObject({
    claims: [{ cumulative: '410' }],
  })

  // And it goes on.
  const start = (first + 2) * dayMs
  a.moveTo(start + 12 * hourMs)
  const [outcome] = await a.ingest(await a.sign({ device: 1, seq: 2, start, steps: [120] }))
  expect(outcome).toMatchObject({ ok: true })
  a.moveTo(start + dayMs + minuteMs)
  expect(await a.node.settle()).toMatchObject([{ ledgerTotal: 2090n, window: first + 2 }])
})

test('error: the operator has posted with a log that is not here', async () => {
  await using a = await createTestNode({ devices: 2 })
  await using b = await createTestNode({ chain: a.chain, devices: 0, operator: other })
  for (let day = 0; day < 2; day++) {
    await walk(day, [a, b], [150, 250])
    if (day === 0) await a.node.settle()
  }
  moveTo([a, b], a.chain.time + hourMs)
  expect(await b.node.settle()).toHaveLength(1)
  // The same account with an empty directory, and the other's ledger at hand.
  const peers = [await b.node.listen({ port: 0 })]
  await using lost = await createTestNode({ chain: a.chain, devices: 0, peers })
  await walk(2, [a, lost], [150])
  await expect(lost.node.settle()).rejects.toThrow('another log or ledger than this node has')
})
