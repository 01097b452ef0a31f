import { resolve } from 'node:path'
import {
  type AnyClient,
  type Deployment,
  type Network,
  readAccess,
  readChallengeBond,
  readConfig,
} from '@machinefi/contracts'
import { BaseError, formatDid } from '@machinefi/core'
import type { Metric } from '@machinefi/proof'
import {
  type Action,
  type AuditEvent,
  type AuditOverview,
  type Auditor,
  type AuditProgress,
  createAuditor,
  type Finding,
  type Verdict,
} from '@machinefi/stream/audit'
import { formatEther, isHex, zeroAddress } from 'viem'
import {
  type ChainClient,
  type ChainReader,
  openChain,
  openReader,
} from '../chain/createChainClient.js'
import { identifyContracts } from '../chain/identifyContracts.js'
import type { Context } from '../context.js'
import { readNetworkFile } from '../network/networkFile.js'
import { openNetwork } from '../network/openNetwork.js'
import { parseCoins } from '../options/parseCoins.js'
import { formatDuration, parseDuration } from '../options/parseDuration.js'
import { parseInteger } from '../options/parseInteger.js'
import { parseUrl } from '../options/parseUrl.js'
import { formatWindow, parseWindow } from '../options/parseWindow.js'
import { createProgress } from '../output/createProgress.js'
import { formatCount } from '../output/formatCount.js'
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
  const everyMs = parseDuration(options.every)
  const patienceMs = parseDuration(options.patience ?? '1h')
  const nodeUrl = [options.node, ...(options.also ?? [])].map(parseUrl)
  const payer = dryRun ? undefined : await openChain(options, context)
  let client: ChainClient | ChainReader = payer ?? (await openReader(options))
  const { network } = await openNetwork(client, options, context)
  if (network.disputes === zeroAddress && !dryRun) throw new NothingToDisputeError(network.id)
  if (network.isPrivate) {
    // What is asked of a node is signed, also where nothing is sent to the chain.
    const auditor = payer ?? (await openChain(options, context))
    client = auditor
    const account = auditor.account.address
    if ((await readAccess(auditor, { account, device: null, network })) === null)
      throw new NotAuditorError(account, network.id)
  }
  if (payer) await warnIfPoor(payer, network, context)
  const windowMs = network.windowSeconds * 1000
  const nameOf = (window: number) => formatWindow(window, windowMs)
  const fromBlock =
    options.network === undefined || isHex(options.network)
      ? undefined
      : (await readNetworkFile(options.network, context)).fromBlock
  const progress = createProgress(context, { force: options.progress === true })
  const dataDir = resolve(context.cwd, options.data)

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
  const auditor = await createAuditor({
    client,
    dataDir,
    deployment: await readContracts(client, network, fromBlock),
    dryRun,
    fromBlock,
    maxStake:
      options.maxStake === undefined ? undefined : parseCoins('--max-stake', options.maxStake),
    network,
    nodeUrl,
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
      return await auditor.run({ everyMs, signal: context.signal })
    }
    const window = options.window === undefined ? undefined : parseWindow(options.window, windowMs)
    const report = await auditOnce(auditor, window)
    progress.clear()
    const elapsedMs = Math.round(performance.now() - started)
    if (options.json) {
      const result = { network: network.id, dryRun, ...showReport(report, nameOf), elapsedMs }
      context.stdout.write(`${formatJson(result)}\n`)
    } else {
      for (const verdict of report.verdicts)
        context.stdout.write(`${formatVerdict(verdict, nameOf, report.actions)}\n`)
      for (const action of report.actions) context.stdout.write(`${formatAction(action)}\n`)
      context.stdout.write(formatSummary(report, elapsedMs))
    }
    assertRight(report, nameOf)
  } catch (error) {
    throw isStoreError(error) ? new DamagedCopyError(dataDir, error as Error) : error
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
  /** What was known of all windows, or of the only one, before they were checked. */
  before: AuditOverview
  only: number | undefined
}

