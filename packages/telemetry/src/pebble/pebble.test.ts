import { existsSync, readFileSync } from 'node:fs'
import { concatBytes, fromHex, isPublishedTestKey } from '@machinefi/core'
import { p256 } from '@noble/curves/nist.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { defineSchema, toRow } from '../index.js'
import {
  decodePebble,
  maxPebbleBytes,
  type PebbleProfile,
  pebbleFields,
  pebbleProfiles,
  toPebbleRecord,
  verifyPebble,
} from '../pebble.js'
import { readMembers } from './readMembers.js'

const encode = (text: string) => new TextEncoder().encode(text)
const swap = (hex: string) => hex.toUpperCase().replaceAll(/(.)(.)/g, '$2$1')
const schema = defineSchema({ id: 1, tickMs: 1000, fields: pebbleFields })

/** The example of IoTeX's specification of the format, with the digits that cJSON printed. */
const key2021 =
  'E1B955AEDF34D18921E3DC2133F2B785BA4C40DBC1502A8BF6ECE674B80E25D8822C4686723BBC3CB4A58D881DE053A1444EE1873E5916907D2F8819ECC7A1B6'
const packet2021 = `{"message":{"snr":19,"vbat":4167,"latitude":20000,"longitude":20000,"gasResistance":7745665,"temperature":24.389999389648438,"pressure":1003,"humidity":67.242149353027344,"light":0,"temperature2":29.317632675170898,"gyroscope":[-2,3,1],"accelerometer":[-35,110,8226],"timestamp":"1621943329","random":"E1915DBE2ACCC9F3","eccPubkey":"${key2021}"},"signature":{"r":"597E7BF0F5C85D7A84C3C409CA358DE3C27A072587C884AE0452BD93D8F72F39","s":"ACF44E758925A2454DB1880B31A3B1B11EEAE9BCEE67C423DADF8510B1A244CC"}}`
const publicKey2021 = fromHex(swap(key2021))

const privateKey = fromHex('5a'.repeat(32))
const keys = {
  'pebble-json-2020': p256.getPublicKey(privateKey, false).slice(1),
  'pebble-json-2021': secp256k1.getPublicKey(privateKey, false).slice(1),
  'pebble-protobuf': secp256k1.getPublicKey(privateKey, false).slice(1),
}

function sign(profile: PebbleProfile, message: Uint8Array): Uint8Array {
  const curve = profile === 'pebble-json-2020' ? p256 : secp256k1
  return curve.sign(message, privateKey, { lowS: false })
}

function signJson(profile: PebbleProfile, message: string): Uint8Array {
  const hex = swap(Buffer.from(sign(profile, encode(message))).toString('hex'))
  return encode(
    `{"message":${message},"signature":{"r":"${hex.slice(0, 64)}","s":"${hex.slice(64)}"}}`,
  )
}

/** A varint in its shortest form. */
function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))]
}

function signPackage(data: readonly number[], type = 0, timestamp = 1_664_402_086): Uint8Array {
  const be32 = (value: number) => [
    value >>> 24,
    (value >> 16) & 255,
    (value >> 8) & 255,
    value & 255,
  ]
  const message = Uint8Array.from([...be32(type), ...data, ...be32(timestamp)])
  return Uint8Array.from([
    ...[0x08, ...varint(type)],
    ...[0x12, ...varint(data.length), ...data],
    ...[0x18, ...varint(timestamp)],
    ...[0x22, 64, ...sign('pebble-protobuf', message)],
  ])
}

const samples: Record<PebbleProfile, Uint8Array> = {
  'pebble-json-2020': signJson(
    'pebble-json-2020',
    '{"SNR":255,"VBAT":4.0750732421875,"latitude":-3050.69225,"longitude":11448.65815,"gas_resistance":1120401,"temperature":33.880001068115234,"pressure":1004.3499755859375,"humidity":65.427001953125,"temperature":34.39764404296875,"gyroscope":[0,9,-14],"accelerometer":[-264,-179,8269],"timestamp":"1594812345"}',
  ),
  'pebble-json-2021': encode(packet2021),
  'pebble-protobuf': signPackage([
    ...[0x08, ...varint(300), 0x10, ...varint(375), 0x18, ...varint(2 * 525069312)],
    ...[0x20, ...varint(2 * 131445537 - 1), 0x30, ...varint(2 * 1250 - 1), 0x5a, 3, 0, 18, 27],
    ...[0x60, 1, 0x60, 2, 0x60, 4, 0x6a, 1, 0x61],
  ]),
}
const publicKeys = { ...keys, 'pebble-json-2021': publicKey2021 }

