import { type ChildProcess, spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { BaseError } from '@machinefi/core'

const architectures: Record<string, string> = { arm64: 'arm64', x64: 'amd64' }
const signals = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const

/**
 * Starts anvil, a real EVM chain in a process of its own, from the npm package
 * `@foundry-rs/anvil` (its binary sits in an optional platform package, so no
 * install script is needed). Resolves when it listens on 127.0.0.1.
 *
 * The chain ends with `close()`, and with this process however it ends, except
 * by SIGKILL. It is in a process group of its own: Ctrl-C reaches it only
 * through this process, so that a node can drain while its chain is alive.
 *
 * Errors: {@link AnvilUnavailableError} when npm has no anvil for this machine
 * (armv7), {@link AnvilFailedError} when it ends or stays silent instead of listening.
 *
 * @example
 * const anvil = await startAnvil({ hardfork: 'prague', chainId: 31337 })
 * const client = createPublicClient({ transport: http(anvil.url) })
 * await anvil.close()
 */
export async function startAnvil(options: startAnvil.Options = {}): Promise<startAnvil.ReturnType> {
  const {
    args = [],
    blockTimestampInterval,
    chainId = 31_337,
    hardfork = 'prague',
    port = 0,
    silent = true,
    timestamp,
    startTimeoutMs = 20_000,
  } = options
  const child = spawn(
    anvilPath(),
    [
      ...['--host', '127.0.0.1', '--port', `${port}`],
      ...['--chain-id', `${chainId}`, '--hardfork', hardfork],
      ...(timestamp === undefined ? [] : ['--timestamp', `${timestamp}`]),
      ...args,
    ],
    { detached: true, stdio: ['ignore', 'pipe', 'pipe'], windowsHide: true },
  )
  const release = killWithProcess(child)
  try {
    const listening = await waitUntilListening(child, { silent, startTimeoutMs })
    const url = `http://127.0.0.1:${listening}`
    let nextId = 0
    const request = async (method: string, params: readonly unknown[] = []): Promise<unknown> => {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ jsonrpc: '2.0', id: nextId++, method, params }),
      })
      const { error, result } = (await response.json()) as {
        error?: { message: string }
        result?: unknown
      }
      if (error) throw new AnvilFailedError(`${method}: ${error.message}`)
      return result
    }
    if (blockTimestampInterval !== undefined) {
      await request('anvil_setBlockTimestampInterval', [blockTimestampInterval])
    }
    const close = async () => {
      await stop(child)
      release()
    }
    return { chainId, close, pid: child.pid!, port: listening, request, url }
  } catch (error) {
    await stop(child)
    release()
    throw error
  }
}

export declare namespace startAnvil {
  type Options = {
    /** More command line arguments, as anvil takes them. */
    args?: readonly string[] | undefined
    /** Seconds from each block's time to the next, instead of the clock. */
    blockTimestampInterval?: number | undefined
    /** @default 31337 */
    chainId?: number | undefined
    /** `osaka` has the P-256 precompile at 0x100, `prague` (what IoTeX runs) has not. @default 'prague' */
    hardfork?: 'osaka' | 'prague' | (string & {}) | undefined
    /** 0 takes a free one. @default 0 */
    port?: number | undefined
    /** false copies anvil's log to stderr. @default true */
    silent?: boolean | undefined
    /** Unix seconds of the genesis block. */
    timestamp?: number | undefined
    /** @default 20000 */
    startTimeoutMs?: number | undefined
  }
  type ReturnType = {
    readonly url: string
    readonly port: number
    readonly chainId: number
    readonly pid: number
    /** One JSON-RPC call, e.g. `request('evm_increaseTime', [60])`. */
    request(method: string, params?: readonly unknown[]): Promise<unknown>
    /** Ends the chain; resolves when the process is gone. Idempotent. */
    close(): Promise<void>
  }
  type ErrorType = AnvilUnavailableError | AnvilFailedError
}

export class AnvilUnavailableError extends BaseError {
  override readonly name = 'AnvilUnavailableError'
  constructor(cause: unknown) {
    super(`There is no anvil for ${process.platform} on ${process.arch}.`, {
      kind: 'input',
      cause,
      metaMessages: ['Use a chain that runs elsewhere: pass its URL.'],
    })
  }
}

export class AnvilFailedError extends BaseError {
  override readonly name = 'AnvilFailedError'
  constructor(reason: string) {
    super('anvil failed.', { kind: 'transport', metaMessages: [reason] })
  }
}

function anvilPath(): string {
  const extension = process.platform === 'win32' ? '.exe' : ''
  const name = `@foundry-rs/anvil-${process.platform}-${architectures[process.arch]}`
  try {
    const anvil = createRequire(import.meta.url).resolve('@foundry-rs/anvil/package.json')
    return createRequire(anvil).resolve(`${name}/bin/anvil${extension}`)
  } catch (cause) {
    throw new AnvilUnavailableError(cause)
  }
}

/** Resolves with the port. Keeps reading the output afterwards: a full pipe would block anvil. */
function waitUntilListening(
  child: ChildProcess,
  options: { silent: boolean; startTimeoutMs: number },
): Promise<number> {
  const { silent, startTimeoutMs } = options
  return new Promise((resolve, reject) => {
    let output = ''
    let listening = false
    const timer = setTimeout(
      () => fail(`it did not listen within ${startTimeoutMs} ms`),
      startTimeoutMs,
    )
    const fail = (reason: string) => {
      clearTimeout(timer)
      reject(new AnvilFailedError([reason, output.trim().slice(-2_000)].filter(Boolean).join('\n')))
    }
    const read = (chunk: Buffer) => {
      if (!silent) process.stderr.write(chunk)
      if (listening) return
      output += chunk.toString()
      const port = /Listening on \S+:(\d+)/.exec(output)?.[1]
      if (port === undefined) return
      listening = true
      clearTimeout(timer)
      resolve(Number(port))
    }
    child.stdout!.on('data', read)
    child.stderr!.on('data', read)
    child.once('error', (error) => fail(error.message))
    child.once('exit', (code, signal) => fail(`it ended with ${signal ?? `exit code ${code}`}`))
  })
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 2_000)
  await gone
  clearTimeout(timer)
}

/** Ends the child when this process ends; returns a function that stops watching. */
function killWithProcess(child: ChildProcess): () => void {
  const onExit = () => {
    child.kill('SIGKILL')
  }
  // A listener takes away the signal's default, death: give it back if nobody else drains.
  const handlers = signals.map((signal) => {
    const handler = () => {
      if (process.listeners(signal).some((listener) => !watchers.has(listener))) return
      process.off(signal, handler)
      onExit()
      if (process.listenerCount(signal) === 0) process.kill(process.pid, signal)
    }
    watchers.add(handler)
    return [signal, handler] as const
  })
  process.once('exit', onExit)
  for (const [signal, handler] of handlers) process.on(signal, handler)
  return () => {
    process.off('exit', onExit)
    for (const [signal, handler] of handlers) {
      process.off(signal, handler)
      watchers.delete(handler)
    }
  }
}

const watchers = new Set<unknown>()
