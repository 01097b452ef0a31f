import { type FileHandle, open } from 'node:fs/promises'
import { resolve } from 'node:path'
import { BaseError, formatDid, publicKeyToAddress, type Signer, toHex } from '@machinefi/core'
import { createDevice, type Transport } from '@machinefi/device'
import { openFileStore } from '@machinefi/device/node'
import type { Schema } from '@machinefi/telemetry'
import type { Context } from '../context.js'
import { fetchNode, NodeProblemError } from '../node/fetchNode.js'
import { type Delivery, openDelivery } from '../node/openDelivery.js'
import { openDeviceSigner } from '../options/openDeviceSigner.js'
import { createProgress } from '../output/createProgress.js'
import { formatError } from '../output/formatError.js'
import { formatJson } from '../output/formatJson.js'
import { openReadings, type Readings } from '../readings/openReadings.js'

type Options = {
  device?: string
  json?: boolean
  key: string
  network?: string
  node: string
  out?: string
  progress?: boolean
  rpc: string
  shift?: boolean
  state?: string
}

/** Readings between two waits for receipts: bounds what is in flight. */
const drainEvery = 6_000

/**
 * `machinefi replay`: recorded readings as one device's, signed and delivered.
 * The device's place in the sequence is kept on disk: a seq is never used twice,
 * however often this runs, and what was not delivered is the next time.
 */
export async function replay(csv: string, options: Options, context: Context): Promise<void> {
  const progress = createProgress(context, { force: options.progress === true })
  const signer = await openDeviceSigner(options.key, context)
  let readings: Readings | undefined
  let file: FileHandle | undefined
  let delivery: Delivery | undefined
  try {
    delivery = await openDelivery(options, context)
    const { isHttp, network, schema } = delivery
    const { node, out } = options
    if (out !== undefined && !isHttp)
      throw new ReplayError('--out asks a node over HTTP which seq is next.', [`Not: ${node}`])
    readings = await openReadings(resolve(context.cwd, csv))
    const source = selectDevice(readings, options.device)
    checkFields(readings, schema)
    const offset = options.shift ? toOffset(readings, schema) : 0
    if (out !== undefined) file = await openNew(out, context)
    const transport = file ? toFile(file) : delivery.transport
    if (!file) await delivery.assertMember(publicKeyToAddress(signer.publicKey))
    let batches = 0
    let bytes = 0
    let said: string | undefined
    const device = createDevice({
      maxAgeMs: Number.POSITIVE_INFINITY,
      maxJumpMs: Number.POSITIVE_INFINITY,
      network,
      onDelivered: (batch) => {
        batches++
        bytes += batch.bytes.length
      },
      // It tries again for as long as it takes: whoever waits for it should know what for.
      onError: (error) => {
        if (error.message === said) return
        said = error.message
        progress.clear()
        context.stderr.write(`${formatError(error)}\n`)
      },
      schema,
      signer,
      store: openFileStore(resolve(context.cwd, options.state ?? `${options.key}.state`)),
      transport,
      ...(file ? { nextSeq: await readNextSeq(node, network.id, signer) } : {}),
    })
    // What is not delivered when somebody stops it is the next time.
    const stopped = new Promise<never>((_, reject) => {
      const stop = () => reject(context.signal.reason)
      if (context.signal.aborted) stop()
      else context.signal.addEventListener('abort', stop, { once: true })
    })
    // It may come when nobody waits for it any more.
    stopped.catch(() => {})
    const flush = (options?: { partial: boolean }) => Promise.race([device.flush(options), stopped])
    let recorded = 0
    let refused: unknown
    // Readings that come together share one sync of the disk.
    const queued: Promise<void>[] = []
    try {
      for (const { device: at, time, values } of readings.merge()) {
        if (at !== source) continue
        context.signal.throwIfAborted()
        const record = Object.fromEntries(
          readings.fields.map(({ name }, i) => [
            name,
            Number.isNaN(values[i]) ? null : (values[i] as number),
          ]),
        )
        const taken = device.record(record, { time: time + offset }).catch((error) => {
          refused ??= error
        })
        queued.push(taken)
        // A reading that is refused is refused at once: nothing after it is taken. But the first
        // one waits for the store to open, and so would those behind it.
        await (recorded === 0 ? taken : null)
        if (refused !== undefined) break
        if (++recorded % 600 === 0) await Promise.all(queued.splice(0))
        if (recorded % drainEvery === 0) await flush({ partial: false })
        progress.update(`${recorded} readings, ${plural(batches, 'batch')} delivered`)
      }
      await Promise.all(queued)
      if (recorded > 0 || refused === undefined) await flush()
    } finally {
      await device.close()
    }
    progress.clear()
    if (refused !== undefined) throw new ReadingRefusedError(recorded, refused)
    const result = { did: device.did, readings: recorded, batches, bytes }
    context.stdout.write(
      options.json
        ? `${formatJson(result)}\n`
        : `${plural(recorded, 'reading')} in ${plural(batches, 'batch')}, ${bytes} bytes: ${file ? `signed, in ${out}` : 'delivered, receipts verified'}\n`,
    )
  } finally {
    progress.clear()
    readings?.close()
    await file?.close()
    await delivery?.close()
    await signer.close()
  }
}

