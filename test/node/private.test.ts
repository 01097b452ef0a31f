import {
  grantRead,
  nameAuditor,
  openChallenge,
  postEpoch,
  readEpoch,
  readOperator,
  signRequest,
  upholdChallenge,
  withdrawCredit,
} from '@machinefi/contracts'
import { fromHex, type Hex, type Signer, toHex } from '@machinefi/core'
import { createSoftwareSigner } from '@machinefi/device'
import { buildLedger, buildOmission, type EpochEvidence } from '@machinefi/proof'
import { decodeBatch } from '@machinefi/telemetry'
import { hexToBytes, parseAbi } from 'viem'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { startChain } from '../../packages/contracts/test/startChain.js'
import { type Chain, dayMs, hourMs, minuteMs, startNetwork, toDevice } from './startNetwork.js'

// Who may read, and force to publish, in a private network: the node and the real contracts.

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

/** A private network; devices of two owners have sent for a window, which was posted. */
async function startPrivate() {
  const t = await startNetwork(chain, cleanups, {
    challengeWindow: 3 * 86_400,
    isPrivate: true,
    responseTime: 3600,
  })
  const [owner, other, auditor, stranger] = [2, 3, 4, 5].map((index) => chain.createClient(index))
  const [own, theirs] = [createSoftwareSigner(), createSoftwareSigner()]
  await t.register([own], owner!.account.address)
  await t.register([theirs], other!.account.address)
  await nameAuditor(t.client, { auditor: auditor!.account.address, network: t.network })
  const start = t.network.firstWindow
  const base = await t.operator.node.listen({ port: 0 })
  type Client = typeof t.client

  /** Asks the node as an account. */
  async function ask(client: Client, path: string) {
    const url = `${base}/networks/${t.network.id}${path}`
    const headers = await signRequest(client, { network: t.network, now: t.now, url })
    return fetch(url, { headers })
  }
  async function sendDay(day: number) {
    await t.setTime((start + day) * dayMs + 12 * hourMs)
    for (const signer of [own, theirs])
      expect(await t.operator.send(signer, day, [100, 200])).toBe('ok')
    await t.setTime((start + day + 1) * dayMs + 10 * minuteMs)
  }
  await sendDay(0)
  expect(await t.operator.node.settle()).toHaveLength(1)
  const accounts = { auditor: auditor!, other: other!, owner: owner!, stranger: stranger! }
  return {
    ...t,
    ...accounts,
    ask,
    own: own as Signer,
    sendDay,
    start,
    get now() {
      return t.now
    },
    stepsOf: async (client: Client, signer: Signer) => {
      const response = await ask(client, `/devices/${toDevice(signer)}/records`)
      const { records } = (await response.json()) as { records?: { steps: number }[] }
      return records ? records.map(({ steps }) => steps) : response.status
    },
    theirs: theirs as Signer,
  }
}

const mayNotRead = { revert: { name: 'MayNotRead' } }

test('behavior: owners, grantees until their time, auditors, and nobody else', async () => {
  const t = await startPrivate()
  const { auditor, network, other, own, owner, stepsOf, stranger } = t
  expect(await stepsOf(owner, own)).toEqual([100, 200])
  expect(await stepsOf(auditor, own)).toEqual([100, 200])
  for (const client of [other, stranger, t.client]) expect(await stepsOf(client, own)).toBe(403)

  const devices = [toDevice(own)]
  const until = t.now / 1000 + 3600
  await grantRead(owner, { devices, grantee: stranger.account.address, network, until })
  expect(await stepsOf(stranger, own)).toEqual([100, 200])
  expect(await stepsOf(stranger, t.theirs)).toBe(403)
  await t.setTime(t.now + hourMs)
  expect(await stepsOf(stranger, own)).toBe(403)
  const again = { devices, grantee: stranger.account.address, network }
  await grantRead(owner, { ...again, until: until + 7200 })
  expect(await stepsOf(stranger, own)).toEqual([100, 200])
  await grantRead(owner, { ...again, until: 0 })
  expect(await stepsOf(stranger, own)).toBe(403)

  await nameAuditor(t.client, { auditor: auditor.account.address, named: false, network })
  expect(await stepsOf(auditor, own)).toBe(403)
  expect((await t.ask(auditor, '/log/batches')).status).toBe(403)
}, 60_000)

