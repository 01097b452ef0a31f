import { createPrivateKey, createPublicKey, randomBytes, sign, verify } from 'node:crypto'
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { createSoftwareSigner } from '@machinefi/device'
import { type Benchmark, limitRatio } from './Benchmark.js'
import { nextMessage, startProcess } from './build.js'
import { cpuMicros, median } from './cpu.js'
import { recorded } from './readings.js'

/** What the replaying process tells at its end; `cpu` is all of its life, µs. */
export type Replayed = {
  batches: number
  cpu: number
  minted: number
  readings: number
  totalSupply: number
}

/**
 * The whole path, from a file of readings to tokens in wallets, in one process
 * beside the chain. Meanwhile this one signs and verifies a little twice a
 * second, so that both have the same machine.
 */
export const replay: Benchmark = {
  name: 'replay',
  async run() {
    const child = startProcess(
      'replay',
      // Without the recorded file: 21 simulated walkers, for as many days.
      existsSync(recorded) ? ['--csv', recorded] : ['--devices', '21', '--days', '29'],
    )
    const stopped = new AbortController()
    const comparing = compare(stopped.signal)
    try {
      const { batches, cpu, minted, readings, totalSupply } = await nextMessage<Replayed>(child)
      if (minted !== totalSupply) throw new Error(`${minted} minted, ${totalSupply} in supply.`)
      stopped.abort()
      const bare = (await comparing) * batches
      return [
        limitRatio({
          against: `signing and verifying its ${batches.toLocaleString('en-US')} batches alone`,
          baseline: bare / 1e6,
          budget: 5,
          name: `replay of ${readings.toLocaleString('en-US')} readings to redeemed tokens`,
          unit: 's CPU',
          value: cpu / 1e6,
        }),
      ]
    } finally {
      stopped.abort()
      child.kill()
      await comparing
    }
  },
}

/** CPU of signing and verifying one batch, µs. */
async function compare(signal: AbortSignal): Promise<number> {
  const { privateKey, publicKey } = createSoftwareSigner()
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url')
  const jwk = {
    crv: 'P-256',
    kty: 'EC',
    x: text(publicKey.subarray(0, 32)),
    y: text(publicKey.subarray(32)),
  }
  const secret = createPrivateKey({ format: 'jwk', key: { ...jwk, d: text(privateKey) } })
  const open = createPublicKey({ format: 'jwk', key: jwk })
  const times: number[] = []
  while (!signal.aborted) {
    const message = randomBytes(160)
    const before = cpuMicros()
    for (let i = 0; i < 100; i++)
      if (!verify('sha256', message, open, sign('sha256', message, secret)))
        throw new Error('It does not verify.')
    times.push((cpuMicros() - before) / 100)
    await sleep(500, undefined, { signal }).catch(() => {})
  }
  return median(times)
}
