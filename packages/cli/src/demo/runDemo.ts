import { readEpochs, readFinalWindow } from '@machinefi/contracts'
import { networkTokenAbi } from '@machinefi/contracts/abis'
import { BaseError, fromHex } from '@machinefi/core'
import { createDevice, createSoftwareSigner, type Device, http } from '@machinefi/device'
import type { Metric } from '@machinefi/proof'
import type { Schema } from '@machinefi/telemetry'
import type { Address } from 'viem'
import { createAccount } from '../chain/openAccount.js'
import { type Devnet, startDevnet } from '../chain/startDevnet.js'
import { formatWindow } from '../options/parseWindow.js'
import { formatCount } from '../output/formatCount.js'
import type { Readings } from '../readings/openReadings.js'
import { type Amount, toAmount } from './Amount.js'
import { type DemoClaim, readClaims } from './readClaims.js'
import { redeemFleet } from './redeemFleet.js'
import { registerFleet, type Walker } from './registerFleet.js'
import { type Attack, tryAttacks } from './tryAttacks.js'

export type DemoReport = {
  devices: number
  readings: number
  batches: number
  /** Of the signed batches, signatures included. */
  wireBytes: number
  /** One for every device and window with data. */
  claims: DemoClaim[]
  attacks: Attack[]
  /** Units of the token. */
  minted: Amount
  totalSupply: Amount
  /** Means per transaction and device-day; `redeem` and `register` are sums. */
  gas: { perDeviceDay: number; postEpoch: number; redeem: number; register: number }
  balances: { balance: Amount; owner: Address }[]
  /** Milliseconds by phase. */
  phases: Record<string, number>
  elapsedMs: number
}

/** How often the fleet waits for its receipts, in time of the readings: bounds what is in flight. */
const drainMs = 12 * 3_600_000
/** Time that late batches have after a window. */
const graceSeconds = 600
const challengeSeconds = 600

/**
 * The whole path on the readings' own clock: chain, node and devices start in
 * the window before the first reading and go from event to event. Nothing waits
 * for the wall clock, and nothing but the clock is simulated.
 */
