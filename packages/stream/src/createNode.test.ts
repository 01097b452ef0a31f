import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ContractError } from '@machinefi/contracts'
import { fromHex, PublishedKeyError, publicKeyToAddress, toHex } from '@machinefi/core'
import {
  decodeBundle,
  encodeBundle,
  verifyBundle,
  verifyCheckpoint,
  verifyReceipt,
} from '@machinefi/proof'
import { batchId } from '@machinefi/telemetry'
import { afterEach, expect, test, vi } from 'vitest'
import { createFakeChain, createSigner, signSteps, walker } from '../test/createFakeChain.js'
import { createTestNode, hourMs, minuteMs } from '../test/createTestNode.js'
import { fetchChecked } from '../test/fetchChecked.js'
import { type Node, startNode } from './createNode.js'
import { NodeConfigurationError } from './errors.js'

const directories: string[] = []
const nodes: Node[] = []

afterEach(async () => {
  for (const node of nodes.splice(0)) await node.close()
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true })
})

function createDirectory() {
  const directory = mkdtempSync(join(tmpdir(), 'stream-'))
  directories.push(directory)
  return directory
}

test('default', async () => {
  const chain = createFakeChain()
  const signer = createSigner(1)
  const logSigner = createSigner(2)
  chain.join(signer)
  const network = fromHex(chain.network.id)
  let now = chain.time + 3_600_000
  const node = await startNode({
    dataDir: createDirectory(),
    chains: [chain],
    clock: () => now,
    logSigner,
    networks: [{ ...chain.network, schemas: [walker] }],
    onError: (error) => {
      throw error
    },
  })
  nodes.push(node)
  const batch = await signSteps({ signer, network, seq: 0, start: chain.time, steps: [60, 70] })
  const [first] = await node.ingest(chain.network.id, [batch.bytes])
  if (!first?.ok) throw new Error(first?.problem.title)
  const verdict = await verifyReceipt(first.receipt, {
    id: batchId(batch, network),
    network,
    now,
    publicKey: logSigner.publicKey,
  })
  expect(verdict).toMatchObject({ ok: true, index: 0, checkpoint: { size: 1 } })

  const [again] = await node.ingest(chain.network.id, [batch.bytes])
  expect(again).toEqual({ ...first, duplicate: true })

  chain.time += 2 * 86_400_000
  now = chain.time
  const settled = await node.settle()
  expect(settled.map(({ window, ledgerTotal }) => [window, ledgerTotal])).toEqual([[20_000, 130n]])
  const url = await node.listen({ port: 0 })
  const response = await fetchChecked(
    `${url}/networks/${chain.network.id}/epochs/20000/claims/${toHex(batch.device)}`,
  )
  expect(await response.json()).toMatchObject({ value: '130', reward: '130', slot: 0, steps: 1 })

  const all = await fetch(`${url}/networks/${chain.network.id}/epochs/20000/bundle`)
  const bytes = new Uint8Array(await all.arrayBuffer())
  expect(encodeBundle(decodeBundle(bytes))).toEqual(bytes)
  const one = await fetch(
    `${url}/networks/${chain.network.id}/epochs/20000/claims/${toHex(batch.device)}/bundle`,
  )
  expect(new Uint8Array(await one.arrayBuffer())).toEqual(bytes)
  expect(await verifyBundle(bytes)).toMatchObject({ ok: true, claims: [{ value: 130n }] })
})

test('behavior: /health tells nothing of foreign errors', async () => {
  await using t = await createTestNode()
  t.chain.failing = new Error('https://rpc.example/v2/api-key does not answer')
  await expect(t.node.refresh()).rejects.toThrow()
  expect(t.node.health()).toMatchObject({
    ok: false,
    problems: [`${t.chain.network.id}: An unexpected error.`],
  })
  // Without a revert, the reason is what the endpoint said.
  t.chain.failing = new ContractError({ functionName: 'config', reason: 'api-key is out of money' })
  await expect(t.node.refresh()).rejects.toThrow()
  expect(t.node.health().problems).toEqual([`${t.chain.network.id}: config failed.`])
})

test('options: maxHeadAgeMs', async () => {
  await using t = await createTestNode({ limits: { maxHeadAgeMs: 40 } })
  const { head } = t.chain
  let answer = (_: unknown) => {}
  t.chain.head = async () => {
    await new Promise((resolve) => {
      answer = resolve
    })
    return head()
  }
  t.node.start({ everyMs: 1 })
  await vi.waitFor(() => expect(t.node.health()).toMatchObject({ ok: false }))
  expect(t.node.health().problems).toEqual([
    `${t.chain.network.id}: The head of the chain was last read 0 s ago.`,
  ])
  t.chain.head = head
  answer(undefined)
  await vi.waitFor(() => expect(t.node.health()).toMatchObject({ ok: true, problems: [] }))
})

