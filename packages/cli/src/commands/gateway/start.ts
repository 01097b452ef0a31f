import { resolve } from 'node:path'
import { BaseError, equalBytes, formatDid, toHex } from '@machinefi/core'
import { createGateway, openGatewayStore } from '@machinefi/stream/gateway'
import type { Context } from '../../context.js'
import { readLogKeys } from '../../node/readLogKeys.js'
import { parseDuration } from '../../options/parseDuration.js'
import { parseInteger } from '../../options/parseInteger.js'
import { parseUrl } from '../../options/parseUrl.js'
import { formatError } from '../../output/formatError.js'
import { formatJson } from '../../output/formatJson.js'
import { TlsFilesError } from '../node/start.js'

type Options = {
  coap?: string
  data: string
  host: string
  json?: boolean
  logKey?: string[]
  maxAge: string
  mqtt?: string
  network?: string
  node: string
  port: string
  rate: string
  rpc: string
  tlsCert?: string
  tlsClientCa?: string
  tlsKey?: string
}

/** `machinefi gateway start`: serves until it is told to stop, then delivers for a while. */
export async function startGateway(options: Options, context: Context): Promise<void> {
  const { cwd, signal, stderr, stdout } = context
  const toPort = (name: string, text: string) => parseInteger(name, text, { most: 65_535 })
  const toPath = (file: string | undefined) => (file === undefined ? undefined : resolve(cwd, file))
  const certFile = toPath(options.tlsCert)
  const keyFile = toPath(options.tlsKey)
  const clientCaFile = toPath(options.tlsClientCa)
  if ((certFile === undefined) !== (keyFile === undefined) || (clientCaFile && !certFile))
    throw new TlsFilesError()
  const messagesPerMinute = parseInteger('--rate', options.rate, { least: 1, most: 60_000 })
  const listenOptions = {
    coapPort: options.coap === undefined ? undefined : toPort('--coap', options.coap),
    host: options.host,
    mqttPort: options.mqtt === undefined ? undefined : toPort('--mqtt', options.mqtt),
    port: toPort('--port', options.port),
    tls: certFile && keyFile ? { certFile, clientCaFile, keyFile } : undefined,
  }
  const directory = resolve(cwd, options.data)
  const { keys, network } = await readLogKeys(options, context)
  if (network) assertNetwork(directory, network.id)
  else if (options.network !== undefined)
    throw new GatewayNetworkError('--network is the network file here: an id says nothing of keys.')
  const gateway = await createGateway({
    ...keys,
    directory,
    finalAfterMs: network?.finalAfterMs,
    limits: {
      burst: messagesPerMinute,
      maxAgeMs: parseDuration(options.maxAge),
      messagesPerMinute,
    },
    node: parseUrl(options.node),
    onDelivered: ({ address, index, seq }) =>
      stderr.write(`batch ${seq} of ${formatDid(address)}: entry ${index}, receipt verified\n`),
    onError: (error) => stderr.write(`${formatError(error)}\n`),
    onRefused: ({ address, problem, seq }) =>
      stderr.write(
        `batch ${seq} of ${formatDid(address)} is refused and kept: ${problem.status} ${problem.title}\n`,
      ),
  })
  try {
    const url = await gateway.listen(listenOptions)
    if (listenOptions.tls) context.onHangup(gateway.reloadTls)
    const { coap, mqtt } = gateway.urls
    if (coap !== undefined) stderr.write(`${coap}: ${coapWarning}\n`)
    stdout.write(
      options.json
        ? `${formatJson({ url, coap, mqtt }, { indent: 0 })}\n`
        : `${[url, mqtt, coap].filter((each) => each !== undefined).join('\n')}\n`,
    )
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve()
      else signal.addEventListener('abort', () => resolve(), { once: true })
    })
  } finally {
    await gateway.close()
  }
}

const coapWarning =
  'CoAP has no transport security. Keep it on a LAN: what devices send cannot be altered, and everyone on the way can read it.'

/** What is read from the chain holds for all outboxes. */
function assertNetwork(directory: string, id: Uint8Array): void {
  const store = openGatewayStore(directory)
  try {
    const other = store.list().find(({ network }) => !equalBytes(network, id))
    if (other)
      throw new GatewayNetworkError('The gateway has devices of another network.', [
        `Device: ${formatDid(other.address)}`,
        `Its network: ${toHex(other.network)}`,
        'Name the log keys with --log-key instead, or keep a gateway for each network.',
      ])
  } finally {
    store.close()
  }
}

export class GatewayNetworkError extends BaseError {
  override readonly name = 'GatewayNetworkError'
  constructor(shortMessage: string, metaMessages: readonly string[] = []) {
    super(shortMessage, { kind: 'input', metaMessages })
  }
}