describe('verifyPebble', () => {
  test.each(pebbleProfiles)('default: %s', async (profile) => {
    const packet = samples[profile]
    const verdict = await verifyPebble({ profile, packet, publicKey: publicKeys[profile] })
    expect(verdict).toEqual({ ok: true, packet: decodePebble(packet, profile) })
    expect(toRow(schema, toPebbleRecord(decodePebble(packet, profile))).values).toHaveLength(16)
  })

  // Every byte, each changed in another way: to any other value, and to what looks alike.
  test.each(pebbleProfiles)('behavior: no byte of %s can be changed', async (profile) => {
    const genuine = samples[profile]
    const publicKey = publicKeys[profile]
    const seen = new Set<string>()
    const tryOne = async (at: number, flip: number) => {
      const packet = genuine.slice()
      packet[at]! ^= flip
      const verdict = await verifyPebble({ packet, profile, publicKey })
      expect(verdict.ok, `byte ${at} ^ ${flip}`).toBe(false)
      if (!verdict.ok) seen.add(verdict.reason)
    }
    for (let at = 0; at < genuine.length; at++) await tryOne(at, at % 2 === 0 ? 0x20 : 1)
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: genuine.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        tryOne,
      ),
      { numRuns: 50, seed: 1 },
    )
    expect(seen).toContain('signature')
    expect(seen).toContain('malformed')
  })

  test.each(pebbleProfiles)('behavior: no byte of %s can go, or come', async (profile) => {
    const genuine = samples[profile]
    const publicKey = publicKeys[profile]
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: genuine.length - 1 }),
        fc.integer({ min: 0x21, max: 255 }),
        async (at, byte) => {
          const [before, after] = [genuine.subarray(0, at), genuine.subarray(at)]
          for (const packet of [
            concatBytes(before, after.subarray(1)),
            concatBytes(before, Uint8Array.of(byte), after),
            before,
          ])
            expect((await verifyPebble({ packet, profile, publicKey })).ok).toBe(false)
        },
      ),
      { numRuns: 60, seed: 1 },
    )
  })

  test.each(pebbleProfiles)('behavior: any bytes as %s', async (profile) => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (packet) => {
        const verdict = await verifyPebble({ packet, profile, publicKey: keys[profile] })
        expect(verdict).toMatchObject({ ok: false, reason: 'malformed' })
      }),
      { numRuns: 200, seed: 1 },
    )
  })

  const reasonOf = async (
    profile: PebbleProfile,
    packet: Uint8Array | string,
    publicKey: Uint8Array = publicKeys[profile],
  ) => {
    const bytes = typeof packet === 'string' ? encode(packet) : packet
    const verdict = await verifyPebble({ packet: bytes, profile, publicKey })
    return verdict.ok ? 'ok' : verdict.reason
  }

  test('behavior: both forms of s', async () => {
    const profile = 'pebble-json-2020'
    const { message, signature } = decodePebble(samples[profile], profile)
    const r = swap(Buffer.from(signature.subarray(0, 32)).toString('hex'))
    const s = BigInt(`0x${Buffer.from(signature.subarray(32)).toString('hex')}`)
    const other = (p256.Point.Fn.ORDER - s).toString(16).padStart(64, '0')
    const text = `{"message":${new TextDecoder().decode(message)},"signature":{"r":"${r}","s":"${swap(other)}"}}`
    expect(await reasonOf(profile, text)).toBe('ok')
  })

  test('behavior: what is around the message is not signed', async () => {
    const text = packet2021.replace(',"signature":', '\t, "signature" : ')
    expect(await reasonOf('pebble-json-2021', `\n ${text} `)).toBe('ok')
    const [, message, signature] = /^\{"message":(.*),"signature":(.*)\}$/.exec(packet2021)!
    expect(
      await reasonOf('pebble-json-2021', `{"signature":${signature},"message":${message}}`),
    ).toBe('ok')
    // Printed again by JavaScript, it is another text.
    expect(await reasonOf('pebble-json-2021', JSON.stringify(JSON.parse(packet2021)))).toBe(
      'signature',
    )
  })

  test('error: another key', async () => {
    expect(await reasonOf('pebble-json-2020', samples['pebble-json-2020'], publicKey2021)).toBe(
      'signature',
    )
    expect(await reasonOf('pebble-json-2021', packet2021, keys['pebble-json-2021'])).toBe(
      'other-key',
    )
    expect(await reasonOf('pebble-protobuf', samples['pebble-protobuf'], publicKey2021)).toBe(
      'signature',
    )
    expect(await reasonOf('pebble-protobuf', samples['pebble-protobuf'], new Uint8Array(64))).toBe(
      'signature',
    )
  })

  test('error: another profile', async () => {
    expect(await reasonOf('pebble-json-2020', packet2021, publicKey2021)).toBe('signature')
    expect(await reasonOf('pebble-json-2021', samples['pebble-json-2020'])).toBe('signature')
    expect(await reasonOf('pebble-protobuf', packet2021)).toBe('malformed')
    expect(await reasonOf('pebble-json-2021', samples['pebble-protobuf'])).toBe('malformed')
  })

  const r = packet2021.slice(packet2021.indexOf('"r":"') + 5).slice(0, 64)
  test.each([
    ['malformed', ''],
    ['malformed', '[]'],
    ['malformed', '{}'],
    ['malformed', 'null'],
    ['malformed', packet2021.slice(0, -1)],
    ['malformed', `${packet2021}x`],
    ['malformed', `\u{feff}${packet2021}`],
    ['malformed', packet2021.replace('{"message"', '{"message":{},"message"')],
    ['malformed', packet2021.replace('{"message"', '{"extra":1,"message"')],
    ['malformed', packet2021.replace('"signature":{', '"signature":{"r":"",')],
    ['malformed', packet2021.replace(/"message":\{.*?\}/, '"message":"text"')],
    ['malformed', packet2021.replace(/"signature":.*$/, '"signature":"x"}')],
    ['malformed', packet2021.replace(r, r.toLowerCase())],
    ['malformed', packet2021.replace(`"${r}"`, '7')],
    ['signature-length', packet2021.replace(r, r.slice(2))],
    ['signature-length', packet2021.replace(r, `${r}00`)],
    ['signature-length', packet2021.replace(r, '')],
    ['signature', packet2021.replace(r, '0'.repeat(64))],
    ['other-key', packet2021.replace(key2021, swap(key2021))],
    ['too-long', packet2021.replace('"snr"', `"${'x'.repeat(maxPebbleBytes)}"`)],
  ])('error: %#, %s', async (reason, text) => {
    expect(await reasonOf('pebble-json-2021', text)).toBe(reason)
  })

  const genuine = Array.from(samples['pebble-protobuf'])
  const end = genuine.length - 66
  test.each([
    ['nothing', [], 'malformed'],
    ['no signature', genuine.slice(0, end), 'malformed'],
    ['a field twice', [0x08, 0, ...genuine], 'malformed'],
    ['a field too many', [...genuine, 0x28, 0], 'malformed'],
    ['fields in another order', [...genuine.slice(2), ...genuine.slice(0, 2)], 'malformed'],
    ['a longer varint', [0x08, 0x80, 0x00, ...genuine.slice(2)], 'malformed'],
    ['a longer tag', [0x88, 0x00, ...genuine.slice(1)], 'malformed'],
    ['a fixed type', [0x0d, 0, 0, 0, 0, ...genuine.slice(2)], 'malformed'],
    ['an unknown type', [0x08, 3, ...genuine.slice(2)], 'malformed'],
    ['a type of 10 bytes', [0x08, ...Array(9).fill(0xff), 1, ...genuine.slice(2)], 'malformed'],
    ['a type that is bytes', [0x0a, 1, 0, ...genuine.slice(2)], 'malformed'],
    ['63 bytes', [...genuine.slice(0, end), 0x22, 63, ...genuine.slice(-63)], 'signature-length'],
    ['a type that was not signed', [0x08, 1, ...genuine.slice(2)], 'signature'],
  ])('error: package with %s', async (_, bytes, reason) => {
    expect(await reasonOf('pebble-protobuf', Uint8Array.from(bytes))).toBe(reason)
  })
})