test('behavior: with the device goes what it records, but not what it did', async () => {
  const t = await startPrivate()
  const { network, other, own, owner, stepsOf, stranger } = t
  const device = toDevice(own)
  const grantee = stranger.account.address
  await grantRead(owner, { devices: [device], grantee, network, until: 2 ** 40 })
  await owner.writeContract({
    abi: parseAbi(['function transferFrom(address from, address to, uint256 id)']),
    address: network.registry,
    args: [owner.account.address, other.account.address, BigInt(device)],
    functionName: 'transferFrom',
  })
  await t.sendDay(1)
  expect(await t.operator.node.settle()).toHaveLength(1)
  expect(await stepsOf(owner, own)).toBe(403)
  expect(await stepsOf(stranger, own)).toBe(403)
  expect(await stepsOf(other, own)).toEqual([100, 200])
  expect(await stepsOf(t.auditor, own)).toEqual([100, 200, 100, 200])
  const statusOf = async (client: typeof other, window: number) =>
    (await t.ask(client, `/epochs/${window}/claims/${device}`)).status
  // The window in which it changed hands is nobody's but the auditors'; what is after that pays for both.
  expect([await statusOf(other, t.start), await statusOf(other, t.start + 1)]).toEqual([403, 403])
  expect([await statusOf(t.auditor, t.start), await statusOf(owner, t.start)]).toEqual([200, 403])
  await t.sendDay(2)
  expect(await t.operator.node.settle()).toHaveLength(1)
  const claim = await (await t.ask(other, `/epochs/${t.start + 2}/claims/${device}`)).json()
  expect(claim).toMatchObject({ cumulative: '900', value: '300' })
}, 60_000)

test('behavior: an account that is a contract', async () => {
  const t = await startPrivate()
  const { network, own, owner } = t
  const wallet: Hex = `0x${'c0de'.repeat(10)}`
  await grantRead(owner, { devices: [toDevice(own)], grantee: wallet, network, until: 2 ** 40 })
  // Says to everything that it has signed it (ERC-1271), or to nothing.
  const set = (magic: string) =>
    chain.request('anvil_setCode', [wallet, `0x7f${magic.padEnd(64, '0')}5f5260205ff3`])
  const url = `${await t.operator.node.listen()}/networks/${network.id}/devices/${toDevice(own)}/records`
  const ask = async () => {
    const headers = await signRequest(t.stranger, { network, now: t.now, url })
    const { address } = t.stranger.account
    headers['signature-input'] = headers['signature-input'].replace(address.toLowerCase(), wallet)
    return (await fetch(url, { headers })).status
  }
  await set('ffffffff')
  expect(await ask()).toBe(401)
  await set('1626ba7e')
  expect(await ask()).toBe(200)
}, 60_000)

test('behavior: another operator takes over, if it is an auditor', async () => {
  const t = await startPrivate()
  const { network, operator, start } = t
  const b = await t.addOperator(6, { peers: [operator.node.url!] })
  await t.setTime((start + 2) * dayMs + 2 * hourMs)
  // Nodes sign by the wall clock.
  vi.useFakeTimers({ now: t.now, toFake: ['Date'] })
  try {
    expect(await b.node.settle()).toEqual([])
    expect(b.errors).toMatchObject([
      { name: 'PeerError', shortMessage: expect.stringContaining('403') },
    ])
    await nameAuditor(t.client, { auditor: b.account.address, network })
    expect(await b.node.settle()).toMatchObject([{ window: start + 1 }])
  } finally {
    vi.useRealTimers()
  }
}, 60_000)

