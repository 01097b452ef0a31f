import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { type AnyClient, type Deployment, type Network, readConfig } from '@machinefi/contracts'
import { BaseError, formatDid } from '@machinefi/core'
import type { Metric } from '@machinefi/proof'
import {
  type Action,
  type AuditEvent,
  type Auditor,
  type AuditProgress,
  createAuditor,
  type Finding,
  type Verdict,
} from '@machinefi/stream/audit'
import { isHex, zeroAddress } from 'viem'
import { type ChainReader, openChain, openReader } from '../chain/createChainClient.js'
import { identifyContracts } from '../chain/identifyContracts.js'
import type { Context } from '../context.js'
import { readNetworkFile } from '../network/networkFile.js'
import { openNetwork } from '../network/openNetwork.js'
import { parseCoins } from '../options/parseCoins.js'
import { formatDuration, parseDuration } from '../options/parseDuration.js'
import { parseInteger } from '../options/parseInteger.js'
import { formatWindow, parseWindow } from '../options/parseWindow.js'
import { createProgress } from '../output/createProgress.js'
import { formatError } from '../output/formatError.js'
import { formatJson } from '../output/formatJson.js'

type Options = {
  account?: string
  also?: string[]
  data: string
  dryRun?: boolean
  every: string
  json?: boolean
  maxStake?: string
  network?: string
  node: string
  once?: boolean
  patience?: string
  progress?: boolean
  rpc: string
  sample?: string
  window?: string
}

/** `machinefi audit`: computes what was posted again, and disputes what is wrong. */
export async function audit(options: Options, context: Context): Promise<void> {
  const started = performance.now()
  const dryRun = options.dryRun === true
  const once = options.once === true || options.window !== undefined
  const client = dryRun ? await openReader(options) : await openChain(options, context)
  const { network } = await openNetwork(client, options, context)
  if (network.disputes === zeroAddress && !dryRun) throw new NothingToDisputeError(network.id)
  const windowMs = network.windowSeconds * 1000
  const nameOf = (window: number) => formatWindow(window, windowMs)
  const fromBlock =
    options.network === undefined || isHex(options.network)
      ? undefined
      : (await readNetworkFile(options.network, context)).fromBlock
  const progress = createProgress(context, { force: options.progress === true })
  const dataDir = resolve(context.cwd, options.data)
  mkdirSync(dataDir, { recursive: true })

  /** A line on stdout for an event, where the network is followed. */
  const say = (event: AuditEvent) => {
    progress.clear()
    if (event.type === 'failed') context.stderr.write(`${formatError(event.error)}\n`)
    else if (options.json) {
      const shown = showEvent(event)
      if (shown) context.stdout.write(`${formatJson(shown, { indent: 0 })}\n`)
    } else if (event.type === 'checked')
      context.stdout.write(`${formatVerdict(event.verdict, nameOf)}\n`)
    else if (event.type === 'acted') context.stdout.write(`${formatAction(event.action)}\n`)
  }
  const patienceMs = parseDuration(options.patience ?? '1h')
  const auditor = await createAuditor({
    client,
    dataDir,
    deployment: await readContracts(client, network, fromBlock),
    dryRun,
    fromBlock,
    maxStake:
      options.maxStake === undefined ? undefined : parseCoins('--max-stake', options.maxStake),
    network,
    nodeUrl: [options.node, ...(options.also ?? [])],
    onEvent: once ? undefined : say,
    onProgress: (step) => progress.update(formatProgress(step, nameOf)),
    patienceMs,
    sample:
      options.sample === undefined
        ? undefined
        : parseInteger('--sample', options.sample, { least: 1, most: 10_000 }),
    signal: context.signal,
  })
  try {
    if (!once) {
      context.stderr.write(`Following ${network.id} until Ctrl-C.\n`)
      const everyMs = parseDuration(options.every)
      return await auditor.run({ everyMs, signal: context.signal })
    }
    const window = options.window === undefined ? undefined : parseWindow(options.window, windowMs)
    const report = await auditOnce(auditor, window)
    progress.clear()
    const elapsedMs = Math.round(performance.now() - started)
    if (options.json) {
      const { verdicts, ...rest } = report
      const windows = verdicts.map((verdict) => showVerdict(verdict, nameOf))
      const result = { network: network.id, dryRun, ...rest, windows, elapsedMs }
      context.stdout.write(`${formatJson(result)}\n`)
    } else {
      for (const verdict of report.verdicts)
        context.stdout.write(`${formatVerdict(verdict, nameOf)}\n`)
      for (const action of report.actions) context.stdout.write(`${formatAction(action)}\n`)
      context.stdout.write(formatSummary(report, elapsedMs))
    }
    assertRight(report, nameOf)
  } finally {
    progress.clear()
    await auditor.close()
  }
}

type Report = {
  /** Copied now. */
  batches: number
  /** Computed again, in all windows that were checked. */
  claims: number
  verdicts: Verdict[]
  actions: Action[]
  problems: string[]
}

/** One round: copies what is new, checks what was not checked yet, acts on what is wrong. */
async function auditOnce(auditor: Auditor, only: number | undefined): Promise<Report> {
  const synced = await auditor.sync()
  const verdicts: Verdict[] = []
  for (const window of only === undefined ? await auditor.windows() : [only])
    verdicts.push(await auditor.check(window))
  const actions = await auditor.act({ window: only })
  return {
    actions,
    batches: synced.reduce((sum, { batches }) => sum + batches, 0),
    claims: verdicts.reduce((sum, { claims }) => sum + claims, 0),
    problems: synced.flatMap(({ problems }) => problems),
    verdicts,
  }
}

