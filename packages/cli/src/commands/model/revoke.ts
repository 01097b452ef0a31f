import { revokeRun } from '@machinefi/contracts'
import { isHex } from 'viem'
import { openChain } from '../../chain/createChainClient.js'
import type { Context } from '../../context.js'
import { parseModelId } from '../../options/parseModelId.js'
import { readRun } from '../../options/readRun.js'
import { formatJson } from '../../output/formatJson.js'
import { findRegistry, type ModelOptions } from './findRegistry.js'

/** `machinefi model revoke`: of a run by its file, or by its root. */
export async function revokeDevices(
  run: string,
  options: ModelOptions & { account?: string; model: string },
  context: Context,
): Promise<void> {
  const model = parseModelId(options.model)
  const root = isHex(run) && run.length === 66 ? run : (await readRun(run, context)).root
  const client = await openChain(options, context)
  const registry = await findRegistry(client, options, context)
  const { hash, receipt } = await revokeRun(client, { model, registry, root })
  context.stdout.write(
    options.json
      ? `${formatJson({ model, root, transaction: hash, gasUsed: receipt.gasUsed })}\n`
      : `${root} is revoked: nobody joins by it any more; members stay.\n`,
  )
}
