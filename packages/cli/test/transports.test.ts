import { describe, expect, test } from 'vitest'
import { runCli } from './runCli.js'

describe('node start', () => {
  const start = (...options: string[]) =>
    runCli(['node', 'start', '--network', 'a', '--data', 'b', '--log-key', 'c', ...options])

  test('error: half of a certificate', async () => {
    for (const options of [
      ['--tls-cert', 'node.pem'],
      ['--tls-key', 'node.key'],
      ['--tls-client-ca', 'ca.pem'],
    ]) {
      const { code, stderr } = await start(...options)
      expect([code, stderr]).toEqual([2, expect.stringContaining('--tls-cert and --tls-key')])
    }
  })

  test('error: ports that are none', async () => {
    for (const options of [
      ['--mqtt', '65536'],
      ['--coap', 'x'],
    ])
      expect((await start(...options)).code).toBe(2)
  })
})
