import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { rotateLogKey } from '@machinefi/contracts'
import { fromHex, toHex } from '@machinefi/core'
import { createDevice, createSoftwareSigner } from '@machinefi/device'
import { openFileStore, openSigner, readFileStore } from '@machinefi/device/node'
import { openGatewayStore } from '@machinefi/stream/gateway'
import { getAddress } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTestNode, type TestNode } from '../../device/test/createTestNode.js'
import { createChainClient } from '../src/chain/createChainClient.js'
import { developmentAccount } from '../src/chain/openAccount.js'
import type { Context } from '../src/context.js'
import type { NodeNetwork } from '../src/node/fetchNode.js'
import { readLogKeys } from '../src/node/readLogKeys.js'
import { runCli, startCli } from './runCli.js'

// A node, and somebody in its place: all that he says is the node's, but for his own log key.

let cwd: string
let dev: ReturnType<typeof startCli>
let env: Record<string, string>
let nodeUrl: string
let network: NodeNetwork
let other: TestNode
let otherUrl: string
const server = createServer(async (request, response) => {
  if (request.method === 'POST') {
    const receipt = await other.receive(await buffer(request))
    response.setHeader('content-type', 'application/cose').end(receipt)
    return
  }
  const answer = await fetch(nodeUrl + request.url)
  const body = await answer.text()
  response.writeHead(answer.status, { 'content-type': 'application/json' })
  response.end(body.replaceAll(network.logKey, toHex(other.logKey)))
})

const json = async (...argv: string[]) => {
  const { code, stderr, stdout } = await runCli([...argv, '--json'], { cwd, env })
  if (code !== 0) throw new Error(`${argv.join(' ')}: exit ${code}\n${stderr}`)
  return JSON.parse(stdout)
}

beforeAll(async () => {
  cwd = mkdtempSync(join(tmpdir(), 'machinefi-log-keys-'))
  const file = ['--network-file', 'steps.json', '--window', '1h', '--challenge', '1h']
  dev = startCli(['dev', '--json', '--port', '0', '--rpc-port', '0', ...file], { cwd })
  await dev.until('\n')
  const { node, rpc } = JSON.parse(dev.stdout())
  nodeUrl = node
  env = { MACHINEFI_RPC: rpc }
  const { networks } = await (await fetch(`${node}/networks`)).json()
  network = await (await fetch(`${node}/networks/${networks[0].id}`)).json()
  other = createTestNode({ network: fromHex(network.id), operator: fromHex(network.operator) })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  otherUrl = `http://127.0.0.1:${(server.address() as { port: number }).port}`
}, 60_000)

afterAll(async () => {
  server.close()
  dev?.stop()
  expect(await dev?.exit).toBe(0)
  rmSync(cwd, { force: true, recursive: true })
}, 60_000)

/** A batch that waits in an outbox, as after a day without a node. */
async function fill(folder: string, key: string) {
  const signer = await openSigner(join(cwd, key))
  const device = createDevice({
    maxAgeMs: 1,
    network: { id: fromHex(network.id), windowMs: network.windowMs },
    nextSeq: 0,
    retry: { minMs: 60_000 },
    schema: network.schema,
    signer,
    store: openFileStore(join(cwd, folder)),
    transport: { maxBatches: 1, send: async () => Promise.reject(new Error('away')) },
  })
  await device.record({ steps: 7 })
  await expect.poll(() => device.stats().stored.batches).toBe(1)
  await device.close()
  await signer.close()
}

const outbox = (folder: string) => readFileStore(join(cwd, folder))

