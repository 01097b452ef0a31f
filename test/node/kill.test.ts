import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { concatBytes, fromHex, type Hex, publicKeyToAddress, toHex } from '@machinefi/core'
import {
  createCheckpointCache,
  createLog,
  decodeCheckpoint,
  verifyCheckpoint,
  verifyConsistency,
  verifyReceipt,
} from '@machinefi/proof'
import { batchId } from '@machinefi/telemetry'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  createFakeChain,
  createSigner,
  signSteps,
} from '../../packages/stream/test/createFakeChain.js'
import { buildProcess } from './buildProcess.js'

const kills = Number(process.env.KILLS ?? 24)
const devices = 8
const hourMs = 3_600_000

const { network: described, time: startTime } = createFakeChain({ serial: 1 })
const network = fromHex(described.id)
const { publicKey: logKey } = createSigner(100)
const signers = Array.from({ length: devices }, (_, i) => createSigner(i + 1))
const cache = createCheckpointCache()

let directory: string
let runner: Awaited<ReturnType<typeof buildProcess>>

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'stream-kill-'))
  runner = await buildProcess('runNode.ts')
}, 60_000)

afterAll(() => {
  runner.remove()
  rmSync(directory, { force: true, recursive: true })
})

test('behavior: killed at any moment, it loses nothing acknowledged and doubles nothing', async () => {
  /** Acknowledged: batch id => index. */
  const acknowledged = new Map<Hex, number>()
  let unanswered: { bytes: Uint8Array; id: Uint8Array }[] = []
  const seqs = signers.map(() => 0)
  let checkpoint: Uint8Array | undefined
  let inFlight = 0

  for (let round = 0; round <= kills; round++) {
    const now = startTime + 12 * hourMs + round * 3 * hourMs
    const { child, exited, url } = await runner.start(directory, `${devices}`, `${now}`)
    await checkLog(url)
    const dead = new AbortController()
    const resent = resend(url, dead.signal, child)
    const work = Promise.all([
      resent,
      ...signers.map((_, device) => load(url, device, now, dead.signal, child)),
    ])
    // From before the first commit to well into the load; in the last round nothing is killed.
    const moment =
      round === kills
        ? resent
        : new Promise((resolve) => setTimeout(resolve, (round % 8) * 12 + Math.random() * 30))
    await Promise.race([moment, work])
    if (round < kills) child.kill('SIGKILL')
    dead.abort()
    await work
    if (round === kills) {
      await checkLog(url)
      child.kill('SIGKILL')
    }
    await exited
  }
  expect(inFlight).toBeGreaterThan(kills)
  expect(acknowledged.size).toBeGreaterThan(10 * kills)

  /** Sends new batches one after the other, in twos and threes now and then, some of them twice. */
  async function load(
    url: string,
    device: number,
    now: number,
    signal: AbortSignal,
    child: ChildProcess,
  ) {
    const signer = signers[device]!
    let start = now - hourMs
    while (!signal.aborted) {
      const batches = []
      for (let i = 0; i <= seqs[device]! % 3; i++) {
        const batch = await signSteps({ network, seq: seqs[device]!++, signer, start, steps: [1] })
        batches.push({ bytes: batch.bytes, id: batchId(batch, network) })
        start += 1000
      }
      const again = Math.random() < 0.2 ? [batches[0]!] : []
      await send(url, [...batches, ...again], signal, child)
    }
  }

  async function resend(url: string, signal: AbortSignal, child: ChildProcess) {
    const batches = unanswered
    unanswered = []
    for (let i = 0; i < batches.length; i += 20)
      await send(url, batches.slice(i, i + 20), signal, child)
  }

  async function send(
    url: string,
    batches: { bytes: Uint8Array; id: Uint8Array }[],
    signal: AbortSignal,
    child: ChildProcess,
  ) {
    try {
      const response = await fetch(`${url}/networks/${described.id}/batches`, {
        body: concatBytes(...batches.map(({ bytes }) => bytes)) as Uint8Array<ArrayBuffer>,
        headers: { 'content-type': 'application/cbor-seq' },
        method: 'POST',
      })
      const receipts = readReceipts(new Uint8Array(await response.arrayBuffer()))
      expect(receipts).toHaveLength(batches.length)
      for (const [i, receipt] of receipts.entries()) {
        const { id } = batches[i]!
        const verdict = await verifyReceipt(receipt, { cache, id, network, publicKey: logKey })
        if (!verdict.ok) throw new Error(`receipt: ${verdict.reason}`)
        const known = acknowledged.get(toHex(id))
        if (known !== undefined) expect(verdict.index).toBe(known)
        acknowledged.set(toHex(id), verdict.index)
      }
    } catch (error) {
      // Only what a killed node does is forgiven.
      if (!child.killed || !isConnectionError(error)) throw error
      inFlight++
      unanswered.push(...batches)
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve))
    }
  }

  /** The log holds what was acknowledged, once, where the receipt says; and extends what it was. */
  async function checkLog(url: string) {
    const at = `${url}/networks/${described.id}`
    const head = await fetch(`${at}/log/checkpoint`)
    if (head.status === 404) return expect(acknowledged.size).toBe(0)
    const bytes = new Uint8Array(await head.arrayBuffer())
    expect(await verifyCheckpoint(bytes, { network, publicKey: logKey })).toMatchObject({
      ok: true,
    })
    const current = decodeCheckpoint(bytes)
    const entries = await fetchBytes(`${at}/log/entries?to=${current.size}`)
    const log = createLog(entries)
    expect(toHex(log.root())).toBe(toHex(current.root))
    const indexes = new Map<Hex, number>()
    for (let index = 0; index < log.size; index++) {
      const id = toHex(log.id(index))
      expect(indexes.has(id)).toBe(false)
      indexes.set(id, index)
    }
    for (const [id, index] of acknowledged) expect(indexes.get(id)).toBe(index)

    if (checkpoint) {
      const before = decodeCheckpoint(checkpoint)
      const path = `log/consistency?from=${before.size}&to=${current.size}`
      expect(
        verifyConsistency({
          from: before.size,
          fromRoot: before.root,
          proof: await fetchBytes(`${at}/${path}`),
          to: current.size,
          toRoot: current.root,
        }),
      ).toBe(true)
      expect(current.time).toBeGreaterThanOrEqual(before.time)
    }
    checkpoint = bytes

    // No seq twice: the entries of every device, counted by seq.
    let batches = 0
    for (const signer of signers) {
      const device = toHex(publicKeyToAddress(signer.publicKey))
      const state = (await (await fetch(`${at}/devices/${device}`)).json()) as {
        batches: number
        gaps: { from: number; to: number }[]
        nextSeq: number
      }
      const missing = state.gaps.reduce((sum, { from, to }) => sum + to - from + 1, 0)
      expect(state.batches).toBe(state.nextSeq - missing)
      batches += state.batches
    }
    expect(batches).toBe(log.size)
  }
}, 120_000)

async function fetchBytes(url: string): Promise<Uint8Array> {
  return new Uint8Array(await (await fetch(url)).arrayBuffer())
}

function isConnectionError(error: unknown): boolean {
  return error instanceof TypeError && /fetch failed|terminated/.test(error.message)
}

/** The byte strings of a CBOR sequence; anything else is thrown. */
function readReceipts(bytes: Uint8Array): Uint8Array[] {
  const receipts: Uint8Array[] = []
  for (let at = 0; at < bytes.length; ) {
    const [length, head] =
      bytes[at] === 0x59
        ? [bytes[at + 1]! * 256 + bytes[at + 2]!, 3]
        : bytes[at] === 0x58
          ? [bytes[at + 1]!, 2]
          : [Number.NaN, 0]
    if (Number.isNaN(length)) throw new Error(`Refused: ${Buffer.from(bytes.subarray(at))}`)
    receipts.push(bytes.subarray(at + head, at + head + length))
    at += head + length
  }
  return receipts
}
