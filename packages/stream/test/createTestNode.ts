import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fromHex, type Hex, publicKeyToAddress, type Signer, toHex } from '@machinefi/core'
import { type Node, type NodeOptions, startNode } from '../src/createNode.js'
import type { Outcome } from '../src/ingest/createPipeline.js'
import {
  createFakeChain,
  createSigner,
  type FakeChain,
  signSteps,
  walker,
} from './createFakeChain.js'

export const minuteMs = 60_000
export const hourMs = 60 * minuteMs
export const dayMs = 24 * hourMs

/** A node on a chain in memory, in a directory of its own, that can be closed and opened again. */
export async function createTestNode(options: createTestNode.Options = {}): Promise<TestNode> {
  const { devices = 1, limits, operator, peers, ...rest } = options
  const directory = mkdtempSync(join(tmpdir(), 'stream-'))
  const logSigner = createSigner()
  const logKey = addressOf(logSigner)
  let chain = options.chain ?? createFakeChain(rest)
  if (operator) chain = chain.as(operator, logKey)
  else chain.bonded = logKey
  const signers = Array.from({ length: devices }, () => createSigner())
  for (const signer of signers) chain.join(signer)
  const errors: unknown[] = []
  const open = (changes: Changes = {}) =>
    startNode({
      chains: [chain],
      clock: () => test.now,
      dataDir: directory,
      limits: { commitDelayMs: 1, ...limits },
      logSigner: test.logSigner,
      networks: [{ ...chain.network, schemas: [walker] }],
      onError: (error) => errors.push(error),
      ...(peers && { peers }),
      ...changes,
    })
  const test: TestNode = {
    chain,
    directory,
    errors,
    id: fromHex(chain.network.id),
    logSigner,
    node: undefined as never,
    now: chain.time + hourMs,
    open,
    signers,
    sign: ({ device = 0, seq = 0, start = chain.time, steps, signer, network }) =>
      signSteps({
        network: network ?? test.id,
        seq,
        signer: signer ?? signers[device]!,
        start,
        ...(steps ? { steps } : {}),
      }),
    async ingest(...batches) {
      return test.node.ingest(
        chain.network.id,
        batches.map((batch) => ('bytes' in batch ? batch.bytes : batch)),
      )
    },
    async reopen(changes) {
      await test.node.close()
      test.node = await open(changes)
    },
    async rotate(signer) {
      await test.node.close()
      test.logSigner = signer
      chain.operators.get(chain.operator)!.logKey = addressOf(signer)
      test.node = await open()
    },
    moveTo(time) {
      test.now = time
      chain.time = time
    },
    async [Symbol.asyncDispose]() {
      await test.node.close()
      rmSync(directory, { force: true, recursive: true })
    },
  }
  test.node = await open()
  return test
}

export declare namespace createTestNode {
  type Options = createFakeChain.Options & {
    chain?: FakeChain
    devices?: number
    /** Another one than the named operator of `chain`. */
    operator?: Hex
    peers?: NodeOptions['peers']
    limits?: NodeOptions['limits']
  }
}

const addressOf = (signer: Signer) => toHex(publicKeyToAddress(signer.publicKey))

type Changes = Partial<Parameters<typeof startNode>[0]>

export type TestNode = AsyncDisposable & {
  chain: FakeChain
  directory: string
  errors: unknown[]
  /** Network id. */
  id: Uint8Array
  logSigner: Signer
  node: Node
  /** The node's clock. */
  now: number
  open(changes?: Changes): Promise<Node>
  signers: Signer[]
  sign(options: {
    device?: number
    network?: Uint8Array
    seq?: number
    signer?: Signer
    start?: number
    steps?: readonly number[]
  }): ReturnType<typeof signSteps>
  ingest(...batches: (Uint8Array | { bytes: Uint8Array })[]): Promise<Outcome[]>
  reopen(changes?: Changes): Promise<void>
  /** Changes the operator's log key, and opens the node with it. */
  rotate(signer: Signer): Promise<void>
  /** Sets both clocks. */
  moveTo(time: number): void
}
