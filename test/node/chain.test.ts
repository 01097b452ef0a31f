import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  bondOperator,
  createNetwork,
  deployMachinefi,
  encodePolicyParams,
  type NetworkConfig,
  readEpochs,
  redeem,
  registerDevices,
  setConfig,
  signRegistration,
  suspendDevices,
} from '@machinefi/contracts'
import { networkTokenAbi } from '@machinefi/contracts/abis'
import { fromHex, publicKeyToAddress, type Signer, toHex } from '@machinefi/core'
import { createSoftwareSigner } from '@machinefi/device'
import { encodeMetricParams, type Metric, verifyBundle } from '@machinefi/proof'
import { createNode, type Node, type NodeOptions } from '@machinefi/stream'
import { defineSchema, schemaHash, signBatch, toRow } from '@machinefi/telemetry'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startChain } from '../../packages/contracts/test/startChain.js'

// The node against the real contracts, on a clock that the test moves for both.

const dayMs = 86_400_000
const hourMs = 3_600_000
const first = 20_000
const minuteMs = 60_000
const walker = defineSchema({ id: 1, tickMs: 1000, fields: { steps: { unit: 'count' } } })

let chain: Awaited<ReturnType<typeof startChain>>
const cleanups: (() => Promise<void> | void)[] = []

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

test('default', async () => {
  const t = await startNetwork()
  const walkerSigner = createSoftwareSigner()
  const idler = createSoftwareSigner()
  const joiner = createSoftwareSigner()
  await t.register([walkerSigner, idler])
  await t.setTime(first * dayMs + 12 * hourMs)
  // The node has not been told of them: the first batch makes it look.
  expect(await t.send(walkerSigner, 0, [100, 200])).toBe('ok')
  expect(await t.send(idler, 0, [10])).toBe('ok')
  await t.register([joiner])
  expect(await t.send(joiner, 0, [500])).toBe('ok')

  await t.setTime((first + 1) * dayMs + 10 * minuteMs - 1000)
  expect(await t.node.settle()).toEqual([])
  await t.setTime((first + 1) * dayMs + 10 * minuteMs)
  expect(await t.node.settle()).toMatchObject([{ ledgerTotal: 300n, size: 3, window: first }])

  // The node dies and comes back in the middle of the second window.
  await t.setTime((first + 1) * dayMs + 12 * hourMs)
  expect(await t.send(joiner, 1, [500])).toBe('ok')
  await t.reopen()
  expect(await t.send(walkerSigner, 1, [300])).toBe('ok')
  await suspendDevices(t.client, { devices: [toDevice(walkerSigner)], network: t.network })
  await t.setTime((first + 3) * dayMs + hourMs)
  expect(await t.node.settle()).toMatchObject([
    // The walker is suspended, so this day does not count; the joiner's does.
    { ledgerTotal: 800n, window: first + 1 },
    { ledgerTotal: 800n, window: first + 2 },
  ])

  const posted = await readEpochs(t.client, { network: t.network })
  const { epochs } = await t.json('/epochs')
  expect(epochs).toMatchObject(
    posted.map(({ epochHash, ledgerRoot, transactionHash, window }) => ({
      epochHash,
      ledgerRoot,
      transaction: transactionHash,
      window,
    })),
  )
  for (const { epochHash, window } of posted)
    expect(
      await verifyBundle(await t.bytes(`/epochs/${window}/bundle`), {
        epochHash: fromHex(epochHash),
      }),
    ).toMatchObject({ complete: true, ok: true })

  await t.setTime((first + 3) * dayMs + 2 * hourMs)
  for (const [signer, amount] of [
    [walkerSigner, 300n],
    [joiner, 500n],
  ] as const) {
    const claim = await t.json(`/epochs/${first + 2}/claims/${toDevice(signer)}`)
    const redeemed = await redeem(t.client, {
      network: t.network,
      redemptions: [
        {
          entries: [
            {
              cumulative: BigInt(claim.cumulative),
              device: claim.device,
              steps: claim.steps,
              traceRoot: claim.traceRoot,
              value: BigInt(claim.value),
            },
          ],
          siblings: claim.proof,
          slot: claim.slot,
        },
      ],
      window: first + 2,
    })
    expect(redeemed.amount).toBe(amount)
  }
  const supply = await t.client.readContract({
    abi: networkTokenAbi,
    address: t.network.token,
    functionName: 'totalSupply',
  })
  expect(supply).toBe(800n)
}, 60_000)

