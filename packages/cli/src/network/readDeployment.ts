import { readFile, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { addresses, type Deployment, deployMachinefi } from '@machinefi/contracts'
import { BaseError } from '@machinefi/core'
import { isAddress } from 'viem'
import type { ChainClient } from '../chain/createChainClient.js'
import type { Context } from '../context.js'
import { formatJson } from '../output/formatJson.js'

/**
 * The shared contracts of a chain: of the address book, or of a file, or
 * deployed now and written to that file.
 *
 * @throws {DeploymentError}
 */
export async function readDeployment(
  client: ChainClient,
  file: string | undefined,
  context: Context,
): Promise<Deployment> {
  const chainId = client.chain.id
  if (file === undefined) {
    const known = addresses[chainId as keyof typeof addresses]
    if (known) return known
    throw new DeploymentError(
      `Nothing is deployed on chain ${chainId} that this version knows of.`,
      [
        'Name a file with --deployment: its addresses are used, or, if there is no such file, all contracts are deployed and written there.',
      ],
    )
  }
  const path = resolve(context.cwd, file)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      throw new DeploymentError(`${file} cannot be read.`, [])
    context.stderr.write('Deploying the shared contracts …\n')
    const deployment = await deployMachinefi(client)
    await writeFile(path, `${formatJson({ chainId, ...deployment })}\n`, { flag: 'wx' })
    return deployment
  }
  let content: Deployment & { chainId: number }
  try {
    content = JSON.parse(text)
  } catch {
    throw new DeploymentError(`${file} is not JSON.`, [])
  }
  if (typeof content?.chainId !== 'number')
    throw new DeploymentError(`${file} does not say of which chain it is.`, [])
  if (content.chainId !== chainId)
    throw new DeploymentError(`${file} is of chain ${content.chainId}, not of ${chainId}.`, [])
  const { chainId: _, ...deployment } = content
  const missing = findMissing(deployment)
  if (missing !== undefined)
    throw new DeploymentError(`${file} has no address for ${missing}.`, [
      'It is of another version, whose contracts these are not: name a file that is not there, and all are deployed and written to it.',
    ])
  return deployment
}

/** The first contract that a deployment, as it was read, does not have. */
export function findMissing(deployment: Partial<Deployment> | undefined): string | undefined {
  const { metrics, ...contracts } = deployment ?? {}
  for (const name of ['registry', 'factory', 'policy', 'p256Verifier', 'disputes'] as const)
    if (!isAddress(contracts[name] ?? '', { strict: false })) return name
  for (const name of ['sum', 'count', 'average', 'coverage', 'distance'] as const)
    if (!isAddress(metrics?.[name] ?? '', { strict: false })) return `metrics.${name}`
  return undefined
}

export class DeploymentError extends BaseError {
  override readonly name = 'DeploymentError'
  constructor(shortMessage: string, metaMessages: readonly string[]) {
    super(shortMessage, { kind: 'input', metaMessages })
  }
}
