import { concatBytes, sha256, toHex } from '@machinefi/core'
import { createCheckpointCache } from '@machinefi/proof'
import { decodeBatch } from '@machinefi/telemetry'
import { connect, type IClientOptions, type MqttClient } from 'mqtt'
import { readNamedAnswers } from './answers.js'
import { TransportError } from './errors.js'
import { parseDeviceState } from './parseDeviceState.js'
import type { Answer } from './request.js'
import { toDelivery } from './toDelivery.js'
import type { QueuedBatch, Transport } from './transport.js'

/**
 * Delivers batches over MQTT, to the broker in the node or to any other that
 * the node is connected to: published at QoS 1 on `machinefi/{network}/batches`,
 * receipts read from `machinefi/{network}/receipts/{device}`.
 *
 * A PUBACK is not taken for delivery, whoever sent it: a batch is delivered
 * when its receipt was verified, as with {@link http}. It connects with the
 * first batch, and again by itself; `close` it to let go of the connection. One
 * transport may serve any number of devices.
 *
 * At a broker of others, what the node refuses, and the seq it expects, can be
 * said by everyone who may write the topic of the receipts: let only the node
 * (docs/guides/transports.md has the rules).
 *
 * @param url `mqtt://…` or `mqtts://…`; `ws://…` or `wss://…` for brokers that have it.
 */
export function mqtt(url: string, options: mqtt.Options): mqtt.Transport {
  const {
    ca,
    cert,
    clientId,
    key,
    keepaliveSeconds = 60,
    maxBatches = 16,
    maxSkewMs = 300_000,
    operator,
    password,
    protocolVersion = 4,
    timeoutMs = 30_000,
    username,
  } = options
  const cache = createCheckpointCache()
  const logKeys = [options.logKey].flat()
  /** Who waits for the answer to the bytes of a digest. */
  const waiting = new Map<string, (answer: Answer) => void>()
  let client: MqttClient | undefined
  let closed = false

  function open(): MqttClient {
    if (closed) throw new TransportError('The transport is closed.')
    if (client) return client
    const settings: IClientOptions = {
      connectTimeout: timeoutMs,
      keepalive: keepaliveSeconds,
      protocolVersion,
      // What was not sent is sent by the device, with what came later.
      queueQoSZero: false,
      reconnectPeriod: reconnectMs,
    }
    const given = { ca, cert, clientId, key, password, username }
    for (const [name, value] of Object.entries(given))
      if (value !== undefined) Object.assign(settings, { [name]: value })
    client = connect(url, settings)
    client.on('message', (_, payload) => {
      try {
        for (const { answer, digest } of readNamedAnswers(payload))
          waiting.get(toHex(digest))?.(answer)
      } catch {
        // Anyone may have written it. Who waits goes on waiting.
      }
    })
    // Told to those who wait, by the `close` that follows.
    client.on('error', () => {})
    return client
  }

  /** Publishes, and resolves to the answers by digest: all of them, or those there were in time. */
  async function exchange(
    topic: string,
    payload: Uint8Array,
    { device, network, parts, signal }: Exchange,
  ): Promise<(Answer | undefined)[]> {
    const mqtt = open()
    const digests = parts.map((part) => toHex(sha256(part)))
    const answers = new Map<string, Answer>()
    let messageId: number | undefined
    let stop = () => {}
    try {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => {
          if (answers.size > 0) resolve()
          else reject(new TransportError(`The node did not answer within ${timeoutMs} ms.`))
        }, timeoutMs)
        const onAbort = () => reject(signal!.reason)
        const onError = (cause?: unknown) =>
          reject(new TransportError('The broker cannot be reached.', cause ? { cause } : {}))
        const onClose = () => onError()
        stop = () => {
          clearTimeout(timer)
          signal?.removeEventListener('abort', onAbort)
          mqtt.off('close', onClose)
          mqtt.off('error', onError)
          for (const digest of digests) waiting.delete(digest)
        }
        if (signal?.aborted) return onAbort()
        signal?.addEventListener('abort', onAbort)
        mqtt.on('close', onClose)
        mqtt.on('error', onError)
        for (const digest of digests)
          waiting.set(digest, (answer) => {
            answers.set(digest, answer)
            if (answers.size === new Set(digests).size) resolve()
          })
        // Queued by mqtt.js until there is a connection.
        mqtt.subscribe(`machinefi/${network}/receipts/${device}`, { qos: 1 }, (error, granted) => {
          if (error) return onError(error)
          if (granted?.some(({ qos }) => Number(qos) >= 128))
            return reject(
              new TransportError('The broker does not let the device read its receipts.'),
            )
          if (!waiting.has(digests[0]!)) return
          mqtt.publish(topic, payload as Buffer, { qos: 1 }, (error) => {
            if (error && error.message !== removedMessage) onError(error)
          })
          messageId = mqtt.getLastMessageId()
        })
      })
    } finally {
      stop()
      // Else mqtt.js would send it again by itself, beside the device.
      if (messageId !== undefined) mqtt.removeOutgoingMessage(messageId)
    }
    return digests.map((digest) => answers.get(digest))
  }

  return {
    maxBatches,
    async send(batches, { clock, network, signal }) {
      const id = toHex(network)
      const answers: (Answer | undefined)[] = new Array(batches.length)
      // The batches of each device: its answers come on a topic of their own.
      const byDevice = new Map<string, number[]>()
      for (const [i, { bytes }] of batches.entries()) {
        const device = toHex(decodeBatch(bytes).device)
        const positions = byDevice.get(device)
        if (positions) positions.push(i)
        else byDevice.set(device, [i])
      }
      for (const [device, positions] of byDevice) {
        const parts = positions.map((i) => (batches[i] as QueuedBatch).bytes)
        const own = await exchange(`machinefi/${id}/batches`, concatBytes(...parts), {
          device,
          network: id,
          parts,
          signal,
        })
        for (const [at, i] of positions.entries()) answers[i] = own[at]
      }
      const rest = { cache, clock, logKeys, maxSkewMs, network, operator }
      return Promise.all(
        batches.map(async (batch, i): Promise<Transport.Delivery> => {
          const answer = answers[i]
          if (answer !== undefined) return toDelivery(answer, batch, rest)
          const error = new TransportError(`The node did not answer within ${timeoutMs} ms.`)
          return { status: 'failed', error }
        }),
      )
    },
    async readDevice({ device, network, signal }) {
      const [id, address] = [toHex(network), toHex(device)]
      const nonce = crypto.getRandomValues(new Uint8Array(16))
      const [answer] = await exchange(`machinefi/${id}/devices/${address}`, nonce, {
        device: address,
        network: id,
        parts: [nonce],
        signal,
      })
      return parseDeviceState(answer!)
    },
    async close() {
      closed = true
      await client?.endAsync(true)
    },
  }
}

