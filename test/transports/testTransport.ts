import { toHex } from '@machinefi/core'
import {
  createDevice,
  createSoftwareSigner,
  type QueuedBatch,
  type Transport,
} from '@machinefi/device'
import { batchId, type SignedBatch } from '@machinefi/telemetry'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { walker } from '../../packages/stream/test/createFakeChain.js'
import {
  createTestNode,
  dayMs,
  minuteMs,
  type TestNode,
} from '../../packages/stream/test/createTestNode.js'

/** A way from a device to a node, and what must be started for it. */
export type Stand = {
  /** Makes the node reachable: at its start, and again after it was closed. */
  listen(t: TestNode): Promise<void>
  connect(options: {
    logKey: Uint8Array | readonly Uint8Array[]
    operator: Uint8Array
    timeoutMs: number
  }): Transport & { close?(): Promise<void> }
  close?(): Promise<void>
}

/**
 * What every transport must do, against a real node: delivered is what has a
 * verified receipt, whatever the wire acknowledged.
 */
export function testTransport(name: string, open: () => Promise<Stand>) {
  describe(name, () => {
    let stand: Stand
    let t: TestNode
    let transport: ReturnType<Stand['connect']>
    /** Every test has a device of its own. */
    let used = 0
    const opened: (typeof transport)[] = []

    const connect = (change: Partial<Parameters<Stand['connect']>[0]> = {}) => {
      const made = stand.connect({
        logKey: t.logSigner.publicKey,
        operator: new Uint8Array(Buffer.from(t.chain.operator.slice(2), 'hex')),
        timeoutMs: 10_000,
        ...change,
      })
      opened.push(made)
      return made
    }
    const context = (signal = new AbortController().signal): Transport.Context => ({
      clock: () => t.now,
      network: t.id,
      signal,
    })
    const queue = (batch: SignedBatch): QueuedBatch => ({
      bytes: batch.bytes,
      end: batch.header.start + batch.header.span,
      id: batchId(batch, t.id),
      seq: batch.header.seq,
    })
    const sign = async (device: number, seqs: readonly number[], steps?: readonly number[]) =>
      Promise.all(
        seqs.map(async (seq) =>
          queue(
            await t.sign({
              device,
              seq,
              start: t.now - dayMs + seq * 10 * minuteMs,
              ...(steps && { steps }),
            }),
          ),
        ),
      )
    beforeAll(async () => {
      stand = await open()
      t = await createTestNode({ devices: 12 })
      await stand.listen(t)
      transport = connect()
    }, 60_000)

    afterAll(async () => {
      for (const each of opened) await each.close?.()
      await t?.[Symbol.asyncDispose]()
      await stand?.close?.()
    }, 60_000)

    test('default', async () => {
      const [batch] = await sign(used++, [0])
      const [delivery] = await transport.send([batch!], context())
      expect(delivery).toMatchObject({ status: 'delivered' })
      const [outcome] = await t.ingest(batch!)
      expect(outcome).toMatchObject({
        ok: true,
        duplicate: true,
        index: (delivery as { index: number }).index,
      })
    })

    test('behavior: many batches, each with its own receipt', async () => {
      const batches = await sign(
        used++,
        Array.from({ length: transport.maxBatches }, (_, seq) => seq),
      )
      const deliveries = await transport.send(batches, context())
      expect(deliveries.map(({ status }) => status)).toEqual(batches.map(() => 'delivered'))
      const indices = deliveries.map((delivery) => 'index' in delivery && delivery.index)
      const outcomes = await t.ingest(...batches)
      expect(outcomes.map((outcome) => outcome.ok && outcome.index)).toEqual(indices)
    })

    test('behavior: a duplicate is delivered by its first receipt', async () => {
      const batches = await sign(used++, [0, 1])
      const first = await transport.send(batches, context())
      const second = await transport.send(batches, context())
      expect(second.map((delivery) => 'index' in delivery && delivery.index)).toEqual(
        first.map((delivery) => 'index' in delivery && delivery.index),
      )
      expect(second.map(({ status }) => status)).toEqual(['delivered', 'delivered'])
    })

    test('behavior: a batch as long as batches may be', async () => {
      const steps = Array.from({ length: 340 }, () => 2 ** 40 + 1)
      const [batch] = await sign(used++, [0], steps)
      expect(batch!.bytes.length).toBeGreaterThan(4000)
      expect(await transport.send([batch!], context())).toMatchObject([{ status: 'delivered' }])
    })

    test('behavior: a refusal is of the batch it is about', async () => {
      const [good, bad] = await sign(used++, [0, 1])
      const spoilt = { ...bad!, bytes: bad!.bytes.slice() }
      // In the signature, which lies before the records.
      spoilt.bytes[150]! ^= 1
      const future = queue(await t.sign({ device: used - 1, seq: 2, start: t.now + dayMs }))
      const deliveries = await transport.send([good!, spoilt, future], context())
      expect(deliveries).toMatchObject([
        { status: 'delivered' },
        { final: true, status: 'refused' },
        {
          final: false,
          problem: { status: 422, type: 'https://machinefi.dev/problems/future' },
          status: 'refused',
        },
      ])
    })

    test('behavior: a device that is no member yet may become one', async () => {
      const stranger = createSoftwareSigner()
      const batch = queue(await t.sign({ signer: stranger, start: t.now - dayMs }))
      expect(await transport.send([batch], context())).toMatchObject([
        { error: { kind: 'transport' }, status: 'failed' },
      ])
    })

    test('error: a receipt of another key, or of another operator', async () => {
      const batches = await sign(used++, [0])
      const forged = connect({ logKey: createSoftwareSigner().publicKey })
      expect(await forged.send(batches, context())).toMatchObject([
        { error: { kind: 'integrity', name: 'ReceiptError' }, status: 'failed' },
      ])
      const other = connect({ operator: new Uint8Array(20).fill(9) })
      expect(await other.send(batches, context())).toMatchObject([
        { error: { reason: 'operator' }, status: 'failed' },
      ])
    })

    test('behavior: the next seq, and which windows are final', async () => {
      const device = used++
      const address = (await t.sign({ device })).device
      const ask = async () =>
        (await transport.readDevice!({ device: address, network: t.id })).nextSeq
      expect(await ask()).toBe(0)
      await t.node.settle()
      const finalBefore = t.chain.network.firstWindow * dayMs
      expect(await transport.readDevice!({ device: address, network: t.id })).toMatchObject({
        finalBefore,
      })
      await t.ingest(await t.sign({ device, seq: 6 }))
      expect(await ask()).toBe(7)
      const stranger = new Uint8Array(20).fill(3)
      await expect(
        transport.readDevice!({ device: stranger, network: t.id }),
      ).rejects.toMatchObject({ kind: 'transport' })
    })

    test('behavior: the node goes away and comes back', async () => {
      const impatient = connect({ timeoutMs: 500 })
      const errors: Error[] = []
      const device = createDevice({
        clock: () => t.now,
        maxRows: 5,
        network: { id: t.id, windowMs: dayMs },
        onError: (error) => errors.push(error),
        retry: { maxMs: 100, minMs: 10 },
        schema: walker,
        signer: t.signers[used++]!,
        transport: impatient,
      })
      for (let i = 0; i < 10; i++)
        await device.record({ steps: i }, { time: t.now - dayMs + i * minuteMs })
      await device.flush()
      const ask = () => transport.readDevice!({ device: device.address, network: t.id })
      const before = (await ask()).nextSeq
      await t.node.close()
      for (let i = 10; i < 100; i++)
        await device.record({ steps: i }, { time: t.now - dayMs + i * minuteMs })
      const flushed = device.flush()
      while (errors.length === 0) await new Promise((resolve) => setTimeout(resolve, 10))
      expect(errors[0]).toMatchObject({ kind: 'transport' })
      t.node = await t.open()
      await stand.listen(t)
      await flushed
      const after = (await ask()).nextSeq
      expect(after - before).toBe(18)
      const url = `${t.node.url}/networks/${toHex(t.id)}/devices/${device.did}`
      expect(await (await fetch(url)).json()).toMatchObject({ batches: after - before + 2 })
      await device.close()
    })

    test('behavior: the operator changes its log key', async () => {
      const [before, after] = [t.logSigner, createSoftwareSigner()]
      const [first, second, third] = await sign(used++, [0, 1, 2])
      const ready = connect({ logKey: [before.publicKey, after.publicKey] })
      expect(await ready.send([first!], context())).toMatchObject([{ status: 'delivered' }])
      // In the log, but the device never saw the receipt.
      expect(await t.ingest(second!)).toMatchObject([{ ok: true }])
      await t.rotate(after)
      await stand.listen(t)
      const batches = [first!, second!, third!]
      // Who knows the old key alone keeps its batches, who knows the new one alone gets them all through.
      const send = async (by: typeof transport) => {
        for (;;)
          try {
            return await by.send(batches, context())
          } catch (error) {
            // The connection may be on its way back.
            if ((error as { kind?: string }).kind !== 'transport') throw error
          }
      }
      const failed = { error: { kind: 'integrity', reason: 'key' }, status: 'failed' }
      expect(await send(transport)).toMatchObject([failed, failed, failed])
      const delivered = [0, 1, 2].map(() => ({ status: 'delivered' }))
      expect(await send(ready)).toMatchObject(delivered)
      transport = connect()
      expect(await send(transport)).toMatchObject(delivered)
    })

    test('behavior: aborted at once, though nobody answers', async () => {
      const [batch] = await sign(used++, [0])
      const controller = new AbortController()
      await t.node.close()
      const sent = transport.send([batch!], context(controller.signal))
      controller.abort(new Error('no longer wanted'))
      await expect(sent).rejects.toThrow('no longer wanted')
      const again = transport.send([batch!], context(controller.signal))
      await expect(again).rejects.toThrow('no longer wanted')
      t.node = await t.open()
      await stand.listen(t)
      const delivered = async () => {
        const [delivery] = await transport.send([batch!], context()).catch(() => [])
        return delivery?.status === 'delivered'
      }
      while (!(await delivered())) await new Promise((resolve) => setTimeout(resolve, 50))
    })
  })
}