/** One round: copies what is new, checks what was not checked yet, acts on what is wrong. */
async function auditOnce(auditor: Auditor, only: number | undefined): Promise<Report> {
  const synced = await auditor.sync()
  const before = await auditor.overview()
  const verdicts: Verdict[] = []
  for (const window of only === undefined ? await auditor.windows() : [only])
    verdicts.push(await auditor.check(window))
  const actions = await auditor.act({ window: only })
  return {
    actions,
    batches: synced.reduce((sum, { batches }) => sum + batches, 0),
    before,
    claims: verdicts.reduce((sum, { claims }) => sum + claims, 0),
    only,
    problems: synced.flatMap(({ problems, url }) =>
      problems.map((problem) => `${url}: ${problem}`),
    ),
    verdicts,
  }
}

/** Says so before anything else if an account could not challenge: what is wrong is told all the same. */
async function warnIfPoor(client: ChainClient, network: Network, context: Context): Promise<void> {
  const { address } = client.account
  const { timestamp } = await client.getBlock()
  const now = Math.floor(Number(timestamp) / network.windowSeconds)
  const window = Math.max(now, network.firstWindow)
  const [balance, bond, gasPrice] = await Promise.all([
    client.getBalance({ address }),
    readChallengeBond(client, { network, window }),
    client.getGasPrice(),
  ])
  if (balance >= bond + gasPrice * challengeGas) return
  context.stderr.write(
    `machinefi: ${address} could not challenge: it has ${formatEther(balance)}, and a challenge takes ${formatEther(bond)} and gas.\n`,
  )
}

/** More than a challenge takes. */
const challengeGas = 600_000n

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

function formatVerdict(
  verdict: Verdict,
  nameOf: (window: number) => string,
  actions?: readonly Action[],
): string {
  const { claims, findings, ok, window } = verdict
  const name = nameOf(window)
  if (ok) return `${name}  right: ${formatCount(claims, 'claim')} computed again`
  if (isSampled(verdict)) return `${name}  ${formatSample(verdict, actions)}`
  const wrong = findings.some(isFraud)
  const lines = findings.map(
    ({ certain, text, why }) => `  ${certain ? '✗' : '?'} ${text} (${why})`,
  )
  return [`${name}  ${wrong ? 'WRONG' : 'not seen'}`, ...lines].join('\n')
}

/** What became of the steps of a window that were chosen at random: nothing of it was computed. */
function formatSample(verdict: Verdict, actions: readonly Action[] = []): string {
  const { answered, asked, open, steps, toAsk } = countSample(verdict, actions)
  const isSent = actions.some(({ sent, why }) => sent && why === 'sample')
  const parts = [
    [asked, isSent ? 'asked for on chain' : 'would be asked for on chain'],
    [toAsk, 'to be asked for'],
    [open, 'asked for before'],
    [answered, 'answered before'],
  ] as const
  const said = parts.filter(([count]) => count > 0)
  if (said.length === 0)
    return `not sampled: ${verdict.final ? 'it is final' : steps === 0 ? 'it has no steps' : 'others have asked for its steps'}`
  const [[first, what], ...others] = said as [(typeof said)[number], ...typeof said]
  const of =
    steps === null ? formatCount(first, 'step') : `${first} of ${formatCount(steps, 'step')}`
  return `sampled: ${[`${of} ${what}`, ...others.map(([n, what]) => `${n} ${what}`)].join(', ')}`
}

/** Steps of a window that were sampled: asked for now, still to be, and before. */
function countSample({ attempt, findings, sampled, window }: Verdict, actions: readonly Action[]) {
  const { answered = 0, open = 0, steps = null } = sampled ?? {}
  const asked = actions.filter(
    (action) =>
      action.why === 'sample' &&
      (action.kind === 'opened' || action.kind === 'left') &&
      action.window === window &&
      action.attempt === attempt,
  ).length
  const chosen = findings.filter(({ why }) => why === 'sample').length
  return { steps, asked, toAsk: Math.max(0, chosen - asked), open, answered }
}

