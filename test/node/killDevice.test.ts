import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { publicKeyToAddress, toHex } from '@machinefi/core'
import { readFileStore } from '@machinefi/device/node'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createFakeChain, createSigner } from '../../packages/stream/test/createFakeChain.js'
import { buildProcess } from './buildProcess.js'

/** Of a device process; thousands on demand. */
const kills = Number(process.env.DEVICE_KILLS ?? 30)
const dayMs = 86_400_000

const { network, time: startTime } = createFakeChain({ serial: 1 })
const now = startTime + 25 * dayMs

let directory: string
let nodes: Awaited<ReturnType<typeof buildProcess>>
let node: Awaited<ReturnType<typeof nodes.start>>
let devices: Awaited<ReturnType<typeof buildProcess>>

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'device-kill-'))
  nodes = await buildProcess('runNode.ts')
  devices = await buildProcess('runDevice.ts')
}, 60_000)

afterAll(async () => {
  node.child.kill('SIGKILL')
  await node.exited
  nodes.remove()
  devices.remove()
  rmSync(directory, { force: true, recursive: true })
})

test(
  'behavior: killed at any moment, a device loses nothing it took, and uses no seq twice',
  async () => {
    node = await nodes.start(join(directory, 'node'), '1', `${now}`)
    const { url: nodeUrl } = node
    const outbox = join(directory, 'outbox')
    const acknowledged = join(directory, 'acknowledged')
    const clockAhead = now - Date.now()
    /** Readings of a run begin after those of all before; every third finds no node. */
    const run = (round: number, mode: 'drain' | 'run') => {
      const url = round % 3 === 1 && mode === 'run' ? 'http://127.0.0.1:1' : nodeUrl
      const time = startTime + 1000 * Math.floor((round * 20 * 86_400) / (kills + 1))
      const args = [url, network.id, `${clockAhead}`, `${time}`, mode]
      return devices.start(outbox, acknowledged, ...args)
    }
    for (let round = 0; round < kills; round++) {
      const { child, exited } = await run(round, 'run')
      // Some are killed while they open their store, the rest after a few readings or some more.
      const readings = round % 4 === 0 ? 0 : countLines(acknowledged) + Math.random() * 80
      while (countLines(acknowledged) < readings && child.exitCode === null) await sleep(1)
      await sleep(Math.random() * (round % 4 === 0 ? 60 : 3))
      // It ends by itself only when something is wrong.
      expect(child.exitCode).toBe(null)
      child.kill('SIGKILL')
      await exited
    }
    const drained = await run(kills, 'drain')
    await drained.exited
    expect(drained.child.exitCode).toBe(0)
    expect(await readFileStore(outbox)).toMatchObject({ batches: 0, rows: 0, refused: 0 })

    const device = `${nodeUrl}/networks/${network.id}/devices/${toHex(publicKeyToAddress(createSigner(1).publicKey))}`
    const state = await fetchJson<{ batches: number; gaps: unknown[]; nextSeq: number }>(device)
    expect(state.gaps).toEqual([])
    expect(state.batches).toBe(state.nextSeq)
    const times: number[] = []
    for (let seq: number | null = 0; seq !== null; ) {
      const page: { next: number | null; records: { time: number }[] } = await fetchJson(
        `${device}/records?limit=100&seq=${seq}`,
      )
      times.push(...page.records.map(({ time }) => time))
      seq = page.next
    }
    const logged = new Set(times)
    expect(times).toHaveLength(logged.size)
    const taken = readFileSync(acknowledged, 'utf8').trim().split('\n').map(Number)
    expect(taken.filter((time) => !logged.has(time))).toEqual([])
    expect(new Set(taken).size).toBe(taken.length)
    expect(taken.length).toBeGreaterThan(10 * kills)
    expect(state.batches).toBeGreaterThan(kills)
    node.child.kill('SIGKILL')
    await node.exited
  },
  60_000 + 2000 * kills,
)

/** Each is a time, of 13 digits. */
function countLines(file: string): number {
  return existsSync(file) ? statSync(file).size / 14 : 0
}

async function fetchJson<value>(url: string): Promise<value> {
  return (await (await fetch(url)).json()) as value
}