describe.each(['bridge', 'gateway'] as const)('%s', (command) => {
  /** Its arguments, and the outbox of its one device with a batch. */
  async function setup(name: string) {
    if (command === 'bridge') {
      await json('device', 'create', `${name}.key`)
      await json('device', 'register', `${name}.key`, '--node', nodeUrl)
      await fill(`${name}.key.state`, `${name}.key`)
      const port = join(cwd, 'no-board')
      const args = ['bridge', '--port', port, '--key', `${name}.key`]
      return { args, folder: `${name}.key.state` }
    }
    const { address, file } = await json('gateway', 'create', '--data', name, '--node', nodeUrl)
    await json('device', 'register', file, '--node', nodeUrl)
    const folder = join(name, 'outbox', address)
    await fill(folder, file)
    return { args: ['gateway', 'start', '--data', name, '--port', '0'], folder }
  }
  /** Runs until its output has a text. */
  async function run(args: readonly string[], text: string | RegExp) {
    const cli = startCli(args, { cwd, env })
    const ended = cli.exit.then((code) => `exit code ${code}\n${cli.stderr()}`)
    const output = () => cli.stdout() + cli.stderr()
    await Promise.race([
      expect.poll(output, { timeout: 20_000 }).toMatch(text),
      ended.then((message) => Promise.reject(new Error(message))),
    ])
    cli.stop()
    expect(await cli.exit).toBe(0)
  }
  const believed = /batch 0.*receipt verified/
  const notBelieved = 'The receipt for batch 0 is not valid: key'

  test('default: whoever is in the place of the node is believed', async () => {
    const { args, folder } = await setup(`${command}-default`)
    await run([...args, '--node', otherUrl], believed)
    expect((await outbox(folder)).batches).toBe(0)
  })

  test('options: --network, a file: the log key is the chain’s', async () => {
    const { args, folder } = await setup(`${command}-file`)
    const pinned = [...args, '--network', 'steps.json']
    await run([...pinned, '--node', otherUrl], notBelieved)
    expect((await outbox(folder)).batches).toBe(1)
    await run([...pinned, '--node', nodeUrl], believed)
    const { batches, held, lastTime } = await outbox(folder)
    expect(batches).toBe(0)
    // Not 8 days: windows of this network can be final sooner.
    expect(held!.first - lastTime!).toBeLessThan(86_400_000)
  })

  test('options: --log-key', async () => {
    const { args, folder } = await setup(`${command}-key`)
    const next = toHex(other.logKey)
    await run([...args, '--log-key', network.logKey, '--node', otherUrl], notBelieved)
    expect((await outbox(folder)).batches).toBe(1)
    await run([...args, '--log-key', network.logKey, next, '--node', otherUrl], believed)
    expect((await outbox(folder)).batches).toBe(0)
  })

  test('options: --network and --log-key: the next key of the operator', async () => {
    const { args, folder } = await setup(`${command}-next`)
    const next = toHex(other.logKey)
    await run([...args, '--network', 'steps.json', '--log-key', next, '--node', otherUrl], believed)
    expect((await outbox(folder)).batches).toBe(0)
  })

  test('error: no log key', async () => {
    const { args } = await setup(`${command}-none`)
    const { code, stderr } = await runCli([...args, '--log-key', '0x12'], { cwd, env })
    expect([code, stderr]).toEqual([2, expect.stringContaining('Not a public key')])
  })
})

test('error: gateway start with an id, or a file and devices of another network', async () => {
  await json('gateway', 'create', '--data', 'mixed', '--node', nodeUrl)
  const start = (named: string) =>
    runCli(['gateway', 'start', '--data', 'mixed', '--network', named], { cwd, env })
  const id = await start(network.id)
  expect([id.code, id.stderr]).toEqual([2, expect.stringContaining('is the network file here')])
  const store = openGatewayStore(join(cwd, 'mixed'))
  await store.create({ ...network, id: new Uint8Array(32).fill(9), maxRowsBytes: 4096 })
  store.close()
  const file = await start('steps.json')
  expect([file.code, file.stderr]).toEqual([2, expect.stringContaining('of another network')])
})

test('error: a serial port that is not there is not said to be opened again', async () => {
  const { code, stderr } = await runCli(['device', 'register', '--port', '/dev/nope'], { cwd, env })
  expect([code, stderr]).toEqual([4, expect.stringContaining('/dev/nope cannot be opened')])
  expect(stderr).not.toContain('again')
})

// Last: the node takes nothing in when its key is changed under it.
test('behavior: --log-key: what the operator has changed is no next key, and the chain’s is first', async () => {
  const operator = createChainClient({
    account: developmentAccount(1),
    chainId: network.chainId,
    pollingInterval: 50,
    url: env.MACHINEFI_RPC!,
  })
  const now = createSoftwareSigner().publicKey
  const next = createSoftwareSigner().publicKey
  for (const key of [other.logKey, now])
    await rotateLogKey(operator, {
      logKey: toHex(key),
      network: { settlement: getAddress(network.settlement) },
    })
  const logKey = [network.logKey, toHex(other.logKey), toHex(now), toHex(next)]
  const options = { logKey, network: 'steps.json', rpc: env.MACHINEFI_RPC! }
  const { keys } = await readLogKeys(options, { cwd } as Context)
  expect(keys!.logKey.map((key) => toHex(key))).toEqual([toHex(now), toHex(next)])
  expect(toHex(keys!.operator!)).toBe(network.operator.toLowerCase())
})
