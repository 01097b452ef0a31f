import { join } from 'node:path'
import {
  buildRun,
  ContractError,
  type Endorsement,
  type Registration,
  RelayError,
  relayRegistration,
  signRegistration,
  toDeviceAddress,
  type WriteResult,
} from '@machinefi/contracts'
import { formatDid, publicKeyToAddress } from '@machinefi/core'
import { expect, test } from 'vitest'
import { createSigner } from '../../test/createFakeChain.js'
import { createTestNode, dayMs, type TestNode } from '../../test/createTestNode.js'
import { fetchChecked } from '../../test/fetchChecked.js'
import { findFaults } from '../../test/findFaults.js'
import { closeDatabase, openDatabase } from '../store/openDatabase.js'
import { type Asked, createRelay } from './createRelay.js'

const owner = `0x${'0a'.repeat(20)}` as const
const hash = `0x${'ab'.repeat(32)}` as const

/** A node that pays, with a chain that takes everything. */
async function createPayingNode(options: { perDay?: number; answer?: () => WriteResult[] } = {}) {
  const { perDay = 3 } = options
  const sent: Registration[] = []
  const endorsed: (Endorsement | undefined)[] = []
  let answer =
    options.answer ?? (() => [{ hash, receipt: { gasUsed: 118_000n } } as unknown as WriteResult])
  const t = await createTestNode()
  const relay = {
    perDay,
    async send(_: unknown, { endorsement, registration }: Asked, onHash: () => void) {
      await new Promise(setImmediate)
      const results = answer()
      onHash()
      sent.push(registration)
      endorsed.push(endorsement)
      return results
    },
  }
  await t.reopen({ relay })
  return Object.assign(t, {
    endorsed,
    sent,
    relay,
    url: await t.node.listen({ port: 0 }),
    answerWith(next: () => WriteResult[]) {
      answer = next
    },
  })
}

function sign(t: TestNode, changes: Partial<signRegistration.Parameters> = {}) {
  const { chainId, membership, registry } = t.chain.network
  return signRegistration({
    ...{ chainId, membership, owner, registry },
    deadline: BigInt(Math.floor(t.now / 1000) + 3600),
    signer: createSigner(),
    ...changes,
  })
}

function relay(t: TestNode & { url: string }, registration: Registration) {
  return relayRegistration(t.url, { network: t.chain.network.id, registration })
}

test('default', async () => {
  await using t = await createPayingNode()
  const signer = createSigner(undefined, 'ES256K')
  const registration = await sign(t, { signer })
  const device = `0x${formatDid(publicKeyToAddress(signer.publicKey)).slice(-40)}`
  expect(await relay(t, registration)).toEqual({ device, gasUsed: 118_000n, transaction: hash })
  expect(t.sent).toEqual([registration])
  const described = await (await fetchChecked(`${t.url}/networks/${t.chain.network.id}`)).json()
  expect(described.paysRegistrations).toBe(true)
  const metrics = await (await fetch(`${t.url}/metrics`)).text()
  expect(metrics).toContain('machinefi_registrations_sent_total 1')
})

test('behavior: what is asked for twice at once is sent once', async () => {
  await using t = await createPayingNode()
  const database = openDatabase(join(t.directory, 'relay.db'))
  const relay = createRelay({ ...t.relay, clock: () => t.now, database, onError: () => {} })
  const registration = await sign(t)
  const body = JSON.stringify({ ...registration, deadline: Number(registration.deadline) })
  const ask = () => relay.relay(t.chain.network, new TextEncoder().encode(body))
  const answers = await Promise.all([ask(), ask(), ask()])
  expect(new Set(answers).size).toBe(1)
  expect(t.sent).toHaveLength(1)
  // Nor does it cost anything to ask again, for a while.
  expect(await ask()).toBe(answers[0])
  expect(t.sent).toHaveLength(1)
  t.now += 60_000
  await ask()
  expect(t.sent).toHaveLength(2)
  closeDatabase(database)
})

