import {
  bondOperator,
  createNetwork,
  deployMachinefi,
  encodePolicyParams,
  finalizeEpochs,
  postEpoch,
  redeem,
  registerDevices,
  signRegistration,
} from '@machinefi/contracts'
import { networkTokenAbi } from '@machinefi/contracts/abis'
import { type Hex, publicKeyToAddress, toHex } from '@machinefi/core'
import { createSoftwareSigner } from '@machinefi/device'
import { buildLedger, type Entry, encodeMetricParams } from '@machinefi/proof'
import { schemaHash } from '@machinefi/telemetry'
import { createChainClient } from '../../packages/cli/src/chain/createChainClient.js'
import { createAccount, developmentAccount } from '../../packages/cli/src/chain/openAccount.js'
import { startAnvil } from '../../packages/cli/src/chain/startAnvil.js'
import { walker } from '../../packages/stream/test/createFakeChain.js'
import { type Benchmark, limit } from './Benchmark.js'

const daySeconds = 86_400
/** A million slots: the path to the root grows with them. */
const depth = 20
const fleet = 100
const month = 30
/** What a device has earned by the end of a month. */
const reward = 300n * 10n ** 18n

/** Gas of real transactions, on a chain with the P-256 precompile. */
export const gas: Benchmark = {
  name: 'gas',
  async run() {
    const anvil = await startAnvil({
      blockTimestampInterval: 1,
      hardfork: 'osaka',
      timestamp: 20_000 * daySeconds,
    })
    try {
      return await measure(anvil)
    } finally {
      await anvil.close()
    }
  },
}

