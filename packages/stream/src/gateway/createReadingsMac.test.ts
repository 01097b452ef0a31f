import { toHex } from '@machinefi/core'
import { expect, test } from 'vitest'
import { createReadingsMac } from './createReadingsMac.js'

test('default: the example of docs/protocol/gateway.md, which openssl has computed', () => {
  const mac = createReadingsMac({
    body: Buffer.from('[{"n":"steps","u":"count","v":12}]'),
    counter: 1_786_000_000_000,
    device: new Uint8Array(20).fill(0x22),
    key: Uint8Array.from({ length: 32 }, (_, i) => i),
    network: new Uint8Array(32).fill(0x11),
  })
  expect(toHex(mac).slice(2)).toBe(
    'bd4aff69e8438824e6dc358538d336943e5c4c05e39cb21d0d4df3dbc6896c77',
  )
})
