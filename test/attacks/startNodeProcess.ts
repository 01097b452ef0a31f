import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fromHex, type Hex } from '@machinefi/core'
import { createSoftwareSigner } from '@machinefi/device'
import { build } from 'esbuild'

/** Devices that a node in a process of its own knows; the last one has not sent anything. */
export const fuzzDevices = [1, 2, 3, 4].map((fill) =>
  createSoftwareSigner({
    algorithm: fill % 2 === 0 ? 'ES256K' : 'ES256',
    privateKey: new Uint8Array(32).fill(fill),
  }),
)

export type Question = 'memory' | 'errors' | 'close'

/** Runs `runNode.ts`, so that memory and life of the node are its own. */
export async function startNodeProcess(): Promise<NodeProcess> {
  const root = new URL('../..', import.meta.url).pathname
  // Below the repository, so that what is not bundled resolves.
  const folder = mkdtempSync(join(root, 'node_modules/.attacks-'))
  let child: ChildProcess | undefined
  try {
    await build({
      bundle: true,
      conditions: ['@machinefi/source', 'node'],
      entryPoints: [join(root, 'test/attacks/runNode.ts')],
      external: ['cbor-x', 'coap-packet', 'esbuild', 'libsql', 'mqtt', 'mqtt-packet', 'viem'],
      format: 'esm',
      logLevel: 'error',
      outdir: folder,
      platform: 'node',
      target: 'es2022',
    })
    child = fork(join(folder, 'runNode.js'), {
      // After the first body of megabytes, glibc takes such from its heap and keeps what is freed
      // between others, 30 MB now and then: with a threshold of its own it gives them back at once,
      // so that resident memory tells what the node holds.
      env: { ...process.env, MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '131072' },
      execArgv: ['--expose-gc', '--min-semi-space-size=16', '--max-semi-space-size=16'],
    })
    const started = child
    let exit: string | undefined
    const exited = new Promise<void>((resolve) =>
      started.once('exit', (code, signal) => {
        exit = signal ?? `code ${code}`
        resolve()
      }),
    )
    const receive = <value>() =>
      Promise.race([
        new Promise<value>((resolve) =>
          started.once('message', (value) => resolve(value as value)),
        ),
        exited.then((): never => {
          throw new Error(`The node ended: ${exit}.`)
        }),
      ])
    const ask = <value>(question: Question) => {
      const answer = receive<value>()
      started.send(question, () => {})
      return answer
    }
    const ready = await receive<{ batches: Hex[]; network: Hex; now: number; url: string }>()
    return {
      ...ready,
      batches: ready.batches.map(fromHex),
      alive: () => exit === undefined,
      errors: () => ask<string[]>('errors'),
      memory: () => ask<Memory>('memory'),
      async close() {
        if (exit === undefined) await ask('close').catch(() => {})
        await exited
        rmSync(folder, { force: true, recursive: true })
      },
    }
  } catch (error) {
    child?.kill()
    rmSync(folder, { force: true, recursive: true })
    throw error
  }
}

export type NodeProcess = {
  url: string
  /** Network id. */
  network: Hex
  /** Time of its clock, ms; it stands still. */
  now: number
  /** Those in its log. */
  batches: Uint8Array[]
  alive(): boolean
  /** What went wrong in the node, though not by a client's fault. */
  errors(): Promise<string[]>
  /** After a garbage collection. */
  memory(): Promise<Memory>
  /** Stops node and chain. */
  close(): Promise<void>
}

/** Bytes that the operating system gave, and those of them that are in use. */
export type Memory = { live: number; resident: number }
