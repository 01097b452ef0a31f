import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createSoftwareSigner } from '@machinefi/device'
import { encodeFrame } from '@machinefi/device/serial'
import { defineSchema, encodeRows, signBatch } from '@machinefi/telemetry'
import { avrInstruction, CPU } from 'avr8js'
import { describe, expect, test } from 'vitest'
import { readFirmware } from './startBench.js'

// The sketches as they are compiled, and what docs/guides/small-boards.md says in numbers.

const page = readFileSync(new URL('../../docs/guides/small-boards.md', import.meta.url), 'utf8')

/** The sketches, compiled anew; or why they cannot be. */
const script = fileURLToPath(new URL('../../examples/arduino-tracker/build.mjs', import.meta.url))
const build = spawnSync(process.execPath, [script, '--print'], { encoding: 'utf8' })
const missing = build.status === 0 ? '' : `: ${build.stderr.trim()}`
const sketches: [string, { flash: number; hex: string; ram: number }][] = Object.entries(
  JSON.parse(build.stdout || '{}'),
)

/** The numbers of a row of the page's tables, by the row's first cell. */
function readRow(name: string): number[] {
  const row = page.split('\n').find((line) => line.startsWith(`| ${name} |`))
  return [...(row ?? '').slice(name.length + 4).matchAll(/\d[\d,]*/g)].map(([digits]) =>
    Number(digits.replaceAll(',', '')),
  )
}

type Cost = { cycles: number; stack: number }

/** Runs measure.c; what each of its cases cost, and the sizes it names. */
function measure(): { constants: number; costs: Cost[]; sizes: number[] } {
  const folder = mkdtempSync(join(tmpdir(), 'machinefi-measure-'))
  try {
    const [elf, bin] = [join(folder, 'elf'), join(folder, 'bin')]
    const source = fileURLToPath(new URL('measure.c', import.meta.url))
    const flags = ['-mmcu=atmega328p', '-std=gnu99', '-Os', '-Wall', '-Wextra', '-Werror']
    execFileSync('avr-gcc', [...flags, '-o', elf, source])
    execFileSync('avr-objcopy', ['-O', 'binary', '-j', '.text', '-j', '.data', elf, bin])
    const symbols = execFileSync('avr-nm', ['-S', elf], { encoding: 'utf8' })
    const constants = [
      ...symbols.matchAll(
        / (\w{8}) d (?:context|external|head|null|signature|unprotected|version)\.\d+$/gm,
      ),
    ].reduce((sum, [, size]) => sum + Number.parseInt(size!, 16), 0)
    const flash = new Uint8Array(0x8000)
    flash.set(readFileSync(bin))
    const cpu = new CPU(new Uint16Array(flash.buffer), 2048)
    const costs: Cost[] = []
    const sizes: number[] = []
    let running = true
    let began = { cycles: 0, mark: 0, sp: 0 }
    let deepest = 0
    cpu.writeHooks[gpior0] = (mark) => {
      if (mark === 0xff) running = false
      else if (mark > 0) {
        began = { cycles: cpu.cycles, mark, sp: cpu.SP }
        deepest = cpu.SP
      } else if (began.mark > 0) {
        costs[began.mark] = { cycles: cpu.cycles - began.cycles, stack: began.sp - deepest }
        began.mark = 0
      }
    }
    cpu.writeHooks[gpior1] = (size) => {
      sizes.push(size)
    }
    while (running) {
      avrInstruction(cpu)
      deepest = Math.min(deepest, cpu.SP)
    }
    return { constants, costs, sizes: [0, 2, 4, 6].map((i) => sizes[i]! + 256 * sizes[i + 1]!) }
  } finally {
    rmSync(folder, { force: true, recursive: true })
  }
}

const gpior0 = 0x3e
const gpior1 = 0x4a

describe.skipIf(missing)(`on an ATmega328P${missing}`, () => {
  test('behavior: RAM, below 1 KB beside the crypto', () => {
    const { constants, costs, sizes } = measure()
    const [batch = 0, link = 0, inbox = 0, device = 0] = sizes
    expect(readRow('`mfi_batch`')[0]).toBe(batch)
    expect(readRow('`mfi_link`')[0]).toBe(link)
    expect(readRow('`mfi_inbox`')[0]).toBe(inbox)
    expect(readRow('`mfi_device`, network id, address')[0]).toBe(device)
    expect(readRow('constants')[0]).toBe(constants)
    const stack = costs[3]!.stack - costs[7]!.stack
    expect(readRow('stack of `mfi_seal`')[0]).toBe(stack)
    expect(readRow('stack of SHA-256')[0]).toBe(costs[7]!.stack)
    const sum = batch + link + inbox + device + constants + stack
    expect(readRow('all but the crypto')[0]).toBe(sum)
    expect(sum).toBeLessThan(1024)
  })

  test('behavior: cycles', () => {
    const { costs } = measure()
    const rows = [
      [1, '`mfi_add`, one value'],
      [2, '`mfi_add`, three values'],
      [3, '`mfi_seal`, 60 rows of one value, without the signer'],
      [4, '`mfi_send_batch` of it, without the line'],
      [5, '`mfi_send_reading`, one value, without the line'],
      [6, '`mfi_inbox_put` of an ack, all its bytes'],
    ] as const
    for (const [i, name] of rows) expect(readRow(name)[0], name).toBe(costs[i]!.cycles)
  })

  test('behavior: flash and RAM of the sketches', () => {
    for (const [name, { flash, ram }] of sketches)
      expect(readRow(`\`${name}\``).slice(3, 5), name).toEqual([flash, ram])
  })

  // Whoever reads the sketches runs what they say.
  test('behavior: what is committed is what is built', () => {
    expect(sketches).toHaveLength(2)
    for (const [name, { hex }] of sketches) expect(hex === readFirmware(name), name).toBe(true)
  })
})

test('behavior: bytes on the line', async () => {
  const signer = createSoftwareSigner()
  const toSchema = (fields: number) =>
    defineSchema({
      fields: Object.fromEntries(
        Array.from({ length: fields }, (_, i) => [`f${i}`, { unit: '1' }]),
      ),
      id: 1,
      tickMs: 1000,
    })
  for (const values of [[10], [205, 553, 10_132]]) {
    const name = values.length === 1 ? 'one value' : 'three values'
    const row = encodeRows([{ time: 1, values }], { start: 0, tickMs: 1 }).slice(1)
    expect(readRow(`reading, ${name}`)[0]).toBe(
      encodeFrame({ body: row, number: 1, type: 2 }).length,
    )
    for (const count of [10, 60]) {
      const rows = Array.from({ length: count }, (_, i) => ({ time: 1.7e12 + 60_000 * i, values }))
      const schema = toSchema(values.length)
      const batch = await signBatch({ network: new Uint8Array(32), rows, schema, seq: 7, signer })
      const { length } = encodeFrame({ body: batch.bytes, number: 1, type: 3 })
      // A zero in a signature or hash may save or cost COBS a byte: it does neither on average.
      expect(Math.abs(readRow(`batch, ${count} rows, ${name}`)[0]! - length)).toBeLessThanOrEqual(1)
    }
  }
})
