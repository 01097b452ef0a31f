import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  bondOperator,
  createNetwork,
  deployMachinefi,
  encodePolicyParams,
  listOperator,
  type NetworkConfig,
  registerDevices,
  signRegistration,
} from '@machinefi/contracts'
import { fromHex, publicKeyToAddress, type Signer, toHex } from '@machinefi/core'
import { createSoftwareSigner } from '@machinefi/device'
import { encodeMetricParams, type Metric } from '@machinefi/proof'
import { createNode, type Node, type NodeOptions } from '@machinefi/stream'
import { defineSchema, schemaHash, signBatch, toRow } from '@machinefi/telemetry'
import type { startChain } from '../../packages/contracts/test/startChain.js'

export const dayMs = 86_400_000
export const hourMs = 3_600_000
export const minuteMs = 60_000
export const walker = defineSchema({
  id: 1,
  tickMs: 1000,
  fields: { steps: { unit: 'count' } },
})

export type Chain = Awaited<ReturnType<typeof startChain>>
export type TestNetwork = Awaited<ReturnType<typeof startNetwork>>
export type TestOperator = TestNetwork['operator']

/**
 * A network on a chain of its own, with one operator and its node; more operators can be added. All
 * nodes and the chain have one clock, which the test moves.
 *
 * @param cleanups is given what has to be closed and deleted at the end, in reverse order.
 */
export async function startNetwork(
  chain: Chain,
  cleanups: (() => Promise<void> | void)[],
  options: {
    challengeWindow?: number
    isPrivate?: boolean
    metric?: Metric
    responseTime?: number
  } = {},
) {
  const {
    challengeWindow = 600,
    isPrivate = false,
    metric = { field: 0, max: 900, min: 0, type: 'sum' },
    responseTime = 600,
  } = options
  const client = chain.createClient(0)
  const deployment = await deployMachinefi(client)
  const config = (policy: { cap: bigint; rate: bigint; threshold: bigint }): NetworkConfig => ({
    challengeBond: 10n ** 15n,
    challengeWindow,
    coverage: 10n ** 6n,
    fields: 1,
    grace: 600,
    maxRowsBytes: 4096,
    metric: deployment.metrics[metric.type],
    metricParams: toHex(encodeMetricParams(metric)),
    minBond: 10n ** 17n,
    operator: chain.createClient(1).account.address,
    policy: deployment.policy,
    policyParams: encodePolicyParams(policy),
    responseTime,
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
    disputes: deployment.disputes,
    factory: deployment.factory,
    isPrivate,
    name: 'Test',
    owner: client.account.address,
    symbol: 'TEST',
    windowSeconds: 86_400,
  })
  let now = Number((await client.getBlock()).timestamp) * 1000

  function createDirectory(): string {
    const directory = mkdtempSync(join(tmpdir(), 'stream-chain-'))
    // After whatever has files in it.
    cleanups.unshift(() => rmSync(directory, { force: true, recursive: true }))
    return directory
  }

  /** Bonds an account of the test chain, and opens a node that posts with it. */
  async function addOperator(account: number, changes: Partial<NodeOptions> = {}) {
    const own = chain.createClient(account)
    const logSigner = createSoftwareSigner()
    if (account !== 1)
      await listOperator(client, { listed: true, network, operator: own.account.address })
    await bondOperator(own, { logKey: toHex(logSigner.publicKey), network, value: 10n ** 18n })
    const dataDir = createDirectory()
    const errors: unknown[] = []
    const open = (again: Partial<NodeOptions> & { client?: typeof own } = {}): Promise<Node> =>
      createNode({
        client: own,
        clock: () => now,
        dataDir,
        deployment,
        limits: { accessMs: 0, commitDelayMs: 1, refreshMs: 0 },
        logSigner,
        networks: [{ ...network, fromBlock: receipt.blockNumber, schemas: [walker] }],
        onError: (error) => errors.push(error),
        ...changes,
        ...again,
      })
    const operator = {
      account: own.account,
      client: own,
      dataDir,
      errors,
      logSigner,
      node: await open(),
      open,
      async reopen(again?: Partial<NodeOptions>) {
        await operator.node.close()
        operator.node = await open(again)
      },
      /** Sends a reading every minute until now; `ok`, or why not. */
      async send(signer: Signer, seq: number, steps: readonly number[]) {
        const { bytes } = await sign(signer, seq, steps)
        const [outcome] = await operator.node.ingest(network.id, [bytes])
        return outcome!.ok ? 'ok' : outcome!.problem.reason
      },
      async bytes(path: string) {
        const url = await operator.node.listen({ port: 0 })
        const response = await fetch(`${url}/networks/${network.id}${path}`)
        return new Uint8Array(await response.arrayBuffer())
      },
      // biome-ignore lint/suspicious/noExplicitAny: JSON of many shapes, matched by the tests
      async json(path: string): Promise<any> {
        return JSON.parse(new TextDecoder().decode(await operator.bytes(path)))
      },
      /** What is in the way, without the network's id. */
      problems: () =>
        operator.node.health().problems.map((text) => text.replace(`${network.id}: `, '')),
    }
    cleanups.push(() => operator.node.close())
    return operator
  }

  function sign(signer: Signer, seq: number, steps: readonly number[]) {
    const start = now - steps.length * minuteMs
    return signBatch({
      network: fromHex(network.id),
      rows: steps.map((value, i) => toRow(walker, { steps: value, time: start + i * minuteMs })),
      schema: walker,
      seq,
      signer,
    })
  }

  return {
    addOperator,
    chain,
    client,
    config,
    createDirectory,
    deployment,
    fromBlock: receipt.blockNumber,
    network,
    get now() {
      return now
    },
    operator: await addOperator(1),
    async register(signers: readonly Signer[], owner = client.account.address) {
      const registrations = await Promise.all(
        signers.map((signer) =>
          signRegistration({
            chainId: network.chainId,
            deadline: 2 ** 40,
            membership: network.membership,
            owner,
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
    sign,
  }
}

export function toDevice(signer: Signer) {
  return toHex(publicKeyToAddress(signer.publicKey))
}
