import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'tsup'
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

test('behavior: ends with its process', async () => {
  // Node runs no TypeScript, and a bundle has to lie where it finds anvil.
  const outDir = fileURLToPath(new URL('../../node_modules/.cache/startAnvil', import.meta.url))
  await build({
    bundle: true,
    clean: true,
    config: false,
    dts: false,
    entry: [fileURLToPath(new URL('./startAnvil.ts', import.meta.url))],
    esbuildOptions: (options) => {
      options.conditions = ['@machinefi/source', 'node']
    },
    format: 'esm',
    noExternal: [/.*/],
    outDir,
    outExtension: () => ({ js: '.mjs' }),
    platform: 'node',
    silent: true,
  })
  for (const end of ['process.exit(3)', "process.kill(process.pid, 'SIGTERM')"]) {
    const script = `
      import { startAnvil } from ${JSON.stringify(join(outDir, 'startAnvil.mjs'))}
      const anvil = await startAnvil()
      process.stdout.write(String(anvil.pid))
      ${end}
    `
    const args = ['--input-type=module', '--eval', script]
    const { code, signal, stdout } = await run(process.execPath, args).catch((error) => error)
    expect(code ?? signal).toBe(end.includes('SIGTERM') ? 'SIGTERM' : 3)
    expect(Number(stdout)).toBeGreaterThan(0)
    await vi.waitFor(() => expect(isAlive(Number(stdout))).toBe(false), { timeout: 5_000 })
  }
})