test('behavior: a chain that nobody follows does not age', async () => {
  await using t = await createTestNode({ limits: { maxHeadAgeMs: 0 } })
  await new Promise((resolve) => setTimeout(resolve, 2))
  expect(t.node.health()).toMatchObject({ ok: true })
})

test('error: the operator is bonded with another log key', async () => {
  await using t = await createTestNode()
  const { bonded } = t.chain
  t.chain.bonded = toHex(publicKeyToAddress(createSigner().publicKey))
  await t.node.close()
  await expect(t.open()).rejects.toThrow(NodeConfigurationError)
  t.chain.bonded = bonded
  t.node = await t.open()
})

test('behavior: a log goes on under another key', async () => {
  await using t = await createTestNode()
  const first = await t.sign({})
  expect(await t.ingest(first)).toMatchObject([{ ok: true }])
  const old = t.logSigner
  const next = createSigner()
  t.now += minuteMs
  await t.rotate(next)
  // The whole log has a head under the key of now, and whatever is asked for comes with it.
  const url = await t.node.listen({ port: 0 })
  const path = `${url}/networks/${t.chain.network.id}`
  const head = new Uint8Array(await (await fetch(`${path}/log/checkpoint`)).arrayBuffer())
  const about = { network: t.id, publicKey: next.publicKey }
  expect(await verifyCheckpoint(head, about)).toMatchObject({
    checkpoint: { size: 1, time: t.now },
    ok: true,
  })
  const [again] = await t.ingest(first)
  expect(again).toMatchObject({ duplicate: true, index: 0, ok: true })
  if (!again?.ok) throw new Error('refused')
  const id = batchId(first, t.id)
  expect(await verifyReceipt(again.receipt, { ...about, id })).toMatchObject({ ok: true })
  // Opened again, it is the same head; a first receipt of the key of now is given again.
  const [second] = await t.ingest(await t.sign({ seq: 1, start: t.chain.time + hourMs / 2 }))
  t.now += minuteMs
  await t.reopen()
  expect(await t.ingest(first)).toMatchObject([{ receipt: expect.anything() }])
  expect(await t.ingest(await t.sign({ seq: 1, start: t.chain.time + hourMs / 2 }))).toEqual([
    { ...second, duplicate: true },
  ])
  // With the key before it does not start, unless the chain has that again.
  await expect(t.open({ logSigner: old })).rejects.toThrow()
  await t.rotate(old)
  const [back] = await t.ingest(first)
  if (!back?.ok) throw new Error('refused')
  expect(
    await verifyReceipt(back.receipt, { id, network: t.id, publicKey: old.publicKey }),
  ).toMatchObject({ checkpoint: { size: 2 }, ok: true })
})

test('behavior: takes nothing in while its operator answers for another key', async () => {
  await using t = await createTestNode()
  const batch = await t.sign({})
  const { bonded } = t.chain
  t.chain.bonded = `0x${'77'.repeat(20)}`
  await expect(t.node.refresh()).rejects.toThrow('The operator is bonded with another log key.')
  expect(await t.ingest(batch)).toMatchObject([
    { problem: { reason: 'unavailable', retryAfterSeconds: 60, status: 503 } },
  ])
  t.chain.bonded = bonded
  await t.node.refresh()
  expect(await t.ingest(batch)).toMatchObject([{ ok: true }])
})

test('behavior: not bonded is allowed, and stated until it is', async () => {
  await using t = await createTestNode()
  const { bonded } = t.chain
  t.chain.bonded = undefined
  await t.reopen()
  const [outcome] = await t.ingest(await t.sign({}))
  expect(outcome).toMatchObject({ ok: true })
  await t.node.refresh()
  expect(t.node.health()).toMatchObject({
    ok: false,
    problems: [`${t.chain.network.id}: The operator is not bonded: its receipts bind nobody.`],
  })
  t.chain.bonded = bonded
  await t.node.refresh()
  expect(t.node.health()).toMatchObject({ ok: true, problems: [] })
})

test('error: a published log key, but on a development chain', async () => {
  await using t = await createTestNode()
  // 32 bytes of 0x11.
  const logSigner = createSigner(0x11)
  const { network } = t.chain
  const open = (chainId: number) =>
    t.open({
      dataDir: createDirectory(),
      logSigner,
      networks: [{ ...network, chainId, schemas: [walker] }],
    })
  await expect(open(4689)).rejects.toThrow(PublishedKeyError)
  t.chain.bonded = toHex(publicKeyToAddress(logSigner.publicKey))
  await (await open(31_337)).close()
})