export async function runDemo(options: runDemo.Options): Promise<DemoReport> {
  const { metric, onProgress = () => {}, onStep = () => {}, policy, readings } = options
  const { schema, signal, windowMs } = options
  const started = performance.now()
  const { measure, phases } = createStopwatch()

  const firstWindow = Math.floor(readings.firstTime / windowMs)
  // The network's first window is the first that begins after its creation.
  let now = firstWindow * windowMs - Math.min(windowMs, 3_600_000)
  if (now < 0) throw new DemoTimeError(readings.firstTime)
  const devnet = await measure('start', () =>
    startDevnet({
      // One second a block: the chain's clock is the readings', not the machine's.
      anvil: { blockTimestampInterval: 1, hardfork: 'osaka', timestamp: now / 1000 },
      clock: () => now,
      metric,
      onStep: (step) => onProgress({ step }),
      policy,
      schema,
      times: {
        challengeWindow: challengeSeconds,
        grace: graceSeconds,
        responseTime: 600,
        retention: 30 * 86_400,
        takeoverDelay: 3_600,
      },
      windowMs,
    }),
  )
  const devices: Device[] = []
  try {
    const { anvil, client, network, node, url } = devnet
    onStep('chain', `${anvil.url}, contracts deployed`)
    onStep('node', `${url}/networks/${network.id}`)
    const setTime = async (time: number) => {
      now = time
      await anvil.request('evm_setNextBlockTimestamp', [Math.floor(time / 1000)])
      await anvil.request('evm_mine')
    }

    onProgress({ step: `registering ${readings.devices.length} devices` })
    const fleet = readings.devices.map((name) => ({
      name,
      owner: createAccount().address.toLowerCase() as Address,
      signer: createSoftwareSigner(),
    }))
    const registerGas = await measure('register', () => registerFleet(devnet, fleet, now))
    await node.refresh()
    onStep(
      'fleet',
      `${formatCount(fleet.length, 'device')} registered and joined, ${fleet.length === 1 ? 'with' : 'each with'} an owner of its own`,
    )

    let wireBytes = 0
    let batches = 0
    let captured: Uint8Array | undefined
    const transport = http(url, { logKey: devnet.logKey })
    for (const { signer } of fleet)
      devices.push(
        createDevice({
          clock: () => now,
          maxAgeMs: Number.POSITIVE_INFINITY,
          network: { id: fromHex(network.id), windowMs },
          nextSeq: 0,
          onDelivered: ({ bytes }) => {
            captured = bytes
            wireBytes += bytes.length
            batches++
          },
          retry: { maxMs: 500, minMs: 20 },
          schema,
          signer,
          transport,
        }),
      )
    const drain = (partial: boolean) =>
      Promise.all(devices.map((device) => device.flush({ partial, timeoutMs: 60_000 })))
    /** Posts the window that ended `graceSeconds` ago. */
    const closeWindow = (end: number) =>
      measure('settle', async () => {
        await setTime(end + graceSeconds * 1000)
        for (const { ledgerTotal, size, window } of await node.settle())
          onStep(
            formatWindow(window, windowMs),
            `${size} batches in the log, posted: ${ledgerTotal.toLocaleString('en-US')} earned by the fleet so far`,
          )
      })

    const streaming = performance.now()
    const names = schema.fields.map((field) => field.name)
    let attacks: Attack[] = []
    let recorded = 0
    let windowEnd = (firstWindow + 1) * windowMs
    let sent = false
    let nextDrain = 0
    for (const { device, time, values } of readings.merge()) {
      // At the end of a window devices send what they have, and some time later it is posted.
      for (;;) {
        if (!sent && time >= windowEnd) {
          await measure('deliver', () => drain(true))
          sent = true
        }
        if (time < windowEnd + graceSeconds * 1000) break
        await closeWindow(windowEnd)
        windowEnd += windowMs
        sent = false
      }
      if (time >= nextDrain) {
        signal?.throwIfAborted()
        await measure('deliver', () => drain(false))
        nextDrain = (Math.floor(time / drainMs) + 1) * drainMs
        onProgress({
          batches,
          readings: recorded,
          share: recorded / readings.count,
          step: 'streaming',
          window: formatWindow(Math.floor(time / windowMs), windowMs),
        })
        if (options.attacks && attacks.length === 0 && captured !== undefined) {
          const attack = {
            captured,
            member: (fleet[0] as Walker).signer,
            network: fromHex(network.id),
            schema,
            url,
          }
          attacks = await measure('attack', () => tryAttacks(attack))
          const refused = attacks.filter(({ refused }) => refused).length
          onStep(
            'attack',
            `${refused} of ${attacks.length} tries refused, ${attacks.filter(({ counted }) => counted).length} counted`,
          )
        }
      }
      now = Math.max(now, time)
      const record: Record<string, number | null> = {}
      for (let i = 0; i < names.length; i++) {
        const value = values[i] as number
        record[names[i] as string] = Number.isNaN(value) ? null : value
      }
      await (devices[device] as Device).record(record, { time })
      recorded++
    }
    await measure('deliver', () => drain(true))
    await closeWindow(windowEnd)
    const { attack = 0, deliver = 0, settle = 0 } = phases
    phases.record = Math.round(performance.now() - streaming) - attack - deliver - settle

    onProgress({ step: 'redeeming' })
    const epochs = await readEpochs(client, { network })
    const redeemed = await measure('redeem', async () => {
      const last = epochs.at(-1)
      if (last === undefined) throw new DemoError('No window was posted.')
      // The last window is final once nobody can challenge it any more.
      await setTime((last.challengeEndsAt + 1) * 1000)
      const window = await readFinalWindow(client, { network })
      if (window !== last.window) throw new DemoError(`Window ${last.window} is not final.`)
      return redeemFleet(devnet, window)
    })
    onStep('redeem', `${redeemed.amount.toLocaleString('en-US')} tokens minted to the owners`)
    const claims = await readClaims(devnet, fleet, epochs)
    const readToken = (functionName: 'balanceOf' | 'totalSupply', args: readonly Address[]) =>
      client.readContract({
        abi: networkTokenAbi,
        address: network.token,
        args: args as never,
        functionName,
      }) as Promise<bigint>
    const postGas = await Promise.all(
      epochs.map(async ({ transactionHash }) =>
        Number((await client.getTransactionReceipt({ hash: transactionHash })).gasUsed),
      ),
    )
    const report: DemoReport = {
      devices: fleet.length,
      readings: recorded,
      batches,
      wireBytes,
      claims,
      attacks,
      minted: toAmount(redeemed.amount),
      totalSupply: toAmount(await readToken('totalSupply', [])),
      gas: {
        perDeviceDay: Math.round(redeemed.gasUsed / Math.max(1, claims.length)),
        postEpoch: Math.round(postGas.reduce((sum, gas) => sum + gas, 0) / postGas.length),
        redeem: redeemed.gasUsed,
        register: registerGas,
      },
      balances: await Promise.all(
        fleet.map(async ({ owner }) => ({
          balance: toAmount(await readToken('balanceOf', [owner])),
          owner,
        })),
      ),
      phases,
      elapsedMs: Math.round(performance.now() - started),
    }
    await options.onReport?.(report, devnet)
    return report
  } finally {
    for (const device of devices) await device.close()
    await devnet.close()
  }
}

export declare namespace runDemo {
  type Options = {
    /** Whether someone attacks meanwhile. */
    attacks: boolean
    metric: Metric
    /** What is going on just now. */
    onProgress?: ((progress: Progress) => void) | undefined
    /** What is done. */
    onStep?: ((topic: string, text: string) => void) | undefined
    /** Called with the report while chain and node still run. */
    onReport?: ((report: DemoReport, devnet: Devnet) => Promise<void>) | undefined
    policy: { cap: bigint; rate: bigint; threshold: bigint }
    readings: Readings
    schema: Schema
    signal?: AbortSignal | undefined
    windowMs: number
  }
  type Progress = {
    step: string
    batches?: number
    readings?: number
    /** Of the readings, 0 to 1. */
    share?: number
    window?: string
  }
}

/** Adds up what phases took, however often each comes. */
function createStopwatch() {
  const phases: Record<string, number> = {}
  return {
    phases,
    async measure<value>(phase: string, work: () => Promise<value>): Promise<value> {
      const from = performance.now()
      try {
        return await work()
      } finally {
        phases[phase] = Math.round((phases[phase] ?? 0) + performance.now() - from)
      }
    },
  }
}

export class DemoError extends BaseError {
  override readonly name = 'DemoError'
  constructor(shortMessage: string) {
    super(shortMessage, { kind: 'internal' })
  }
}

export class DemoTimeError extends BaseError {
  override readonly name = 'DemoTimeError'
  constructor(time: number) {
    super(`The first reading is too early: ${new Date(time).toISOString()}.`, { kind: 'input' })
  }
}
