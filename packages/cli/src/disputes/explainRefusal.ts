/** What a contract has against a call about challenges, by the name of its error, in words. */
export function explainRefusal(refusal: string): string {
  const why = reasons[refusal]
  return why === undefined ? `refused (${refusal})` : `refused: ${why} (${refusal})`
}

/** By the names of the errors of `IDisputes`, and of `ISettlement` where it is asked. */
const reasons: Record<string, string> = {
  AlreadyChallenged: 'this has been challenged before',
  BondTooSmall: 'the stake is too small',
  ChallengeTimeOver: 'the time to challenge this window is over',
  DeadlineNotOver: 'it can still be answered',
  DeadlineOver: 'it is too late',
  Inconsistent: 'the log that was posted does not go on from there',
  InvalidBatchSignature: 'the device has not signed this batch for this network',
  MayNotRead:
    'in a private network only the device’s owner, whom it lets read, and auditors may ask for this',
  NodeOutOfBounds: 'the ledger has nothing below such a node',
  NotCarried: 'the window does not pay this member',
  NotInLog: 'the log that was posted does not have the batch',
  NothingToWithdraw: 'nothing is kept for this account',
  NotMemberOfSlot: 'the slot is not this device’s',
  NotOpen: 'the challenge is not open',
  NotPaid: 'the window does not pay this device',
  NotPending: 'the posting is final or void, or there is none',
  NotStanding: 'the posting is void, or there is none',
  NotVoid: 'the posting stands',
  OutsideWindow: 'the batch is of another time',
  SeqNotAfter: 'the batch was counted before',
  SlotOutOfBounds: 'the ledger has no such slot',
  WrongCumulative: 'it is not what was before and the reward',
  WrongDevice: 'the slot belongs to another device',
  WrongEntry: 'no path leads from it to the root and the total that were posted',
  WrongLeaf: 'this is not what the trace has there',
  WrongNodes: 'they do not lead to the root and the total that were posted',
  WrongValue: 'the trace ends in another value',
}
