import { equalBytes } from '@machinefi/core'
import { toLog } from './LogBook.js'
import { type Story, toLedger } from './Story.js'

/** What a story has that is not true, a line each. */
export function describeStory(
  story: Story,
  truth: Story,
  nameOf: (slot: number) => string,
): string[] {
  const lines: string[] = []
  for (const [slot, real] of truth.claims.entries()) {
    const told = story.claims[slot] ?? null
    const name = nameOf(slot)
    if (real === null || told === null) {
      if (real !== told) lines.push(`${name} is not in the ledger`)
      continue
    }
    if (!equalBytes(told.device, real.device)) {
      const other = truth.claims.findIndex(
        (claim) => claim && equalBytes(claim.device, told.device),
      )
      lines.push(`the slot of ${name} is ${nameOf(other)}'s, with all that ${nameOf(other)} earned`)
    } else if (told.value !== real.value || told.steps.length !== real.steps.length)
      lines.push(
        `${name} walked ${format(told.value)} steps in ${told.steps.length} batches; in truth ${format(real.value)} in ${real.steps.length}`,
      )
    else if (told.cumulative !== real.cumulative)
      lines.push(
        `${name} has earned ${format(told.cumulative)} so far; in truth ${format(real.cumulative)}`,
      )
  }
  const sum = story.claims.reduce((sum, claim) => sum + (claim?.cumulative ?? 0n), 0n)
  const total = story.total ?? toLedger(story).total
  if (total !== sum)
    lines.push(`all have earned ${format(total)}; its own entries add up to ${format(sum)}`)
  const [told, real] = [toLog(story.log), toLog(truth.log)]
  if (told.size !== real.size || !equalBytes(told.root(), real.root()))
    lines.push(
      `the log has ${told.size} entries${told.size === real.size ? ', another than everyone has seen' : `; everyone has seen ${real.size}`}`,
    )
  return lines.length > 0 ? lines : ['nothing but the truth']
}

const format = (value: bigint) => value.toLocaleString('en-US')
