import { publicKeyToAddress } from '@machinefi/core'
import { createSoftwareSigner } from '@machinefi/device'
import { encodeFrame, type Line, LineError } from '@machinefi/device/serial'
import { describe, expect, test, vi } from 'vitest'
import { createBoard } from '../../examples/arduino-tracker/src/createBoard.js'
import { createSecureElement } from '../../examples/arduino-tracker/src/createSecureElement.js'
import { readFirmware, startBench } from './startBench.js'

// The sketches as compiled, in a simulator, on a line to a bridge, up to the log of a node.

/** The simulator's time is not the machine's. */
const patience = { timeout: 60_000 }

/** A walker carries the board, a step every 100 ms. */
async function start({ wrap = (line: Line) => line } = {}) {
  let sent = 0
  let moment = Number.POSITIVE_INFINITY
  let act = () => {}
  const board = createBoard(readFirmware('tracker'), {
    onSend: () => {
      if (++sent === moment) act()
    },
  })
  const bench = await startBench({
    open: async () => wrap(await board.open()),
    timeMs: () => board.timeMs,
  })
  const { bridge } = bench
  let stepAt = 50
  return {
    ...bench,
    board,
    /** Acts when the board has sent so many bytes more. */
    after(bytes: number, action: () => void) {
      moment = sent + bytes
      act = action
    },
    /** Until the bridge has taken so many readings more. */
    async walk(readings: number) {
      const end = bridge.stats().readings + readings
      const until = () => {
        for (; stepAt <= board.timeMs; stepAt += 100) board.sense()
        return bridge.stats().readings >= end
      }
      expect(await board.run(100_000, { until })).toBe(true)
    },
  }
}

/** Bytes of a reading of the walker, with the zeros around it. */
const frameBytes = encodeFrame({ body: Uint8Array.of(0x82, 1, 10), number: 1, type: 2 }).length

describe('tracker', patience, () => {
  test('default', async () => {
    await using t = await start()
    await t.walk(5)
    expect(await t.readSteps()).toEqual([10, 10, 10, 10, 10])
    expect(t.bridge.stats()).toMatchObject({ damaged: 0, frames: 6, lost: 0, refused: 0 })
    expect(t.errors).toEqual([])
  })

  test('behavior: unplugged at any byte of a frame, it sends that reading again', async () => {
    await using t = await start()
    await t.walk(1)
    for (let bytes = 1; bytes <= frameBytes; bytes++) {
      t.after(bytes, t.board.unplug)
      await t.walk(1)
    }
    // One a second, and none missing.
    const steps = await t.readSteps()
    expect(steps).toEqual(Array.from({ length: 1 + frameBytes }, () => 10))
    expect(t.bridge.stats()).toMatchObject({ lost: 0, refused: 0, restarts: 0 })
    expect(t.errors.every(({ name }) => name === 'LineError')).toBe(true)
    expect(t.errors).toHaveLength(frameBytes)
  })

  test('behavior: unplugged for longer than it can keep readings, the lost ones are counted', async () => {
    await using t = await start()
    await t.walk(2)
    let plugged = false
    const { open } = t.board
    t.board.open = async () => {
      if (!plugged) throw new LineError('Nothing is there.')
      return open()
    }
    t.board.unplug()
    await t.board.run(40_000)
    plugged = true
    await vi.waitFor(() => expect(t.bridge.stats().open).toBe(true))
    await t.walk(34)
    const { lost } = t.bridge.stats()
    expect(lost).toBe(8)
  })

  test('behavior: a brown-out at any byte of a frame loses that frame, and it is counted', async () => {
    await using t = await start()
    await t.walk(1)
    let lost = 0
    for (let bytes = 1; bytes <= frameBytes; bytes++) {
      t.after(bytes, t.board.reset)
      // The hello's zero ends a frame that lacks nothing else; of a first zero alone nobody can tell.
      const torn = bytes > 1 && bytes < frameBytes - 1
      if (torn) lost++
      await t.walk(2)
      const { damaged, restarts, ...stats } = t.bridge.stats()
      expect({ bytes, damaged, lost: stats.lost, restarts }).toEqual({
        bytes,
        damaged: lost,
        lost,
        restarts: bytes,
      })
    }
    expect(await t.readSteps()).toHaveLength(t.bridge.stats().readings)
  })

  test('behavior: garbage on the line, between frames and within them', async () => {
    await using t = await start()
    await t.walk(1)
    for (let bytes = 1; bytes <= frameBytes; bytes++) {
      t.after(bytes, () => t.board.disturb(Uint8Array.of(bytes, 0x55, 0, 7)))
      await t.walk(1)
    }
    expect(await t.readSteps()).toHaveLength(1 + frameBytes)
    const { damaged, lost, restarts } = t.bridge.stats()
    expect({ lost, restarts }).toEqual({ lost: 0, restarts: 0 })
    expect(damaged).toBeGreaterThanOrEqual(frameBytes)
  })

  test('behavior: one byte in thirty spoilt, in both directions, each reading is taken once', async () => {
    let random = 1
    const spoil = (bytes: Uint8Array) =>
      bytes.map((byte) => {
        random = (Math.imul(random, 1_103_515_245) + 12_345) & 0x7fffffff
        return random >> 16 < 0x8000 / 30 ? byte ^ (1 << (random & 7)) : byte
      })
    await using t = await start({
      wrap: (line) => ({
        ...line,
        bytes: (async function* () {
          for await (const chunk of line.bytes) yield spoil(chunk)
        })(),
        write: (bytes) => line.write(spoil(bytes)),
      }),
    })
    await t.walk(30)
    expect(await t.readSteps()).toEqual(Array.from({ length: 30 }, () => 10))
    const { damaged, lost, repeated } = t.bridge.stats()
    expect(damaged).toBeGreaterThan(0)
    expect(repeated).toBeGreaterThan(0)
    expect(lost).toBe(0)
  })
})