/** Which metrics and which policy the network uses, by the code at their addresses: nobody is asked. */
async function readContracts(
  client: AnyClient & Pick<ChainReader, 'getBlock' | 'getCode'>,
  network: Network,
  fromBlock: bigint | undefined,
): Promise<Pick<Deployment, 'metrics' | 'policy'>> {
  const none = zeroAddress
  const metrics: Record<Metric['type'], `0x${string}`> = {
    ...{ average: none, count: none, coverage: none, distance: none, sum: none },
  }
  let policy: `0x${string}` = none
  const { timestamp } = await client.getBlock()
  const now = Math.floor(Number(timestamp) / network.windowSeconds)
  // The rules of the first window and of the present one; others use the same contracts, or are refused.
  for (const window of new Set([network.firstWindow, Math.max(now, network.firstWindow)])) {
    const config = await readConfig(client, { fromBlock, network, window })
    const known = await identifyContracts(client, config)
    if (known.metric) metrics[known.metric] = config.metric
    if (known.policy) policy = config.policy
  }
  return { metrics, policy }
}

function formatVerdict(verdict: Verdict, nameOf: (window: number) => string): string {
  const { claims, findings, ok, window } = verdict
  const name = nameOf(window)
  if (ok) return `${name}  right: ${claims} claims computed again`
  const wrong = findings.some(isFraud)
  const lines = findings.map(
    ({ certain, text, why }) => `  ${certain ? '✗' : '?'} ${text} (${why})`,
  )
  return [`${name}  ${wrong ? 'WRONG' : 'not seen'}`, ...lines].join('\n')
}

function formatAction({ kind, sent, text }: Action): string {
  return `${kind.padEnd(9)} ${text}${sent ? '' : ' (nothing was sent)'}`
}

function formatSummary(report: Report, elapsedMs: number): string {
  const { batches, claims, problems, verdicts } = report
  const right = verdicts.filter(({ ok }) => ok).length
  return [
    ...problems.map((problem) => `node      ${problem}`),
    `${right} of ${verdicts.length} windows are right: ${claims} claims computed again, ${batches.toLocaleString('en-US')} batches copied, in ${formatDuration(elapsedMs)}.`,
    '',
  ].join('\n')
}

function formatProgress({ done, of, step, window }: AuditProgress, nameOf: (n: number) => string) {
  const share = of === 0 ? 100 : Math.round((100 * done) / of)
  return step === 'download'
    ? `copying the log: ${done.toLocaleString('en-US')} of ${of.toLocaleString('en-US')} batches (${share} %)`
    : `computing ${nameOf(window ?? 0)}: ${done} of ${of} slots (${share} %)`
}

function showVerdict({ findings, ...verdict }: Verdict, nameOf: (window: number) => string) {
  return { ...verdict, name: nameOf(verdict.window), findings: findings.map(showFinding) }
}

/** A finding without its evidence, which can be large. */
function showFinding({ device, remedy, ...finding }: Finding) {
  return {
    ...finding,
    ...(device ? { did: formatDid(device) } : {}),
    remedy: remedy?.kind ?? null,
  }
}

function showEvent(event: Exclude<AuditEvent, { type: 'failed' }>) {
  if (event.type === 'acted') return { type: 'acted', ...event.action }
  if (event.type === 'synced') return undefined
  const { findings, ...verdict } = event.verdict
  return { type: 'checked', ...verdict, findings: findings.map(showFinding) }
}

/** What was kept back may be right; everything else is not. */
const isFraud = ({ why }: Finding) =>
  !['withheld-data', 'unknown-node', 'unknown-parent', 'sample'].includes(why)

/** @throws {FraudFoundError} @throws {NotCheckedError} */
function assertRight({ verdicts }: Report, nameOf: (window: number) => string): void {
  const wrong = verdicts.filter(({ findings }) => findings.some(isFraud))
  if (wrong.length > 0) throw new FraudFoundError(wrong.map(({ window }) => nameOf(window)))
  const unseen = verdicts.filter(({ ok }) => !ok)
  if (unseen.length > 0) throw new NotCheckedError(unseen.map(({ window }) => nameOf(window)))
}

/** Exit code 3. */
export class FraudFoundError extends BaseError {
  override readonly name = 'FraudFoundError'
  constructor(windows: readonly string[]) {
    super(`What was posted is wrong: ${list(windows)}.`, {
      docsPath: 'guides/audit.md',
      kind: 'integrity',
    })
  }
}

/** Exit code 4. */
export class NotCheckedError extends BaseError {
  override readonly name = 'NotCheckedError'
  constructor(windows: readonly string[]) {
    super(`Nobody shows what ${list(windows)} was computed from.`, {
      docsPath: 'guides/audit.md',
      kind: 'transport',
      metaMessages: ['Try again: if it stays like this, it is asked for on chain.'],
    })
  }
}

export class NothingToDisputeError extends BaseError {
  override readonly name = 'NothingToDisputeError'
  constructor(network: string) {
    super('Nobody can challenge in this network: it is attested.', {
      docsPath: 'protocol/disputes.md',
      kind: 'contract',
      metaMessages: [`Network: ${network}`, 'Look only, with --dry-run.'],
    })
  }
}

function list(windows: readonly string[]): string {
  const shown = windows.slice(0, 5).join(', ')
  return windows.length > 5 ? `${shown} and ${windows.length - 5} more` : shown
}
