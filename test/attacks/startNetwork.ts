import { type Network, registerDevices, signRegistration } from '@machinefi/contracts'
import { fromHex, type Signer } from '@machinefi/core'
import { defineSchema, type Row, type Schema, signBatch } from '@machinefi/telemetry'
import { type Devnet, startDevnet } from '../../packages/cli/src/chain/startDevnet.js'

export const schema = defineSchema({
  id: 1,
  tickMs: 1000,
  fields: { steps: { unit: 'count' }, temperature: { unit: 'Cel', scale: 1 } },
})

export const windowMs = 86_400_000
export const retentionMs = 30 * windowMs
export const graceMs = 600_000
/** The network's first window. */
export const firstWindow = 20_000
/** Its start, ms. */
export const startTime = firstWindow * windowMs

/**
 * Chain, contracts and node on a clock that a test moves, six hours into
 * the network's first window. The members given have joined before it; its metric
 * is the sum of steps, a token a step.
 */
export async function startNetwork(options: startNetwork.Options): Promise<TestNetwork> {
  let now = startTime - 3_600_000
  const devnet = await startDevnet({
    anvil: { blockTimestampInterval: 1, hardfork: 'osaka', timestamp: now / 1000 },
    clock: () => now,
    limits: options.limits,
    metric: { type: 'sum', field: 0, min: 0, max: 900 },
    onError: options.onError,
    policy: { cap: 1_000_000n, rate: 1n, threshold: 100n },
    schema,
    times: {
      challengeWindow: 600,
      grace: graceMs / 1000,
      responseTime: 600,
      retention: retentionMs / 1000,
      takeoverDelay: 3_600,
    },
    windowMs,
  })
  const { anvil, client, network, node } = devnet

  async function join(signers: readonly Signer[]) {
    const registrations = await Promise.all(
      signers.map((signer) =>
        signRegistration({
          chainId: network.chainId,
          deadline: Math.floor(now / 1000) + 3_600,
          membership: network.membership,
          owner: client.account.address,
          registry: network.registry,
          signer,
        }),
      ),
    )
    await registerDevices(client, { registrations, registry: network.registry })
    await node.refresh()
  }
  async function setTime(time: number) {
    now = time
    await anvil.request('evm_setNextBlockTimestamp', [Math.floor(time / 1000)])
    await anvil.request('evm_mine')
  }

  try {
    await join(options.members)
    await setTime(startTime + 6 * 3_600_000)
  } catch (error) {
    await devnet.close()
    throw error
  }
  return {
    ...devnet,
    id: fromHex(network.id),
    join,
    now: () => now,
    setTime,
  }
}

export declare namespace startNetwork {
  type Options = Pick<startDevnet.Options, 'limits' | 'onError'> & { members: readonly Signer[] }
}

export type TestNetwork = Devnet & {
  /** Network id, 32 bytes. */
  id: Uint8Array
  network: Network
  join(signers: readonly Signer[]): Promise<void>
  now(): number
  /** Moves the clock of chain and node. */
  setTime(time: number): Promise<void>
}

/** A batch of minute steps. */
export function signSteps(options: signSteps.Options) {
  const { network, seq, signer, start, steps = [10, 20, 30], schema: own = schema } = options
  const rows = steps.map(
    (value, i): Row => ({
      time: start + i * 60_000,
      values: own.fields.map((_, field) => (field === 0 ? value : null)),
    }),
  )
  return signBatch({ network, rows, schema: own, seq, signer })
}

export declare namespace signSteps {
  type Options = {
    network: Uint8Array
    schema?: Schema
    seq: number
    signer: Signer
    start: number
    steps?: readonly number[]
  }
}
