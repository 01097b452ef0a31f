import {
  type ChildProcessWithoutNullStreams,
  execFileSync,
  spawn,
  spawnSync,
} from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { registerDevices, signRegistration } from '@machinefi/contracts'
import { formatDid, fromHex, publicKeyToAddress, toHex } from '@machinefi/core'
import { createSoftwareSigner } from '@machinefi/device'
import { openBoardSigner } from '@machinefi/device/serial'
import { p256 } from '@noble/curves/nist.js'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { createBoard } from '../../examples/arduino-tracker/src/createBoard.js'
import { createSecureElement } from '../../examples/arduino-tracker/src/createSecureElement.js'
import { createChainClient } from '../../packages/cli/src/chain/createChainClient.js'
import { runCli, startCli } from '../../packages/cli/test/runCli.js'
import { devAccount } from '../../packages/contracts/test/startChain.js'
import { readFirmware } from './startBench.js'

// Boards that sign, registered over their lines: on anvil, and seen by a node.

/** Why nothing can be compiled here. */
const missing = spawnSync('cc', ['--version']).status === 0 ? '' : ': needs a C compiler'

let folder: string
let dev: ReturnType<typeof startCli>
let facts: { accounts: string[]; id: string; node: string; rpc: string }
let env: Record<string, string>

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'machinefi-registration-'))
  dev = startCli(['dev', '--json', '--port', '0', '--rpc-port', '0'], { cwd: folder })
  await dev.until('\n')
  facts = JSON.parse(dev.stdout())
  env = { MACHINEFI_NODE: facts.node, MACHINEFI_RPC: facts.rpc }
}, 60_000)

afterAll(async () => {
  dev.stop()
  expect(await dev.exit).toBe(0)
  rmSync(folder, { force: true, recursive: true })
}, 60_000)

const show = async (did: string) => {
  const { code, stderr, stdout } = await runCli(['device', 'show', did, '--json'], { env })
  expect(code, stderr).toBe(0)
  return JSON.parse(stdout)
}

test.skipIf(missing)(
  `behavior: machinefi device register --port, with machinefi.h behind a pseudo-terminal${missing}`,
  { timeout: 60_000 },
  async () => {
    const binary = join(folder, 'signing')
    const source = fileURLToPath(new URL('signing.c', import.meta.url))
    const strict = ['-std=gnu99', '-Wall', '-Wextra', '-pedantic', '-Werror', '-O2']
    execFileSync('cc', [...strict, '-o', binary, source, '-lutil'])
    const { address, privateKey } = createKey()
    const child = spawn(binary, [toHex(address).slice(2)]) as ChildProcessWithoutNullStreams
    try {
      const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
      const port: string = (await lines.next()).value
      const element = (async () => {
        let digests = 0
        for await (const digest of lines) {
          digests++
          // As chips do, it leaves s as it comes.
          const options = { lowS: false, prehash: false }
          const rs = p256.sign(fromHex(`0x${digest}`), privateKey, options)
          child.stdin.write(`${toHex(rs).slice(2)}\n`)
        }
        return digests
      })()
      const register = ['device', 'register', '--port', port]
      const { code, stderr, stdout } = await runCli([...register, '--json'], { env })
      expect(code, stderr).toBe(0)
      const did = formatDid(address)
      const [owner] = facts.accounts
      expect(JSON.parse(stdout)).toMatchObject({ did, network: facts.id, owner })
      expect(await show(did)).toMatchObject({ did, member: { slot: 0 } })
      const again = await runCli(register, { env })
      expect([again.code, again.stderr]).toEqual([0, expect.stringContaining('already')])
      child.kill()
      // Its key, then its registration; twice.
      expect(await element).toBe(4)
    } finally {
      child.kill()
    }
  },
)

test('behavior: the sketch of the Mega, with its key in a secure element', {
  timeout: 60_000,
}, async () => {
  const { address, privateKey } = createKey()
  const eeprom = new Uint8Array(4096)
  eeprom.set(fromHex(facts.id))
  eeprom.set(address, 32)
  const connectI2c = createSecureElement(privateKey)
  const options = { connectI2c, eeprom, model: 'mega' } as const
  const board = createBoard(readFirmware('signing-tracker'), options)
  const line = await board.open()
  let running = true
  const walk = board.run(Number.POSITIVE_INFINITY, { until: () => !running })
  const signer = await openBoardSigner(line)
  expect(toHex(publicKeyToAddress(signer.publicKey))).toBe(toHex(address))
  const { networks } = await (await fetch(`${facts.node}/networks`)).json()
  const { chainId, membership, registry } = networks[0]
  const account = devAccount(0)
  const deadline = Math.floor(Date.now() / 1000) + 3_600
  const terms = { chainId, deadline, membership, owner: account.address, registry }
  const registration = await signRegistration({ signer, ...terms })
  running = false
  await walk
  await signer.close()
  const client = createChainClient({ account, chainId, pollingInterval: 50, url: facts.rpc })
  await registerDevices(client, { registrations: [registration], registry })
  const did = formatDid(address)
  await vi.waitFor(
    async () => expect(await show(did)).toMatchObject({ member: { slot: 1 } }),
    20_000,
  )
})

test('error: a file and a line, or neither', async () => {
  for (const args of [['walker.key', '--port', '/dev/null'], []]) {
    const { code, stderr } = await runCli(['device', 'register', ...args], { env })
    expect([code, stderr]).toEqual([2, expect.stringContaining('A key file is needed, or --port')])
  }
})

function createKey() {
  const { privateKey, publicKey } = createSoftwareSigner()
  return { address: publicKeyToAddress(publicKey), privateKey }
}
