import { randomBytes } from 'node:crypto'
import { Sign1 } from '@auth0/cose'
import { createSoftwareSigner } from '@machinefi/device'
import { signSign1, verifySign1 } from '@machinefi/telemetry/cose'
import { type Benchmark, speedup } from './Benchmark.js'
import { compare } from './cpu.js'

const messages = 500

/** Verifies COSE_Sign1 messages with keys that are at hand. */
export const cose: Benchmark = {
  name: 'cose',
  async run() {
    const signer = createSoftwareSigner()
    const { publicKey } = signer
    const key = await crypto.subtle.importKey(
      'raw',
      Uint8Array.of(4, ...publicKey),
      { name: 'ECDSA', namedCurve: 'P-256' },
      true,
      ['verify'],
    )
    const signed = await Promise.all(
      Array.from({ length: messages }, () => signSign1({ payload: randomBytes(100), signer })),
    )
    const micros = await compare({
      auth0: async () => {
        for (const bytes of signed) await Sign1.decode(bytes).verify(key)
      },
      ours: async () => {
        for (const bytes of signed)
          if (!(await verifySign1(bytes, { publicKey })).ok) throw new Error('It does not verify.')
      },
    })
    return [
      speedup({
        against: '@auth0/cose',
        baseline: micros.auth0 / messages,
        budget: 1,
        name: 'verify a COSE_Sign1 of 100 bytes',
        unit: 'µs CPU',
        value: micros.ours / messages,
      }),
    ]
  },
}
