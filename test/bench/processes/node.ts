import { createPublicKey, sign, verify } from 'node:crypto'
import { createSoftwareSigner } from '@machinefi/device'
import { startNode } from '../../../packages/stream/src/createNode.js'
import {
  createFakeChain,
  createSigner,
  walker,
} from '../../../packages/stream/test/createFakeChain.js'
import { cpuMicros } from '../cpu.js'
import { deviceKey, type NodeMark, type NodeReady } from '../ingest.js'

// The node under load, in a process of its own. Only its chain is in memory: it has no part in
// taking batches in. Amid the load it does bare verifications, for comparison.

const [dataDir, devices] = process.argv.slice(2) as [string, string]
const dayMs = 86_400_000
const sliceLength = 16
const sliceEveryMs = 20
const chain = createFakeChain({ firstWindow: 20_000, serial: 1 })
const signers = Array.from({ length: Number(devices) }, (_, i) =>
  createSoftwareSigner({ privateKey: deviceKey(i) }),
)
for (const signer of signers) chain.join(signer)
const startTime = 20_001 * dayMs
const node = await startNode({
  chains: [chain],
  clock: () => startTime + 5 * dayMs + performance.now(),
  dataDir,
  logSigner: createSigner(100),
  networks: [{ ...chain.network, schemas: [walker] }],
  onError: (error) => {
    console.error(error)
    process.exit(1)
  },
})

const message = new Uint8Array(160).fill(7)
const signed = signers.map(({ privateKey, publicKey }) => {
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url')
  const jwk = {
    crv: 'P-256',
    kty: 'EC',
    x: text(publicKey.subarray(0, 32)),
    y: text(publicKey.subarray(32)),
  }
  const secret = { ...jwk, d: text(privateKey) }
  return {
    key: createPublicKey({ format: 'jwk', key: jwk }),
    signature: sign('sha256', message, { format: 'jwk', key: secret }),
  }
})

let next = 0
let compared = 0
let slices: number[] = []

/** A few bare verifications amid the load: with the same caches, clock and neighbours. */
function compare() {
  const before = cpuMicros()
  for (let i = 0; i < sliceLength; i++) {
    const { key, signature } = signed[next++ % signed.length]!
    if (!verify('sha256', message, key, signature)) throw new Error('It does not verify.')
  }
  const micros = cpuMicros() - before
  compared += micros
  slices.push(micros / sliceLength)
}

let timer: NodeJS.Timeout | undefined
process.on('message', () => {
  clearInterval(timer)
  const { size } = (node.health().networks as { size: number }[])[0]!
  const mark: NodeMark = { accepted: size, cpu: cpuMicros() - compared, slices }
  slices = []
  timer = setInterval(compare, sliceEveryMs)
  process.send!(mark)
})
process.on('disconnect', () => process.exit())
const ready: NodeReady = {
  network: chain.network.id,
  startTime,
  url: await node.listen({ coapPort: 0, mqttPort: 0, port: 0 }),
  urls: node.urls,
}
process.send!(ready)
