import { BaseError } from '@machinefi/core'
import { formatEther } from 'viem'
import type { Context } from '../context.js'
import { formatJson } from '../output/formatJson.js'
import { formatTable } from '../output/formatTable.js'
import type { CheatReport } from './CheatReport.js'
import { cheats, listCheats, parseCheat } from './cheats.js'
import { runCheat } from './runCheat.js'

/** `machinefi demo --cheat`: one way to cheat, step by step; or, by `list`, all there are. */
export async function showCheat(
  text: string,
  options: showCheat.Options,
  context: Context,
): Promise<void> {
  if (text === 'list' || text === 'help') {
    const all = cheats.map(({ kind, title, variant }) => ({ kind, title, variant }))
    context.stdout.write(options.json ? `${formatJson(all)}\n` : `${listCheats().join('\n')}\n`)
    return
  }
  const cheat = parseCheat(text)
  for (const option of ['csv', 'keep', 'metric'] as const)
    if (options[option]) throw new CheatOptionError(option)
  const onStep = (topic: string, text: string) => {
    if (!options.json) context.stderr.write(`${topic.padEnd(12)} ${text}\n`)
  }
  onStep('cheat', cheat.title)
  const report = await runCheat({ cheat, onStep, signal: context.signal })
  context.stdout.write(options.json ? `${formatJson(report)}\n` : formatReport(report))
}

export declare namespace showCheat {
  type Options = {
    csv?: string
    json?: boolean
    keep?: boolean
    metric?: string
  }
}

export class CheatOptionError extends BaseError {
  override readonly name = 'CheatOptionError'
  constructor(option: string) {
    super(`--cheat brings a network and a fleet of its own: leave out --${option}.`, {
      kind: 'input',
    })
  }
}

/** The end of it, for a person: who had what, and who has it now. */
function formatReport(report: CheatReport): string {
  const { burned, caughtBy, challenger, epochs, gas, honestBond, slashed } = report
  const { operatorBond, operatorCredit } = report
  const credited = operatorCredit.after - operatorCredit.before
  const money = formatTable(
    ['', 'before', 'after', ''],
    [
      ['operator’s bond', coins(operatorBond.before), coins(operatorBond.after), ''],
      [
        'operator’s credit',
        coins(operatorCredit.before),
        coins(operatorCredit.after),
        credited > 0n ? `${signed(credited)}: half of the stakes of what it answered` : '',
      ],
      [
        'challenger',
        coins(challenger.before),
        coins(challenger.after),
        `${signed(challenger.after - challenger.before)}; and ${coins(gas.challenger)} for gas`,
      ],
      ['other operator’s bond', coins(honestBond.before), coins(honestBond.after), ''],
      ['burned', '', coins(burned), ''],
    ],
    { right: [1, 2] },
  )
  const windows = formatTable(
    ['day', 'attempt', 'posted by', ''],
    epochs.map(({ attempt, day, operator, status }) => [
      day,
      `${attempt}`,
      `${operator.slice(0, 10)}…`,
      status,
    ]),
  )
  const verdict = slashed
    ? `Caught by ${article(caughtBy)}, and slashed.`
    : 'Everything was answered: whoever challenges the truth pays for it.'
  return `\n${verdict}\n\n${money}\n\n${windows}\n`
}

/** What it was that ended it. */
function article(caughtBy: string): string {
  if (caughtBy === 'fork' || caughtBy === 'truncation') return `a proof of ${caughtBy}`
  return `${caughtBy === 'omission' ? 'an' : 'a'} ${caughtBy} challenge`
}

function coins(wei: bigint): string {
  const [whole, fraction = ''] = formatEther(wei).split('.')
  return fraction ? `${whole}.${fraction.slice(0, 6)}` : `${whole}`
}

function signed(wei: bigint): string {
  return wei < 0n ? `−${coins(-wei)}` : `+${coins(wei)}`
}
