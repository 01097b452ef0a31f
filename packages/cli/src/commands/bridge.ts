import { resolve } from 'node:path'
import { formatDid, fromHex, publicKeyToAddress, type Signer } from '@machinefi/core'
import { createDevice, type Device, http } from '@machinefi/device'
import { openFileStore } from '@machinefi/device/node'
import { createBridge, LineError, openSerialPort } from '@machinefi/device/serial'
import type { Context } from '../context.js'
import { fetchNetwork } from '../node/fetchNode.js'
import { readLogKeys } from '../node/readLogKeys.js'
import { openDeviceSigner } from '../options/openDeviceSigner.js'
import { parseDuration } from '../options/parseDuration.js'
import { parseInteger } from '../options/parseInteger.js'
import { parseUrl } from '../options/parseUrl.js'
import { formatError } from '../output/formatError.js'
import { formatJson } from '../output/formatJson.js'

type Options = {
  baud: string
  json?: boolean
  key?: string
  logKey?: string[]
  maxAge: string
  network?: string
  node: string
  port: string
  rpc: string
  state?: string
}

/**
 * `machinefi bridge`: a board on a serial line. With a key it signs the board's readings as that
 * device; batches that the board signed itself are passed on as they are. Until Ctrl-C.
 */
export async function bridge(options: Options, context: Context): Promise<void> {
  const signer =
    options.key === undefined ? undefined : await openDeviceSigner(options.key, context)
  try {
    await serve(signer, options, context)
  } finally {
    await signer?.close()
  }
}

async function serve(
  signer: Signer | undefined,
  options: Options,
  context: Context,
): Promise<void> {
  const baudRate = parseInteger('--baud', options.baud, { least: 1, most: 4_000_000 })
  const maxAgeMs = parseDuration(options.maxAge)
  const { keys, network = await askNetwork(options) } = await readLogKeys(options, context)
  const { id, schema } = network
  const transport = http(parseUrl(options.node), keys)
  const print = (event: { [name: string]: unknown }, text: string) =>
    context.stdout.write(options.json ? `${formatJson(event, { indent: 0 })}\n` : `${text}\n`)
  const onError = (error: Error) => {
    const next = error instanceof LineError ? '  It is opened again as soon as it is there.\n' : ''
    context.stderr.write(`${formatError(error)}\n${next}`)
  }

  let device: Device | undefined
  if (signer !== undefined) {
    const did = formatDid(publicKeyToAddress(signer.publicKey))
    device = createDevice({
      maxAgeMs,
      network,
      onDelivered: ({ index, seq }) =>
        print({ delivered: seq, entry: index }, `batch ${seq}: entry ${index}, receipt verified`),
      onError,
      schema,
      signer,
      store: openFileStore(resolve(context.cwd, options.state ?? `${options.key}.state`)),
      transport,
    })
    print({ did }, did)
  }
  const line = createBridge({
    device,
    onBatch: ({ did, index, seq }) =>
      print(
        { delivered: seq, did, entry: index },
        `batch ${seq} of ${did}: entry ${index}, receipt verified`,
      ),
    onError,
    onLost: (frames) => print({ lost: frames }, `${frames} lost on the line`),
    open: () => openSerialPort(options.port, { baudRate }),
    relay: { network: id, transport },
    schema,
  })
  const stop = new Promise<void>((resolve) => {
    if (context.signal.aborted) resolve()
    else context.signal.addEventListener('abort', () => resolve(), { once: true })
  })
  try {
    await Promise.race([stop, line.closed])
  } finally {
    await line.close()
    // What is not delivered by then is at the next start.
    await device?.flush({ timeoutMs: 10_000 }).catch(onError)
    await device?.close()
    const { batches, damaged, frames, lost, readings } = line.stats()
    print(
      { ...line.stats() },
      `${frames} frames: ${readings} readings, ${batches} batches; ${lost} lost, ${damaged} damaged`,
    )
  }
}

/** Where no chain is at hand, a network is what its node says. */
async function askNetwork({ network, node }: Options) {
  const { chainId, id, schema, windowMs } = await fetchNetwork(node, network)
  return { chainId, id: fromHex(id), schema, windowMs }
}
