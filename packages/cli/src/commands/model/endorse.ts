import { endorseRun } from '@machinefi/contracts'
import { openChain } from '../../chain/createChainClient.js'
import type { Context } from '../../context.js'
import { parseModelId } from '../../options/parseModelId.js'
import { readRun } from '../../options/readRun.js'
import { formatCount } from '../../output/formatCount.js'
import { formatJson } from '../../output/formatJson.js'
import { findRegistry, type ModelOptions } from './findRegistry.js'

/** `machinefi model endorse`: one transaction for a run, whatever its length. */
export async function endorseDevices(
  file: string,
  options: ModelOptions & { account?: string; model: string },
  context: Context,
): Promise<void> {
  const model = parseModelId(options.model)
  const { devices, root } = await readRun(file, context)
  const client = await openChain(options, context)
  const registry = await findRegistry(client, options, context)
  const { hash, receipt } = await endorseRun(client, { model, registry, root })
  if (options.json) {
    const facts = { model, root, devices: devices.length }
    const sent = { transaction: hash, gasUsed: receipt.gasUsed }
    return context.stdout.write(`${formatJson({ ...facts, ...sent })}\n`)
  }
  context.stdout.write(`${root}\n`)
  context.stderr.write(
    `${formatCount(devices.length, 'device')} endorsed. Publish ${file === '-' ? 'the list' : file}: owners need it to join, and nothing in it is secret.\nNext, as an owner:\n  machinefi device register device.key --run ${file} --model ${model}\n`,
  )
}
