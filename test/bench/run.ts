import { audit } from './audit.js'
import type { Benchmark, Result } from './Benchmark.js'
import { bytes } from './bytes.js'
import { cose } from './cose.js'
import { gas } from './gas.js'
import { ingest } from './ingest.js'
import { ledger } from './ledger.js'
import { replay } from './replay.js'
import { size } from './size.js'
import { wire } from './wire.js'

// Prints every budget as a ratio to a baseline of the same run. Times are no gate: the exit code
// is 0 whatever they are, and 1 only if a benchmark could not run.

const benchmarks: readonly Benchmark[] = [
  ...[bytes, wire, size, ledger, cose, gas, ingest, replay, audit],
]

const args = process.argv.slice(2)
const json = args.includes('--json')
const at = args.indexOf('--only')
const only = at < 0 ? undefined : args[at + 1]
const chosen = benchmarks.filter(({ name }) => only === undefined || only.split(',').includes(name))
if (chosen.length === 0) {
  process.stderr.write(`--only takes ${benchmarks.map(({ name }) => name).join(', ')}.\n`)
  process.exit(2)
}

const results: Result[] = []
for (const { name, run } of chosen) {
  const started = performance.now()
  process.stderr.write(`${name} …`)
  try {
    results.push(...(await run()))
  } catch (error) {
    process.exitCode = 1
    process.stderr.write(` failed: ${error instanceof Error ? error.stack : error}\n`)
    continue
  }
  process.stderr.write(` ${((performance.now() - started) / 1000).toFixed(1)} s\n`)
}

const table = formatTable([
  ['', 'value', 'baseline', '', 'ratio', 'budget', ''],
  ...results.map(({ against, baseline, budget, budgetOf, name, ok, ratio, unit, value }) => [
    name,
    `${format(value)} ${unit}`,
    format(baseline),
    against,
    format(ratio),
    budgetOf === 'ratio' ? `× ${format(budget)}` : format(budget),
    ok ? 'ok' : 'MISSED',
  ]),
])
if (json) {
  process.stderr.write(`\n${table}`)
  process.stdout.write(`${JSON.stringify(results, undefined, 2)}\n`)
} else process.stdout.write(`\n${table}`)

function format(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: value < 100 ? 2 : 0 })
}

function formatTable(rows: readonly string[][]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  const left = [0, 3, 6]
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          left.includes(column) ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
        )
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('')
}
