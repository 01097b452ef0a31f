import { startNode } from '../../packages/stream/src/createNode.js'
import {
  createFakeChain,
  createSigner,
  walker,
} from '../../packages/stream/test/createFakeChain.js'

// A node in a process of its own, to be killed: its members are the devices with the private keys
// 1 … n, its clock starts where it is told. Prints where it is, then serves until it dies.

const [dataDir, devices, startTime] = process.argv.slice(2) as [string, string, string]
const chain = createFakeChain({ genesis: `0x${'01'.repeat(32)}`, serial: 1 })
for (let key = 1; key <= Number(devices); key++) chain.join(createSigner(key))
const node = await startNode({
  chains: [chain],
  clock: () => Number(startTime) + performance.now(),
  dataDir,
  limits: { commitDelayMs: 2, maxCommit: 64 },
  logSigner: createSigner(100),
  networks: [{ ...chain.network, schemas: [walker] }],
  onError: (error) => {
    console.error(error)
    process.exit(1)
  },
})
const url = await node.listen({ port: 0 })
process.stdout.write(`${JSON.stringify({ network: chain.network.id, url })}\n`)
