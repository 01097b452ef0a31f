import { readNextWindow } from '@machinefi/contracts'
import { BaseError, formatDid, fromHex, parseDid, toHex } from '@machinefi/core'
import {
  assertMetric,
  type ClaimReason,
  decodeMetricParams,
  decodePolicyParams,
  explainClaim,
} from '@machinefi/proof'
import { schemaHash } from '@machinefi/telemetry'
import { openReader } from '../../chain/createChainClient.js'
import { identifyContracts } from '../../chain/identifyContracts.js'
import { findLeftOut } from '../../claims/findLeftOut.js'
import { type GatheredClaim, gatherClaim } from '../../claims/gatherClaim.js'
import type { Context } from '../../context.js'
import { openNetwork } from '../../network/openNetwork.js'
import { openReadableNode } from '../../node/openReadableNode.js'
import { formatWindow, parseWindow } from '../../options/parseWindow.js'
import { formatJson } from '../../output/formatJson.js'
import { formatTable } from '../../output/formatTable.js'
import { toMeasure } from '../../output/toMeasure.js'

type Options = {
  account?: string
  json?: boolean
  network?: string
  node: string
  rpc: string
  window?: string
}

type Reason = ClaimReason | { code: 'left-out'; seqs: number[]; text: string }

/** `machinefi claim explain`: why a window paid a device what it paid. */
export async function explainOneClaim(
  text: string,
  options: Options,
  context: Context,
): Promise<void> {
  const device = parseDid(text)
  const client = await openReader(options)
  const { network, schema } = await openNetwork(client, options, context)
  const node = await openReadableNode(options, network, context)
  const windowMs = 1000 * network.windowSeconds
  const findWindow = async () => {
    if (options.window !== undefined) return parseWindow(options.window, windowMs)
    const next = await readNextWindow(client, { network })
    if (next > network.firstWindow) return next - 1
    return Math.max(network.firstWindow, Math.floor(Date.now() / windowMs))
  }
  const gathered = await gatherClaim({
    client,
    device,
    network,
    node,
    window: await findWindow(),
  })
  const { batches, claim, config, epoch, member, window } = gathered
  const known = await identifyContracts(client, config)
  if (known.metric === undefined || known.policy === undefined)
    throw new UnknownRulesError(known.metric ? config.policy : config.metric)
  if (toHex(schemaHash(schema)) !== config.schemaHash) throw new UnknownSchemaError(config.schema)
  const metric = decodeMetricParams(known.metric, fromHex(config.metricParams))
  assertMetric(metric, schema)
  const leftOut = await findLeftOut(gathered, { network: network.id, node: options.node })

  // Without a posting, what the log has now is what would count.
  const stands = epoch !== null && epoch.status !== 'void'
  const logs = stands
    ? epoch.logs.map(({ shard, size }) => ({ shard, size: Number(size) }))
    : [{ shard: 0, size: Number.MAX_SAFE_INTEGER }]
  const explained = explainClaim({
    batches: batches
      .filter((batch) => !leftOut.includes(batch))
      .map(({ index, records, ...header }) => ({ header, index, records, shard: 0 })),
    entry: claim?.entry,
    logs,
    member,
    metric,
    policy: decodePolicyParams(fromHex(config.policyParams)),
    schema,
    window,
  })
  const reasons: Reason[] = [...explained.reasons]
  if (leftOut.length > 0)
    reasons.unshift({
      code: 'left-out',
      seqs: leftOut.map(({ seq }) => seq),
      text: `The operator left out ${leftOut.length === 1 ? 'a batch' : `${leftOut.length} batches`} of its own log: seq ${leftOut.map(({ seq }) => seq).join(', ')}. \`machinefi audit\` takes its bond for that.`,
    })
  const status = toStatus(gathered)
  const { paid, reward, steps, value } = explained
  const did = formatDid(device)
  const name = formatWindow(window.number, windowMs)

  if (options.json)
    return context.stdout.write(
      `${formatJson({
        did,
        network: network.id,
        window: window.number,
        name,
        start: window.start,
        end: window.end,
        status: status.code,
        epochHash: stands ? epoch.epochHash : null,
        member,
        paid,
        value,
        reward,
        steps,
        cumulative: claim?.entry.cumulative ?? null,
        verified: claim?.verified ?? false,
        reasons,
        batches: batches.map(({ records: _, ...batch }) => ({
          ...batch,
          remark: remarkOn(batch.seq, reasons),
        })),
      })}\n`,
    )

  const measure = toMeasure(metric, schema)
  const number = (value: bigint | number) => value.toLocaleString('en-US')
  const readings = batches.reduce((sum, { count }) => sum + count, 0)
  const lines: [string, string][] = [
    ['device', did],
    ['assurance', member?.assurance ?? 'none: it is no member'],
    ['window', `${name}: ${status.text}`],
    [
      'sent',
      batches.length === 0
        ? 'nothing that the node has'
        : `${number(readings)} readings in ${number(batches.length)} ${batches.length === 1 ? 'batch' : 'batches'}`,
    ],
  ]
  if (paid)
    lines.push(
      [stands ? 'counted' : 'so far', `${number(value)} ${measure}`],
      [stands ? 'earned' : 'would earn', number(reward)],
    )
  else lines.push(['earned', 'nothing: the window does not pay this device'])
  const sections = [lines.map(([name, text]) => `${name.padEnd(10)} ${text}`).join('\n')]
  sections.push(
    reasons.length === 0
      ? 'All that was sent counted in full.'
      : `Why not more:\n${reasons.map(({ text }) => `  - ${text}`).join('\n')}`,
  )
  if (batches.length > 0)
    sections.push(
      formatTable(
        ['seq', 'readings', 'first', 'last', 'arrived', ''],
        batches.map(({ arrived, count, seq, span, start }) => [
          `${seq}`,
          `${count}`,
          formatTime(start),
          formatTime(start + span),
          formatTime(arrived),
          remarkOn(seq, reasons),
        ]),
        { right: [0, 1] },
      ),
    )
  sections.push(
    claim?.verified
      ? 'Checked here: signatures, log, fold, ledger, and the hash on the chain. The node’s word: when batches arrived, and that there are no others.'
      : claim
        ? 'The rows have expired: what was posted can be shown, and not recomputed any more.'
        : 'From the chain: rules, and whether the window pays the device. The rest is the node’s word.',
  )
  context.stdout.write(`${sections.join('\n\n')}\n`)
}