describe('toPebbleRecord', () => {
  const recordOf = (profile: PebbleProfile, packet: Uint8Array) =>
    toPebbleRecord(decodePebble(packet, profile))

  test('default: pebble-json-2020', () => {
    expect(recordOf('pebble-json-2020', samples['pebble-json-2020'])).toEqual({
      time: 1_594_812_345_000,
      snr: 255,
      vbat: 4.075,
      latitude: -30.8448708,
      longitude: 114.8109692,
      gasResistance: 1_120_401,
      temperature: 33.88,
      pressure: 1004.35,
      humidity: 65.43,
      light: null,
      temperature2: 34.4,
      gyroscopeX: 0,
      gyroscopeY: 9,
      gyroscopeZ: -14,
      accelerometerX: -264,
      accelerometerY: -179,
      accelerometerZ: 8269,
    })
  })

  test('default: pebble-json-2021', () => {
    expect(recordOf('pebble-json-2021', samples['pebble-json-2021'])).toEqual({
      time: 1_621_943_329_000,
      snr: 19,
      vbat: 4.167,
      latitude: null,
      longitude: null,
      gasResistance: 7_745_665,
      temperature: 24.39,
      pressure: 1003,
      humidity: 67.24,
      light: 0,
      temperature2: 29.32,
      gyroscopeX: -2,
      gyroscopeY: 3,
      gyroscopeZ: 1,
      accelerometerX: -35,
      accelerometerY: 110,
      accelerometerZ: 8226,
    })
  })

  test('default: pebble-protobuf', () => {
    expect(recordOf('pebble-protobuf', samples['pebble-protobuf'])).toEqual({
      time: 1_664_402_086_000,
      snr: 3,
      vbat: 3.75,
      latitude: 52.5069312,
      longitude: -13.1445537,
      gasResistance: null,
      temperature: -12.5,
      pressure: null,
      humidity: null,
      light: null,
      temperature2: null,
      gyroscopeX: 0,
      gyroscopeY: 9,
      gyroscopeZ: -14,
      accelerometerX: -1,
      accelerometerY: 1,
      accelerometerZ: 2,
    })
  })

  test.each([
    [[0x18, ...varint(2 * 2_000_000_000), 0x20, ...varint(2 * 2_000_000_000)]],
    [[0x18, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x20, 0]],
    [[0x18, 0]],
  ])('behavior: package without a position, %#', (data) => {
    const { latitude, longitude } = recordOf('pebble-protobuf', signPackage(data))
    expect([latitude, longitude]).toEqual([null, null])
  })

  test.each([
    ['9000.00000', '0', [90, 0]],
    ['9000.00001', '0', [null, null]],
    ['-60.0', '0', [null, null]],
    ['0', '-18000', [0, -180]],
    ['3050.69225', '1e999', [null, null]],
  ])('behavior: position %s, %s', (latitude, longitude, expected) => {
    const text = `{"timestamp":"0","latitude":${latitude},"longitude":${longitude}}`
    const record = recordOf('pebble-json-2021', signJson('pebble-json-2021', text))
    expect([record.latitude, record.longitude]).toEqual(expected)
  })

  test.each([
    '{}',
    '{"timestamp":7}',
    '{"timestamp":"1621943329000"}',
    '{"timestamp":"1","snr":"3"}',
    '{"timestamp":"1","snr":null}',
    '{"timestamp":"1","snr":1e999}',
    '{"timestamp":"1","snr":1e15}',
    '{"timestamp":"1","snr":1,"snr":2}',
    '{"timestamp":"1","temperature":1,"temperature":2}',
    '{"timestamp":"1","gyroscope":[1,2]}',
    '{"timestamp":"1","gyroscope":[1,2,"3"]}',
    '{"timestamp":"1","gyroscope":3}',
  ])('error: %s', (text) => {
    const packet = signJson('pebble-json-2021', text)
    expect(() => recordOf('pebble-json-2021', packet)).toThrow('The packet has no record: ')
  })

  test('behavior: names of no field', () => {
    const text = '{"timestamp":"1","__proto__":1,"constructor":{"snr":2},"snr":3}'
    const { snr } = recordOf('pebble-json-2021', signJson('pebble-json-2021', text))
    expect(snr).toBe(3)
  })

  test.each([
    ['a configuration', [0x08, 1], 1],
    ['a state', [0x08, 1], 2],
    ['a field twice', [0x08, 1, 0x08, 2], 0],
    ['text as a number', [0x0a, 1, 0x61], 0],
    ['33 bits', [0x08, ...varint(2 ** 32)], 0],
    ['two axes', [0x5a, 2, 0, 0], 0],
  ])('error: package with %s', (_, data, type) => {
    expect(() => recordOf('pebble-protobuf', signPackage(data, type))).toThrow(
      'The packet has no record: ',
    )
  })

  test('error: data that is no message', () => {
    expect(() => recordOf('pebble-protobuf', signPackage([0x0d]))).toThrow('Not a Pebble package')
  })
})

