import { setTimeout as sleep } from 'node:timers/promises'
import type { SignedFetch } from '@machinefi/contracts'
import { BaseError } from '@machinefi/core'

/**
 * Asks a node that is not trusted: every answer is bounded in bytes and in
 * time, whatever its headers say; nothing is followed elsewhere. What a node
 * says is never put into an error, which may end on a terminal.
 */
export function createNodeReader(options: createNodeReader.Options): NodeReader {
  const { fetch = globalThis.fetch, idleMs = 10_000, network, timeoutMs = 60_000, url } = options
  const base = `${url.replace(/\/+$/, '')}/networks/${network}`

  async function read(path: string, bounds: ReadOptions): Promise<Uint8Array> {
    const { maxBytes, signal } = bounds
    const stop = new AbortController()
    const abort = () => stop.abort(new NodeRefusedError(path, 'the work was stopped'))
    if (signal?.aborted) abort()
    signal?.addEventListener('abort', abort, { once: true })
    const slow = () => stop.abort(new NodeRefusedError(path, 'it is too slow'))
    const whole = setTimeout(slow, timeoutMs)
    let idle = setTimeout(slow, idleMs)
    try {
      const response = await fetch(base + path, { redirect: 'error', signal: stop.signal })
      if (!response.ok || !response.body) {
        await response.body?.cancel()
        throw new NodeRefusedError(path, `HTTP ${response.status}`, response.status)
      }
      const parts: Uint8Array[] = []
      let length = 0
      for await (const part of response.body as unknown as AsyncIterable<Uint8Array>) {
        clearTimeout(idle)
        idle = setTimeout(slow, idleMs)
        length += part.length
        if (length > maxBytes) {
          stop.abort()
          throw new NodeRefusedError(path, `more than ${maxBytes} bytes`)
        }
        parts.push(part)
      }
      return parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts, length)
    } catch (error) {
      if (error instanceof NodeRefusedError) throw error
      const { reason } = stop.signal
      throw reason instanceof NodeRefusedError ? reason : new NodeRefusedError(path, 'no answer')
    } finally {
      clearTimeout(whole)
      clearTimeout(idle)
      signal?.removeEventListener('abort', abort)
    }
  }

  return {
    fetch,
    url,
    async read(path, bounds) {
      for (let attempt = 1; ; attempt++) {
        try {
          return await read(path, bounds)
        } catch (error) {
          const { status } = error as NodeRefusedError
          if (status !== 503 || attempt === 3 || bounds.signal?.aborted) throw error
          await sleep(attempt * 500, undefined, { signal: bounds.signal }).catch(() => {})
        }
      }
    },
    async readJson(path, bounds) {
      const bytes = await this.read(path, bounds)
      try {
        return JSON.parse(new TextDecoder().decode(bytes))
      } catch {
        throw new NodeRefusedError(path, 'no JSON')
      }
    },
  }
}

export declare namespace createNodeReader {
  type Options = {
    /** What asks: signed, where the network is private. @default the global one */
    fetch?: SignedFetch | undefined
    /** The longest that an answer may pause. @default 10_000 */
    idleMs?: number | undefined
    /** Network id, hex. */
    network: string
    /** The longest that an answer may take. @default 60_000 */
    timeoutMs?: number | undefined
    url: string
  }
}

export type NodeReader = {
  readonly fetch: SignedFetch
  readonly url: string
  /** Bytes below `/networks/{network}`. @throws {NodeRefusedError} */
  read(path: string, options: ReadOptions): Promise<Uint8Array>
  /** JSON, of which nothing is known. @throws {NodeRefusedError} */
  readJson(path: string, options: ReadOptions): Promise<unknown>
}

type ReadOptions = { maxBytes: number; signal?: AbortSignal | undefined }

/** A node gave no answer, or none that can be used. */
export class NodeRefusedError extends BaseError {
  override readonly name = 'NodeRefusedError'
  /** Of HTTP, where there was one. */
  readonly status: number | undefined
  constructor(path: string, reason: string, status?: number) {
    super(`The node did not give ${path}: ${reason}.`, { kind: 'transport' })
    this.status = status
  }
}
