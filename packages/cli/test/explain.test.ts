import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { suspendDevices } from '@machinefi/contracts'
import { formatDid, fromHex, publicKeyToAddress, toHex } from '@machinefi/core'
import { createSoftwareSigner, type SoftwareSigner } from '@machinefi/device'
import { defineSchema, type Row, signBatch } from '@machinefi/telemetry'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createAccount } from '../src/chain/openAccount.js'
import { type Devnet, startDevnet } from '../src/chain/startDevnet.js'
import { registerFleet } from '../src/demo/registerFleet.js'
import { runCli } from './runCli.js'

const dayMs = 86_400_000
const minuteMs = 60_000
const day = Date.UTC(2026, 10, 21)
const schema = defineSchema({ fields: { steps: { unit: 'count' } }, id: 1, tickMs: minuteMs })

describe('claim explain', { timeout: 60_000 }, () => {
  let devnet: Devnet
  let now = day - 3_600_000
  const signers = new Map<string, SoftwareSigner>()
  const setTime = async (time: number) => {
    now = time
    await devnet.anvil.request('evm_setNextBlockTimestamp', [Math.floor(time / 1000)])
    await devnet.anvil.request('evm_mine')
    await devnet.node.refresh()
  }
  const join = async (...names: string[]) => {
    const fleet = names.map((name) => {
      const signer = createSoftwareSigner()
      signers.set(name, signer)
      return { name, owner: createAccount().address, signer }
    })
    await registerFleet(devnet, fleet, now)
    await devnet.node.refresh()
  }
  const didOf = (name: string) =>
    formatDid(publicKeyToAddress((signers.get(name) as SoftwareSigner).publicKey))
  /** One batch: a reading a minute from a minute of the day on. */
  const send = async (name: string, seq: number, minute: number, ...steps: (number | null)[]) => {
    const rows: Row[] = steps.map((value, i) => ({
      time: day + (minute + i) * minuteMs,
      values: [value],
    }))
    const signer = signers.get(name) as SoftwareSigner
    const network = fromHex(devnet.network.id)
    const { bytes } = await signBatch({ network, rows, schema, seq, signer })
    const [outcome] = await devnet.node.ingest(devnet.network.id, [bytes])
    expect(outcome).toMatchObject({ ok: true })
  }
  const explain = (name: string, ...options: string[]) =>
    runCli(['claim', 'explain', didOf(name), '--window', '2026-11-21', ...options], {
      env: { MACHINEFI_NODE: devnet.url, MACHINEFI_RPC: devnet.anvil.url },
    })
  const json = async (name: string) => {
    const { code, stderr, stdout } = await explain(name, '--json')
    expect([code, stderr]).toEqual([0, ''])
    return JSON.parse(stdout)
  }
  const codes = async (name: string) =>
    (await json(name)).reasons.map(({ code }: { code: string }) => code)

  beforeAll(async () => {
    devnet = await startDevnet({
      anvil: { blockTimestampInterval: 1, hardfork: 'osaka', timestamp: now / 1000 },
      clock: () => now,
      metric: { field: 0, max: 300, min: 0, type: 'sum' },
      policy: { cap: 500n, rate: 1n, threshold: 100n },
      schema,
      times: {
        challengeWindow: 600,
        grace: 600,
        responseTime: 600,
        retention: 30 * 86_400,
        takeoverDelay: 3_600,
      },
      windowMs: dayMs,
    })
    await join('full', 'troubled', 'lazy', 'keen', 'silent', 'banned')
  }, 60_000)
  afterAll(() => devnet?.close())

  test('before it is posted: what the log has, and when it will be', async () => {
    await setTime(day + 12 * 3_600_000)
    await join('newcomer')
    await send('full', 0, 60, 100, 50)
    await send('newcomer', 0, 700, 200)
    expect(await json('full')).toMatchObject({
      paid: true,
      reasons: [],
      reward: '150',
      status: 'not-over',
      value: '150',
      verified: false,
    })
    expect((await explain('full')).stdout).toMatch(/so far +150 steps\nwould earn +150\n/)

    await send('troubled', 0, 10, 90, 301, null)
    await send('troubled', 2, 20, 80)
    await send('troubled', 3, 20, 70)
    await send('lazy', 0, 0, 99)
    await send('keen', 0, 0, 300, 300)
    await send('banned', 0, 0, 200)
    const device = toHex(publicKeyToAddress((signers.get('banned') as SoftwareSigner).publicKey))
    await suspendDevices(devnet.client, { devices: [device], network: devnet.network })
    await setTime(day + dayMs + 300_000)
    expect(await json('full')).toMatchObject({ status: 'waiting' })
    await setTime(day + dayMs + 600_000)
    expect(await json('full')).toMatchObject({ status: 'not-posted' })
    await devnet.node.settle()
    await send('troubled', 4, 30, 60)
  })

  test('default: counted in full, and checked', async () => {
    expect(await json('full')).toMatchObject({
      batches: [{ count: 2, late: false, remark: '', seq: 0 }],
      cumulative: '150',
      paid: true,
      reasons: [],
      reward: '150',
      status: 'pending',
      steps: 1,
      value: '150',
      verified: true,
      window: day / dayMs,
    })
    const { stdout } = await explain('full')
    // The last window that was posted.
    const last = await runCli(['claim', 'explain', didOf('full')], {
      env: { MACHINEFI_NODE: devnet.url, MACHINEFI_RPC: devnet.anvil.url },
    })
    expect(last).toEqual({ code: 0, stderr: '', stdout })
    expect(stdout).toContain('All that was sent counted in full.')
    expect(stdout).toContain('Checked here: signatures, log, fold, ledger')
  })

  test('behavior: late, gap, ignored, out of bounds, missing', async () => {
    const explained = await json('troubled')
    expect(explained).toMatchObject({ reward: '170', steps: 3, value: '170', verified: true })
    expect(await codes('troubled')).toEqual([
      'late',
      'gap',
      'ignored',
      'missing-values',
      'out-of-bounds',
    ])
    expect(
      explained.batches.map(({ late, remark, seq }: Record<string, unknown>) => [
        seq,
        late,
        remark,
      ]),
    ).toEqual([
      [0, false, ''],
      [2, false, ''],
      [3, false, 'ignored: overlap'],
      [4, true, 'too late'],
    ])
    const { stdout } = await explain('troubled')
    expect(stdout.replaceAll(didOf('troubled'), 'DID')).toMatchSnapshot()
  })

  test('behavior: below the threshold, capped, nothing sent', async () => {
    expect(await json('lazy')).toMatchObject({ reward: '0', value: '99' })
    expect(await codes('lazy')).toEqual(['below-threshold'])
    expect(await json('keen')).toMatchObject({ reward: '500', value: '600' })
    expect(await codes('keen')).toEqual(['capped'])
    expect(await codes('silent')).toEqual(['no-batches', 'below-threshold'])
    expect((await explain('silent')).stdout).toContain('nothing that the node has')
  })

  test('behavior: windows that do not pay a device', async () => {
    expect(await json('newcomer')).toMatchObject({ paid: false, reward: '0', verified: false })
    expect(await codes('newcomer')).toEqual(['joined-late'])
    expect(await codes('banned')).toEqual(['suspended'])
    signers.set('stranger', createSoftwareSigner())
    expect(await codes('stranger')).toEqual(['not-a-member'])
    expect((await explain('banned')).stdout).toContain('the window does not pay this device')
  })

  test('error: a node that lies', async () => {
    // Passes everything on, but for one path.
    const lie = async (path: RegExp, body: string | Uint8Array) => {
      const server = createServer(async ({ url = '' }, response) => {
        if (path.test(url)) return response.end(body)
        const answer = await fetch(devnet.url + url)
        response.statusCode = answer.status
        response.end(new Uint8Array(await answer.arrayBuffer()))
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      const { port } = server.address() as AddressInfo
      const { code, stderr } = await explain('full', '--node', `http://127.0.0.1:${port}`)
      server.closeAllConnections()
      server.close()
      return [code, stderr]
    }
    const read = async (path: string) => {
      const response = await fetch(`${devnet.url}/networks/${devnet.network.id}${path}`)
      return new Uint8Array(await response.arrayBuffer())
    }
    const controlled = JSON.stringify({ batches: [{ seq: '\u001b[2J' }], next: null })
    expect(await lie(/\/batches\?/, controlled)).toEqual([
      4,
      expect.stringContaining('no stream node of this version'),
    ])
    const bundle = await read(`/epochs/${day / dayMs}/claims/${didOf('full')}/bundle`)
    bundle[bundle.length >> 1] = (bundle[bundle.length >> 1] as number) ^ 1
    expect(await lie(/\/bundle$/, bundle)).toEqual([
      3,
      expect.stringContaining('is not what was posted'),
    ])
    const other = await read(`/epochs/${day / dayMs}/claims/${didOf('keen')}/bundle`)
    expect(await lie(/\/bundle$/, other)).toEqual([
      3,
      expect.stringContaining('is not what was posted'),
    ])
    const { id } = devnet.network
    const described = JSON.parse(new TextDecoder().decode(await read('')))
    const foreign = JSON.stringify({ ...described, id: id.replace('0x', '0xff').slice(0, 66) })
    expect(await lie(new RegExp(`/networks/${id}$`), foreign)).toEqual([
      3,
      expect.stringContaining('another network'),
    ])
  })

  test('behavior: a final window, and one whose rows have expired', async () => {
    await setTime(day + dayMs + 3_600_000)
    expect(await json('full')).toMatchObject({ status: 'final', verified: true })
    await setTime(day + 35 * dayMs)
    await devnet.node.settle()
    await setTime(day + 36 * dayMs)
    await devnet.node.settle()
    expect(await json('full')).toMatchObject({
      reasons: [{ code: 'rows-not-at-hand', seqs: [0] }],
      reward: '150',
      value: '150',
      verified: false,
    })
    expect((await explain('full')).stdout).toContain('The rows have expired')
  })

  test('error: a window before the network', async () => {
    const args = ['claim', 'explain', didOf('full'), '--window', '2020-01-01']
    const env = { MACHINEFI_NODE: devnet.url, MACHINEFI_RPC: devnet.anvil.url }
    const { code, stderr } = await runCli(args, { env })
    expect([code, stderr]).toEqual([2, expect.stringContaining('before the network’s first')])
  })
})
