import { formatDid, fromHex, keccak256, toHex } from '@machinefi/core'
import type { Address } from 'viem'
import { describe, expect, test } from 'vitest'
import {
  buildRun,
  DuplicateDeviceError,
  EmptyRunError,
  formatRun,
  InvalidRunError,
  NotInRunError,
  parseRun,
} from './Run.js'

// That the trees are OpenZeppelin's, and the contracts take the proofs, is in test/models.test.ts.

const deviceOf = (i: number): Address => toHex(keccak256(Uint8Array.of(i)).slice(12))
const [a, b, c] = [1, 2, 3].map(deviceOf) as [Address, Address, Address]

describe('buildRun', () => {
  test('default', () => {
    const run = buildRun([a, b, c])
    expect(buildRun([c, a, b])).toMatchObject({ devices: run.devices, root: run.root })
    expect([...run.devices].sort()).toEqual([a, b, c].sort())
    const { devices, flags, proof } = run.prove([a, b, c])
    expect(devices).toEqual(run.devices)
    expect([proof, flags]).toEqual([[], [true, true]])
  })

  test('behavior: one device', () => {
    const run = buildRun([a])
    expect(run.prove([a])).toEqual({ devices: [a], flags: [], proof: [] })
    expect(run.root).toBe(toHex(keccak256(keccak256(fromHex(`0x${'00'.repeat(12)}${a.slice(2)}`)))))
  })

  test('behavior: upper case is the same device', () => {
    const upper = `0x${a.slice(2).toUpperCase()}` as const
    const run = buildRun([upper, b])
    expect(run.root).toBe(buildRun([a, b]).root)
    expect(run.prove([upper]).devices).toEqual([a])
    expect(() => buildRun([a, upper])).toThrow(DuplicateDeviceError)
  })

  test('error: nothing, twice the same, and what is not of the run', () => {
    const run = buildRun([a, b])
    expect(() => buildRun([])).toThrow(EmptyRunError)
    expect(() => run.prove([])).toThrow(EmptyRunError)
    expect(() => run.prove([a, a])).toThrow(DuplicateDeviceError)
    expect(() => run.prove([a, c])).toThrow(NotInRunError)
    expect(() => buildRun(['0x12'])).toThrow('Not an address')
  })
})

describe('parseRun', () => {
  test('default', () => {
    expect(parseRun(formatRun([a, b, c]))).toEqual([a, b, c])
    expect(formatRun([a])).toBe(`${formatDid(fromHex(a))}\n`)
  })

  test('behavior: addresses, empty lines, other ends of lines', () => {
    expect(parseRun(`${a}\r\n\r\n  ${b.toUpperCase().replace('0X', '0x')}\n\n`)).toEqual([a, b])
  })

  test.each([
    ['', EmptyRunError, 'A run without devices endorses nothing.'],
    [`${a}\nwalker\n`, InvalidRunError, 'Line 2 of the run: it is neither a DID nor an address.'],
    [`${a}\n\n${a}`, InvalidRunError, 'Line 3 of the run: it is line 1 again.'],
    [`${a},${b}`, InvalidRunError, 'Line 1 of the run'],
  ])('error: %j', (text, error, message) => {
    expect(() => parseRun(text)).toThrow(error)
    expect(() => parseRun(text)).toThrow(message)
  })
})
