import { readdir } from 'node:fs/promises'
import { resolve } from 'node:path'
import { BaseError, toHex } from '@machinefi/core'
import { openKeyFile } from '@machinefi/device/node'
import { rotateNodeKey } from '@machinefi/stream'
import { openChain } from '../../chain/createChainClient.js'
import type { Context } from '../../context.js'
import { readNetworkFile } from '../../network/networkFile.js'
import { formatJson } from '../../output/formatJson.js'

type Options = {
  account?: string
  data: string
  json?: boolean
  network: string[]
  rpc: string
}

/** `machinefi node rotate-key`: another log key for a stopped node, in all its networks; what was done is not done again. */
export async function rotateKey(file: string, options: Options, context: Context): Promise<void> {
  const dataDir = resolve(context.cwd, options.data)
  await assertNodeData(dataDir)
  const files = await Promise.all(options.network.map((file) => readNetworkFile(file, context)))
  const client = await openChain(options, context)
  const logSigner = await openKeyFile(resolve(context.cwd, file), {
    algorithm: 'ES256',
    create: true,
  })
  const rotated = await rotateNodeKey({
    client,
    dataDir,
    deployment: (files[0] as (typeof files)[number]).deployment,
    logSigner,
    networks: files.map(({ network }) => network),
  })
  const logKey = toHex(logSigner.publicKey)
  if (options.json) return context.stdout.write(`${formatJson({ logKey, networks: rotated })}\n`)
  for (const { before, network, transaction } of rotated)
    context.stdout.write(`${network}: changed from ${before} (transaction ${transaction})\n`)
  if (rotated.length === 0) context.stdout.write('It is the log key already.\n')
  context.stdout.write(`log key ${logKey}\n`)
  context.stderr.write(`Start the node with --log-key ${file}.\n`)
}

/** A folder that was mistyped would be made, and held instead of the one that a node signs from. */
async function assertNodeData(folder: string): Promise<void> {
  const files = await readdir(folder).catch(() => undefined)
  if (files === undefined || (files.length > 0 && !files.includes('node.db')))
    throw new NoNodeDataError(folder)
}

export class NoNodeDataError extends BaseError {
  override readonly name = 'NoNodeDataError'
  constructor(folder: string) {
    super('There is no data of a node here.', {
      kind: 'input',
      metaMessages: [
        `Folder: ${folder}`,
        'Name the one that the node has as --data: it is held, so that nothing is signed with the old key meanwhile.',
        'If it is lost, and no node runs anywhere, name an empty folder.',
      ],
    })
  }
}
