import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { bootstrap, root } from './bootstrap.mjs'

// npm test                    every TypeScript test, then the Solidity suite
// npm test -- packages/core   arguments are vitest's
// npm test -- --forge …       the Solidity suite alone; what follows is forge's
const args = process.argv.slice(2)
const forge = args[0] === '--forge'
const results = []

await bootstrap()
if (!forge) results.push(await runVitest(args))
// Gas is a gate of its own: it is measured on what is shipped, whose compiler is slower.
if (forge || args.length === 0)
  results.push(await runForge(forge ? args.slice(1) : ['--no-match-contract', 'GasTest']))

const sum = (key) => results.reduce((total, result) => total + result[key], 0)
const [passed, failed, skipped] = [sum('passed'), sum('failed'), sum('skipped')]
// Shared vectors are optional on a person's machine; in CI, where they are, everything runs.
const mayNotSkip = Boolean(process.env.CI) && existsSync(join(root, '../shared/vectors'))
if (mayNotSkip && skipped > 0) {
  process.stdout.write('\nNothing may be skipped here, yet these were:\n')
  for (const { skippedTests } of results)
    for (const title of skippedTests) process.stdout.write(`  ${title}\n`)
}
process.stdout.write(`\nTests: ${passed} passed, ${failed} failed, ${skipped} skipped\n`)
process.exitCode =
  failed > 0 || passed === 0 || results.some(({ ok }) => !ok) || (mayNotSkip && skipped > 0) ? 1 : 0

async function runVitest(args) {
  const report = join(root, 'node_modules/.cache/machinefi/vitest.json')
  mkdirSync(join(report, '..'), { recursive: true })
  rmSync(report, { force: true })
  const { code } = await run([
    join(root, 'node_modules/vitest/vitest.mjs'),
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    ...args,
  ])
  // Without a report (a bad option, a crash) the exit code is all there is.
  if (!existsSync(report))
    return { passed: 0, failed: Number(code !== 0), skipped: 0, skippedTests: [], ok: code === 0 }
  const { testResults } = JSON.parse(readFileSync(report, 'utf8'))
  const count = { passed: 0, failed: 0, skipped: 0, skippedTests: [], ok: code === 0 }
  for (const { name, status, assertionResults } of testResults) {
    for (const test of assertionResults) {
      if (test.status === 'passed' || test.status === 'failed') count[test.status]++
      else {
        count.skipped++
        count.skippedTests.push(`${name.replace(`${root}/`, '')} > ${test.fullName}`)
      }
    }
    // A file that fails to load has no tests to count.
    if (status === 'failed' && !assertionResults.some((test) => test.status === 'failed'))
      count.failed++
  }
  // An unhandled error fails the run without failing a test.
  if (code !== 0 && count.failed === 0) count.failed = 1
  return count
}

async function runForge(args) {
  const script = join(root, 'packages/contracts/scripts/forge.mjs')
  const { code, output } = await run([script, 'test', ...args], { capture: true })
  const count = { passed: 0, failed: 0, skipped: 0, skippedTests: [], ok: code === 0 }
  const plain = output.replaceAll(new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g'), '')
  // "Suite result: ok. 12 passed; 0 failed; 0 skipped; finished in 1.02s (2.31s CPU time)"
  for (const [, passed, failed, skipped] of plain.matchAll(
    /^Suite result: .*?(\d+) passed; (\d+) failed; (\d+) skipped;/gm,
  )) {
    count.passed += Number(passed)
    count.failed += Number(failed)
    count.skipped += Number(skipped)
  }
  for (const [, title] of plain.matchAll(/^\[SKIP[^\]]*\] (.*)$/gm)) count.skippedTests.push(title)
  if (code !== 0 && count.failed === 0) count.failed = 1
  return count
}

function run(args, { capture = false } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      cwd: root,
      stdio: ['inherit', capture ? 'pipe' : 'inherit', 'inherit'],
    })
    let output = ''
    child.stdout?.on('data', (chunk) => {
      output += chunk
      process.stdout.write(chunk)
    })
    child.once('error', reject)
    child.once('close', (code, signal) => {
      // Ctrl-C reaches the child too: nothing is left to do.
      if (signal) process.exit(130)
      resolve({ code: code ?? 1, output })
    })
  })
}
