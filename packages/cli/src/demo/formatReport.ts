import { formatDuration } from '../options/parseDuration.js'
import { formatTable } from '../output/formatTable.js'
import type { DemoReport } from './runDemo.js'

/** Device-days that a table shows before it says how many more there are. */
const maxRows = 40

/** The demo's end, for a person: who was paid what, what it cost, where the time went. */
export function formatReport(report: DemoReport, measure: string): string {
  const { attacks, balances, batches, claims, gas, phases, readings, wireBytes } = report
  const number = (value: number | string) => BigInt(value).toLocaleString('en-US')
  const balanceOf = new Map(balances.map(({ balance, owner }) => [owner, balance]))
  const short = (text: string) => `${text.slice(0, 10)}…${text.slice(-4)}`
  const shown = claims.slice(0, maxRows)
  const claimTable = formatTable(
    ['device', 'owner', 'window', measure, 'reward', 'owner’s wallet'],
    shown.map(({ device, owner, reward, value, window }) => [
      device,
      short(owner),
      window,
      number(value),
      BigInt(reward) > 0n ? number(reward) : '–',
      number(balanceOf.get(owner) ?? 0),
    ]),
    { right: [3, 4, 5] },
  )
  const sections = [
    claims.length > shown.length
      ? `${claimTable}\n… and ${claims.length - shown.length} more (--json has all)`
      : claimTable,
  ]
  if (attacks.length > 0)
    sections.push(
      `An attacker tried to\n${formatTable(
        ['', 'answer', 'counted', 'reason'],
        attacks.map(({ counted, name, reason, status }) => [
          name,
          `${status}`,
          counted ? 'YES' : 'no',
          reason,
        ]),
      )}`,
    )
  const rewarded = claims.filter(({ reward }) => BigInt(reward) > 0n).length
  const facts: [string, string][] = [
    [
      'readings',
      `${number(readings)} in ${number(batches)} signed batches of ${report.devices} ${report.devices === 1 ? 'device' : 'devices'}`,
    ],
    [
      'on the wire',
      `${number(wireBytes)} bytes, ${(wireBytes / readings).toFixed(2)} a reading, signatures included`,
    ],
    [
      'minted',
      `${number(report.minted)} for ${rewarded} of ${claims.length} device-days; total supply ${number(report.totalSupply)}`,
    ],
    [
      'gas',
      `${number(gas.perDeviceDay)} a device-day to redeem, ${number(gas.postEpoch)} a posting, ${number(Math.round(gas.register / report.devices))} to register and join a device`,
    ],
    [
      'time',
      `${formatDuration(report.elapsedMs)}: ${Object.entries(phases)
        .map(([phase, ms]) => `${phase} ${formatDuration(ms)}`)
        .join(', ')}`,
    ],
  ]
  sections.push(facts.map(([name, text]) => `${name.padEnd(12)} ${text}`).join('\n'))
  return `${sections.join('\n\n')}\n`
}
