import { http } from '@machinefi/device'
import { type CoapLimits, openCoapServer } from '../coap/openCoapServer.js'
import { createOpenApi } from '../http/createOpenApi.js'
import { refTo, text } from '../http/JsonSchema.js'
import {
  type Bodies,
  type Call,
  type HttpLimits,
  openServer,
  ProblemError,
  type Route,
} from '../http/openServer.js'
import type { TransportState } from '../http/toTransportMetrics.js'
import { type MqttLimits, openMqttServer } from '../mqtt/openMqttServer.js'
import { openTls, type Tls, type TlsFiles } from '../tls/openTls.js'
import { createGatewayTopics } from './createGatewayTopics.js'
import {
  createIntake,
  type GatewayDelivery,
  type GatewayRefusal,
  type IntakeLimits,
} from './createIntake.js'
import { formatGatewayMetrics } from './formatGatewayMetrics.js'
import { gatewaySchemas } from './gatewaySchemas.js'
import { openGatewayStore } from './openGatewayStore.js'

/**
 * Creates a gateway: it takes SenML from devices that cannot sign, knows them
 * by a key that it shares with each, and signs for each with a key of its own.
 * Towards the node they are devices like any other.
 *
 * Resolves once the outboxes are open: what they hold from an earlier run is
 * on its way to the node, which need not be there.
 *
 * @throws {DataDirectoryError} no gateway's directory, or open to others.
 * @throws {StoreLockedError} another gateway runs on it.
 * @example
 * const gateway = await createGateway({ directory: 'gateway', node: 'http://127.0.0.1:4270' })
 * await gateway.listen({ port: 4280 })
 */
export async function createGateway(options: createGateway.Options): Promise<Gateway> {
  const { clock = Date.now, directory, finalAfterMs, logKey, node, operator } = options
  const { onDelivered, onError = () => {}, onRefused } = options
  const limits = { ...defaultGatewayLimits, ...options.limits }
  const store = openGatewayStore(directory)
  const intake = createIntake({
    clock,
    finalAfterMs,
    limits,
    onDelivered,
    onError,
    onRefused,
    store,
    transport: http(node, { logKey, operator }),
  })
  try {
    await intake.open()
  } catch (error) {
    await intake.close(0)
    store.close()
    throw error
  }
  const servers: (TransportState & { close(graceMs: number): Promise<void> })[] = []
  const urls: Gateway['urls'] = {}
  let tls: Tls | undefined
  let closing: Promise<void> | undefined

  const routes: Route[] = [
    {
      method: 'POST',
      path: '/devices/{device}/readings',
      summary: 'Readings of a device, in SenML; 200 says that they are on disk',
      constrained: true,
      query: {
        counter: { description: 'above every one that the device has used', required: true },
        mac: {
          description: 'HMAC-SHA-256 under the shared key, 64 hex digits in lower case',
          required: true,
        },
      },
      accepts: senml,
      returns: jsonOf('Taken'),
      problems: [
        'parameter',
        'mac',
        'revoked',
        'replayed',
        'senml',
        'time',
        'rate',
        'body',
        'body-too-large',
        'encoding',
        'media-type',
        'overloaded',
        'unavailable',
      ],
      async handle(call) {
        if (!Object.hasOwn(senml, call.type)) throw new ProblemError('media-type')
        const [counter, mac] = [once(call, 'counter'), once(call, 'mac')]
        const body = await call.body()
        return reply(await intake.take({ body, counter, device: call.path.device!, mac }))
      },
    },
    {
      method: 'GET',
      path: '/health',
      summary: 'What waits for the node, and what was taken and refused by this process',
      returns: jsonOf('Health'),
      problems: [],
      handle: async () => reply(await intake.stats()),
    },
    {
      method: 'GET',
      path: '/metrics',
      summary: 'Prometheus text format',
      returns: { 'text/plain': text },
      problems: [],
      handle: async () => ({
        status: 200,
        type: 'text/plain; version=0.0.4; charset=utf-8',
        body: formatGatewayMetrics({ stats: await intake.stats(), transports: servers }),
      }),
    },
    {
      method: 'GET',
      path: '/openapi.json',
      summary: 'This API as an OpenAPI 3.1 document',
      returns: jsonOf('OpenApi'),
      problems: [],
      handle: () => reply(document),
    },
  ]
  const document = createOpenApi(routes, { schemas: gatewaySchemas, title: 'MachineFi gateway' })

  return {
    urls,
    async listen(listening = {}) {
      const { coapPort, host = '127.0.0.1', mqttPort, port = 4280 } = listening
      if (listening.tls) tls = openTls(listening.tls, onError)
      const server = openServer({ limits, onError, routes, tls })
      servers.push({ name: 'http', stats: {}, close: server.close })
      urls.http = await server.listen({ host, port })
      if (mqttPort !== undefined) {
        const topics = createGatewayTopics({ intake, maxAckDelayMs: limits.maxAckDelayMs })
        const mqtt = openMqttServer({ limits, onError, tls, topics })
        servers.push({ name: 'mqtt', ...mqtt })
        urls.mqtt = await mqtt.listen({ host, port: mqttPort })
      }
      if (coapPort !== undefined) {
        const coap = openCoapServer({ limits, onError, routes })
        servers.push({ name: 'coap', ...coap })
        urls.coap = await coap.listen({ host, port: coapPort })
      }
      return urls.http
    },
    reloadTls: () => tls?.reload(),
    stats: intake.stats,
    close() {
      closing ??= (async () => {
        tls?.close()
        await Promise.all(servers.map(({ close }) => close(limits.closeGraceMs)))
        await intake.close(limits.closeGraceMs)
        store.close()
      })()
      return closing
    },
  }
}

