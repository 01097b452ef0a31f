import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fromHex, toHex } from '@machinefi/core'
import { createSoftwareSigner } from '@machinefi/device'
import { defineSchema, toRow } from '@machinefi/telemetry'
import { decodePebble, pebbleFields, toPebbleRecord } from '@machinefi/telemetry/pebble'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openReadings } from '../src/readings/openReadings.js'
import { runCli } from './runCli.js'

const swap = (hex: string) => hex.toUpperCase().replaceAll(/(.)(.)/g, '$2$1')
const signer = createSoftwareSigner({ algorithm: 'ES256' })
const publicKey = toHex(signer.publicKey)

async function sign(message: string): Promise<string> {
  const hex = swap(toHex(await signer.sign(new TextEncoder().encode(message))).slice(2))
  return `{"message":${message},"signature":{"r":"${hex.slice(0, 64)}","s":"${hex.slice(64)}"}}`
}

const messageOf = (time: number) =>
  `{"SNR":255,"temperature":33.889999389648438,"temperature":34.5,"timestamp":"${time}"}`

let cwd: string
let lines: string[]
beforeAll(async () => {
  cwd = mkdtempSync(join(tmpdir(), 'machinefi-verify-'))
  lines = await Promise.all([1, 2, 3].map((time) => sign(messageOf(time))))
})
afterAll(() => rmSync(cwd, { force: true, recursive: true }))

const verify = (content: string | Uint8Array, ...options: string[]) => {
  writeFileSync(join(cwd, 'packets.txt'), content)
  return runCli(
    [
      ...['verify', 'packets.txt', '--profile', 'pebble-json-2020', '--public-key', publicKey],
      ...options,
    ],
    { cwd },
  )
}

test('default', async () => {
  const { code, stderr, stdout } = await verify(`${lines.join('\n')}\n`)
  expect(stderr).toBe('')
  expect(code).toBe(0)
  expect(stdout).toMatch(
    /^device {4}did:io:0x[0-9a-f]{40}\nprofile {3}pebble-json-2020\npackets {3}3\nvalid {5}3\n$/,
  )
})

test('options: json', async () => {
  const { code, stderr, stdout } = await verify(`${lines.join('\r\n')}\r\n`, '--json')
  expect(stderr).toBe('')
  expect(code).toBe(0)
  const did = expect.stringMatching(/^did:io:0x[0-9a-f]{40}$/)
  expect(JSON.parse(stdout)).toEqual({
    total: 3,
    valid: 3,
    packets: [1, 2, 3].map((line) => ({ line, valid: true, did })),
  })
})

describe('options: out', () => {
  test('default: the records, as replay reads them', async () => {
    const packets = await Promise.all([
      sign(
        '{"VBAT":4.1,"latitude":3050.69225,"longitude":-11448.65815,"gyroscope":[-10,7,0],"timestamp":"1600000000"}',
      ),
      sign('{"message":"a configuration"}'),
      sign(messageOf(1_600_000_060)),
      sign(messageOf(1_600_000_060)),
      sign(messageOf(1_599_999_999)),
      sign('{"SNR":-0.004,"temperature":-0.05,"timestamp":"1600000061"}'),
      Promise.resolve(lines[0]!.replace('34.5', '24.5')),
    ])
    const { code, stdout } = await verify(packets.join('\n'), '--json', '--out', 'records.csv')
    expect(code).toBe(3)
    const counts = { noRecord: 1, notLater: 2, written: 3 }
    expect(JSON.parse(stdout)).toMatchObject({ records: counts, total: 7, valid: 6 })
    const readings = await openReadings(join(cwd, 'records.csv'))
    expect(readings.tickMs).toBe(1000)
    expect(readings.fields.map(({ name }) => name)).toEqual(Object.keys(pebbleFields))
    const schema = defineSchema({ fields: pebbleFields, id: 1, tickMs: 1000 })
    const rows = [...readings.merge()].map(({ time, values }) => {
      const record = readings.fields.map(({ name }, i) => [
        name,
        Number.isNaN(values[i]) ? null : values[i],
      ])
      return toRow(schema, Object.fromEntries(record), time)
    })
    readings.close()
    const expected = [packets[0]!, packets[2]!, packets[5]!].map((packet) =>
      toRow(
        schema,
        toPebbleRecord(decodePebble(new TextEncoder().encode(packet), 'pebble-json-2020')),
      ),
    )
    expect(rows).toEqual(expected)
    expect(rows[0]).toMatchObject({ time: 1_600_000_000_000 })
    expect(rows[0]!.values.slice(1, 4)).toEqual([4100, 308_448_708, -1_148_109_692])
  })

  test('behavior: a person is told how many', async () => {
    const { stdout } = await verify(lines.join('\n'), '--out', 'three.csv')
    expect(stdout).toContain('\nrecords   3; 0 packets have none, 0 are not later')
  })

  test('error: a file that exists', async () => {
    const { code, stderr } = await verify(lines.join('\n'), '--out', 'packets.txt')
    expect([code, stderr]).toEqual([2, expect.stringContaining('packets.txt exists already')])
  })
})

