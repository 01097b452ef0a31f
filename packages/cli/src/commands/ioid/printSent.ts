import type { IoidPermit } from '@machinefi/contracts/ioid'
import { formatDid, parseAddress } from '@machinefi/core'
import type { Context } from '../../context.js'
import { formatJson } from '../../output/formatJson.js'

/** What a command that sent one transaction says. */
export function printSent(
  sent: { permit: IoidPermit; transaction: string; done: string },
  options: { json?: boolean },
  context: Context,
): void {
  const { done, permit, transaction } = sent
  const did = formatDid(parseAddress(permit.device))
  if (options.json) context.stdout.write(`${formatJson({ did, transaction })}\n`)
  else {
    context.stdout.write(`${did}\n`)
    context.stderr.write(`${done} by ${transaction}.\n`)
  }
}
