import { powersOfTen } from '../record/toScaled.js'
import type { PebblePacket } from './decodePebble.js'
import { PebbleError } from './errors.js'
import { decodeText, readMembers } from './readMembers.js'
import { readPacked, readProtobuf } from './readProtobuf.js'

/**
 * Fields of a schema that holds what any Pebble measures. The axes are the sensor's own counts:
 * no packet says their range.
 *
 * @example
 * const schema = defineSchema({ id: 1, tickMs: 1000, fields: pebbleFields })
 */
export const pebbleFields = {
  snr: { unit: 'dB', scale: 2 },
  vbat: { unit: 'V', scale: 3 },
  latitude: { unit: 'lat', scale: 7 },
  longitude: { unit: 'lon', scale: 7 },
  gasResistance: { unit: 'Ohm', scale: 2 },
  temperature: { unit: 'Cel', scale: 2 },
  pressure: { unit: 'hPa', scale: 2 },
  humidity: { unit: '%RH', scale: 2 },
  light: { unit: 'lx', scale: 2 },
  temperature2: { unit: 'Cel', scale: 2 },
  gyroscopeX: { unit: 'lsb', scale: 0 },
  gyroscopeY: { unit: 'lsb', scale: 0 },
  gyroscopeZ: { unit: 'lsb', scale: 0 },
  accelerometerX: { unit: 'lsb', scale: 0 },
  accelerometerY: { unit: 'lsb', scale: 0 },
  accelerometerZ: { unit: 'lsb', scale: 0 },
} as const

type Field = keyof typeof pebbleFields

/** A record of a schema with {@link pebbleFields}, rounded to their scales; null = not in the packet. */
export type PebbleRecord = { time: number } & { [field in Field]: number | null }

/** What a packet says, by the names of 2021, before units are made the same. */
type Reading = { timestamp?: number } & { [name in Scalar]?: number } & {
  [name in Axes]?: number[]
}
type Scalar = Exclude<Field, `${Axes}${'X' | 'Y' | 'Z'}`>
type Axes = 'gyroscope' | 'accelerometer'

/**
 * Maps a packet to a record. Verify it first: anyone can write these bytes.
 *
 * The time is what the device said: seconds since 1970, wrong wherever its clock was not set. A
 * position outside the Earth, which is how a Pebble says that it has none, is null.
 *
 * @throws {PebbleError} `no-record`: a configuration or a state; no timestamp; a value that is no
 * number; a name twice.
 */
export function toPebbleRecord(packet: PebblePacket): PebbleRecord {
  const reading =
    packet.profile === 'pebble-protobuf' ? readSensorData(packet.message) : readMessage(packet)
  const { accelerometer, gyroscope, timestamp } = reading
  if (timestamp === undefined) fail('it has no timestamp')
  const [latitude, longitude] = toPosition(reading.latitude, reading.longitude)
  const values: { [field in Field]?: number | null | undefined } = {
    ...reading,
    latitude,
    longitude,
    gyroscopeX: gyroscope?.[0],
    gyroscopeY: gyroscope?.[1],
    gyroscopeZ: gyroscope?.[2],
    accelerometerX: accelerometer?.[0],
    accelerometerY: accelerometer?.[1],
    accelerometerZ: accelerometer?.[2],
  }
  const record = { time: timestamp * 1000 } as PebbleRecord
  for (const [name, { scale }] of Object.entries(pebbleFields)) {
    const value = values[name as Field] ?? null
    const scaled = Math.round((value ?? 0) * powersOfTen[scale]!)
    if (!Number.isSafeInteger(scaled)) fail(`${name} is out of bounds`)
    record[name as Field] = value === null ? null : scaled / powersOfTen[scale]! + 0
  }
  return record
}

/** Names that 2020's firmware gives what 2021's calls otherwise. */
const names2020: ReadonlyMap<string, string> = /* @__PURE__ */ new Map([
  ['SNR', 'snr'],
  ['VBAT', 'vbat'],
  ['gas_resistance', 'gasResistance'],
])