test('behavior: with the endorsement of a run', async () => {
  await using t = await createPayingNode()
  const model = `0x${'0c'.repeat(32)}` as const
  const registration = await sign(t, { model })
  const device = toDeviceAddress(registration)
  const run = buildRun([owner, `0x${'0b'.repeat(20)}`, device])
  const { id } = t.chain.network
  await relayRegistration(t.url, { endorsement: { model, run }, network: id, registration })
  const [endorsement] = t.endorsed
  expect(endorsement).toMatchObject({ model, run: { root: run.root } })
  expect(endorsement!.run.prove([device])).toEqual(run.prove([device]))
})

test('behavior: a proof of somebody else spoils none', async () => {
  await using t = await createPayingNode()
  const model = `0x${'0c'.repeat(32)}` as const
  const registration = await sign(t, { model })
  const device = toDeviceAddress(registration)
  const run = buildRun([owner, device])
  const other = {
    ...run,
    prove: () => ({ ...run.prove([device]), proof: [`0x${'0d'.repeat(32)}`] }),
  }
  const { id } = t.chain.network
  await Promise.all(
    [other, run].map((one) =>
      relayRegistration(t.url, {
        endorsement: { model, run: one as typeof run },
        network: id,
        registration,
      }),
    ),
  )
  expect(t.endorsed.map((each) => each?.run.prove([device]).proof)).toEqual(
    expect.arrayContaining([run.prove([device]).proof, [`0x${'0d'.repeat(32)}`]]),
  )
})

test.each([
  [200, '{}', 'input', 'What answered is no node.'],
  [200, 'null', 'input', 'What answered is no node.'],
  [200, '<p>Log in to this network</p>', 'input', 'What answered is no node.'],
  [200, '{"gasUsed":"1","transaction":"0x12"}', 'input', 'What answered is no node.'],
  [404, '<p>nginx</p>', 'input', 'The node pays for no registrations.'],
  [413, '', 'input', 'The node does not send it: status 413.'],
  [502, '<p>Bad Gateway</p>', 'transport', 'The node does not send it: status 502.'],
])('error: something else answers: %i %s', async (status, body, kind, shortMessage) => {
  await using t = await createPayingNode()
  const answer = relayRegistration('http://hub.local', {
    fetch: async () => new Response(body, { status }),
    network: t.chain.network.id,
    registration: await sign(t),
  })
  const error = await answer.catch((error) => error)
  expect(error).toBeInstanceOf(RelayError)
  expect(error).toMatchObject({ kind, shortMessage, status })
})

test('behavior: so many a day, and a restart forgets none', async () => {
  await using t = await createPayingNode({ perDay: 2 })
  await relay(t, await sign(t))
  await t.reopen({ relay: t.relay })
  t.url = await t.node.listen({ port: 0 })
  await relay(t, await sign(t))
  const third = await sign(t, { deadline: BigInt(Math.floor(t.now / 1000) + 2 * 86_400) })
  const refused = await relay(t, third).catch((error) => error)
  expect(refused).toBeInstanceOf(RelayError)
  expect(refused).toMatchObject({ kind: 'transport', status: 429 })
  expect(t.sent).toHaveLength(2)
  t.moveTo(Math.ceil(t.now / dayMs) * dayMs)
  await relay(t, third)
  expect(t.sent).toHaveLength(3)
})

test('behavior: what was not sent does not count', async () => {
  await using t = await createPayingNode({ perDay: 1 })
  const contract = new ContractError({
    functionName: 'register',
    revert: { name: 'AssuranceTooLow', args: [0, 3], data: '0x' },
  })
  t.answerWith(() => {
    throw contract
  })
  await expect(relay(t, await sign(t))).rejects.toMatchObject({
    kind: 'input',
    metaMessages: [expect.stringContaining('AssuranceTooLow')],
    status: 422,
  })
  expect(t.errors).toEqual([])
  const away = new Error('the account has no money')
  t.answerWith(() => {
    throw away
  })
  await expect(relay(t, await sign(t))).rejects.toMatchObject({ kind: 'transport', status: 503 })
  // For the operator, and nobody else.
  expect(t.errors).toEqual([away])
  t.answerWith(() => [])
  expect(await relay(t, await sign(t))).toMatchObject({ gasUsed: 0n, transaction: undefined })
})

