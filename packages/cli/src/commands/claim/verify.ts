import { isLogKey, readEpoch, readNetwork, readOperator } from '@machinefi/contracts'
import { BaseError, formatDid, fromHex, parseDid, toHex } from '@machinefi/core'
import { decodeBundle, decodeConfig, networkId, verifyBundle } from '@machinefi/proof'
import { openReader } from '../../chain/createChainClient.js'
import { identifyContracts } from '../../chain/identifyContracts.js'
import { toSigned } from '../../claims/toSigned.js'
import type { Context } from '../../context.js'
import { formatWindow } from '../../options/parseWindow.js'
import { readInput } from '../../options/readInput.js'
import { formatJson } from '../../output/formatJson.js'
import { formatTable } from '../../output/formatTable.js'

type Options = {
  checkChain?: boolean
  device?: string
  epoch?: string
  network?: string
  json?: boolean
  rpc: string
}

/**
 * `machinefi claim verify`: signatures, log inclusion, fold, ledger path, and
 * the epoch hash, from the bundle alone; on request against the chain as well.
 */
export async function verifyClaims(
  file: string,
  options: Options,
  context: Context,
): Promise<void> {
  const bytes = await readInput(file, context)
  if (options.checkChain && options.network === undefined) throw new NetworkMissingError()
  const { poster, ...posted } = options.checkChain
    ? await readPosted(bytes, options)
    : { ...(options.epoch ? { epochHash: fromHex(options.epoch) } : {}), poster: undefined }
  const device = options.device === undefined ? undefined : parseDid(options.device)
  // All claims are checked even where one is asked for: a bundle is good or it is not.
  const verdict = await verifyBundle(bytes, posted)
  if (!verdict.ok) {
    if (options.json) context.stdout.write(`${formatJson(verdict)}\n`)
    throw new ClaimRefusedError(verdict.at, verdict.reason)
  }
  if (options.network !== undefined && options.network.toLowerCase() !== toHex(verdict.network))
    throw new ClaimRefusedError('network', `it is of ${toHex(verdict.network)}`)
  if (poster && !isLogKey(poster, toSigned(verdict)))
    throw new ClaimRefusedError(
      'log key',
      `it was not that of the operator that posted, whose key is ${poster.logKey}`,
    )
  const claims = verdict.claims
    .filter((claim) => device === undefined || toHex(claim.device) === toHex(device))
    .map(({ device, ...claim }) => ({ did: formatDid(device), ...claim }))
  if (device !== undefined && claims.length === 0)
    throw new ClaimRefusedError('bundle', `it has no claim of ${formatDid(device)}`)
  const { number, start, end } = verdict.window
  const facts = {
    ok: true,
    network: toHex(verdict.network),
    window: formatWindow(number, end - start),
    epochHash: toHex(verdict.epochHash),
    postedHash: options.checkChain
      ? 'as on the chain'
      : options.epoch
        ? 'as given'
        : 'not compared with the chain (see --check-chain)',
    logKey: toHex(verdict.logKey),
    operator: verdict.operator ? toHex(verdict.operator) : null,
    claims,
  }
  if (options.json) return context.stdout.write(`${formatJson(facts)}\n`)
  const { claims: _, ok: __, ...rest } = facts
  context.stdout.write(
    `${Object.entries(rest)
      .map(([name, value]) => `${name.padEnd(11)} ${value ?? '–'}`)
      .join('\n')}\n\n${formatTable(
      ['device', 'value', 'reward', 'earned so far', 'batches'],
      claims.map(({ cumulative, did, reward, steps, value }) => [
        did,
        `${value}`,
        `${reward}`,
        `${cumulative}`,
        `${steps}`,
      ]),
      { right: [1, 2, 3, 4] },
    )}\n\nEvery signature, log path, fold and ledger path checks out.\n`,
  )
}

/**
 * What the chain says of the epoch the bundle claims to be and of who posted
 * it; refuses a bundle whose metric or policy is not the contract it names.
 */
async function readPosted(bytes: Uint8Array, options: Options) {
  const { attempt, config, metric, network, window } = decodeBundle(bytes)
  const client = await openReader(options)
  const onChain = await readNetwork(client, {
    factory: toHex(network.factory),
    id: toHex(networkId(network)),
  })
  const epoch = await readEpoch(client, { network: onChain, window })
  if (epoch === null || epoch.attempt !== attempt || epoch.status === 'void')
    throw new ClaimRefusedError('posted root', 'the chain has no such epoch, or it was voided')
  const contracts = decodeConfig(config)
  const known = await identifyContracts(client, {
    metric: toHex(contracts.metric),
    policy: toHex(contracts.policy),
  })
  for (const [name, address, is] of [
    [metric, contracts.metric, known.metric === metric],
    ['threshold policy', contracts.policy, known.policy === 'threshold'],
  ] as const)
    if (!is)
      throw new ClaimRefusedError(
        'config',
        `the contract at ${toHex(address)} is not the ${name} that this version knows`,
      )
  const poster = await readOperator(client, { network: onChain, operator: epoch.operator })
  return { epochHash: fromHex(epoch.epochHash), poster }
}

export class NetworkMissingError extends BaseError {
  override readonly name = 'NetworkMissingError'
  constructor() {
    super('--check-chain needs --network.', {
      kind: 'input',
      metaMessages: [
        'A bundle names its own network, and anyone can create one: say which one you trust.',
      ],
    })
  }
}

export class ClaimRefusedError extends BaseError {
  override readonly name = 'ClaimRefusedError'
  constructor(at: string, reason: string) {
    super(`Does not check out at ${at}: ${reason}`, { kind: 'integrity' })
  }
}