test('behavior: an owner takes the bond of an operator that cheats it; strangers force nothing out', async () => {
  const t = await startPrivate()
  const { auditor, network, operator, other, own, owner, start, stranger, theirs } = t
  const window = start + 1
  await t.sendDay(1)

  // The operator posts nothing for the one, and for its friend what it has never done.
  const before = (await readEpoch(t.client, { network, window: start }))!
  const log = operator.node.health().networks as { size: number }[]
  const head = await operator.bytes(`/log/checkpoint?size=${log[0]!.size}`)
  const root = head.subarray(-98, -66)
  const entry = (signer: Signer, cumulative: bigint, value: bigint) => ({
    cumulative,
    device: fromHex(toDevice(signer)),
    steps: 0,
    traceRoot: new Uint8Array(32),
    value,
  })
  const ledger = buildLedger([entry(own, 300n, 0n), entry(theirs, 1300n, 1000n)])
  const logs = [{ root, shard: 0, size: log[0]!.size }]
  const { epoch } = await postEpoch(operator.client, {
    depth: before.depth,
    ledgerRoot: toHex(ledger.root),
    ledgerTotal: ledger.total,
    logs: logs.map((log) => ({ ...log, root: toHex(root), size: BigInt(log.size) })),
    network,
    parentHash: before.epochHash,
    window,
  })
  const { attempt } = epoch

  // What the owner needs is its own, or only hashes.
  const listed = await t.ask(owner, `/devices/${toDevice(own)}/batches?from=${window * dayMs}`)
  const { batches } = (await listed.json()) as { batches: { index: number }[] }
  const { index } = batches[0]!
  const given = await t.ask(owner, `/log/batches/${index}`)
  const batch = decodeBatch(new Uint8Array(await given.arrayBuffer()))
  const proof = await operator.bytes(`/log/inclusion?index=${index}&size=${log[0]!.size}`)
  const { config } = await operator.json(`/epochs/${start}`)
  const evidence: EpochEvidence = {
    config: fromHex(config),
    logs,
    memberCount: epoch.memberCount,
    parentHash: fromHex(before.epochHash),
  }
  const omission = buildOmission({
    batch,
    epoch: evidence,
    index,
    log: { inclusionProof: () => proof },
    publicKey: own.publicKey,
    shard: 0,
  })
  const about = { attempt, network, window }
  const step = (slot: number, device: Signer | null) =>
    ({
      device: device && hexToBytes(toDevice(device)),
      kind: 'step',
      slot,
      step: 0,
    }) as const

  // A bond does not buy a stranger's track; an owner asks about its own, an auditor about all.
  for (const client of [stranger, other, t.client])
    for (const challenge of [omission, step(0, own), step(0, null)])
      await expect(openChallenge(client, { ...about, challenge })).rejects.toMatchObject(mayNotRead)
  for (const challenge of [step(1, theirs), step(0, null)])
    await expect(openChallenge(owner, { ...about, challenge })).rejects.toMatchObject(mayNotRead)
  await expect(openChallenge(owner, { ...about, challenge: step(1, own) })).rejects.toMatchObject({
    revert: { name: 'NotMemberOfSlot' },
  })
  await openChallenge(auditor, { ...about, challenge: step(1, null) })

  const { deadline, id } = await openChallenge(owner, { ...about, challenge: omission })
  await operator.node.answer()
  await t.setTime(deadline * 1000 + 1000)
  const { reward } = await upholdChallenge(owner, { id, network })
  expect(reward).toBeGreaterThan(0n)
  const { amount } = await withdrawCredit(owner, { network })
  expect(amount).toBeGreaterThan(reward)
  const operatorNow = await readOperator(t.client, { network, operator: operator.account.address })
  expect(operatorNow).toMatchObject({ bond: 0n, listed: false })
}, 60_000)
