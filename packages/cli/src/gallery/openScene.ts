import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  bondOperator,
  listOperator,
  type Member,
  readMembers,
  registerDevices,
  signRegistration,
  suspendDevices,
} from '@machinefi/contracts'
import { BaseError, concatBytes, fromHex, publicKeyToAddress, toHex } from '@machinefi/core'
import { createSoftwareSigner } from '@machinefi/device'
import type { Metric, ThresholdPolicy } from '@machinefi/proof'
import { createNode, type Node } from '@machinefi/stream'
import type { SignedBatch } from '@machinefi/telemetry'
import { decodeMultiple } from 'cbor-x'
import type { Hex } from 'viem'
import type { ChainClient } from '../chain/createChainClient.js'
import { type Devnet, startDevnet } from '../chain/startDevnet.js'
import { createFleet, endOf, schema, signWalks, type Walker } from './createFleet.js'
import type { Rules } from './Story.js'

export const hourMs = 3_600_000
export const dayMs = 24 * hourMs

/** Seconds. */
export const times = {
  challengeWindow: 43_200,
  grace: 600,
  responseTime: 3_600,
  retention: 30 * 86_400,
  takeoverDelay: 3_600,
}
export const bond = 10n ** 18n

const metric: Metric = { type: 'sum', field: 0, max: 900, min: 0 }
const policy: ThresholdPolicy = { cap: 1_000_000n, rate: 1n, threshold: 100n }

/**
 * Where all of the gallery takes place: a chain of its own, a network with two operators who are
 * bonded alike, of whom one is named and the other stands by, and a fleet of walkers. Time goes on
 * when it is told to. Devices keep what they have signed.
 */
export async function openScene(options: openScene.Options): Promise<Scene> {
  const { firstDay } = options
  let now = firstDay - hourMs
  const clock = () => now
  const closers: (() => Promise<void> | void)[] = []
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer()
  }
  const createFolder = (name: string) => {
    const folder = mkdtempSync(join(tmpdir(), `machinefi-${name}-`))
    closers.push(() => rmSync(folder, { force: true, recursive: true }))
    return folder
  }
  try {
    const devnet = await startDevnet({
      anvil: { blockTimestampInterval: 1, hardfork: 'osaka', timestamp: now / 1000 },
      clock,
      metric,
      policy,
      schema,
      times,
      windowMs: dayMs,
    })
    closers.push(() => devnet.close())
    const { anvil, client, connect, deployment, fromBlock, network } = devnet
    const id = fromHex(network.id)

    const standby = connect(2)
    const logSigner = createSoftwareSigner()
    await listOperator(client, { network, operator: standby.account.address })
    await bondOperator(standby, { logKey: toHex(logSigner.publicKey), network, value: bond })

    const fleet = createFleet()
    async function join(walkers: readonly Walker[]) {
      const registrations = await Promise.all(
        walkers.map(({ owner, signer }) =>
          signRegistration({
            chainId: network.chainId,
            deadline: Math.floor(now / 1000) + 3_600,
            membership: network.membership,
            owner,
            registry: network.registry,
            signer,
          }),
        ),
      )
      await registerDevices(client, { registrations, registry: network.registry })
      await devnet.node.refresh()
    }

    const batches = await signWalks({ fleet, network: id, start: firstDay })
    let delivered = 0
    return {
      ...devnet,
      batches,
      clock,
      close,
      closers,
      createFolder,
      fleet,
      standby,
      deliver: (url, batches) => deliver(url, network.id, batches),
      async deliverUntil(url, time) {
        const from = delivered
        while (delivered < batches.length && endOf(batches[delivered]!) < time) delivered++
        if (delivered > from) await deliver(url, network.id, batches.slice(from, delivered))
      },
      join,
      members: () => readMembers(client, { fromBlock, network }),
      rulesOf: (window) => ({
        ...{ metric, policy, schema },
        span: { end: (window + 1) * dayMs, start: window * dayMs },
      }),
      async setTime(time) {
        now = Math.max(now, time)
        const { timestamp } = await client.getBlock()
        const seconds = Math.floor(now / 1000)
        // Transactions take a second each: the chain may be there already.
        if (BigInt(seconds) <= timestamp) return
        await anvil.request('evm_setNextBlockTimestamp', [seconds])
        await anvil.request('evm_mine')
      },
      async startStandby() {
        const node = await createNode({
          client: standby,
          clock,
          dataDir: createFolder('standby'),
          deployment,
          logSigner,
          networks: [{ ...network, fromBlock, schemas: [schema] }],
        })
        closers.push(() => node.close())
        return { node, url: await node.listen({ port: 0 }) }
      },
      async suspend({ signer }) {
        const device = toHex(publicKeyToAddress(signer.publicKey))
        await suspendDevices(client, { devices: [device], network })
        await devnet.node.refresh()
      },
    }
  } catch (error) {
    await close()
    throw error
  }
}

export declare namespace openScene {
  type Options = {
    /** Start of the network's first window, a UTC day, ms. */
    firstDay: number
  }
}

export type Scene = Devnet & {
  /** Every batch of the two days, in the order in which they end. */
  batches: readonly SignedBatch[]
  clock: () => number
  /** Called by `close`, the last first. */
  closers: (() => Promise<void> | void)[]
  /** A folder that is gone in the end. */
  createFolder(name: string): string
  fleet: readonly Walker[]
  /** The other operator, listed and bonded. */
  standby: ChainClient
  deliver(url: string, batches: readonly SignedBatch[]): Promise<void>
  /** Delivers what ended before a time and was not delivered so yet. */
  deliverUntil(url: string, time: number): Promise<void>
  /** Registers devices and joins them, in the next slots. */
  join(walkers: readonly Walker[]): Promise<void>
  members(): Promise<Member[]>
  rulesOf(window: number): Rules
  /** Moves the clock of everyone; never back. */
  setTime(time: number): Promise<void>
  startStandby(): Promise<{ node: Node; url: string }>
  suspend(walker: Walker): Promise<void>
}

/** Sends batches as a gateway does: many in one body. Every one must get its receipt. */
async function deliver(url: string, network: Hex, batches: readonly SignedBatch[]): Promise<void> {
  const response = await fetch(`${url}/networks/${network}/batches`, {
    body: concatBytes(...batches.map(({ bytes }) => bytes)) as Uint8Array<ArrayBuffer>,
    headers: { 'content-type': 'application/cbor-seq' },
    method: 'POST',
  })
  const answers = decodeMultiple(new Uint8Array(await response.arrayBuffer())) as unknown[]
  const refused = answers.find((answer) => !(answer instanceof Uint8Array))
  if (!response.ok || refused !== undefined)
    throw new SceneError(`A batch was refused: ${JSON.stringify(refused ?? response.status)}.`)
}

/** Something in the gallery did not go as it must. */
export class SceneError extends BaseError {
  override readonly name = 'SceneError'
  constructor(shortMessage: string) {
    super(shortMessage, { kind: 'internal' })
  }
}