async function measure(anvil: Awaited<ReturnType<typeof startAnvil>>) {
  const account = developmentAccount(0)
  const { chainId, url } = anvil
  const client = createChainClient({ account, chainId, pollingInterval: 20, url })
  const deployment = await deployMachinefi(client)
  const network = await createNetwork(client, {
    config: {
      challengeBond: 10n ** 17n,
      challengeWindow: 600,
      coverage: 10n ** 9n,
      fields: 1,
      grace: 600,
      maxRowsBytes: 4096,
      metric: deployment.metrics.sum,
      metricParams: toHex(encodeMetricParams({ field: 0, max: 900, min: 0, type: 'sum' })),
      minBond: 10n ** 18n,
      operator: account.address,
      policy: deployment.policy,
      policyParams: encodePolicyParams({ cap: 10n ** 24n, rate: 1n, threshold: 10_000n }),
      responseTime: 600,
      retention: 30 * daySeconds,
      schema: BigInt(walker.id),
      schemaHash: toHex(schemaHash(walker)),
      takeoverDelay: 3_600,
      tickMs: walker.tickMs,
    },
    disputes: deployment.disputes,
    factory: deployment.factory,
    name: 'Bench',
    owner: account.address,
    symbol: 'BENCH',
    windowSeconds: daySeconds,
  })
  const logKey = toHex(createSoftwareSigner().publicKey)
  await bondOperator(client, { logKey, network, value: 5_000n * 10n ** 18n })

  /** Registers and joins new devices of one owner; the gas of it, and their addresses. */
  const register = async (count: number, owner: Hex) => {
    const signers = Array.from({ length: count }, () => createSoftwareSigner())
    const registrations = await Promise.all(
      signers.map((signer) =>
        signRegistration({
          chainId,
          deadline: 30_000 * daySeconds,
          membership: network.membership,
          owner,
          registry: network.registry,
          signer,
        }),
      ),
    )
    const results = await registerDevices(client, {
      batchSize: count,
      registrations,
      registry: network.registry,
    })
    return {
      devices: signers.map(({ publicKey }) => publicKeyToAddress(publicKey)),
      gasUsed: results.reduce((sum, { receipt }) => sum + Number(receipt.gasUsed), 0),
    }
  }
  const newOwner = () => createAccount().address
  // The very first device pays for slots that all others find in use.
  await register(1, newOwner())
  const lone = await register(1, account.address)
  const fleetOwner = newOwner()
  const many = await register(fleet, fleetOwner)

  // Ten devices of ten owners far apart, a lone one, a fleet in a row; all others are crowd.
  const loneSlot = 777_777
  const fleetSlot = 550_005
  const tenSlots = Array.from({ length: 10 }, (_, i) => 100_003 * i)
  const ten: Uint8Array[] = []
  for (const _ of tenSlots) ten.push((await register(1, newOwner())).devices[0]!)
  // A million members, but for their storage: the count is the first slot of the membership.
  await anvil.request('anvil_setStorageAt', [
    network.membership,
    `0x${'0'.repeat(64)}`,
    `0x${(2 ** depth - 1000).toString(16).padStart(64, '0')}`,
  ])
  const toLedger = (months: bigint) => {
    const entry = (device: Uint8Array): Entry => ({
      cumulative: months * reward,
      device,
      steps: 24,
      traceRoot: new Uint8Array(32).fill(7),
      value: 12_345n,
    })
    const crowd = entry(new Uint8Array(20).fill(9))
    const entries = new Array<Entry>(2 ** depth - 1000).fill(crowd)
    entries[loneSlot] = entry(lone.devices[0]!)
    for (const [i, slot] of tenSlots.entries()) entries[slot] = entry(ten[i]!)
    for (const [i, device] of many.devices.entries()) entries[fleetSlot + i] = entry(device)
    return buildLedger(entries, { depth })
  }

  let window = network.firstWindow
  let parentHash = toHex(new Uint8Array(32))
  /** Posts a month's last window and redeems it; the gas of everything. */
  const settle = async (months: bigint) => {
    const ledger = toLedger(months)
    const setTime = async (seconds: number) => {
      await anvil.request('evm_setNextBlockTimestamp', [seconds])
      await anvil.request('evm_mine')
    }
    const postAt = (window + 1) * daySeconds + 600
    await setTime(postAt)
    const posted = await postEpoch(client, {
      depth,
      ledgerRoot: toHex(ledger.root),
      ledgerTotal: ledger.total,
      logs: [{ root: toHex(new Uint8Array(32).fill(5)), shard: 0, size: 1000n * months }],
      network,
      parentHash,
      window,
    })
    parentHash = posted.epoch.epochHash
    await setTime(postAt + 700)
    // Else whoever comes first pays for moving the pointer, which the next posting does too.
    await finalizeEpochs(client, { network })
    const pay = async (runs: readonly [slot: number, count: number][]) => {
      const redemptions = runs.map(([from, count]) => {
        const { entries, siblings, slot } = ledger.fleetProof(from, count)
        return {
          entries: entries.map(
            (entry) =>
              entry && { ...entry, device: toHex(entry.device), traceRoot: toHex(entry.traceRoot) },
          ),
          siblings: toHex(siblings),
          slot,
        }
      })
      const { amount, receipt } = await redeem(client, { network, redemptions, window })
      const devices = runs.reduce((sum, [, count]) => sum + count, 0)
      if (amount !== reward * BigInt(devices)) throw new Error(`${amount} were redeemed.`)
      return Number(receipt.gasUsed) / devices / month
    }
    const gasUsed = {
      alone: await pay([[loneSlot, 1]]),
      fleet: await pay([[fleetSlot, fleet]]),
      post: Number(posted.receipt.gasUsed),
      ten: await pay(tenSlots.map((slot) => [slot, 1])),
    }
    window++
    return gasUsed
  }
  await settle(1n)
  const steady = await settle(2n)

  // What a payment a day would cost without any proof: the same token, to one who has some.
  const hash = await client.writeContract({
    abi: networkTokenAbi,
    address: network.token,
    args: [fleetOwner, 1n],
    functionName: 'transfer',
  })
  const transfer = Number((await client.waitForTransactionReceipt({ hash })).gasUsed)
  const plain = await client.sendTransaction({ to: createAccount().address, value: 1n })
  const ether = Number((await client.waitForTransactionReceipt({ hash: plain })).gasUsed)

  const redeemed = { against: 'one transfer of the token a day', baseline: transfer }
  const other = { against: 'sending ether', baseline: ether }
  const unit = 'gas'
  return [
    limit({
      ...redeemed,
      budget: 2_900,
      name: 'device-day redeemed monthly, alone',
      unit,
      value: steady.alone,
    }),
    limit({
      ...redeemed,
      budget: 1_600,
      name: 'device-day redeemed monthly, ten together',
      unit,
      value: steady.ten,
    }),
    limit({
      ...redeemed,
      budget: 800,
      name: 'device-day redeemed monthly, 100 in a row',
      unit,
      value: steady.fleet,
    }),
    limit({ ...other, budget: 150_000, name: 'postEpoch', unit, value: steady.post }),
    limit({
      ...other,
      budget: 110_000,
      name: 'register and join a device alone',
      unit,
      value: lone.gasUsed,
    }),
    limit({
      ...other,
      budget: 65_000,
      name: 'register and join each of 100',
      unit,
      value: many.gasUsed / fleet,
    }),
  ]
}
