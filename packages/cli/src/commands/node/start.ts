import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { bondOperator, readConfig, readOperator } from '@machinefi/contracts'
import {
  BaseError,
  isDevelopmentChain,
  isPublishedTestKey,
  PublishedKeyError,
  toHex,
} from '@machinefi/core'
import { openKeyFile } from '@machinefi/device/node'
import { ChallengeError, createNode, type ListenOptions } from '@machinefi/stream'
import { formatEther } from 'viem'
import { type ChainClient, openChain } from '../../chain/createChainClient.js'
import { openAccount } from '../../chain/openAccount.js'
import type { Context } from '../../context.js'
import { readNetworkFile } from '../../network/networkFile.js'
import { parseInteger } from '../../options/parseInteger.js'
import { parseUrl } from '../../options/parseUrl.js'
import { formatWindow } from '../../options/parseWindow.js'
import { formatError } from '../../output/formatError.js'
import { formatJson } from '../../output/formatJson.js'

type Options = {
  account?: string
  bond?: boolean
  coap?: string
  data: string
  host: string
  json?: boolean
  logKey: string
  mqtt?: string
  mqttBroker?: string[]
  mqttBrokerCa?: string
  mqttBrokerVersion: '3.1.1' | '5'
  network: string[]
  peer?: string[]
  port: string
  publicUrl?: string[]
  relay?: string
  relaysPerDay: string
  rpc: string
  tlsCert?: string
  tlsClientCa?: string
  tlsKey?: string
}

/** `machinefi node start`: serves until it is told to stop, then drains. */
export async function startNode(options: Options, context: Context): Promise<void> {
  const listenOptions = toListenOptions(options, context)
  const peers = (options.peer ?? []).map((url) => parseUrl(url))
  const files = await Promise.all(options.network.map((file) => readNetworkFile(file, context)))
  const [first] = files
  const client = await openChain(options, context)
  const relay = await openRelay(options, client, context)
  const logSigner = await openKeyFile(resolve(context.cwd, options.logKey), {
    algorithm: 'ES256',
    create: true,
  })
  // Before it is bonded: receipts of a log that anyone can sign for promise nothing.
  if (isPublishedTestKey(logSigner.publicKey)) {
    if (!isDevelopmentChain(client.chain.id)) throw new PublishedKeyError()
    context.stderr.write(`${options.logKey}: a published test key. Anyone can sign as this log.\n`)
  }
  for (const { fromBlock, network } of files) {
    const operator = await readOperator(client, {
      fromBlock,
      network,
      operator: client.account.address,
    })
    if (!operator.listed) {
      if (operator.id === 0) throw new NotListedError(network.id, operator.address)
      // It still has receipts to honour and, if it was not slashed, epochs to answer for.
      context.stderr.write(
        `${network.id}: the operator is not listed (any more): it posts nothing.\n`,
      )
      continue
    }
    const { minBond } = await readConfig(client, { fromBlock, network })
    if (operator.bond >= minBond) continue
    if (!options.bond) throw new NotBondedError(network.id, minBond - operator.bond)
    await bondOperator(client, {
      logKey: toHex(logSigner.publicKey),
      network,
      value: minBond - operator.bond,
    })
  }

  const data = resolve(context.cwd, options.data)
  mkdirSync(data, { recursive: true })
  const nameOf = (id: string, window: number) => {
    const file = files.find(({ network }) => network.id === id)
    return formatWindow(window, (file?.network.windowSeconds ?? 1) * 1000)
  }
  const node = await createNode({
    client,
    dataDir: data,
    deployment: (first as (typeof files)[number]).deployment,
    logSigner,
    networks: files.map(({ fromBlock, network, schema }) => ({
      ...network,
      fromBlock,
      schemas: [schema],
    })),
    peers,
    publicUrls: (options.publicUrl ?? []).map((url) => parseUrl(url)),
    relay,
    onAnswer: ({ gasUsed, id, kind, network, window }) =>
      context.stderr.write(
        `answered a challenge (${kind}) of ${nameOf(network, window)}: ${id}, ${gasUsed} gas\n`,
      ),
    onEpoch: ({ ledgerTotal, network, size, window }) =>
      context.stderr.write(
        `posted ${nameOf(network, window)}: ${size} batches in the log, total ${ledgerTotal}\n`,
      ),
    onError: (error) =>
      context.stderr.write(
        `${error instanceof ChallengeError ? 'ALARM, the bond is at stake: ' : ''}${formatError(error)}\n`,
      ),
  })
  try {
    const url = await node.listen(listenOptions)
    if (listenOptions.tls) context.onHangup(node.reloadTls)
    node.start()
    const { coap, mqtt } = node.urls
    if (coap !== undefined) context.stderr.write(`${coap}: ${coapWarning}\n`)
    context.stdout.write(
      options.json
        ? `${formatJson({ url, coap, mqtt, networks: files.map(({ network }) => network.id) }, { indent: 0 })}\n`
        : `${[url, mqtt, coap].filter((each) => each !== undefined).join('\n')}\n`,
    )
    await new Promise<void>((resolve) => {
      if (context.signal.aborted) resolve()
      else context.signal.addEventListener('abort', () => resolve(), { once: true })
    })
  } finally {
    await node.close()
  }
}

