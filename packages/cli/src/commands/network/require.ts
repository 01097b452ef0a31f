import { type Assurance, readRequirements, setRequirements } from '@machinefi/contracts'
import { BaseError } from '@machinefi/core'
import { openChain } from '../../chain/createChainClient.js'
import type { Context } from '../../context.js'
import { openNetwork } from '../../network/openNetwork.js'
import { parseCoins } from '../../options/parseCoins.js'
import { formatJson } from '../../output/formatJson.js'
import { formatTerms } from './formatTerms.js'

type Options = {
  account?: string
  assurance?: Assurance
  joinFee?: string
  json?: boolean
  network?: string
  node: string
  rpc: string
}

/** `machinefi network require`: what a device needs to join from now on; what is not named stays. */
export async function requireOfDevices(options: Options, context: Context): Promise<void> {
  const { assurance, joinFee } = options
  if (assurance === undefined && joinFee === undefined) throw new NothingRequiredError()
  const fee = joinFee === undefined ? undefined : parseCoins('--join-fee', joinFee, { least: 0n })
  const client = await openChain(options, context)
  const { network } = await openNetwork(client, options, context)
  const before = await readRequirements(client, { network })
  const terms = {
    leastAssurance: assurance ?? before.leastAssurance,
    joinFee: fee ?? before.joinFee,
  }
  const { hash, receipt } = await setRequirements(client, { ...terms, network })
  const sent = { transaction: hash, gasUsed: receipt.gasUsed }
  context.stdout.write(
    options.json
      ? `${formatJson({ network: network.id, ...terms, ...sent })}\n`
      : `${formatTerms(terms)}\n`,
  )
}

export class NothingRequiredError extends BaseError {
  override readonly name = 'NothingRequiredError'
  constructor() {
    super('Nothing to set: name --assurance, --join-fee, or both.', { kind: 'input' })
  }
}