test('behavior: rules are those of their window', async () => {
  const t = await startNetwork()
  const signer = createSoftwareSigner()
  await t.register([signer])
  const start = t.network.firstWindow
  for (let day = 0; day < 3; day++) {
    await t.setTime((start + day) * dayMs + 12 * hourMs)
    expect(await t.send(signer, day, [150])).toBe('ok')
    // Half way through the first day, for all days after it.
    if (day === 0)
      await setConfig(t.client, {
        config: t.config({ cap: 10n, rate: 2n, threshold: 1n }),
        network: t.network,
      })
    await t.setTime((start + day + 1) * dayMs + 10 * minuteMs)
    await t.node.settle()
  }
  const { claims } = await t.json(`/devices/${toDevice(signer)}/claims`)
  expect(claims.map(({ reward }: { reward: string }) => reward)).toEqual(['150', '10', '10'])
}, 60_000)

test.each([
  [{ type: 'count' }, 3n],
  [{ field: 0, type: 'average' }, 20n],
  [{ intervalMs: 6 * hourMs, type: 'coverage' }, 250_000n],
] as const)(
  'options: the metric %o',
  async (metric, value) => {
    const t = await startNetwork({ metric })
    const signer = createSoftwareSigner()
    await t.register([signer])
    await t.setTime(t.network.firstWindow * dayMs + 12 * hourMs)
    expect(await t.send(signer, 0, [10, 20, 30])).toBe('ok')
    await t.setTime((t.network.firstWindow + 1) * dayMs + hourMs)
    await t.node.settle()
    const { network } = t
    const claim = await t.json(`/epochs/${network.firstWindow}/claims/${toDevice(signer)}`)
    expect(BigInt(claim.value)).toBe(value)
    expect(
      await verifyBundle(await t.bytes(`/epochs/${network.firstWindow}/bundle`)),
    ).toMatchObject({ complete: true, ok: true })
  },
  60_000,
)

test('error: what the node was not given, or is not its own', async () => {
  const t = await startNetwork()
  const other = defineSchema({ id: 1, tickMs: 2000, fields: { steps: { unit: 'count' } } })
  await t.node.close()
  await expect(t.open({ networks: [{ ...t.network, schemas: [] }] })).rejects.toThrow(
    'The network’s schema 1 was not given to the node.'.replace('’', "'"),
  )
  await expect(t.open({ networks: [{ ...t.network, schemas: [other] }] })).rejects.toThrow(
    'Schema 1 is not the one of the network.',
  )
  await expect(t.open({ logSigner: createSoftwareSigner() })).rejects.toThrow(
    'The data directory belongs to another logKey.',
  )
  await expect(
    t.open({ dataDir: createDirectory(), logSigner: createSoftwareSigner() }),
  ).rejects.toThrow('The operator is bonded with another log key.')
  const elsewhere = await startChain()
  cleanups.push(() => elsewhere.close())
  await expect(t.open({ client: elsewhere.client })).rejects.toThrow(
    'The data directory belongs to another',
  )
  t.node = await t.open()
}, 60_000)

test('error: a node without its data does not go on from what was posted', async () => {
  const t = await startNetwork()
  const signer = createSoftwareSigner()
  await t.register([signer])
  await t.setTime(t.network.firstWindow * dayMs + 12 * hourMs)
  expect(await t.send(signer, 0, [150])).toBe('ok')
  await t.setTime((t.network.firstWindow + 1) * dayMs + hourMs)
  await t.node.settle()
  await t.node.close()
  t.node = await t.open({ dataDir: createDirectory() })
  await expect(t.node.settle()).rejects.toThrow('another log or ledger than this node has')
}, 60_000)

function createDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'stream-chain-'))
  // After whatever has files in it.
  cleanups.unshift(() => rmSync(directory, { force: true, recursive: true }))
  return directory
}

function toDevice(signer: Signer) {
  return toHex(publicKeyToAddress(signer.publicKey))
}

async function startNetwork(options: { metric?: Metric } = {}) {
  const { metric = { field: 0, max: 900, min: 0, type: 'sum' } } = options
  const client = chain.createClient(0)
  const operator = chain.createClient(1)
  const deployment = await deployMachinefi(client)
  const config = (policy: { cap: bigint; rate: bigint; threshold: bigint }): NetworkConfig => ({
    challengeWindow: 600,
    coverage: 10n ** 6n,
    fields: 1,
    grace: 600,
    maxRowsBytes: 4096,
    metric: deployment.metrics[metric.type],
    metricParams: toHex(encodeMetricParams(metric)),
    minBond: 0n,
    operator: operator.account.address,
    policy: deployment.policy,
    policyParams: encodePolicyParams(policy),
    responseTime: 600,
    retention: 30 * 86_400,
    schema: 1n,
    schemaHash: toHex(schemaHash(walker)),
    takeoverDelay: 3600,
    tickMs: 1000,
  })
  const {
    hash: _,
    receipt,
    ...network
  } = await createNetwork(client, {
    config: config({ cap: 10n ** 9n, rate: 1n, threshold: 100n }),
    factory: deployment.factory,
    name: 'Test',
    owner: client.account.address,
    symbol: 'TEST',
    windowSeconds: 86_400,
  })
  const logSigner = createSoftwareSigner()
  const logKey = toHex(logSigner.publicKey)
  await bondOperator(operator, { logKey, network, value: 10n ** 18n })

  let now = Number((await client.getBlock()).timestamp) * 1000
  const dataDir = createDirectory()
  const open = (changes: Partial<NodeOptions> & { client?: typeof operator } = {}): Promise<Node> =>
    createNode({
      client: operator,
      clock: () => now,
      dataDir,
      deployment,
      limits: { commitDelayMs: 1, refreshMs: 0 },
      logSigner,
      networks: [{ ...network, fromBlock: receipt.blockNumber, schemas: [walker] }],
      onError: (error) => {
        throw error
      },
      ...changes,
    })
  const t = {
    client,
    config,
    network,
    node: await open(),
    open,
    async reopen() {
      await t.node.close()
      t.node = await open()
    },
    async register(signers: readonly Signer[]) {
      const registrations = await Promise.all(
        signers.map((signer) =>
          signRegistration({
            chainId: network.chainId,
            deadline: 2 ** 40,
            membership: network.membership,
            owner: client.account.address,
            registry: network.registry,
            signer,
          }),
        ),
      )
      await registerDevices(client, { registrations, registry: network.registry })
    },
    async setTime(time: number) {
      now = time
      await chain.request('evm_setNextBlockTimestamp', [time / 1000])
      await chain.request('evm_mine')
    },
    async send(signer: Signer, seq: number, steps: readonly number[]) {
      const start = now - steps.length * minuteMs
      const { bytes } = await signBatch({
        network: fromHex(network.id),
        rows: steps.map((value, i) => toRow(walker, { steps: value, time: start + i * minuteMs })),
        schema: walker,
        seq,
        signer,
      })
      const [outcome] = await t.node.ingest(network.id, [bytes])
      return outcome!.ok ? 'ok' : outcome!.problem.reason
    },
    async bytes(path: string) {
      const url = await t.node.listen({ port: 0 })
      const response = await fetch(`${url}/networks/${network.id}${path}`)
      return new Uint8Array(await response.arrayBuffer())
    },
    // biome-ignore lint/suspicious/noExplicitAny: JSON of many shapes, matched above
    async json(path: string): Promise<any> {
      return JSON.parse(new TextDecoder().decode(await t.bytes(path)))
    },
  }
  cleanups.push(() => t.node.close())
  return t
}