export declare namespace createGateway {
  type Options = {
    /** Its data directory, with the devices that `openGatewayStore` has created. */
    directory: string
    /** URL of the stream node. */
    node: string
    /** Milliseconds since the Unix epoch. @default Date.now */
    clock?: (() => number) | undefined
    /**
     * Least time from the end of a window until it can be final: for how long no node can make the
     * gateway forget what was delivered. From the chain, of the network of its devices. @default 8 days
     */
    finalAfterMs?: number | undefined
    limits?: Partial<GatewayLimits> | undefined
    /**
     * The operator's log key from the chain, P-256 X‖Y, 64 bytes; or with those that follow it. Nothing
     * leaves the outboxes for a receipt by any other. Without it the node is asked, and again when it
     * has changed: whoever answers at the URL is believed.
     */
    logKey?: Uint8Array | readonly Uint8Array[] | undefined
    /** The operator's account, 20 bytes, that receipts must name. */
    operator?: Uint8Array | undefined
    /** A batch of a device is in the node's log: the receipt was verified. */
    onDelivered?: ((delivered: GatewayDelivery) => void) | undefined
    /** Told of what went wrong in the background, and will be tried again. */
    onError?: ((error: unknown) => void) | undefined
    /** The node does not take a batch; it is kept, and tried again at the next start. */
    onRefused?: ((refused: GatewayRefusal) => void) | undefined
  }
}

export type Gateway = {
  /** Where it listens. */
  readonly urls: { http?: string; mqtt?: string; coap?: string }
  /** Resolves to the URL of HTTP. */
  listen(options?: GatewayListenOptions): Promise<string>
  /** Reads the certificate's files now, and not when their change is noticed. */
  reloadTls(): void
  stats: ReturnType<typeof createIntake>['stats']
  /** Answers what is under way, delivers for a while, and lets go of the directory. */
  close(): Promise<void>
}

export type GatewayListenOptions = {
  /** @default '127.0.0.1' */
  host?: string | undefined
  /** Of HTTP. @default 4280 */
  port?: number | undefined
  /** Of its own MQTT broker, 3.1.1 and 5. */
  mqttPort?: number | undefined
  /** Of CoAP, over UDP: everyone on the way can read. */
  coapPort?: number | undefined
  /** For HTTP and MQTT. @default plain connections */
  tls?: TlsFiles | undefined
}

export type GatewayLimits = IntakeLimits &
  HttpLimits &
  CoapLimits &
  MqttLimits & {
    /** How long an MQTT message of a device that is too fast waits for its PUBACK. */
    maxAckDelayMs: number
    /** How long `close` waits for requests, and then for the node. */
    closeGraceMs: number
  }

export const defaultGatewayLimits: GatewayLimits = {
  burst: 60,
  closeGraceMs: 10_000,
  keepAliveTimeoutMs: 60_000,
  maxAckDelayMs: 20_000,
  maxAgeMs: 600_000,
  maxAheadMs: 300_000,
  maxBodyBytes: 64 * 1024,
  maxCoapBodyBytes: 64 * 1024,
  maxCoapBytes: 8 * 1024 * 1024,
  maxConnections: 1024,
  maxInflight: 16,
  maxOutboxBytes: 64 * 1024 * 1024,
  maxPacketBytes: 64 * 1024 + 1024,
  maxPendingBytes: 8 * 1024 * 1024,
  maxReadings: 100,
  maxSubscriptions: 1000,
  maxUnreadBytes: 1024 * 1024,
  messagesPerMinute: 60,
  requestTimeoutMs: 30_000,
}

const json = 'application/json'
const jsonOf = (name: Name): Bodies => ({ [json]: refTo(name) })
/** RFC 8428 §12.3, and what devices call it that know no better. */
const senml: Bodies = {
  'application/senml+json': refTo<Name>('Senml'),
  'application/senml+cbor': refTo<Name>('SenmlCbor'),
  'application/json': refTo<Name>('Senml'),
  'application/cbor': refTo<Name>('SenmlCbor'),
}
type Name = keyof typeof gatewaySchemas | 'OpenApi'

function once({ query }: Call, name: string): string {
  const values = query.getAll(name)
  if (values.length !== 1) throw new ProblemError('parameter', `${name} is needed, once.`)
  return values[0]!
}

function reply(value: unknown) {
  return { status: 200, type: json, body: JSON.stringify(value) }
}
