import { fromHex } from '@machinefi/core'
import {
  type Answer,
  type AnswerSource,
  buildAnswer,
  type LedgerHead,
  type Point,
  verifyAnswer,
} from '@machinefi/proof'
import { greatestSkewMs, isPaid, readTrace } from '../epochs/buildClaims.js'
import type { Settler } from '../epochs/createSettler.js'
import type { EpochStore, StoredEpoch } from '../epochs/openEpochStore.js'
import { NoAnswerError } from '../errors.js'
import type { OpenNetwork } from '../network/openNetwork.js'
import type { Store } from '../store/openStore.js'

/**
 * Builds the answer to a challenge of an epoch of this operator from what is in
 * the store, and checks it as the contract will: nobody pays for an answer that
 * is none.
 *
 * @throws {UnanswerableError} what is in the store has no answer.
 * @throws {NoAnswerError} the contract would not take it.
 */
export async function toAnswer(options: toAnswer.Options): Promise<Answer> {
  const { epoch, epochs, open, point, settler, store } = options
  const { network, schemas, state, windowOf } = open
  const { attempt, metric, posted, window } = epoch
  const schema = schemas.find(({ id }) => id === epoch.schema)!
  const span = windowOf(window)
  const parent =
    window === network.firstWindow
      ? null
      : epochs.withHash(state.number, window - 1, epoch.parentHash)
  if (parent === undefined)
    throw new NoAnswerError(`The ledger of window ${window - 1} is not in the store.`)
  // A device can stand in another's slot where a parent had nonsense; the contract asks for its own.
  const slotOf = (device: Uint8Array) => state.members.get(device)?.slot ?? null
  const ledger = { ...settler.ledgerOf(open, epoch), slotOf }

  const source: AnswerSource = {
    epoch: {
      config: fromHex(epoch.config),
      logs: posted!.logs.map((log) => ({ ...log, root: fromHex(log.root) })),
      memberCount: posted!.memberCount,
      parentHash: fromHex(epoch.parentHash),
    },
    ledger,
    parentLedger: parent && settler.ledgerOf(open, parent),
    claim(slot) {
      const { entry } = ledger.proof(slot)
      const member = entry ? state.members.get(entry.device) : undefined
      if (!member) return null
      const { algorithm, device, number, publicKey } = member
      const from = store.firstArrivedSince(state.number, span.start - greatestSkewMs)
      const batches = readTrace({
        device,
        indexes: store.indexesOf(state.number, number, from, epoch.size),
        network: state.number,
        schema: epoch.schema,
        store,
        window: span,
      })
      return { algorithm, batches, publicKey }
    },
    log: () => state.log,
    metric,
    schema,
    window: span,
  }
  const answer = buildAnswer(point, source)
  const verdict = await verifyAnswer(point, answer, {
    attempt,
    epochHash: fromHex(posted!.epochHash),
    ledger: toHead(epoch),
    member(device) {
      const member = state.members.get(device)
      return member ? { paid: isPaid(member, span), slot: member.slot } : null
    },
    metric: metric.type,
    network: state.id,
    parent: parent && toHead(parent),
    schema,
    window,
    windowSeconds: network.windowSeconds,
  })
  if (!verdict.ok)
    throw new NoAnswerError(`The contract would refuse the answer: ${verdict.reason}.`)
  return answer
}

export declare namespace toAnswer {
  type Options = {
    /** That is challenged, as it was posted. */
    epoch: StoredEpoch
    epochs: EpochStore
    open: OpenNetwork
    point: Point
    settler: Settler
    store: Store
  }
}

function toHead({ depth, ledgerRoot, ledgerTotal }: StoredEpoch): LedgerHead {
  return { depth, root: fromHex(ledgerRoot), total: ledgerTotal }
}
