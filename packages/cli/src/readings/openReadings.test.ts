import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openReadings } from './openReadings.js'
import { parseTime } from './parseTime.js'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'machinefi-test-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

function write(text: string, name = 'readings.csv') {
  const path = join(folder, name)
  writeFileSync(path, name.endsWith('.gz') ? gzipSync(text) : text)
  return path
}

const spools = () => readdirSync(tmpdir()).filter((name) => name.startsWith('machinefi-readings-'))

test('default: merged by time, whatever the order of the file', async () => {
  const path = write(
    'device,time,steps\nb,2016-04-13T00:01Z,5\nb,2016-04-13T00:03Z,6\na,2016-04-13T00:00Z,1\na,2016-04-13T00:01Z,2\n',
  )
  const readings = await openReadings(path)
  expect(readings.devices).toEqual(['b', 'a'])
  expect(readings.fields).toEqual([{ name: 'steps', scale: 0 }])
  expect(readings.tickMs).toBe(60_000)
  const at = Date.UTC(2016, 3, 13)
  expect([...readings.merge()].map((r) => [r.device, r.time - at, ...r.values])).toEqual([
    [1, 0, 1],
    [0, 60_000, 5],
    [1, 60_000, 2],
    [0, 180_000, 6],
  ])
  readings.close()
})

test('behavior: no device column, decimals, empty cells, gzip, CRLF', async () => {
  const path = write(
    'time,latitude,longitude\r\n2008-10-23T02:53:04Z,39.984702,-116.318417\r\n2008-10-23T02:53:10Z,,1\r\n',
    'walk.csv.gz',
  )
  const readings = await openReadings(path)
  expect(readings.devices).toEqual(['device'])
  expect(readings.fields).toEqual([
    { name: 'latitude', scale: 6 },
    { name: 'longitude', scale: 6 },
  ])
  expect(readings.tickMs).toBe(1000)
  expect([...readings.merge()].map((r) => [...r.values])).toEqual([
    [39.984702, -116.318417],
    [Number.NaN, 1],
  ])
  readings.close()
})

test('options: scales', async () => {
  const path = write(
    'time,latitude,longitude,altitude\n60,39.984702,116.3184170000,12.5\n61,-39.1234567,-180,\n',
    'scaled.csv',
  )
  const readings = await openReadings(path, { scales: { latitude: 7, longitude: 7 } })
  expect(readings.fields).toEqual([
    { name: 'latitude', scale: 7 },
    { name: 'longitude', scale: 7 },
    { name: 'altitude', scale: 1 },
  ])
  readings.close()
  await expect(openReadings(path, { scales: { latitude: 6 } })).rejects.toThrow(
    'line 3: latitude has more than the 6 decimals',
  )
})

test('behavior: many blocks, many devices', async () => {
  const lines = ['device,time,steps']
  for (let device = 0; device < 7; device++)
    for (let i = 0; i < 1_500 + device; i++) lines.push(`d${device},${1e9 + i * 60},${device * i}`)
  const readings = await openReadings(write(lines.join('\n')))
  const seen = new Map<number, number>()
  let last = 0
  for (const { device, time, values } of readings.merge()) {
    expect(time).toBeGreaterThanOrEqual(last)
    last = time
    const i = seen.get(device) ?? 0
    expect(values[0]).toBe(device * i)
    seen.set(device, i + 1)
  }
  expect([...seen.values()].sort()).toEqual([1500, 1501, 1502, 1503, 1504, 1505, 1506])
  readings.close()
})

test.each([
  ['steps\n1\n', 'no column `time`'],
  ['time\n2016-04-13T00:01Z\n', 'no column with values'],
  ['time,steps,steps\n', 'occurs twice'],
  ['time,steps\n', 'no reading'],
  ['', 'no reading'],
  ['time,steps\n2016-04-13T00:01Z\n', 'line 2: 2 cells are needed, there are 1'],
  ['time,steps\nyesterday,1\n', 'line 2: Not a time'],
  ['time,steps\n2016-04-13T00:01Z,lots\n', 'line 2: steps is not a decimal number'],
  ['time,steps\n2016-04-13T00:01Z,0x10\n', 'not a decimal number'],
  ['time,steps\n60,1\n60,1\n', 'line 3: not after the reading before it'],
  ['device,time,steps\n,60,1\n', 'line 2: the device has no name'],
  ['time,steps\n60,"1\n', 'Quoted field unterminated'],
])('error: %j', async (text, message) => {
  const before = spools().length
  await expect(openReadings(write(text))).rejects.toThrow(message)
  expect(spools()).toHaveLength(before)
})

test('error: no such file, and no gzip', async () => {
  await expect(openReadings(join(folder, 'absent.csv'))).rejects.toThrow('no such file')
  const path = join(folder, 'plain.csv.gz')
  writeFileSync(path, 'time,steps\n60,1\n')
  await expect(openReadings(path)).rejects.toThrow('cannot be read')
})

describe('parseTime', () => {
  test('default', () => {
    const time = Date.UTC(2016, 3, 13, 0, 1)
    for (const text of [
      '2016-04-13T00:01Z',
      '2016-04-13T00:01:00Z',
      '2016-04-13T00:01:00.000Z',
      '2016-04-13T02:01+02:00',
      `${time}`,
      `${time / 1000}`,
      `${time / 1000}.0`,
    ])
      expect(parseTime(text), text).toBe(time)
    expect(parseTime('2016-04-13T00:01:00.25Z')).toBe(time + 250)
  })

  test('error: not a time', () => {
    for (const text of [
      '',
      '2016-04-13',
      '2016-04-13T00:01',
      '-1',
      '1e9',
      '2016-13-13T00:01Z',
      'now',
    ])
      expect(() => parseTime(text), text).toThrow('Not a time')
  })
})

const minutes = new URL('../../../../../shared/data/fitbit/minute-steps.csv.gz', import.meta.url)

describe.skipIf(!existsSync(minutes))('recorded minutes', () => {
  test('default', async () => {
    const readings = await openReadings(fileURLToPath(minutes))
    expect([readings.count, readings.devices.length, readings.tickMs]).toEqual([
      865_980, 21, 60_000,
    ])
    readings.close()
  })
})
