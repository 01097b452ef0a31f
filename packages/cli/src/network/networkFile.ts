import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Deployment, Network } from '@machinefi/contracts'
import { BaseError } from '@machinefi/core'
import { assertSchema, type Schema } from '@machinefi/telemetry'
import { isAddress } from 'viem'
import type { Context } from '../context.js'
import { formatJson } from '../output/formatJson.js'
import { findMissing } from './readDeployment.js'

/**
 * All that a node needs to serve a network, as `network create` writes it. The
 * chain keeps the schema's hash only, so the schema itself is kept here.
 */
export type NetworkFile = {
  deployment: Deployment
  /** The block the network was created in, or one before. */
  fromBlock: bigint
  network: Network
  schema: Schema
}

/** Asserts that a network file can be written, before a network is paid for. @throws {NetworkFileError} */
export function assertNoFile(file: string, context: Context): void {
  if (existsSync(resolve(context.cwd, file)))
    throw new NetworkFileError(file, 'it exists already', undefined)
}

/** Writes a network file; an existing one is never overwritten. @throws {NetworkFileError} */
export async function writeNetworkFile(
  file: string,
  content: NetworkFile,
  context: Context,
): Promise<void> {
  try {
    await writeFile(resolve(context.cwd, file), `${formatJson(content)}\n`, { flag: 'wx' })
  } catch (cause) {
    throw new NetworkFileError(file, 'it exists already, or cannot be written', cause)
  }
}

/** @throws {NetworkFileError} */
export async function readNetworkFile(file: string, context: Context): Promise<NetworkFile> {
  try {
    const content = JSON.parse(await readFile(resolve(context.cwd, file), 'utf8'))
    assertSchema(content.schema)
    const network = { ...content.network, serial: BigInt(content.network.serial) }
    if (
      findMissing(content.deployment) !== undefined ||
      !isAddress(network.disputes ?? '', { strict: false })
    )
      throw new NetworkFileError(
        file,
        'it is of another version, whose contracts were others: create the network anew',
        undefined,
      )
    return { ...content, fromBlock: BigInt(content.fromBlock), network }
  } catch (cause) {
    if (cause instanceof NetworkFileError) throw cause
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT') throw new NetworkFileError(file, 'there is no such file', cause)
    throw new NetworkFileError(
      file,
      'it is not what `machinefi network create --out` writes',
      cause,
    )
  }
}

export class NetworkFileError extends BaseError {
  override readonly name = 'NetworkFileError'
  constructor(file: string, reason: string, cause: unknown) {
    super(`${file}: ${reason}.`, { cause, kind: 'input' })
  }
}
