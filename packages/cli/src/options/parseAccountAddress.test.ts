import { expect, test } from 'vitest'
import { parseAccountAddress } from './parseAccountAddress.js'

const address = '0x3f9c20bcec9de520d88d98cbe07ee7b5ded0dac4'
const io = 'io187wzp08vnhjjpkydnr97qlh8kh0dpkkytfam8j'

test('default', () => {
  for (const text of [address, io, io.toUpperCase()])
    expect(parseAccountAddress(text)).toBe(parseAccountAddress(address))
  expect(parseAccountAddress(parseAccountAddress(io))).toBe(parseAccountAddress(io))
})

test('error: not an address', () => {
  const checksummed = parseAccountAddress(io)
  for (const text of [
    '',
    '0x12',
    io.slice(1),
    `${io.slice(0, -1)}q`,
    checksummed.replace('c', 'C'),
  ])
    expect(() => parseAccountAddress(text), text).toThrow('Not an account address')
})
