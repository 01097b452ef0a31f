import { equalBytes, toHex, verifySignature } from '@machinefi/core'
import { createLog, encodeReceipt, signCheckpoint } from '@machinefi/proof'
import { batchId, decodeBatch, type SignedBatch, sigStructure } from '@machinefi/telemetry'
import { createSoftwareSigner, type Transport } from '../src/index.js'

/** A node's log and log key, in memory: verifies, refuses duplicates of a seq, signs receipts. */
export function createTestNode(options: {
  network: Uint8Array
  clock?: () => number
  operator?: Uint8Array
}) {
  const { network, clock = Date.now, operator = new Uint8Array(20).fill(7) } = options
  let signer = createSoftwareSigner()
  const log = createLog()
  const known = new Map<string, { index: number; batch: SignedBatch }>()
  const batches: SignedBatch[] = []

  return {
    batches,
    /** What it says of final windows; of itself nothing. */
    finalBefore: undefined as unknown,
    known,
    get logKey() {
      return signer.publicKey
    },
    operator,
    /** From now on receipts are by this key. */
    rotate(next: typeof signer) {
      signer = next
    },
    get signer() {
      return signer
    },
    nextSeq: () => Math.max(-1, ...batches.map(({ header }) => header.seq)) + 1,
    /** The receipt of a batch, which is new or the same as before. */
    async receive(
      bytes: Uint8Array,
      publicKey?: Uint8Array,
      change: { network?: Uint8Array; time?: number; signer?: typeof signer } = {},
    ): Promise<Uint8Array> {
      const batch = decodeBatch(bytes)
      const id = batchId(batch, network)
      if (publicKey !== undefined) {
        const { algorithm, signature } = batch
        const message = sigStructure(batch, network)
        if (!(await verifySignature({ algorithm, message, publicKey, signature })))
          throw new Error('signature')
      }
      const key = `${toHex(batch.device)}/${batch.header.seq}`
      let entry = known.get(key)
      if (entry !== undefined && !equalBytes(batchId(entry.batch, network), id))
        throw new Error('equivocation')
      if (entry === undefined) {
        entry = { index: log.append(id), batch }
        known.set(key, entry)
        batches.push(batch)
      }
      const checkpoint = await signCheckpoint({
        network,
        operator,
        root: log.root(),
        shard: 0,
        signer: change.signer ?? signer,
        size: log.size,
        time: Math.floor((change.time ?? clock()) / 1000) * 1000,
        ...(change.network === undefined ? {} : { network: change.network }),
      })
      return encodeReceipt({
        checkpoint,
        index: entry.index,
        proof: log.inclusionProof(entry.index),
      })
    },
  }
}

export type TestNode = ReturnType<typeof createTestNode>

/** A transport without a wire, for everything that is not about wires. */
export function toTransport(node: TestNode, options: { maxBatches?: number } = {}): Transport {
  return {
    maxBatches: options.maxBatches ?? 10,
    async send(batches) {
      const deliveries: Transport.Delivery[] = []
      for (const { bytes } of batches) {
        const receipt = await node.receive(bytes)
        deliveries.push({ status: 'delivered', receipt, index: node.batches.length - 1 })
      }
      return deliveries
    },
    readDevice: async () => ({ nextSeq: node.nextSeq(), finalBefore: node.finalBefore }),
  }
}
