import { PassThrough } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import type { Line } from '@machinefi/device/serial'
import {
  AVREEPROM,
  AVRIOPort,
  AVRTimer,
  AVRTWI,
  AVRUSART,
  avrInstruction,
  CPU,
  EEPROMMemoryBackend,
  INT0,
  portDConfig,
  portEConfig,
  type TWIEventHandler,
  timer0Config,
  twiConfig,
  usart0Config,
} from 'avr8js'

/**
 * An Arduino in a simulator: a chip at 16 MHz that runs the program of an Intel HEX file, with its
 * serial port, a sensor at pin 2, and what is wired to its I²C pins. Its time is its own.
 */
export function createBoard(hex: string, options: createBoard.Options = {}): Board {
  const { model = 'uno', eeprom = new Uint8Array(1024).fill(0xff), connectI2c, onSend } = options
  const { flashBytes, interrupts, port, ramBytes, sensorBit, timer, usart } = models[model]
  const program = new Uint8Array(flashBytes)
  loadHex(hex, program)
  const memory = new EEPROMMemoryBackend(eeprom.length)
  memory.memory.set(eeprom)
  let started = 0
  let chip = start()
  let wire: PassThrough | undefined
  let input: number[] = []
  /** Cycles in which the chip did not sleep, and the deepest its stack went. */
  let busyCycles = 0
  let stackBytes = 0

  function start() {
    const cpu = new CPU(new Uint16Array(program.buffer), ramBytes)
    const serial = new AVRUSART(cpu, { ...usart0Config, ...usart }, clockHz)
    serial.onByteTransmit = (byte) => {
      wire?.write(Uint8Array.of(byte))
      onSend?.()
    }
    const pins = new AVRIOPort(cpu, { ...port, externalInterrupts: [...interrupts] })
    pins.setPin(sensorBit, true)
    const twi = new AVRTWI(cpu, twiConfig, clockHz)
    const handler = connectI2c?.(twi)
    if (handler !== undefined) twi.eventHandler = handler
    const timer0 = new AVRTimer(cpu, { ...timer0Config, ...timer })
    return { cpu, pins, serial, memory: new AVREEPROM(cpu, memory), timer0 }
  }

  /** Runs one instruction; asleep, to the next event of a timer or a port. */
  function step() {
    const { cpu, serial } = chip
    if (input.length > 0 && !serial.rxBusy && serial.writeByte(input[0]!)) input.shift()
    const { cycles } = cpu
    const isSleep = cpu.progMem[cpu.pc] === sleepInstruction
    avrInstruction(cpu)
    const { pc } = cpu
    // biome-ignore lint/complexity/useLiteralKeys: it is private there.
    if (isSleep) cpu.cycles = Math.max(cpu.cycles, cpu['nextClockEvent']?.cycles ?? 0)
    cpu.tick()
    if (!isSleep) busyCycles += cpu.cycles - cycles
    // No interrupt came: it sleeps on.
    else if (cpu.pc === pc) cpu.pc--
    stackBytes = Math.max(stackBytes, cpu.data.length - 1 - cpu.SP)
  }

  const board: Board = {
    get timeMs() {
      return started + Math.floor((1000 * chip.cpu.cycles) / clockHz)
    },
    get usage() {
      return { busyCycles, stackBytes }
    },
    eeprom: memory.memory,
    async run(ms, { until } = {}) {
      const end = board.timeMs + ms
      for (let now = board.timeMs; now < end; ) {
        while (board.timeMs === now) step()
        now = board.timeMs
        // Whoever listens answers between two milliseconds.
        await turn()
        if (until?.()) return true
      }
      return until === undefined
    },
    sense() {
      chip.pins.setPin(sensorBit, false)
      chip.pins.setPin(sensorBit, true)
    },
    async open() {
      wire?.end()
      const mine = new PassThrough()
      wire = mine
      return {
        bytes: mine,
        async write(bytes) {
          if (wire === mine) input.push(...bytes)
        },
        async close() {
          mine.end()
          if (wire === mine) wire = undefined
        },
      }
    },
    unplug() {
      wire?.end()
      wire = undefined
    },
    disturb(bytes) {
      wire?.write(bytes)
    },
    reset() {
      started = board.timeMs
      input = []
      chip = start()
    },
  }
  return board
}

export declare namespace createBoard {
  type Options = {
    /** @default 'uno' */
    model?: keyof typeof models
    /** What its EEPROM holds. @default 1 KiB of ff, as it leaves the factory */
    eeprom?: Uint8Array
    /** It put a byte on its serial port. */
    onSend?: () => void
    /** What answers on the I²C bus. */
    connectI2c?: (twi: AVRTWI) => TWIEventHandler
  }
}

export type Board = {
  /** Since it was made, resets included. */
  readonly timeMs: number
  /** Cycles that the chip was awake, and the most bytes of its stack. */
  readonly usage: { busyCycles: number; stackBytes: number }
  readonly eeprom: Uint8Array
  /** Runs for so many of its milliseconds, or until `until`, which is asked each of them. */
  run(ms: number, options?: { until?: () => boolean }): Promise<boolean>
  /** A falling edge at the sensor's pin: a step. */
  sense(): void
  /** Opens the other end of its serial port. One at a time: whoever had it before loses it. */
  open(): Promise<Line>
  /** Pulls the cable out. The board goes on. */
  unplug(): void
  /** Puts bytes on the line that the board never sent. */
  disturb(bytes: Uint8Array): void
  /** The supply broke down and came back: memory is lost, except for the EEPROM. */
  reset(): void
}

/** Writes the data records (type 00) of an Intel HEX file; 02 and 04 move their addresses. */
function loadHex(hex: string, program: Uint8Array) {
  let base = 0
  for (const line of hex.split('\n')) {
    const bytes = Buffer.from(line.trim().slice(1), 'hex')
    const [length = 0, high = 0, low = 0, type] = bytes
    const data = bytes.subarray(4, 4 + length)
    if (type === 0) program.set(data, base + (high << 8) + low)
    else if (type === 2) base = data.readUInt16BE() << 4
    else if (type === 4) base = data.readUInt16BE() * 0x10000
  }
}

const clockHz = 16_000_000
const sleepInstruction = 0x9588

const models = {
  /** ATmega328P. */
  uno: {
    flashBytes: 0x8000,
    interrupts: [null, null, INT0],
    port: portDConfig,
    ramBytes: 2048,
    sensorBit: 2,
    timer: {},
    usart: {},
  },
  /** ATmega2560: the same ports, other interrupt vectors; pin 2 is E4. */
  mega: {
    flashBytes: 0x40000,
    interrupts: [
      ...[null, null, null, null],
      { ...INT0, EICR: 0x6a, index: 4, interrupt: 10, iscOffset: 0 },
    ],
    port: portEConfig,
    ramBytes: 8192 + 0x100,
    sensorBit: 4,
    timer: { compAInterrupt: 0x2a, compBInterrupt: 0x2c, ovfInterrupt: 0x2e },
    usart: {
      dataRegisterEmptyInterrupt: 0x34,
      rxCompleteInterrupt: 0x32,
      txCompleteInterrupt: 0x36,
    },
  },
} as const
