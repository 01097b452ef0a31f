import { toHex } from '@machinefi/core'
import { createCheckpointCache } from '@machinefi/proof'
import { parseDeviceState } from './parseDeviceState.js'
import { postBatches } from './postBatches.js'
import { readLogKey } from './readNodeNetwork.js'
import { request } from './request.js'
import { type LogKeys, toDelivery } from './toDelivery.js'
import type { QueuedBatch, Transport } from './transport.js'

/**
 * Delivers batches to a stream node over HTTP: one as `application/cose`, more
 * as a CBOR sequence. One transport may serve any number of devices; what they
 * send at the same time travels in the same request.
 *
 * A batch is delivered when its receipt was verified: the log's signed head
 * covers this batch id, for this network, under the node's log key, dated not
 * before the batch and not after the device's clock (give or take `maxSkewMs`).
 *
 * Without `logKey` the key is asked of the node once for each network, and again
 * when a receipt is by another one: whoever answers at the URL is believed.
 * Whoever can read the chain should pass the key from there, and with it the
 * one that the operator keeps for later, if there is one: it takes the place of
 * the first with its first valid receipt, for the life of the transport.
 *
 * @param url Where the node is: `https://…`, `http://…` on a LAN.
 */
export function http(url: string, options: http.Options = {}): Transport {
  const {
    headers,
    maxBatches = 100,
    maxRequests = 2,
    maxSkewMs = 300_000,
    timeoutMs = 30_000,
  } = options
  const base = url.replace(/\/+$/, '')
  const call = { fetch: options.fetch, headers, timeoutMs }
  const cache = createCheckpointCache()
  const { logKey, operator } = options
  const pinned: LogKeys | undefined = logKey && { logKeys: [logKey].flat(), operator }
  const known = new Map<string, Promise<LogKeys>>()
  let jobs: Job[] = []
  let active = 0
  /** A turn of the event loop later: devices that send in the same one share a request. */
  let soon: ReturnType<typeof setTimeout> | undefined

  function run() {
    soon = undefined
    while (active < maxRequests && jobs.length > 0) {
      const taken = takeJobs()
      active++
      void deliver(taken).finally(() => {
        active--
        run()
      })
    }
  }

  /** Jobs of one network that fit one request, oldest first. */
  function takeJobs(): Job[] {
    const { networkHex } = jobs[0]!
    const taken: Job[] = []
    let count = 0
    jobs = jobs.filter((job) => {
      const fits = job.networkHex === networkHex && count + job.batches.length <= maxBatches
      if (!fits && taken.length > 0) return true
      taken.push(job)
      count += job.batches.length
      return false
    })
    return taken
  }

  async function deliver(taken: Job[]) {
    const controller = new AbortController()
    const { signal } = controller
    let waiting = taken.length
    for (const job of taken)
      job.onAbort = () => {
        if (--waiting === 0) controller.abort()
      }
    const { network, networkHex } = taken[0]!
    let asked: ReturnType<typeof readLogKey> | undefined
    // Once for what travels together, however much of it is wrong.
    const ask = () => (asked ??= readLogKey(base, network, { ...call, signal }))
    try {
      const keys = pinned ?? { ...(await logKeysOf(networkHex, ask)), ask }
      const batches = taken.flatMap((job) => job.batches)
      const answers = await postBatches(batches, (body, rest) =>
        request(`${base}/networks/${networkHex}/batches`, { ...call, ...rest, body, signal }),
      )
      let at = 0
      for (const job of taken) {
        const deliveries: Transport.Delivery[] = []
        for (const batch of job.batches)
          deliveries.push(
            await toDelivery(answers[at++]!, batch, { ...job, ...keys, cache, maxSkewMs }),
          )
        job.resolve(deliveries)
      }
    } catch (error) {
      for (const job of taken) job.reject(error)
    }
  }

  /** What the node said first, and what has taken its place since. */
  function logKeysOf(networkHex: string, ask: () => ReturnType<typeof readLogKey>) {
    let keys = known.get(networkHex)
    if (keys === undefined) {
      keys = ask().then((said) => ({
        logKeys: [said.logKey],
        operator: operator ?? said.operator,
      }))
      known.set(networkHex, keys)
      keys.catch(() => known.delete(networkHex))
    }
    return keys
  }

  return {
    maxBatches,
    send(batches, { network, clock, signal }) {
      let abort = () => {}
      return new Promise<readonly Transport.Delivery[]>((resolve, reject) => {
        const networkHex = toHex(network)
        const job: Job = { batches, network, networkHex, clock, onAbort() {}, resolve, reject }
        abort = () => {
          jobs = jobs.filter((other) => other !== job)
          job.onAbort()
          reject(signal.reason)
        }
        signal.throwIfAborted()
        signal.addEventListener('abort', abort)
        jobs.push(job)
        if (soon === undefined) soon = setTimeout(run)
      }).finally(() => signal.removeEventListener('abort', abort))
    },
    async readDevice({ network, device, signal }) {
      const path = `/networks/${toHex(network)}/devices/${toHex(device)}`
      const response = await request(base + path, { ...call, signal, maxResponseBytes: 65_536 })
      return parseDeviceState(response)
    },
  }
}

export declare namespace http {
  type Options = {
    /** The operator's log key from the chain, P-256 X‖Y, 64 bytes; or with those that follow it. @default asked of the node */
    logKey?: Uint8Array | readonly Uint8Array[] | undefined
    /** The operator's account, 20 bytes, that receipts must name. */
    operator?: Uint8Array | undefined
    /** @default globalThis.fetch */
    fetch?: typeof globalThis.fetch | undefined
    /** Added to every request: authorisation of a proxy, for example. */
    headers?: Readonly<Record<string, string>> | undefined
    /** Of one request. @default 100 */
    maxBatches?: number | undefined
    /** In flight at a time, over all devices of this transport. @default 2 */
    maxRequests?: number | undefined
    /** How far clocks of node and device may be apart. @default 5 minutes */
    maxSkewMs?: number | undefined
    /** Of one request, to the last byte of the answer. @default 30 s */
    timeoutMs?: number | undefined
  }
}

type Job = {
  readonly batches: readonly QueuedBatch[]
  readonly network: Uint8Array
  readonly networkHex: string
  readonly clock: () => number
  onAbort(): void
  resolve(deliveries: readonly Transport.Delivery[]): void
  reject(error: unknown): void
}
