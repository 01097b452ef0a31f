import { join } from 'node:path'
import { isLogKey, proveFraud, readOperator, rotateLogKey } from '@machinefi/contracts'
import { fromHex, publicKeyToAddress, type Signer, toHex } from '@machinefi/core'
import { createDevice, createSoftwareSigner, type Device, http } from '@machinefi/device'
import {
  decodeCheckpoint,
  decodeReceipt,
  signCheckpoint,
  toCheckpointEvidence,
  verifyBundle,
} from '@machinefi/proof'
import { rotateNodeKey } from '@machinefi/stream'
import { createAuditor } from '@machinefi/stream/audit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startChain } from '../../packages/contracts/test/startChain.js'
import { closeDatabase, openDatabase } from '../../packages/stream/src/store/openDatabase.js'
import { type Chain, dayMs, hourMs, minuteMs, startNetwork, walker } from './startNetwork.js'

// An operator changes the key of its log, against the real contracts: devices deliver through both keys,
// whoever looks finds one log, and what either key signed in its time binds the operator.

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

/** A day and a half with the first key, the rest of the second day with the second. */
async function startRotated() {
  const t = await startNetwork(chain, cleanups, { challengeWindow: 3 * 86_400 })
  const start = t.network.firstWindow
  const network = fromHex(t.network.id)
  const [before, after] = [t.operator.logSigner, createSoftwareSigner()]
  const url = await t.operator.node.listen({ port: 0 })
  const signers = [createSoftwareSigner(), createSoftwareSigner({ algorithm: 'ES256K' })]
  await t.register(signers)
  const receipts: { batch: Uint8Array; receipt: Uint8Array }[] = []
  const keep = ({ bytes: batch, receipt }: { bytes: Uint8Array; receipt: Uint8Array }) =>
    void receipts.push({ batch, receipt })
  // One was given both keys, the other asks the node.
  const [given, asking] = [{ logKey: [before.publicKey, after.publicKey] }, {}].map((options, i) =>
    createDevice({
      clock: () => t.now,
      maxAgeMs: hourMs,
      network: { id: network, windowMs: dayMs },
      onDelivered: keep,
      retry: { maxMs: 100, minMs: 10 },
      schema: walker,
      signer: signers[i]!,
      transport: http(url, options),
    }),
  ) as [Device, Device]
  cleanups.push(() => Promise.all([given.close(), asking.close()]).then(() => {}))

  const rotate = (logSigner: Signer = after) =>
    rotateNodeKey({
      client: t.operator.client,
      dataDir: t.operator.dataDir,
      deployment: t.deployment,
      logSigner,
      maxWaitMs: 10,
      networks: [t.network],
    })
  const record = async (day: number, hour: number) => {
    await t.setTime((start + day) * dayMs + hour * hourMs)
    for (const device of [given, asking])
      await device.record({ steps: 100 + hour }, { time: t.now - minuteMs })
  }
  const flush = () => Promise.all([given.flush(), asking.flush()])

  await record(0, 12)
  await flush()
  await t.setTime((start + 1) * dayMs + 10 * minuteMs)
  expect(await t.operator.node.settle()).toHaveLength(1)
  await record(1, 8)
  await flush()
  // A node that runs would go on signing with its key.
  await expect(rotate()).rejects.toThrow('Another process uses this data directory.')
  await t.operator.node.close()
  // What is sensed meanwhile waits on the devices.
  await record(1, 9)
  const rotated = await rotate()
  const { timestamp } = await t.client.getBlock()
  t.operator.node = await t.operator.open({ logSigner: after })
  await t.operator.node.listen({ port: Number(new URL(url).port) })
  await flush()
  await record(1, 12)
  await flush()
  await t.setTime((start + 2) * dayMs + 10 * minuteMs)
  expect(await t.operator.node.settle()).toHaveLength(1)

  return Object.assign(t, {
    ...{
      after,
      before,
      changedAt: Number(timestamp) * 1000,
      receipts,
      rotate,
      rotated,
      start,
      url,
    },
    state: () =>
      readOperator(t.client, {
        fromBlock: t.fromBlock,
        network: t.network,
        operator: t.operator.account.address,
      }),
    /** A head that is not one of the log. */
    fork: (signer: Signer, time: number, size: number) =>
      signCheckpoint({
        ...{ network, shard: 0, signer, size, time },
        operator: fromHex(t.operator.account.address),
        root: new Uint8Array(32).fill(7),
      }),
  })
}

