import { readEpochs, redeem, setConfig, suspendDevices } from '@machinefi/contracts'
import { networkTokenAbi } from '@machinefi/contracts/abis'
import { fromHex } from '@machinefi/core'
import { createSoftwareSigner } from '@machinefi/device'
import { verifyBundle } from '@machinefi/proof'
import { defineSchema } from '@machinefi/telemetry'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startChain } from '../../packages/contracts/test/startChain.js'
import { type Chain, dayMs, hourMs, minuteMs, startNetwork, toDevice } from './startNetwork.js'

// The node against the real contracts, on a clock that the test moves for both.

const first = 20_000

let chain: Chain
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
  const t = await startNetwork(chain, cleanups)
  const walkerSigner = createSoftwareSigner()
  const idler = createSoftwareSigner()
  const joiner = createSoftwareSigner()
  await t.register([walkerSigner, idler])
  await t.setTime(first * dayMs + 12 * hourMs)
  // The node has not been told of them: the first batch makes it look.
  expect(await t.operator.send(walkerSigner, 0, [100, 200])).toBe('ok')
  expect(await t.operator.send(idler, 0, [10])).toBe('ok')
  await t.register([joiner])
  expect(await t.operator.send(joiner, 0, [500])).toBe('ok')

  await t.setTime((first + 1) * dayMs + 10 * minuteMs - 1000)
  expect(await t.operator.node.settle()).toEqual([])
  await t.setTime((first + 1) * dayMs + 10 * minuteMs)
  expect(await t.operator.node.settle()).toMatchObject([
    { ledgerTotal: 300n, size: 3, window: first },
  ])

  // The node dies and comes back in the middle of the second window.
  await t.setTime((first + 1) * dayMs + 12 * hourMs)
  expect(await t.operator.send(joiner, 1, [500])).toBe('ok')
  await t.operator.reopen()
  expect(await t.operator.send(walkerSigner, 1, [300])).toBe('ok')
  await suspendDevices(t.client, { devices: [toDevice(walkerSigner)], network: t.network })
  await t.setTime((first + 3) * dayMs + hourMs)
  expect(await t.operator.node.settle()).toMatchObject([
    // The walker is suspended, so this day does not count; the joiner's does.
    { ledgerTotal: 800n, window: first + 1 },
    { ledgerTotal: 800n, window: first + 2 },
  ])

  const posted = await readEpochs(t.client, { network: t.network })
  const { epochs } = await t.operator.json('/epochs')
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
      await verifyBundle(await t.operator.bytes(`/epochs/${window}/bundle`), {
        epochHash: fromHex(epochHash),
      }),
    ).toMatchObject({ complete: true, ok: true })

  await t.setTime((first + 3) * dayMs + 2 * hourMs)
  for (const [signer, amount] of [
    [walkerSigner, 300n],
    [joiner, 500n],
  ] as const) {
    const claim = await t.operator.json(`/epochs/${first + 2}/claims/${toDevice(signer)}`)
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
  const t = await startNetwork(chain, cleanups)
  const signer = createSoftwareSigner()
  await t.register([signer])
  const start = t.network.firstWindow
  for (let day = 0; day < 3; day++) {
    await t.setTime((start + day) * dayMs + 12 * hourMs)
    expect(await t.operator.send(signer, day, [150])).toBe('ok')
    // Half way through the first day, for all days after it.
    if (day === 0)
      await setConfig(t.client, {
        config: t.config({ cap: 10n, rate: 2n, threshold: 1n }),
        network: t.network,
      })
    await t.setTime((start + day + 1) * dayMs + 10 * minuteMs)
    await t.operator.node.settle()
  }
  const { claims } = await t.operator.json(`/devices/${toDevice(signer)}/claims`)
  expect(claims.map(({ reward }: { reward: string }) => reward)).toEqual(['150', '10', '10'])
}, 60_000)

test.each([
  [{ type: 'count' }, 3n],
  [{ field: 0, type: 'average' }, 20n],
  [{ intervalMs: 6 * hourMs, type: 'coverage' }, 250_000n],
] as const)(
  'options: the metric %o',
  async (metric, value) => {
    const t = await startNetwork(chain, cleanups, { metric })
    const signer = createSoftwareSigner()
    await t.register([signer])
    await t.setTime(t.network.firstWindow * dayMs + 12 * hourMs)
    expect(await t.operator.send(signer, 0, [10, 20, 30])).toBe('ok')
    await t.setTime((t.network.firstWindow + 1) * dayMs + hourMs)
    await t.operator.node.settle()
    const { network } = t
    const claim = await t.operator.json(`/epochs/${network.firstWindow}/claims/${toDevice(signer)}`)
    expect(BigInt(claim.value)).toBe(value)
    expect(
      await verifyBundle(await t.operator.bytes(`/epochs/${network.firstWindow}/bundle`)),
    ).toMatchObject({ complete: true, ok: true })
  },
  60_000,
)

test('error: what the node was not given, or is not its own', async () => {
  const t = await startNetwork(chain, cleanups)
  const other = defineSchema({ id: 1, tickMs: 2000, fields: { steps: { unit: 'count' } } })
  await t.operator.node.close()
  await expect(t.operator.open({ networks: [{ ...t.network, schemas: [] }] })).rejects.toThrow(
    'The network’s schema 1 was not given to the node.'.replace('’', "'"),
  )
  await expect(t.operator.open({ networks: [{ ...t.network, schemas: [other] }] })).rejects.toThrow(
    'Schema 1 is not the one of the network.',
  )
  await expect(t.operator.open({ logSigner: createSoftwareSigner() })).rejects.toThrow(
    'The data directory belongs to another logKey.',
  )
  await expect(
    t.operator.open({ dataDir: t.createDirectory(), logSigner: createSoftwareSigner() }),
  ).rejects.toThrow('The operator is bonded with another log key.')
  const elsewhere = await startChain()
  cleanups.push(() => elsewhere.close())
  await expect(t.operator.open({ client: elsewhere.client })).rejects.toThrow(
    'The data directory belongs to another',
  )
  t.operator.node = await t.operator.open()
}, 60_000)

test('error: a node without its data does not go on from what was posted', async () => {
  const t = await startNetwork(chain, cleanups)
  const signer = createSoftwareSigner()
  await t.register([signer])
  await t.setTime(t.network.firstWindow * dayMs + 12 * hourMs)
  expect(await t.operator.send(signer, 0, [150])).toBe('ok')
  await t.setTime((t.network.firstWindow + 1) * dayMs + hourMs)
  await t.operator.node.settle()
  await t.operator.node.close()
  t.operator.node = await t.operator.open({ dataDir: t.createDirectory() })
  await expect(t.operator.node.settle()).rejects.toThrow('another log or ledger than this node has')
}, 60_000)
