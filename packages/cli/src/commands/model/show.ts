import { NotFoundOnChainError, readModel, readRuns } from '@machinefi/contracts'
import { openReader } from '../../chain/createChainClient.js'
import type { Context } from '../../context.js'
import { parseModelId } from '../../options/parseModelId.js'
import { formatJson } from '../../output/formatJson.js'
import { findRegistry, type ModelOptions } from './findRegistry.js'

/** `machinefi model show`: who vouches for what. */
export async function showModel(
  id: string,
  options: ModelOptions,
  context: Context,
): Promise<void> {
  const client = await openReader(options)
  const registry = await findRegistry(client, options, context)
  const of = { model: parseModelId(id), registry }
  const [model, runs] = await Promise.all([readModel(client, of), readRuns(client, of)])
  if (model === null) throw new NotFoundOnChainError(`Model ${id}`)
  if (options.json) return context.stdout.write(`${formatJson({ ...model, runs })}\n`)
  const lines: [string, string][] = [
    ['model', model.id],
    ['name', formatName(model.name)],
    ['maker', `${model.maker}: an account; that it is who the name says, nobody has checked`],
    ['assurance', `${model.assurance}, says the maker`],
    ...runs.map(({ endorsed, root }): [string, string] => [
      'run',
      `${root}${endorsed ? '' : ' revoked'}`,
    ]),
  ]
  context.stdout.write(lines.map(([name, text]) => `${name.padEnd(10)} ${text}\n`).join(''))
}

/** Anyone creates models: what their names must not do is move the cursor. */
export function formatName(name: string): string {
  return name.replace(/\p{C}/gu, '\ufffd')
}