test('behavior: a log goes on under another key, and its operator answers for both', async () => {
  const t = await startRotated()
  const { after, before, start } = t
  expect(t.rotated).toMatchObject([
    { before: addressOf(before), logKey: addressOf(after), network: t.network.id },
  ])
  expect(await t.state()).toMatchObject({
    formerLogKeys: [{ logKey: toHex(before.publicKey), until: t.changedAt / 1000 + 3600 }],
    logKey: toHex(after.publicKey),
  })

  // Every device got receipts of both keys, and nothing is in the log twice.
  const byKey = [before, after].map((signer) =>
    t.receipts.filter(({ receipt }) => toHex(decodeReceipt(receipt).logKey) === addressOf(signer)),
  )
  expect(byKey.map(({ length }) => length)).toEqual([4, 4])
  expect(t.operator.node.health()).toMatchObject({ networks: [{ size: 8 }], ok: true })
  // What was in the log under the first key is answered under the second when it comes again.
  const old = byKey[0]![0]!
  const [again] = await t.operator.node.ingest(t.network.id, [old.batch])
  expect(again).toMatchObject({ duplicate: true, ok: true })
  if (again?.ok) expect(toHex(decodeReceipt(again.receipt).logKey)).toBe(addressOf(after))

  // The first epoch was posted with a head of the first key, the second with one of the second.
  for (const [i, signer] of [before, after].entries()) {
    const verdict = await verifyBundle(await t.operator.bytes(`/epochs/${start + i}/bundle`))
    if (!verdict.ok) throw new Error(verdict.reason)
    const { claims, logKey, signedAt } = verdict
    expect(claims.map(({ value }) => value)).toEqual(i === 0 ? [112n, 112n] : [329n, 329n])
    expect(toHex(logKey)).toBe(toHex(signer.publicKey))
    const signed = { logKey: toHex(logKey), time: signedAt! / 1000 }
    expect(isLogKey(await t.state(), signed)).toBe(true)
    const later = { ...signed, time: t.changedAt / 1000 + 3601 }
    expect(isLogKey(await t.state(), later)).toBe(signer === after)
  }

  const openAuditor = () =>
    createAuditor({
      client: t.chain.createClient(5),
      clock: () => t.now,
      dataDir: t.createDirectory(),
      deployment: t.deployment,
      fromBlock: t.fromBlock,
      network: t.network,
      nodeUrl: t.url,
    })
  const auditor = await openAuditor()
  cleanups.push(() => auditor.close())
  expect(await auditor.sync()).toMatchObject([
    { batches: 8, foreign: false, problems: [], size: 8 },
  ])
  for (const window of [start, start + 1])
    expect(await auditor.check(window)).toMatchObject({ findings: [], ok: true })
  // A receipt of before the change that a device brings now counts.
  for (const { batch, receipt } of t.receipts)
    expect(await auditor.keep(receipt, { batch })).toBe(true)

  // What a thief of the first key signs an hour after the change is nobody's word.
  const forged = await t.fork(before, t.changedAt + hourMs + 1000, 8)
  expect(await auditor.keep(forged)).toBe(false)
  const head = await t.operator.bytes('/log/checkpoint')
  expect(decodeCheckpoint(head)).toMatchObject({
    logKey: publicKeyToAddress(after.publicKey),
    size: 8,
  })
  const evidence = (bytes: Uint8Array, { publicKey }: Signer) =>
    toCheckpointEvidence(bytes, publicKey)
  await expect(
    proveFraud(t.chain.createClient(5), {
      network: t.network,
      proof: { kind: 'fork', checkpoints: [evidence(forged, before), evidence(head, after)] },
    }),
  ).rejects.toMatchObject({ revert: { name: 'InvalidCheckpointSignature' } })
  expect(await auditor.act()).toEqual([])

  // Longer after the change than receipts live, and with its window final, the first key binds nobody.
  const [snapshot, now] = [await t.chain.client.snapshot(), t.now]
  await t.setTime(t.changedAt + 34 * dayMs)
  const late = await openAuditor()
  for (const [i, [kept]] of byKey.entries())
    expect(await late.keep(kept!.receipt, { batch: kept!.batch })).toBe(i === 1)
  await late.close()
  await t.chain.client.revert({ id: snapshot })
  await t.setTime(now + minuteMs)

  // What it signed before the change is: two heads of one size, each with its key, cost the bond.
  expect(await auditor.keep(await t.fork(before, t.changedAt, 8))).toBe(true)
  expect(await auditor.act()).toMatchObject([
    { kind: 'proven', text: expect.stringContaining('is slashed') },
    { kind: 'withdrawn' },
  ])
  expect(await t.state()).toMatchObject({ bond: 0n, listed: false })

  // The window of the change is void, and no log stands that has what its receipts promise: so they hold.
  await t.setTime(t.changedAt + 34 * dayMs)
  for (const [kept] of byKey)
    expect(await auditor.keep(kept!.receipt, { batch: kept!.batch })).toBe(true)
}, 90_000)

