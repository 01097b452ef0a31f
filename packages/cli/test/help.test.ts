import { encodeBatch, encodeHeader, encodeProtected } from '@machinefi/telemetry'
import { describe, expect, test } from 'vitest'
import { runCli } from './runCli.js'

const create = (...options: string[]) => [
  ...['network', 'create', '--out', 'x', '--name', 'x', '--symbol', 'x'],
  ...options,
]

const commands = [
  '',
  'demo',
  'dev',
  'device',
  'device create',
  'device show',
  'device records',
  'device grant',
  'device revoke',
  'device outbox',
  'device register',
  'device join',
  'batch',
  'batch inspect',
  'batch verify',
  'verify',
  'replay',
  'gateway',
  'gateway create',
  'gateway list',
  'gateway revoke',
  'gateway start',
  'node start',
  'node rotate-key',
  'network create',
  'network show',
  'network auditor',
  'network accept',
  'network require',
  'network withdraw',
  'model',
  'model create',
  'model endorse',
  'model revoke',
  'model show',
  'challenge',
  'challenge list',
  'challenge show',
  'challenge open',
  'challenge open step',
  'challenge open carry',
  'challenge open reveal',
  'challenge uphold',
  'challenge refund',
  'challenge withdraw',
  'epoch list',
  'epoch show',
  'claim show',
  'claim explain',
  'claim redeem',
  'claim verify',
  'ioid',
  'ioid show',
  'ioid register',
  'ioid update',
  'ioid remove',
  'audit',
]

describe('help', () => {
  test.each(commands)('machinefi %s --help', async (command) => {
    const { code, stderr, stdout } = await runCli([...command.split(' ').filter(Boolean), '--help'])
    expect(code).toBe(0)
    expect(stderr).toBe('')
    expect(stdout).toMatchSnapshot()
  })
})

describe('error', () => {
  test.each([
    [['fly'], 2],
    [['demo', '--wings'], 2],
    [['device', 'create'], 2],
    [['demo', '--devices', 'many'], 2],
    [['demo', '--days', '0'], 2],
    [['demo', '--csv', 'absent.csv'], 2],
    [['demo', '--metric', 'sum(sheep)'], 2],
    [['demo', '--metric', 'median(steps)'], 2],
    [['demo', '--metric', 'steps'], 2],
    [['demo', '--metric', 'coverage(10)'], 2],
    [['demo', '--metric', 'distance(latitude,longitude,10)'], 2],
    [['dev', '--schema', 'x:lat:6,y:lon', '--metric', 'distance(x,y,10)'], 2],
    [['bridge', '--port', '/dev/ttyUSB0', '--baud', 'fast'], 2],
    [['bridge', '--port', '/dev/ttyUSB0', '--key', 'absent.key'], 2],
    [['bridge', '--port', '/dev/ttyUSB0', '--node', 'http://127.0.0.1:1'], 4],
    [['gateway', 'create', '--data', 'absent', '--node', 'http://127.0.0.1:1'], 4],
    [['gateway', 'list', '--data', 'absent'], 2],
    [['gateway', 'revoke', '0x12', '--data', 'absent'], 2],
    [['gateway', 'start', '--data', 'absent'], 2],
    [['gateway', 'start', '--data', 'absent', '--rate', '0'], 2],
    [['gateway', 'start', '--data', 'absent', '--tls-cert', 'x'], 2],
    [['challenge', 'show', '0x12'], 2],
    [['challenge', 'open', 'step', '2026-11-21', '0', 'last'], 2],
    [['challenge', 'open', 'carry', '2026-11-21', '0', 'bob'], 2],
    [['challenge', 'open', 'reveal', '2026-11-21', '33', '0'], 2],
    [['challenge', 'open', 'step', '2026-11-21', '0', '0', '--bond', 'much'], 2],
    [['challenge', 'list', '--rpc', 'http://127.0.0.1:1'], 4],
    [['network', 'show', '--rpc', 'http://127.0.0.1:1'], 4],
    [create('--challenge-bond', '0'), 2],
    [create('--min-bond', '1 ether'), 2],
    [create('--response-time', '1.5h'), 2],
    [['device', 'show', 'did:io:0x12', '--node', 'http://127.0.0.1:1'], 2],
    [['device', 'show', `did:io:0x${'12'.repeat(20)}`, '--node', 'http://127.0.0.1:1'], 4],
    [['epoch', 'list', '--node', 'http://127.0.0.1:1'], 4],
    [['epoch', 'list', '--node', '127.0.0.1'], 2],
    [['epoch', 'list', '--node', 'localhost:4270'], 2],
    [['dev', '--window', '500ms'], 2],
    [['network', 'create', '--out', 'x', '--name', 'x', '--symbol', 'x', '--rpc', 'chain'], 2],
    [['network', 'create', '--out', '.', '--name', 'x', '--symbol', 'x'], 2],
    [['network', 'create', '--out', 'x', '--name', 'x', '--symbol', 'x', '--operator', '0x12'], 2],
    [['batch', 'inspect', 'absent.cose'], 2],
    [['batch', 'inspect', '-'], 2],
    [['claim', 'verify', 'absent.bundle'], 2],
    [['network', 'create', '--out', 'x', '--name', 'x', '--symbol', 'x', '--schema', 'steps'], 2],
    [['network', 'create', '--out', 'x', '--name', 'x', '--symbol', 'x', '--window', 'day'], 2],
    [
      [
        'network',
        'create',
        '--out',
        'x',
        '--name',
        'x',
        '--symbol',
        'x',
        '--rpc',
        'http://127.0.0.1:1',
      ],
      4,
    ],
    [['node', 'start', '--data', 'x', '--network', 'absent.json', '--log-key', 'x'], 2],
  ] as [string[], number][])('%j: %d', async (argv, expected) => {
    const { code, stderr, stdout } = await runCli(argv)
    expect(stdout).toBe('')
    expect(stderr.replaceAll(/\/tmp\/[^\s:,]*/g, 'FILE')).toMatchSnapshot()
    expect(code).toBe(expected)
  })

  test('behavior: --json errors are JSON', async () => {
    const { code, stderr } = await runCli(['demo', '--json', '--devices', '0'])
    expect(code).toBe(2)
    expect(JSON.parse(stderr)).toEqual({
      error: {
        details: ['A whole number from 1 to 1000 is needed.'],
        kind: 'input',
        message: '--devices is "0".',
        name: 'InvalidOptionError',
      },
    })
  })
})

describe('batch inspect', () => {
  // The rows are what anyone may have written: a number, a map with a name that is not callable.
  test.each([
    [0, '01'],
    [0, '81a168746f537472696e6701'],
    [2 ** 53 - 1, '81820000'],
  ])('behavior: a batch of start %d with the rows %s', async (start, rows) => {
    const header = { commitment: null, count: 1, recordsHash: new Uint8Array(32), schema: 1 }
    const stdin = encodeBatch({
      payload: encodeHeader({ ...header, seq: 0, span: 0, start }),
      protected: encodeProtected('ES256', new Uint8Array(20)),
      records: Buffer.from(rows, 'hex'),
      signature: new Uint8Array(64),
    })
    for (const json of [[], ['--json']])
      expect(await runCli(['batch', 'inspect', '-', ...json], { stdin })).toMatchObject({
        code: 0,
        stderr: '',
      })
  })
})