/** A new file: batches of another replay are never overwritten. */
async function openNew(path: string, context: Context): Promise<FileHandle> {
  try {
    return await open(resolve(context.cwd, path), 'ax')
  } catch (error) {
    throw new ReplayError(`${path} exists already, or cannot be written.`, [
      (error as Error).message,
    ])
  }
}

/** Batches into a file instead of a log: from there on they are the caller's to deliver. */
function toFile(file: FileHandle): Transport {
  return {
    maxBatches: 100,
    async send(batches) {
      for (const { bytes } of batches) await file.write(bytes)
      await file.sync()
      return batches.map(() => ({ index: -1, receipt: new Uint8Array(), status: 'delivered' }))
    },
  }
}

/** Where a device with no state of its own may begin: above all that the node ever had of it. */
async function readNextSeq(node: string, network: Uint8Array, signer: Signer): Promise<number> {
  try {
    const path = toDevicePath(network, signer)
    const { nextSeq } = await fetchNode<{ nextSeq: number }>(node, path)
    return nextSeq
  } catch (error) {
    // No member: the node has nothing of it.
    if (error instanceof NodeProblemError && error.status === 404) return 0
    throw error
  }
}

function toDevicePath(network: Uint8Array, signer: Signer): string {
  const did = formatDid(publicKeyToAddress(signer.publicKey))
  return `/networks/${toHex(network)}/devices/${did}`
}

function plural(count: number, noun: 'batch' | 'reading'): string {
  if (count === 1) return `1 ${noun}`
  return `${count} ${noun === 'batch' ? 'batches' : 'readings'}`
}

function selectDevice({ devices }: Readings, name: string | undefined): number {
  if (name === undefined && devices.length === 1) return 0
  const index = devices.indexOf(name ?? '')
  if (index < 0)
    throw new ReplayError(
      name === undefined ? 'The file has several devices.' : `The file has no device ${name}.`,
      [`Name one with --device: ${devices.slice(0, 20).join(', ')}`],
    )
  return index
}

function checkFields({ fields }: Readings, schema: Schema): void {
  const unknown = fields.filter(({ name }) => !schema.fields.some((field) => field.name === name))
  if (unknown.length > 0)
    throw new ReplayError(
      `The network has no field ${unknown.map(({ name }) => name).join(', ')}.`,
      [`It has: ${schema.fields.map(({ name }) => name).join(', ')}`],
    )
}

/** What moves the last reading to the tick before now. */
function toOffset({ lastTime }: Readings, { tickMs }: Schema): number {
  return Math.floor((Date.now() - lastTime) / tickMs - 1) * tickMs
}

export class ReadingRefusedError extends BaseError {
  override readonly name = 'ReadingRefusedError'
  constructor(recorded: number, cause: unknown) {
    const reason = cause instanceof BaseError ? cause.shortMessage : String(cause)
    super(`Reading ${recorded + 1} was refused: ${reason}`, {
      cause,
      kind: cause instanceof BaseError ? cause.kind : 'internal',
      metaMessages: [
        recorded === 0
          ? 'Nothing was taken.'
          : `The ${plural(recorded, 'reading')} before it are taken; nothing after it is.`,
        ...(cause instanceof BaseError ? cause.metaMessages : []),
      ],
    })
  }
}

export class ReplayError extends BaseError {
  override readonly name = 'ReplayError'
  constructor(shortMessage: string, metaMessages: readonly string[]) {
    super(shortMessage, { kind: 'input', metaMessages })
  }
}