type Exchange = {
  device: string
  network: string
  /** What is answered, each for itself. */
  parts: readonly Uint8Array[]
  signal: AbortSignal | undefined
}

/** A {@link Transport} with a connection that is kept until it is closed. */
type ClosableTransport = Transport & {
  /** Lets go of the connection; what waits for an answer fails. */
  close(): Promise<void>
}

export declare namespace mqtt {
  type Options = {
    /** The operator's log key from the chain, P-256 X‖Y, 64 bytes; or with those that follow it, as with {@link http}. */
    logKey: Uint8Array | readonly Uint8Array[]
    /** The operator's account, 20 bytes, that receipts must name. */
    operator?: Uint8Array | undefined
    /** Authorities of the broker's certificate, PEM. @default those of the system */
    ca?: string | Uint8Array | undefined
    /** The device's certificate and its key, PEM, where the broker asks for one. */
    cert?: string | Uint8Array | undefined
    key?: string | Uint8Array | undefined
    /** @default a random one: there is no session to come back to */
    clientId?: string | undefined
    username?: string | undefined
    password?: string | undefined
    /** @default 60 */
    keepaliveSeconds?: number | undefined
    /** Of one message. @default 16 */
    maxBatches?: number | undefined
    /** How far clocks of node and device may be apart. @default 5 minutes */
    maxSkewMs?: number | undefined
    /** 4 is MQTT 3.1.1. @default 4 */
    protocolVersion?: 4 | 5 | undefined
    /** From a message to its last answer. @default 30 s */
    timeoutMs?: number | undefined
  }
  type Transport = ClosableTransport
}

const reconnectMs = 1000
const removedMessage = 'Message removed'