test('behavior: some are not valid', async () => {
  const bad = lines[1]!.replace('34.5', '24.5')
  const content = `${lines[0]}\n${bad}\n\nnonsense\n${lines[2]}\n${'x'.repeat(100_000)}`
  const { code, stderr, stdout } = await verify(content, '--json')
  expect(code).toBe(3)
  expect(JSON.parse(stderr).error).toMatchObject({
    kind: 'integrity',
    message: '3 packets do not verify.',
  })
  const { packets, ...counts } = JSON.parse(stdout)
  expect(counts).toEqual({ total: 5, valid: 2 })
  expect(packets.map(({ line, reason }: Record<string, unknown>) => [line, reason])).toEqual([
    [1, undefined],
    [2, 'signature'],
    [4, 'malformed'],
    [5, undefined],
    [6, 'too-long'],
  ])
  const person = await verify(content)
  expect(person.code).toBe(3)
  expect(person.stdout.replace(/0x[0-9a-f]{40}/, '0x…')).toMatchSnapshot()
  expect(person.stderr).toMatchSnapshot()
})

test('behavior: a person sees the first twenty', async () => {
  const { stdout } = await verify('x\n'.repeat(50))
  expect(stdout).toContain('\n  20  malformed')
  expect(stdout).not.toContain('\n  21  malformed')
  expect(stdout).toContain('and 30 more')
})

test('behavior: stdin, and a key as SEC 1 has it', async () => {
  const { code, stdout } = await runCli(
    [
      ...['verify', '-', '--profile', 'pebble-json-2020', '--json'],
      ...['--public-key', `04${publicKey.slice(2)}`],
    ],
    { stdin: new TextEncoder().encode(lines.join('\n')) },
  )
  expect(code).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({ total: 3, valid: 3 })
})

test('behavior: progress', async () => {
  const { stderr } = await verify('x\n'.repeat(256), '--progress')
  expect(stderr).toContain('256 packets, 256 refused, 100 %\n')
})

test.each([
  ['packets.txt', ['--public-key', '0x12'], 'Not a public key'],
  ['packets.txt', ['--public-key', 'key'], 'Not a public key'],
  ['packets.txt', ['--public-key', `02${'00'.repeat(32)}`], 'Not a public key'],
  ['absent.txt', [], 'There is no file absent.txt.'],
  ['.', [], 'cannot be read'],
  ['packets.txt', [], 'the input is empty'],
  ['packets.txt', ['--profile', 'pebble-json'], 'Allowed choices are pebble-json-2020'],
])('error: %s %j', async (file, options, message) => {
  writeFileSync(join(cwd, 'packets.txt'), '\n')
  const { code, stderr } = await runCli(
    [...['verify', file, '--profile', 'pebble-json-2020', '--public-key', publicKey], ...options],
    { cwd },
  )
  expect(stderr).toContain(message)
  expect(code).toBe(2)
})

const vectors = new URL('../../../../shared/vectors/iotex/', import.meta.url)

describe.skipIf(!existsSync(vectors))('packets that IoTeX published', () => {
  const read = (file: string) => readFileSync(new URL(file, vectors), 'utf8')
  const run = async (profile: string, key: string, stdin: string) => {
    const { code, stdout } = await runCli(
      ['verify', '-', '--profile', profile, '--public-key', key, '--json'],
      { stdin: new TextEncoder().encode(stdin) },
    )
    return { code, ...JSON.parse(stdout) }
  }

  test('pebble-json-2020', async () => {
    const { pub_x, pub_y } = JSON.parse(read('pebble-json-2020.json'))
    const result = await run('pebble-json-2020', pub_x + pub_y, read('pebble-json-2020.txt'))
    expect(result).toMatchObject({ code: 0, total: 20, valid: 20 })
    expect(result.packets[19]).toEqual({
      line: 20,
      valid: true,
      did: 'did:io:0xe540678f0b995bf3b287e47f84f84aea44cfeb31',
      testKey: true,
    })
  })

  test('pebble-protobuf, as hex and as base64', async () => {
    const { cases, public_key_uncompressed } = JSON.parse(read('pebble-binpackage.json'))
    const hex: string = cases[0].package
    const bytes = Buffer.from(fromHex(hex))
    const bad = hex.replace(/.$/, '1')
    const content = [
      hex,
      `0x${hex}`,
      bytes.toString('base64'),
      bytes.toString('base64url'),
      bad,
      '*',
    ]
    const result = await run('pebble-protobuf', public_key_uncompressed, content.join('\n'))
    expect(result).toMatchObject({ code: 3, total: 6, valid: 4 })
    const did = 'did:io:0xafded8eb0fa3de6f57d8532f69c03e31dc7feca2'
    expect(result.packets.slice(4)).toEqual([
      { line: 5, valid: false, did, reason: 'signature', testKey: true },
      { line: 6, valid: false, did, reason: 'malformed', testKey: true },
    ])
  })
})
