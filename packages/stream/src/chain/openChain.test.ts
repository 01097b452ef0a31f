import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ChainUnavailableError, type Network } from '@machinefi/contracts'
import { createClient, http, zeroAddress, zeroHash } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { afterEach, expect, test } from 'vitest'
import { openChain } from './openChain.js'

const servers: Server[] = []

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

const network: Network = {
  id: zeroHash,
  chainId: 1,
  factory: zeroAddress,
  serial: 0n,
  registry: zeroAddress,
  settlement: zeroAddress,
  membership: zeroAddress,
  token: zeroAddress,
  disputes: zeroAddress,
  isPrivate: false,
  windowSeconds: 86_400,
  firstWindow: 1,
}
const metrics = {
  average: zeroAddress,
  count: zeroAddress,
  coverage: zeroAddress,
  distance: zeroAddress,
  sum: zeroAddress,
}

/** A chain behind an endpoint with a key in its URL, which answers with `status`, or never. */
async function open(status: number | undefined, options: { timeoutMs?: number } = {}) {
  const server = createServer((_, response) => {
    if (status !== undefined) response.writeHead(status).end('no')
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const client = createClient({
    account: privateKeyToAccount(`0x${'11'.repeat(32)}`),
    transport: http(`http://127.0.0.1:${port}/v2/api-key`, { retryCount: 0 }),
  })
  return openChain(client, { deployment: { metrics, policy: zeroAddress }, network, ...options })
}

test('error: the endpoint refuses, and its URL stays untold', async () => {
  const chain = await open(503)
  for (const call of [
    () => chain.genesisHash(),
    () => chain.operatorState(),
    () => chain.head(),
    () => chain.members(0, 1),
    () => chain.memberCount(),
    () => chain.config(1),
    () => chain.nextWindow(),
    () => chain.nextFinalWindow(),
    () => chain.latest(1),
    () => chain.epoch(1),
    () => chain.funds(),
    () => chain.unmined(),
  ]) {
    const error = await call().catch((error: unknown) => error)
    expect(error).toBeInstanceOf(ChainUnavailableError)
    expect(error).toMatchObject({ kind: 'transport' })
    expect((error as Error).message).not.toContain('api-key')
  }
})

test('options: timeoutMs', async () => {
  const chain = await open(undefined, { timeoutMs: 50 })
  await expect(chain.head()).rejects.toThrow('head: the chain did not answer.')
  await expect(chain.nextWindow()).rejects.toMatchObject({ kind: 'transport' })
})