test('error: what the device did not sign', async () => {
  await using t = await createPayingNode()
  const registration = await sign(t)
  const other = await sign(t)
  const membership = `0x${'01'.repeat(20)}` as const
  const now = BigInt(Math.floor(t.now / 1000))
  for (const wrong of [
    { ...registration, owner: `0x${'0b'.repeat(20)}` as const },
    { ...registration, model: `0x${'01'.repeat(32)}` as const },
    { ...registration, deadline: registration.deadline + 1n },
    { ...registration, algorithm: 'ES256K' as const },
    { ...registration, r: other.r, s: other.s },
    { ...registration, x: other.x, y: other.y },
    await sign(t, { chainId: 1 }),
    await sign(t, { registry: membership }),
    await sign(t, { membership }),
    await sign(t, { membership: undefined }),
    await sign(t, { owner: `0x${'00'.repeat(20)}` }),
    await sign(t, { deadline: now + 59n }),
  ])
    await expect(relay(t, wrong)).rejects.toMatchObject({ kind: 'input', status: 422 })
  expect(t.sent).toEqual([])
})

test('error: a body that is none', async () => {
  await using t = await createPayingNode()
  const good = await sign(t)
  const url = `${t.url}/networks/${t.chain.network.id}/registrations`
  const post = async (body: string, type = 'application/json') => {
    const response = await fetchChecked(url, {
      body,
      headers: { 'content-type': type },
      method: 'POST',
    })
    return [response.status, ((await response.json()) as { type?: string }).type?.split('/').at(-1)]
  }
  const text = (changes: Record<string, unknown>) =>
    JSON.stringify({ ...good, deadline: String(good.deadline), ...changes })
  const document = await (await fetch(`${t.url}/openapi.json`)).json()
  const { Registration: schema } = document.components.schemas
  const wrong = [
    { x: undefined },
    { y: '0x00' },
    { r: `${good.r}00` },
    { owner: good.owner.slice(2) },
    { membership: 7 },
    { algorithm: 'EdDSA' },
    { deadline: -1 },
    { deadline: '9'.repeat(30) },
    { deadline: null },
    { endorsement: null },
    { endorsement: { root: '0x00', proof: [], flags: [] } },
    { endorsement: { root: good.x, proof: [], flags: [0] } },
    { endorsement: { root: good.x, proof: Array(33).fill(good.x), flags: [] } },
  ]
  for (const body of ['', 'null', '[]', '{']) expect(await post(body), body).toEqual([400, 'body'])
  // What the node refuses is not as the schema says either; what it takes is, or `post` fails.
  for (const changes of wrong) {
    const body = text(changes)
    expect(await post(body), body).toEqual([400, 'body'])
    expect(findFaults(JSON.parse(body), schema, document), body).not.toEqual([])
  }
  expect(await post(text({}), 'text/plain')).toEqual([415, 'media-type'])
  expect(await post(text({}))).toEqual([200, undefined])
  const endorsement = { root: good.x, proof: [good.y], flags: [true] }
  expect(await post(text({ endorsement }))).toEqual([200, undefined])
})

test('error: a node that does not pay, and one that is away', async () => {
  await using t = await createTestNode()
  const url = await t.node.listen({ port: 0 })
  const there = Object.assign(t, { url })
  await expect(relay(there, await sign(t))).rejects.toMatchObject({
    shortMessage: 'The node pays for no registrations.',
    status: 404,
  })
  there.url = 'http://127.0.0.1:1'
  await expect(relay(there, await sign(t))).rejects.toMatchObject({ kind: 'transport' })
})