function readMessage({ message, profile }: PebblePacket): Reading {
  const is2020 = profile === 'pebble-json-2020'
  const values = new Map<string, unknown>()
  for (const { end, name: printed, start } of readMembers(message, 0)) {
    let name = (is2020 && names2020.get(printed)) || printed
    // The second one is the motion sensor's: 2021 has a name for it.
    if (is2020 && name === 'temperature' && values.has(name)) name = 'temperature2'
    if (values.has(name)) fail(`${name} occurs twice`)
    values.set(name, JSON.parse(decodeText(message.subarray(start, end))))
  }
  const reading: Reading = {}
  for (const name of scalars) {
    const value = values.get(name)
    if (value === undefined) continue
    if (typeof value !== 'number') fail(`${name} is not a number`)
    reading[name] = value
  }
  for (const name of axes) {
    const value = values.get(name)
    if (value === undefined) continue
    if (!isAxes(value)) fail(`${name} is not three numbers`)
    reading[name] = value
  }
  const timestamp = values.get('timestamp')
  if (timestamp !== undefined) {
    if (typeof timestamp !== 'string' || !/^\d{1,10}$/.test(timestamp))
      fail('its timestamp is not seconds in a string')
    reading.timestamp = Number(timestamp)
  }
  if (reading.latitude !== undefined) reading.latitude = toDegrees(reading.latitude)
  if (reading.longitude !== undefined) reading.longitude = toDegrees(reading.longitude)
  // 2021's firmware has millivolts, its simulator volts: no battery has 100 V.
  if (reading.vbat !== undefined && reading.vbat >= 100) reading.vbat /= 1000
  return reading
}

const axes = ['gyroscope', 'accelerometer'] as const satisfies readonly Axes[]
const scalars = Object.keys(pebbleFields).filter((name): name is Scalar => !/[XYZ]$/.test(name))

/** Degrees and minutes in one number, 3050.69225 = 30° 50.69225′, as the trackers' receivers print them. */
function toDegrees(value: number): number {
  const minutes = value % 100
  return Math.abs(minutes) < 60 ? (value - minutes) / 100 + minutes / 60 : Number.POSITIVE_INFINITY
}

/** SensorData's fields by number; the factor from what is sent to what is meant. */
const fields: { readonly [field: number]: { name: Scalar; signed?: true; unit: number } } = {
  1: { name: 'snr', unit: 100 },
  2: { name: 'vbat', unit: 100 },
  3: { name: 'latitude', signed: true, unit: 1e7 },
  4: { name: 'longitude', signed: true, unit: 1e7 },
  5: { name: 'gasResistance', unit: 100 },
  6: { name: 'temperature', signed: true, unit: 100 },
  7: { name: 'pressure', unit: 100 },
  8: { name: 'humidity', unit: 100 },
  9: { name: 'light', unit: 100 },
  10: { name: 'temperature2', unit: 100 },
}

function readSensorData(message: Uint8Array): Reading {
  const view = new DataView(message.buffer, message.byteOffset, message.length)
  if (view.getUint32(0) !== 0) fail('it is a configuration or a state')
  const reading: Reading = { timestamp: view.getUint32(message.length - 4) }
  for (const { field, value } of readProtobuf(message.subarray(4, -4))) {
    const scalar = fields[field]
    if (scalar) {
      if (reading[scalar.name] !== undefined) fail(`${scalar.name} occurs twice`)
      const integer = to32(value, scalar.name)
      reading[scalar.name] = (scalar.signed ? fromZigzag(integer) : integer) / scalar.unit
    } else if (field === 11 || field === 12) {
      // Packed or not: nanopb's encoder and the schema differ.
      const name = axes[field - 11] as Axes
      const values = typeof value === 'number' ? [value] : readPacked(value)
      reading[name] ??= []
      reading[name].push(...values.map((one) => fromZigzag(to32(one, name))))
    }
  }
  for (const name of axes)
    if (reading[name] !== undefined && !isAxes(reading[name])) fail(`${name} is not three numbers`)
  return reading
}

function to32(value: number | Uint8Array, name: string): number {
  if (typeof value !== 'number' || value > 0xffff_ffff) fail(`${name} is not a number of 32 bits`)
  return value
}

function fromZigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2
}

function toPosition(
  latitude: number | undefined,
  longitude: number | undefined,
): readonly [number | null, number | null] {
  if (latitude === undefined || longitude === undefined) return [null, null]
  const isOnEarth = Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180
  return isOnEarth ? [latitude, longitude] : [null, null]
}

function isAxes(value: unknown): value is number[] {
  return Array.isArray(value) && value.length === 3 && value.every((one) => typeof one === 'number')
}

function fail(reason: string): never {
  throw new PebbleError('no-record', `The packet has no record: ${reason}.`)
}