describe('readMembers', () => {
  test('default', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.nat({ max: 2 }),
        (object, space) => {
          const text = JSON.stringify(object, null, space)
          const bytes = encode(text)
          const found = readMembers(bytes, 0).map(({ end, name, start }) => [
            name,
            JSON.parse(new TextDecoder().decode(bytes.subarray(start, end))),
          ])
          expect(found).toEqual(Object.entries(JSON.parse(text)))
        },
      ),
      { numRuns: 500, seed: 1 },
    )
  })
})

const vectors = new URL('../../../../../shared/vectors/iotex/', import.meta.url)

describe.skipIf(!existsSync(vectors))('packets that IoTeX published', () => {
  const read = (file: string) => JSON.parse(readFileSync(new URL(file, vectors), 'utf8'))

  test('pebble-json-2020', async () => {
    const profile = 'pebble-json-2020'
    const { pub_x, pub_y, rows } = read('pebble-json-2020.json')
    const publicKey = fromHex(pub_x + pub_y)
    const lines = readFileSync(new URL('pebble-json-2020.txt', vectors), 'utf8').trim().split('\n')
    expect(lines).toHaveLength(20)
    for (const [i, line] of lines.entries()) {
      const verdict = await verifyPebble({ packet: encode(line), profile, publicKey })
      expect(verdict.ok).toBe(true)
      if (!verdict.ok) continue
      const { message, signature } = verdict.packet
      expect(new TextDecoder().decode(message)).toBe(rows[i].message)
      expect(signature).toEqual(fromHex(rows[i].r + rows[i].s))
      const record = toPebbleRecord(verdict.packet)
      expect(record.latitude).toBeCloseTo(30.8448, 3)
      expect(record.longitude).toBeCloseTo(114.811, 3)
      expect(record.temperature2).toBeGreaterThan(record.temperature!)
      // As the corpus was edited once: a reading, not its signature.
      const edited = line.replace('"SNR":255', '"SNR":254')
      expect(await verifyPebble({ packet: encode(edited), profile, publicKey })).toMatchObject({
        ok: false,
        reason: 'signature',
      })
    }
    expect(isPublishedTestKey(publicKey)).toBe(true)
  })

  test('pebble-protobuf', async () => {
    const { cases, public_key_uncompressed } = read('pebble-binpackage.json')
    const publicKey = fromHex(public_key_uncompressed.slice(2))
    for (const one of cases) {
      const packet = fromHex(one.package)
      const verdict = await verifyPebble({ packet, profile: 'pebble-protobuf', publicKey })
      expect(verdict.ok).toBe(true)
      if (!verdict.ok) continue
      expect(verdict.packet.message).toEqual(fromHex(one.preimage))
      const { message } = JSON.parse(one.json)
      // This encoder leaves `temperature` out, overflows the position and cuts decimals off.
      const record = toPebbleRecord(verdict.packet)
      expect(record).toMatchObject({
        time: Number(message.timestamp) * 1000,
        snr: message.snr,
        vbat: 0.96,
        gasResistance: message.gasResistance,
        temperature: null,
        pressure: 1084.9,
        humidity: 60.16,
        light: 1306.92,
        temperature2: 19.17,
        gyroscopeX: message.gyroscope[0],
        gyroscopeY: message.gyroscope[1],
        gyroscopeZ: message.gyroscope[2],
        accelerometerX: message.accelerometer[0],
        accelerometerY: message.accelerometer[1],
        accelerometerZ: message.accelerometer[2],
      })
    }
  })
})
