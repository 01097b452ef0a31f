import { readFileSync } from 'node:fs'
import { connect, type IPublishPacket, type MqttClient } from 'mqtt'
import { generate } from 'mqtt-packet'
import { BrokerError, NodeConfigurationError } from '../errors.js'
import type { Received, Topics } from './createTopics.js'
import type { MqttStats } from './openMqttServer.js'

/**
 * Takes batches in from a broker that others run, MQTT 3.1.1 or 5: subscribed
 * with a persistent session at QoS 1, so that the broker keeps what comes while
 * the node is away. A message is acknowledged when what it carries is on disk
 * and in the log, or will never be; receipts are published at QoS 1.
 *
 * @throws {NodeConfigurationError} no URL of a broker, or one with a password in it.
 */
export function openMqttClient(options: openMqttClient.Options): MqttBroker {
  const { broker, clientId, maxInflight, maxPacketBytes, onError, topics } = options
  const { caFile, certFile, keyFile, password, protocolVersion = 5, username } = broker
  const url = parseBrokerUrl(broker.url)
  const stats: MqttStats = { connections: 0, messages: 0, pending: 0, unacknowledged: 0 }
  let publishing = 0
  let closing = false
  let failure: BrokerError | undefined = new BrokerError(url.host, 'was not reached yet')
  const client: MqttClient = connect(url.href, {
    clean: false,
    clientId,
    connectTimeout: connectTimeoutMs,
    protocolVersion,
    // Publications that cannot leave are dropped: the device asks again.
    queueQoSZero: false,
    reconnectPeriod: reconnectMs,
    // Subscribed below, when the broker has no session of this node.
    resubscribe: false,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(caFile !== undefined && { ca: readFileSync(caFile) }),
    ...(certFile !== undefined && { cert: readFileSync(certFile) }),
    ...(keyFile !== undefined && { key: readFileSync(keyFile) }),
    ...(protocolVersion === 5 && {
      properties: {
        maximumPacketSize: maxPacketBytes,
        receiveMaximum: maxInflight,
        sessionExpiryInterval: sessionSeconds,
      },
    }),
  })

  client.on('connect', () => {
    stats.connections = 1
    failure = undefined
    client.subscribe([...topics.filters], { qos: 1 }, (error, granted) => {
      const refused = granted?.find(({ qos }) => qos >= 128)
      if (error || refused)
        fail(`does not let the node subscribe to ${refused?.topic ?? 'its topics'}`, error)
    })
  })
  client.on('close', () => {
    stats.connections = 0
    if (!closing) failure ??= new BrokerError(url.host, 'has hung up')
  })
  client.on('error', (error) => fail('cannot be used', error))

  function fail(reason: string, cause?: unknown) {
    const error = new BrokerError(url.host, reason, cause)
    // One that is away is tried again and again, and told of once.
    if (failure?.shortMessage !== error.shortMessage) onError(error)
    failure = error
  }

  // mqtt.js hands one message over at a time and waits until it is acknowledged: a commit for each.
  // Taken for QoS 0 it goes on at once, and is acknowledged here, as many together as a commit takes.
  client.on('packetreceive', (packet) => {
    if (packet.cmd !== 'publish') return
    const { messageId, qos } = packet
    packet.qos = 0
    void receive(packet, qos === 0 ? undefined : { messageId: messageId!, qos })
  })

  async function receive(
    { payload, topic }: IPublishPacket,
    acknowledge: { messageId: number; qos: 1 | 2 } | undefined,
  ) {
    const { stream } = client
    const take = topics.find(topic)
    stats.messages++
    stats.pending++
    const received: Received | undefined = take
      ? await take(payload as Buffer).catch((error) => {
          onError(error)
          return undefined
        })
      : { ok: true, messages: [] }
    stats.pending--
    if (!received?.ok) {
      stats.unacknowledged++
      // The broker sends it again with the next connection, and only then.
      if (client.stream === stream) stream.destroy()
      return
    }
    for (const message of received.messages) publish(message.topic, message.payload)
    // Message ids mean nothing in another connection.
    if (acknowledge && client.stream === stream && client.connected)
      stream.write(
        generate({ cmd: 'puback', messageId: acknowledge.messageId }, { protocolVersion }),
      )
  }

  function publish(topic: string, payload: Uint8Array) {
    if (!client.connected || publishing >= maxPublishing) return
    publishing++
    client.publish(topic, payload as Buffer, { qos: 1 }, () => {
      publishing--
    })
  }

  return {
    name: `mqtt ${url.host}`,
    stats,
    get failure() {
      return failure
    },
    async close(graceMs) {
      closing = true
      const deadline = performance.now() + graceMs
      while (stats.pending + publishing > 0 && client.connected && performance.now() < deadline)
        await new Promise((resolve) => setTimeout(resolve, 5))
      await client.endAsync(!client.connected)
    },
  }
}

export declare namespace openMqttClient {
  type Options = {
    broker: Broker
    /** The name of the session at the broker: of this node alone. */
    clientId: string
    /** Messages that are not acknowledged yet; MQTT 3.1.1 leaves it to the broker. */
    maxInflight: number
    /** Larger ones are not sent to the node; MQTT 3.1.1 leaves that to the broker too. */
    maxPacketBytes: number
    onError: (error: unknown) => void
    topics: Topics
  }
}

/** A broker that somebody else runs. */
export type Broker = {
  /** `mqtt://…`, `mqtts://…`, `ws://…` or `wss://…`, without a password. */
  url: string
  /** 4 is MQTT 3.1.1. @default 5 */
  protocolVersion?: 4 | 5 | undefined
  username?: string | undefined
  password?: string | undefined
  /** Authority of the broker's certificate, PEM. @default those of Node */
  caFile?: string | undefined
  /** The node's own certificate, PEM, where the broker asks for one. */
  certFile?: string | undefined
  keyFile?: string | undefined
}

export type MqttBroker = {
  /** For people and metrics. */
  readonly name: string
  readonly stats: MqttStats
  /** Why it cannot be used at present. */
  readonly failure: BrokerError | undefined
  /** Acknowledges what is under way within `graceMs`; the session stays at the broker. */
  close(graceMs: number): Promise<void>
}

function parseBrokerUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !['mqtt:', 'mqtts:', 'ws:', 'wss:'].includes(url.protocol))
    throw new NodeConfigurationError('A broker’s URL begins with mqtt, mqtts, ws or wss.')
  if (url.username !== '' || url.password !== '')
    throw new NodeConfigurationError('A broker’s URL has no name or password in it.')
  return url
}

const connectTimeoutMs = 10_000
const reconnectMs = 2000
/** How long the broker keeps what comes while the node is away: a week. */
const sessionSeconds = 7 * 86_400
/** Receipts on their way to the broker. */
const maxPublishing = 10_000
