import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { createServer as createTlsServer } from 'node:tls'
import {
  generate,
  type IConnackPacket,
  type IConnectPacket,
  type Packet,
  parser,
} from 'mqtt-packet'
import type { Tls } from '../tls/openTls.js'
import type { Message, Received, Topics } from './createTopics.js'

/**
 * The node's own MQTT broker, 3.1.1 and 5, for one purpose: devices publish
 * batches and subscribe to their receipts. A PUBLISH is acknowledged when what
 * it carries is on disk and in the log, or will never be.
 *
 * It keeps nothing for anyone: no sessions, no retained messages, no wills. So
 * its memory is what its connections have in flight, and that is bounded; a
 * device that was away sends again, and gets its first receipt again. Client
 * ids mean nothing, and take no connection away from whoever has it.
 */
export function openMqttServer(options: openMqttServer.Options): MqttServer {
  const { limits, onError, tls, topics } = options
  const connections = new Set<Connection>()
  const subscribers = new Map<string, Set<Connection>>()
  const stats: MqttStats = { connections: 0, messages: 0, pending: 0, unacknowledged: 0 }
  let receivedBytes = 0
  let closing = false

  let server: Server
  if (tls) {
    const secure = createTlsServer(tls.options, onConnection)
    tls.onChange((options) => secure.setSecureContext(options))
    // A handshake that fails is the client's affair.
    secure.on('tlsClientError', (_, socket) => socket.destroy())
    server = secure
  } else server = createServer(onConnection)
  server.maxConnections = limits.maxConnections

  function onConnection(socket: Socket) {
    const parse = parser()
    const connection: Connection = { socket, topics: new Set(), version: 4 }
    let connected = false
    let pending = 0
    /** Bytes of a packet that is not complete. */
    let partial = 0
    connections.add(connection)
    stats.connections++
    socket.setNoDelay(true)
    socket.setTimeout(limits.requestTimeoutMs, () => end(connection, disconnectReasons.keepAlive))
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      connections.delete(connection)
      stats.connections--
      receivedBytes -= partial
      for (const topic of connection.topics) unsubscribe(connection, topic)
    })
    socket.on('data', (chunk) => {
      receivedBytes -= partial
      try {
        partial = parse.parse(chunk)
      } catch {
        // What the parser, or the writer of an answer, trips over is no MQTT.
        socket.destroy()
        return
      }
      receivedBytes += partial
      if (partial > limits.maxPacketBytes) end(connection, disconnectReasons.packetTooLarge)
      else if (receivedBytes > limits.maxPendingBytes) end(connection, disconnectReasons.busy)
    })
    parse.on('error', () => socket.destroy())
    parse.on('packet', (packet: Packet) => {
      if (socket.destroyed || connection.ended) return
      if (connected !== (packet.cmd !== 'connect')) return void socket.destroy()
      switch (packet.cmd) {
        case 'connect':
          connected = true
          return onConnect(packet)
        case 'publish':
          return void onPublish(packet)
        case 'pubrel':
          return write({ cmd: 'pubcomp', messageId: packet.messageId! })
        case 'subscribe': {
          const granted = packet.subscriptions.map(({ topic }) => subscribe(connection, topic))
          return write({ cmd: 'suback', granted, messageId: packet.messageId! })
        }
        case 'unsubscribe': {
          for (const topic of packet.unsubscriptions) unsubscribe(connection, topic)
          const granted = packet.unsubscriptions.map(() => 0)
          return write({ cmd: 'unsuback', granted, messageId: packet.messageId! })
        }
        case 'pingreq':
          return write({ cmd: 'pingresp' })
        case 'disconnect':
          return void socket.end()
        case 'puback':
          return
        default:
          socket.destroy()
      }
    })

    const write = (packet: Packet) => send(connection, packet)

    function onConnect({ clientId, keepalive = 0, protocolVersion = 4 }: IConnectPacket) {
      if (protocolVersion !== 4 && protocolVersion !== 5) {
        write({ cmd: 'connack', returnCode: 1, sessionPresent: false })
        return void socket.end()
      }
      connection.version = protocolVersion
      const seconds = Math.min(keepalive || maxKeepAliveSeconds, maxKeepAliveSeconds)
      socket.setTimeout(1500 * seconds)
      const connack: IConnackPacket = { cmd: 'connack', sessionPresent: false }
      if (protocolVersion === 4) return write({ ...connack, returnCode: 0 })
      write({
        ...connack,
        reasonCode: 0,
        properties: {
          ...(clientId === '' && { assignedClientIdentifier: 'anyone' }),
          ...(seconds !== keepalive && { serverKeepAlive: seconds }),
          maximumPacketSize: limits.maxPacketBytes,
          receiveMaximum: limits.maxInflight,
          retainAvailable: false,
          sessionExpiryInterval: 0,
          sharedSubscriptionAvailable: false,
          subscriptionIdentifiersAvailable: false,
          wildcardSubscriptionAvailable: false,
        },
      })
    }

    async function onPublish({
      messageId,
      payload,
      qos,
      topic,
    }: Extract<Packet, { cmd: 'publish' }>) {
      const receive = topics.find(topic)
      const acknowledge = (reasonCode: number) => {
        if (qos > 0)
          write({ cmd: qos === 1 ? 'puback' : 'pubrec', messageId: messageId!, reasonCode })
      }
      if (!receive) {
        // 3.1.1 can say no only by hanging up; an acknowledgement would be a lie.
        if (connection.version === 4 || qos === 0) end(connection, disconnectReasons.notAuthorized)
        else acknowledge(disconnectReasons.notAuthorized)
        return
      }
      stats.messages++
      stats.pending++
      if (++pending === limits.maxInflight) socket.pause()
      const received = await receive(payload as Buffer).catch((error): Received | undefined => {
        onError(error)
        return undefined
      })
      stats.pending--
      if (pending-- === limits.maxInflight) socket.resume()
      if (received?.ok) {
        for (const message of received.messages) publish(message, connection)
        acknowledge(0)
      } else {
        stats.unacknowledged++
        end(connection, disconnectReasons.busy)
      }
    }
  }

  /** The QoS granted, or a refusal. */
  function subscribe(connection: Connection, topic: string): number {
    const { topics: own, version } = connection
    if (!topics.isReceipts(topic) || (own.size >= limits.maxSubscriptions && !own.has(topic)))
      return version === 5 ? disconnectReasons.notAuthorized : 0x80
    own.add(topic)
    const all = subscribers.get(topic)
    if (all) all.add(connection)
    else subscribers.set(topic, new Set([connection]))
    return 0
  }

  function unsubscribe(connection: Connection, topic: string) {
    connection.topics.delete(topic)
    const all = subscribers.get(topic)
    all?.delete(connection)
    if (all?.size === 0) subscribers.delete(topic)
  }

  function publish({ isPrivate, payload, topic }: Message, sender: Connection) {
    for (const connection of subscribers.get(topic) ?? []) {
      if (isPrivate && connection !== sender) continue
      send(connection, {
        cmd: 'publish',
        dup: false,
        payload: payload as Buffer,
        qos: 0,
        retain: false,
        topic,
      })
    }
  }

  function send({ socket, version }: Connection, packet: Packet) {
    if (!socket.writable) return
    try {
      socket.write(generate(packet, { protocolVersion: version }))
    } catch {
      // An answer to what cannot be answered, such as message id 0.
      return void socket.destroy()
    }
    // Whoever does not read what it asked for is not served any longer.
    if (socket.writableLength > limits.maxUnreadBytes) socket.destroy()
  }

  /** Hangs up, and says why where the protocol can. */
  function end(connection: Connection, reasonCode: number) {
    const { socket, version } = connection
    if (connection.ended) return
    connection.ended = true
    if (version === 5) send(connection, { cmd: 'disconnect', reasonCode })
    socket.end()
    socket.resume()
    setTimeout(() => socket.destroy(), lingerMs).unref()
  }

  return {
    stats,
    listen: ({ host, port }) =>
      new Promise((resolve, reject) => {
        server.once('error', reject)
        server.listen(port, host, () => {
          server.off('error', reject)
          server.on('error', onError)
          const { address, family, port } = server.address() as AddressInfo
          const any = address === '0.0.0.0' || address === '::'
          const name = any ? '127.0.0.1' : family === 'IPv6' ? `[${address}]` : address
          resolve(`${tls ? 'mqtts' : 'mqtt'}://${name}:${port}`)
        })
      }),
    async close(graceMs) {
      if (closing) return
      closing = true
      const closed = server.listening
        ? new Promise((resolve) => server.close(resolve))
        : Promise.resolve()
      const deadline = performance.now() + graceMs
      while (stats.pending > 0 && performance.now() < deadline) await sleep(5)
      for (const connection of connections) end(connection, disconnectReasons.shuttingDown)
      const timer = setTimeout(() => {
        for (const { socket } of connections) socket.destroy()
      }, lingerMs)
      await closed
      clearTimeout(timer)
    },
  }
}