test('behavior: a change that was cut short is gone on with, and can be taken back', async () => {
  const t = await startNetwork(chain, cleanups)
  const signer = createSoftwareSigner()
  await t.register([signer])
  const [before, after] = [t.operator.logSigner, createSoftwareSigner()]
  await t.setTime(t.network.firstWindow * dayMs + hourMs)
  expect(await t.operator.send(signer, 0, [100])).toBe('ok')
  const rotate = (logSigner: Signer) =>
    rotateNodeKey({
      client: t.operator.client,
      dataDir: t.operator.dataDir,
      deployment: t.deployment,
      logSigner,
      maxWaitMs: 10,
      networks: [t.network],
    })

  // Changed by somebody else, under a node that runs: it takes nothing in that would bind nobody.
  const { network } = t
  await rotateLogKey(t.operator.client, { logKey: toHex(after.publicKey), network })
  await expect(t.operator.node.refresh()).rejects.toThrow('bonded with another log key')
  expect(await t.operator.send(signer, 1, [100])).toBe('unavailable')
  expect(t.operator.problems()).toEqual(['The operator is bonded with another log key.'])
  await t.operator.node.close()
  await expect(t.operator.open()).rejects.toThrow('bonded with another log key')
  // There is nothing left to send.
  expect(await rotate(after)).toEqual([])
  t.operator.node = await t.operator.open({ logSigner: after })
  expect(await t.operator.send(signer, 1, [100])).toBe('ok')
  await t.operator.node.close()

  // A clock of the node that is ahead of the chain's.
  t.operator.node = await t.operator.open({ clock: () => t.now + 60_000, logSigner: after })
  expect(await t.operator.send(signer, 2, [100])).toBe('ok')
  await t.operator.node.close()
  await expect(rotate(before)).rejects.toMatchObject({
    kind: 'transport',
    name: 'ChainBehindError',
  })
  await t.setTime(t.now + 2 * minuteMs)
  expect(await rotate(before)).toHaveLength(1)
  t.operator.node = await t.operator.open({ logSigner: before })
  expect(await t.operator.send(signer, 3, [100])).toBe('ok')
  expect(t.operator.node.health()).toMatchObject({ networks: [{ size: 4 }], ok: true })

  // An operator without a bond has no key to change.
  await expect(
    rotateNodeKey({
      client: t.chain.createClient(6),
      dataDir: t.createDirectory(),
      deployment: t.deployment,
      logSigner: after,
      networks: [t.network],
    }),
  ).rejects.toThrow('its first bond sets it')
}, 60_000)

test('behavior: a directory of before keys could change', async () => {
  const t = await startNetwork(chain, cleanups)
  const signer = createSoftwareSigner()
  await t.register([signer])
  const start = t.network.firstWindow
  await t.setTime(start * dayMs + hourMs)
  expect(await t.operator.send(signer, 0, [100])).toBe('ok')
  await t.setTime((start + 1) * dayMs + 10 * minuteMs)
  expect(await t.operator.node.settle()).toHaveLength(1)
  expect(await t.operator.send(signer, 1, [100])).toBe('ok')
  await t.operator.node.close()
  const database = openDatabase(join(t.operator.dataDir, 'node.db'))
  database.exec('DELETE FROM log_keys')
  closeDatabase(database)

  const [before, after] = [t.operator.logSigner, createSoftwareSigner()]
  await rotateNodeKey({
    client: t.operator.client,
    dataDir: t.operator.dataDir,
    deployment: t.deployment,
    logSigner: after,
    networks: [t.network],
  })
  t.operator.node = await t.operator.open({ logSigner: after })
  await t.operator.node.listen({ port: 0 })
  const verdict = await verifyBundle(await t.operator.bytes(`/epochs/${start}/bundle`))
  expect(verdict).toMatchObject({ logKey: before.publicKey, ok: true })
}, 60_000)

test('behavior: an operator answers for a key that was its own between two looks of an auditor', async () => {
  const t = await startNetwork(chain, cleanups)
  const signer = createSoftwareSigner()
  await t.register([signer])
  await t.setTime(t.network.firstWindow * dayMs + hourMs)
  expect(await t.operator.send(signer, 0, [100])).toBe('ok')
  const { network } = t
  const auditor = await createAuditor({
    client: t.chain.createClient(5),
    clock: () => t.now,
    dataDir: t.createDirectory(),
    deployment: t.deployment,
    fromBlock: t.fromBlock,
    network,
    nodeUrl: await t.operator.node.listen({ port: 0 }),
  })
  cleanups.push(() => auditor.close())
  expect(await auditor.sync()).toMatchObject([{ problems: [], size: 1 }])

  const between = createSoftwareSigner()
  for (const { publicKey } of [between, t.operator.logSigner])
    await rotateLogKey(t.operator.client, { logKey: toHex(publicKey), network })
  const fork = await signCheckpoint({
    network: fromHex(network.id),
    operator: fromHex(t.operator.account.address),
    root: new Uint8Array(32).fill(7),
    ...{ shard: 0, signer: between, size: 1, time: t.now },
  })
  expect(await auditor.keep(fork)).toBe(true)
  await t.setTime((t.network.firstWindow + 1) * dayMs + 10 * minuteMs)
  expect(await t.operator.node.settle()).toHaveLength(1)
  expect(await auditor.act()).toContainEqual(expect.objectContaining({ kind: 'proven' }))
}, 60_000)

const addressOf = ({ publicKey }: Signer) => toHex(publicKeyToAddress(publicKey))