/** How far a window has come. */
function toStatus({ config, epoch, now, window }: GatheredClaim): { code: string; text: string } {
  const due = window.end + config.grace * 1000
  if (epoch?.status === 'final') return { code: 'final', text: 'final' }
  if (epoch?.status === 'pending')
    return {
      code: 'pending',
      text: `posted; can be challenged until ${formatTime(epoch.challengeEndsAt * 1000)}, final thereafter`,
    }
  if (epoch !== null)
    return { code: 'void', text: 'the posting was voided with its operator’s bond; it comes again' }
  if (now < window.end)
    return { code: 'not-over', text: `not over before ${formatTime(window.end)}` }
  if (now < due) return { code: 'waiting', text: `over; late data counts until ${formatTime(due)}` }
  return { code: 'not-posted', text: `not posted yet; it could have been since ${formatTime(due)}` }
}

/** What became of a batch, in a few words. */
function remarkOn(seq: number, reasons: readonly Reason[]): string {
  for (const reason of reasons) {
    if (reason.code === 'late' && reason.seqs.includes(seq)) return 'too late'
    if (reason.code === 'left-out' && reason.seqs.includes(seq)) return 'LEFT OUT'
    if (reason.code === 'ignored' && reason.seq === seq) return `ignored: ${reason.why}`
  }
  return ''
}

function formatTime(time: number): string {
  return new Date(time).toISOString().replace(/\.\d{3}Z$/, 'Z')
}

export class UnknownRulesError extends BaseError {
  override readonly name = 'UnknownRulesError'
  constructor(address: string) {
    super(`This version does not know the contract ${address}.`, {
      kind: 'integrity',
      metaMessages: ['The network pays by a metric or policy of its own.'],
    })
  }
}

export class UnknownSchemaError extends BaseError {
  override readonly name = 'UnknownSchemaError'
  constructor(schema: bigint) {
    super(`The node’s schema is not schema ${schema} of the window.`, {
      kind: 'input',
      metaMessages: ['The network has another one now; name a network file with --network.'],
    })
  }
}