async function openRelay(options: Options, client: ChainClient, context: Context) {
  const perDay = parseInteger('--relays-per-day', options.relaysPerDay, { most: 1_000_000 })
  if (options.relay === undefined) return undefined
  const account = await openAccount(options.relay, client.chain.id, context)
  // What is stuck there would keep challenges from being answered.
  if (account.address === client.account.address) throw new RelayAccountError()
  return { account, perDay }
}

/** Said wherever a node takes CoAP. */
export const coapWarning =
  'CoAP has no transport security. Signed batches cannot be altered; everyone on the way can read them.'

function toListenOptions(options: Options, { cwd, env }: Context): ListenOptions {
  const toPort = (name: string, text: string) => parseInteger(name, text, { most: 65_535 })
  const toPath = (file: string | undefined) => (file === undefined ? undefined : resolve(cwd, file))
  const certFile = toPath(options.tlsCert)
  const keyFile = toPath(options.tlsKey)
  const clientCaFile = toPath(options.tlsClientCa)
  if ((certFile === undefined) !== (keyFile === undefined) || (clientCaFile && !certFile))
    throw new TlsFilesError()
  return {
    brokers: (options.mqttBroker ?? []).map((url) => ({
      url,
      caFile: toPath(options.mqttBrokerCa),
      certFile,
      keyFile,
      password: env.MACHINEFI_MQTT_PASSWORD,
      protocolVersion: options.mqttBrokerVersion === '5' ? 5 : 4,
      username: env.MACHINEFI_MQTT_USERNAME,
    })),
    coapPort: options.coap === undefined ? undefined : toPort('--coap', options.coap),
    host: options.host,
    mqttPort: options.mqtt === undefined ? undefined : toPort('--mqtt', options.mqtt),
    port: toPort('--port', options.port),
    tls: certFile && keyFile ? { certFile, clientCaFile, keyFile } : undefined,
  }
}

export class TlsFilesError extends BaseError {
  override readonly name = 'TlsFilesError'
  constructor() {
    super('--tls-cert and --tls-key go together, and --tls-client-ca with both.', { kind: 'input' })
  }
}

export class RelayAccountError extends BaseError {
  override readonly name = 'RelayAccountError'
  constructor() {
    super('The account of --relay is the operator’s own.', {
      kind: 'input',
      metaMessages: [
        'Registrations of strangers must not be in the way of an answer to a challenge: name another.',
      ],
    })
  }
}

export class NotListedError extends BaseError {
  override readonly name = 'NotListedError'
  constructor(network: string, operator: string) {
    super(`${operator} is no operator of this network.`, {
      kind: 'contract',
      metaMessages: [
        `Network: ${network}`,
        'The network’s owner lists operators; --account says who this one is.',
      ],
    })
  }
}

export class NotBondedError extends BaseError {
  override readonly name = 'NotBondedError'
  constructor(network: string, missing: bigint) {
    super('The operator has no bond, or too small a one.', {
      kind: 'contract',
      metaMessages: [
        `Network: ${network}`,
        `Missing: ${formatEther(missing)} of the chain’s coin. Put it in with --bond.`,
      ],
    })
  }
}
