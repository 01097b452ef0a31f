import { acceptModel } from '@machinefi/contracts'
import { openChain } from '../../chain/createChainClient.js'
import type { Context } from '../../context.js'
import { openNetwork } from '../../network/openNetwork.js'
import { parseModelId } from '../../options/parseModelId.js'
import { formatJson } from '../../output/formatJson.js'

type Options = {
  account?: string
  json?: boolean
  network?: string
  node: string
  revoke?: boolean
  rpc: string
}

/** `machinefi network accept`: whose endorsements count, says the network's owner. */
export async function acceptDeviceModel(
  id: string,
  options: Options,
  context: Context,
): Promise<void> {
  const model = parseModelId(id)
  const accepted = !options.revoke
  const client = await openChain(options, context)
  const { network } = await openNetwork(client, options, context)
  const { hash, receipt } = await acceptModel(client, { accepted, model, network })
  const facts = { network: network.id, model, accepted }
  context.stdout.write(
    options.json
      ? `${formatJson({ ...facts, transaction: hash, gasUsed: receipt.gasUsed })}\n`
      : accepted
        ? 'Devices of the model join with their maker’s endorsement.\n'
        : 'Endorsements of the model count no longer; members stay.\n',
  )
}