/** Whether steps of a window were chosen at random, and nothing is known to be wrong with it. */
const isSampled = ({ findings, sampled }: Verdict) =>
  sampled !== undefined && findings.every(({ why }) => why === 'sample')

function formatAction({ kind, sent, text }: Action): string {
  return `${kind.padEnd(9)} ${text}${sent ? '' : ' (nothing was sent)'}`
}

function formatSummary(report: Report, elapsedMs: number): string {
  const { batches, before, claims, only, problems, verdicts } = report
  const computed = verdicts.filter(({ sampled }) => sampled === undefined)
  const right = computed.filter(({ ok }) => ok).length
  const { checkedBefore, expired, notSampled } = countBefore(report)
  const facts: string[] = []
  if (computed.length > 0)
    facts.push(
      `${right} of ${formatCount(computed.length, 'window is', 'windows are')} right: ${formatCount(claims, 'claim')} computed again`,
    )
  if (computed.length < verdicts.length)
    facts.push(
      `${formatCount(verdicts.length - computed.length, 'window is', 'windows are')} looked at by samples, not computed`,
    )
  const found = formatCount(checkedBefore, 'window was', 'windows were')
  const sentences =
    facts.length > 0
      ? [
          `${facts.join('; ')}, ${formatCount(batches, 'batch', 'batches')} copied, in ${formatDuration(elapsedMs)}.`,
          ...(checkedBefore > 0 ? [`${found} found right before.`] : []),
        ]
      : [checkedBefore > 0 ? `Nothing new: ${found} found right before.` : 'Nothing to check yet.']
  if (notSampled > 0)
    sentences.push(
      `${formatCount(notSampled, 'window is', 'windows are')} final: no step can be asked for any more.`,
    )
  if (expired > 0)
    sentences.push(
      `${formatCount(expired, 'window is', 'windows are')} final, and the rows have expired: nobody can compute ${expired === 1 ? 'it' : 'them'} any more.`,
    )
  if (before.void.length > 0)
    sentences.push(
      `${formatCount(before.void.length, 'posting is', 'postings are')} void: the operator was slashed.`,
    )
  return [
    ...problems.map((problem) => `node      ${problem}`),
    // What is known of others is not asked for.
    only === undefined ? sentences.join(' ') : sentences[0],
    '',
  ].join('\n')
}

/** Windows that were not looked at, and why. */
function countBefore({ before, only, verdicts }: Report) {
  const isMeant = (window: number) => only === undefined || window === only
  const isLeft = (window: number) => !verdicts.some((verdict) => verdict.window === window)
  return {
    checkedBefore: before.right.filter(isMeant).length,
    expired: before.expired.filter(isMeant).length,
    /** Where steps are sampled: final ones. */
    notSampled: before.unchecked.filter(isMeant).filter(isLeft).length,
    void: before.void.filter(isMeant).length,
  }
}

function showReport(report: Report, nameOf: (window: number) => string) {
  const { actions, batches, claims, problems, verdicts } = report
  const samples = verdicts.filter(({ sampled }) => sampled)
  const sum = (count: (sample: ReturnType<typeof countSample>) => number) =>
    samples.reduce((sum, verdict) => sum + count(countSample(verdict, actions)), 0)
  return {
    actions,
    batches,
    claims,
    sampled: {
      windows: samples.length,
      asked: sum(({ asked }) => asked),
      toAsk: sum(({ toAsk }) => toAsk),
      open: sum(({ open }) => open),
      answered: sum(({ answered }) => answered),
    },
    ...countBefore(report),
    problems,
    windows: verdicts.map(({ findings, sampled, ...verdict }) => ({
      ...verdict,
      name: nameOf(verdict.window),
      findings: findings.map(showFinding),
      ...(sampled && { sampled: countSample({ ...verdict, findings, sampled }, actions) }),
    })),
  }
}