describe('signing-tracker', patience, () => {
  test('behavior: unplugged in mid-frame, and with its supply gone, no seq is used twice', async () => {
    const signer = createSoftwareSigner()
    let toUnplug = Number.POSITIVE_INFINITY
    const board = createBoard(readFirmware('signing-tracker'), {
      connectI2c: createSecureElement(signer.privateKey),
      eeprom: new Uint8Array(4096),
      model: 'mega',
      onSend: () => {
        if (--toUnplug === 0) board.unplug()
      },
    })
    await using t = await startBench({
      open: board.open,
      signer,
      signs: true,
      timeMs: () => board.timeMs,
    })
    board.eeprom.set(t.node.id)
    board.eeprom.set(publicKeyToAddress(signer.publicKey), 32)
    board.reset()
    const walk = async (batches: number) => {
      const until = () => t.bridge.stats().batches >= batches
      for (let i = 0; i < 1000 && !until(); i++) {
        board.sense()
        await board.run(100, { until })
      }
      expect(t.bridge.stats()).toMatchObject({ batches, lost: 0, refused: 0 })
    }
    await walk(1)
    expect(await t.readSteps()).toEqual(Array.from({ length: 10 }, () => 10))
    expect(t.errors).toEqual([])

    toUnplug = 100
    await walk(2)
    expect(t.errors.map(({ name }) => name)).toEqual(['LineError'])
    // Its head; its tail as well, where the cable was back before the end.
    expect(t.bridge.stats().damaged).toBeGreaterThanOrEqual(1)
    expect(await t.readSteps()).toHaveLength(20)
    expect(await t.readPlace()).toMatchObject({ gaps: [], nextSeq: 2 })

    board.reset()
    await walk(3)
    // What was left of its reservation is a gap.
    expect(await t.readPlace()).toMatchObject({ nextSeq: 257 })
    expect(await t.readSteps()).toHaveLength(30)
  })
})
