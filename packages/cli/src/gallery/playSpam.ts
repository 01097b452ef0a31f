import {
  type BatchEvidence,
  type CheckpointEvidence,
  ContractError,
  type Epoch,
  type EpochEvidence,
  type FraudProof,
  openChallenge,
  proveFraud,
  readCredit,
  readEpoch,
  withdrawCredit,
} from '@machinefi/contracts'
import { fromHex } from '@machinefi/core'
import { toBatchEvidence, toCheckpointEvidence } from '@machinefi/proof'
import { formatEther, type Hex } from 'viem'
import { fetchLedger } from '../node/buildRedemptions.js'
import { describePoint } from './CheatReport.js'
import { listChallenges } from './listChallenges.js'
import { type Scene, SceneError } from './openScene.js'
import { playDays } from './playDays.js'
import type { playLie } from './playLie.js'
import { readBond, readGas, readMoney } from './readMoney.js'
import { readTruth } from './readTruth.js'
import { readVerdict } from './readVerdict.js'
import type { Story } from './Story.js'
import { readDays, redeemAll } from './takeOver.js'

/**
 * An honest operator, and a challenger who disputes everything that can be disputed of its second
 * day. The operator's node answers by itself.
 */
export async function playSpam(
  scene: Scene,
  { onStep }: playLie.Options,
): Promise<playLie.ReturnType> {
  const { client, fleet, network, node, url } = scene
  const window = network.firstWindow + 1
  const nameOf = (slot: number) => fleet[slot]?.name ?? `slot ${slot}`
  const operator = scene.operator.account.address
  const honest = scene.standby.account.address
  const spammer = scene.connect(3)
  await playDays(scene, { url })
  const before = {
    block: await client.getBlockNumber(),
    challenger: await readMoney(scene, spammer.account.address),
    honest: await readBond(scene, honest),
    credit: await readCredit(client, { account: operator, network }),
    operator: await readBond(scene, operator),
  }
  const members = await scene.members()
  const rules = scene.rulesOf(window)
  const story = await readTruth({
    members,
    network: network.id,
    node: url,
    rules,
    window,
  })
  const [posted] = await node.settle()
  if (posted?.window !== window) throw new SceneError('The second day was not posted.')
  onStep('operator', `posts the truth: ${posted.ledgerTotal.toLocaleString('en-US')} earned`)

  const evidenceOf = async (window: number): Promise<EpochEvidence> => {
    const epoch = await readEpoch(client, { network, window })
    return toEvidence(epoch!, (await fetchLedger(url, network.id, window)).config)
  }
  const epoch = await evidenceOf(window)
  const { attempt } = (await readEpoch(client, { network, window }))!
  const challenges = listChallenges({
    earlier: { epoch: await evidenceOf(window - 1), window: window - 1 },
    epoch,
    logKey: scene.logKey,
    members,
    rules,
    story,
  })
  for (const challenge of challenges)
    await openChallenge(spammer, { attempt, challenge, network, window })
  onStep('spam', `${challenges.length} challenges: every step, slot, batch, signed head and node`)
  await node.answer()
  const verdict = await readVerdict(scene, before.block)
  const unanswered = verdict.challenges.filter(({ status }) => status !== 'answered')
  if (unanswered.length > 0 || verdict.slashed.length > 0)
    throw new SceneError(
      `An honest operator has no answer: ${unanswered.map(({ point }) => describePoint(point, nameOf)).join(', ')}.`,
    )
  onStep('answers', `${challenges.length}, all of them accepted`)

  const proofs = await refuseProofs(scene, { attempt, epoch, story, window })
  onStep('spam', `${proofs} proofs of fraud that prove nothing: refused`)

  const redeemed = await redeemAll(scene, url, window)
  const credit = await readCredit(client, { account: operator, network })
  if (credit > 0n) await withdrawCredit(scene.operator, { network })
  const gas = await readGas(scene, spammer.account.address, before.block)
  const after = (await readMoney(scene, spammer.account.address)) + gas
  onStep(
    'money',
    `the challenger is out of ${formatEther(before.challenger - after)} and its gas; the operator got ${formatEther(verdict.paid.bonds)} of it, the rest is burned`,
  )
  onStep(
    'redeem',
    redeemed.map(({ name, tokens }) => `${name} ${tokens.toLocaleString('en-US')}`).join(', '),
  )
  return {
    burned: verdict.burned.bonds,
    caughtBy: 'answers',
    challenger: { after, before: before.challenger },
    challenges: verdict.challenges.map(({ bond, point, status }) => ({
      answer: 'accepted',
      kind: point.kind,
      stake: bond,
      status,
      text: describePoint(point, nameOf),
    })),
    epochs: await readDays(scene),
    findings: [],
    gas: { challenger: gas },
    honestBond: { after: await readBond(scene, honest), before: before.honest },
    operatorBond: { after: await readBond(scene, operator), before: before.operator },
    operatorCredit: { after: credit, before: before.credit },
    redeemed,
    slashed: false,
  }
}

/** Brings proofs made of what an honest operator and its devices signed; none may hold. Resolves to how many. */
async function refuseProofs(
  scene: Scene,
  options: { attempt: number; epoch: EpochEvidence; story: Story; window: number },
): Promise<number> {
  const { attempt, epoch, story, window } = options
  const { network } = scene
  const [first, last] = [story.log.checkpoints[0]!, story.log.checkpoints.at(-1)!].map(
    ({ bytes }) => toCheckpointEvidence(bytes, scene.logKey),
  ) as [CheckpointEvidence, CheckpointEvidence]
  const [a, b] = story.claims[0]!.steps.map(({ batch }) =>
    toBatchEvidence(batch, story.claims[0]!.publicKey),
  ) as [BatchEvidence, BatchEvidence]
  const altered = { ...last, root: last.root.map((byte) => byte ^ 1) }
  const proofs: FraudProof[] = [
    { checkpoints: [last, last], kind: 'fork' },
    { checkpoints: [first, last], kind: 'fork' },
    { checkpoints: [last, altered], kind: 'fork' },
    { checkpoint: last, epoch, kind: 'truncation' },
    { checkpoint: { ...last, size: last.size + 1 }, epoch, kind: 'truncation' },
    { batches: [a, a], kind: 'equivocation' },
    { batches: [a, b], kind: 'equivocation' },
  ]
  for (const proof of proofs) {
    const held = await proveFraud(scene.connect(3), {
      network,
      ...(proof.kind === 'truncation' ? { attempt, proof, window } : { proof }),
    }).catch((error) => {
      if (!(error instanceof ContractError)) throw error
    })
    if (held) throw new SceneError(`A proof of ${proof.kind} holds against the honest.`)
  }
  return proofs.length
}

function toEvidence(epoch: Epoch, config: Hex): EpochEvidence {
  return {
    config: fromHex(config),
    logs: epoch.logs.map(({ root, shard, size }) => ({
      root: fromHex(root),
      shard,
      size: Number(size),
    })),
    memberCount: epoch.memberCount,
    parentHash: fromHex(epoch.parentHash),
  }
}