export declare namespace openMqttServer {
  type Options = {
    limits: MqttLimits
    /** Told of errors that are nobody's fault but the node's. */
    onError: (error: unknown) => void
    /** Without it the connections are plain. */
    tls?: Tls | undefined
    topics: Topics
  }
}

export type MqttServer = {
  readonly stats: MqttStats
  /** Resolves to the URL to reach it at. */
  listen(options: { host: string; port: number }): Promise<string>
  /** Acknowledges what is under way within `graceMs`, then hangs up. */
  close(graceMs: number): Promise<void>
}

export type MqttLimits = {
  maxConnections: number
  /** Of one connection: messages that are not acknowledged yet. */
  maxInflight: number
  maxPacketBytes: number
  /** Bytes of packets that are being received. */
  maxPendingBytes: number
  /** Of one connection. */
  maxSubscriptions: number
  /** Of one connection: answers that it has not read. */
  maxUnreadBytes: number
  /** From the connection to its CONNECT. */
  requestTimeoutMs: number
}

export type MqttStats = {
  connections: number
  messages: number
  pending: number
  unacknowledged: number
}

type Connection = {
  /** It was told why it is being closed. */
  ended?: boolean
  readonly socket: Socket
  readonly topics: Set<string>
  version: 4 | 5
}

/** MQTT 5 §2.4 */
const disconnectReasons = {
  notAuthorized: 0x87,
  busy: 0x89,
  shuttingDown: 0x8b,
  keepAlive: 0x8d,
  packetTooLarge: 0x95,
} as const
/** A connection that says nothing for longer is taken for a dead one. */
const maxKeepAliveSeconds = 3600
const lingerMs = 1000
