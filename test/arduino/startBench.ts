import { readFileSync } from 'node:fs'
import { formatDid, publicKeyToAddress, type Signer } from '@machinefi/core'
import { createDevice, http } from '@machinefi/device'
import { createBridge, type Line } from '@machinefi/device/serial'
import { walker } from '../../packages/stream/test/createFakeChain.js'
import { createTestNode } from '../../packages/stream/test/createTestNode.js'

/** The committed program of a sketch. */
export function readFirmware(sketch: string): string {
  const url = new URL(`../../examples/arduino-tracker/firmware/${sketch}.hex`, import.meta.url)
  return readFileSync(url, 'utf8')
}

/**
 * A bridge, the device it signs for, and a node that listens, all on one clock: readings that come
 * over the line end in the node's log.
 *
 * @param options.open of the line to the board.
 * @param options.timeMs of the clock, from 0 on.
 * @param options.signs whether the board does; its key is `signer` then.
 */
export async function startBench(options: startBench.Options) {
  const { open, signs = false, timeMs } = options
  const test = await createTestNode({ devices: 1 })
  const signer = options.signer ?? test.signers[0]!
  if (options.signer !== undefined) {
    test.chain.join(signer)
    await test.node.refresh()
  }
  const began = test.now
  const clock = () => began + timeMs()
  Object.defineProperty(test, 'now', { get: clock })
  const url = await test.node.listen({ port: 0 })
  const transport = http(url, { logKey: test.logSigner.publicKey })
  const network = { id: test.id, windowMs: 86_400_000 }
  const device = createDevice({
    clock,
    maxAgeMs: Number.POSITIVE_INFINITY,
    network,
    nextSeq: 0,
    schema: walker,
    signer,
    transport,
  })
  const errors: Error[] = []
  const bridge = createBridge({
    clock,
    device: signs ? undefined : device,
    onError: (error) => errors.push(error),
    open,
    relay: { network: test.id, transport },
    retry: { maxMs: 20, minMs: 1 },
    schema: walker,
  })
  const did = formatDid(publicKeyToAddress(signer.publicKey))
  return {
    bridge,
    clock,
    errors,
    node: test,
    /** Steps in the node's log, reading by reading, after everything was delivered. */
    async readSteps(): Promise<number[]> {
      if (!signs) await device.flush()
      const path = `${url}/networks/${test.chain.network.id}/devices/${did}/records`
      const { records } = await (await fetch(path)).json()
      return records.map(({ steps }: { steps: number }) => steps)
    },
    /** Seqs that the node has not seen, and the one it expects. */
    async readPlace(): Promise<{ gaps: unknown[]; nextSeq: number }> {
      return (await fetch(`${url}/networks/${test.chain.network.id}/devices/${did}`)).json()
    },
    async [Symbol.asyncDispose]() {
      await bridge.close()
      await device.close()
      await test[Symbol.asyncDispose]()
    },
  }
}

export declare namespace startBench {
  type Options = {
    open: () => Promise<Line>
    signer?: Signer
    signs?: boolean
    timeMs: () => number
  }
}
