import { type Assurance, createModel } from '@machinefi/contracts'
import { openChain } from '../../chain/createChainClient.js'
import type { Context } from '../../context.js'
import { formatJson } from '../../output/formatJson.js'
import { findRegistry, type ModelOptions } from './findRegistry.js'

/** `machinefi model create`: a model of the paying account's, for good. */
export async function createDeviceModel(
  name: string,
  options: ModelOptions & { account?: string; assurance: Exclude<Assurance, 'none'> },
  context: Context,
): Promise<void> {
  const { assurance } = options
  const client = await openChain(options, context)
  const registry = await findRegistry(client, options, context)
  const { hash, model, receipt } = await createModel(client, { assurance, name, registry })
  if (options.json) {
    const maker = client.account.address.toLowerCase()
    const facts = { model, maker, name, assurance, transaction: hash, gasUsed: receipt.gasUsed }
    return context.stdout.write(`${formatJson(facts)}\n`)
  }
  context.stdout.write(`${model}\n`)
  context.stderr.write(
    `Next, for each production run, a list of its devices:\n  machinefi model endorse run.txt --model ${model}\n`,
  )
}