function formatProgress({ done, of, step, window }: AuditProgress, nameOf: (n: number) => string) {
  const share = of === 0 ? 100 : Math.round((100 * done) / of)
  return step === 'download'
    ? `copying the log: ${done.toLocaleString('en-US')} of ${of.toLocaleString('en-US')} batches (${share} %)`
    : `computing ${nameOf(window ?? 0)}: ${done} of ${of} slots (${share} %)`
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
  !['expired', 'withheld-data', 'unknown-node', 'unknown-parent', 'sample'].includes(why)

/** @throws {FraudFoundError} @throws {NotCheckedError} @throws {NotAskedError} */
function assertRight({ actions, verdicts }: Report, nameOf: (window: number) => string): void {
  const names = (some: readonly Verdict[]) => some.map(({ window }) => nameOf(window))
  const short = actions.filter(({ kind }) => kind === 'short').map(({ text }) => text)
  const wrong = verdicts.filter(({ findings }) => findings.some(isFraud))
  if (wrong.length > 0) throw new FraudFoundError(names(wrong), short)
  const unseen = verdicts.filter((verdict) => !verdict.ok && !isSampled(verdict))
  if (unseen.length > 0)
    throw new NotCheckedError(names(unseen), {
      isFinal: unseen.every(({ final }) => final),
      short,
    })
  const failed = actions.filter(
    ({ kind }) => kind === 'short' || kind === 'refused' || kind === 'late',
  )
  const unasked = verdicts.filter(
    (verdict) =>
      verdict.sampled &&
      countSample(verdict, actions).toAsk > 0 &&
      failed.some(({ window }) => window === verdict.window),
  )
  if (unasked.length > 0)
    throw new NotAskedError(
      names(unasked),
      failed.map(({ text }) => text),
    )
}

/** Whether SQLite refused something, in the middle of the work. */
const isStoreError = (error: unknown) =>
  /^SQLITE_(CORRUPT|NOTADB)/.test(`${(error as { code?: unknown } | null)?.code}`)

export class DamagedCopyError extends BaseError {
  override readonly name = 'DamagedCopyError'
  constructor(dataDir: string, cause: Error) {
    super('The copy of the auditor cannot be used.', {
      cause,
      kind: 'input',
      metaMessages: [
        `Directory: ${dataDir}`,
        `Reason: ${cause.message}`,
        'Name an empty one with --data: what was copied is copied again.',
      ],
    })
  }
}

/** Exit code 3. */
export class FraudFoundError extends BaseError {
  override readonly name = 'FraudFoundError'
  constructor(windows: readonly string[], short: readonly string[]) {
    super(`What was posted is wrong: ${list(windows)}.`, {
      docsPath: 'guides/audit.md',
      kind: 'integrity',
      metaMessages: short.slice(0, 3),
    })
  }
}

/** Exit code 4. */
export class NotCheckedError extends BaseError {
  override readonly name = 'NotCheckedError'
  constructor(
    windows: readonly string[],
    { isFinal, short }: { isFinal: boolean; short: readonly string[] },
  ) {
    super(`Nobody shows what ${list(windows)} was computed from.`, {
      docsPath: 'guides/audit.md',
      kind: 'transport',
      metaMessages: isFinal
        ? ['It is final: nothing can be asked for on chain any more.']
        : ['Try again: if it stays like this, it is asked for on chain.', ...short.slice(0, 3)],
    })
  }
}

/** Exit code 5. */
export class NotAskedError extends BaseError {
  override readonly name = 'NotAskedError'
  constructor(windows: readonly string[], reasons: readonly string[]) {
    super(`Not every step of ${list(windows)} that was chosen could be asked for on chain.`, {
      docsPath: 'guides/audit.md',
      kind: 'contract',
      metaMessages: reasons.slice(0, 3),
    })
  }
}

export class NotAuditorError extends BaseError {
  override readonly name = 'NotAuditorError'
  constructor(account: string, network: string) {
    super('Only its auditors can audit a private network.', {
      docsPath: 'guides/private-networks.md',
      kind: 'input',
      metaMessages: [
        `Account: ${account}`,
        `Network: ${network}`,
        'Its owner names one: machinefi network auditor <address>',
        'An owner checks a device of its own: machinefi claim explain <device>',
      ],
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
