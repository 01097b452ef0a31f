import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test, vi } from 'vitest'
import { AnvilFailedError, startAnvil } from './startAnvil.js'

const run = promisify(execFile)

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

test('default', async () => {
  const anvil = await startAnvil()
  expect(anvil.port).toBeGreaterThan(0)
  expect(anvil.url).toBe(`http://127.0.0.1:${anvil.port}`)
  expect(await anvil.request('eth_chainId')).toBe('0x7a69')
  expect(isAlive(anvil.pid)).toBe(true)
  await anvil.close()
  await anvil.close()
  expect(isAlive(anvil.pid)).toBe(false)
  expect(process.listenerCount('SIGTERM')).toBe(0)
})

test('options: chainId, timestamp, blockTimestampInterval', async () => {
  const anvil = await startAnvil({
    blockTimestampInterval: 12,
    chainId: 4690,
    timestamp: 1_460_000_000,
  })
  const timeOf = async () => {
    const block = (await anvil.request('eth_getBlockByNumber', ['latest', false])) as {
      timestamp: string
    }
    return Number(block.timestamp)
  }
  expect(await anvil.request('eth_chainId')).toBe('0x1252')
  const genesis = await timeOf()
  expect(genesis).toBe(1_460_000_000)
  await anvil.request('evm_mine')
  expect(await timeOf()).toBe(genesis + 12)
  await expect(anvil.request('no_such_method')).rejects.toThrow(AnvilFailedError)
  await anvil.close()
})

test('error: the port is taken', async () => {
  const anvil = await startAnvil()
  await expect(startAnvil({ port: anvil.port })).rejects.toThrow(AnvilFailedError)
  await anvil.close()
})

test.each(['process.exit(3)', "process.kill(process.pid, 'SIGTERM')"])(
  'behavior: ends with its process: %s',
  async (end) => {
    const script = `
      import { startAnvil } from './packages/cli/src/chain/startAnvil.ts'
      const anvil = await startAnvil()
      process.stdout.write(String(anvil.pid))
      ${end}
    `
    const args = ['--experimental-strip-types', '--input-type=module', '--eval', script]
    const { stdout } = await run(process.execPath, args).catch((error) => error)
    expect(Number(stdout)).toBeGreaterThan(0)
    await vi.waitFor(() => expect(isAlive(Number(stdout))).toBe(false), { timeout: 5_000 })
  },
)
