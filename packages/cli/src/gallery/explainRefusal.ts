/** What a contract has against an answer, in words, where the gallery knows them. */
export function explainRefusal(refusal: string): string {
  const why = reasons[refusal]
  return why === undefined ? `refused (${refusal})` : `refused: ${why} (${refusal})`
}

/** By the names of the errors of `IDisputes`. */
const reasons: Record<string, string> = {
  DeadlineOver: 'it is too late',
  Inconsistent: 'the log that was posted does not go on from there',
  InvalidBatchSignature: 'the device has not signed this batch for this network',
  NotCarried: 'the window does not pay this member',
  NotInLog: 'the log that was posted does not have the batch',
  OutsideWindow: 'the batch is of another time',
  SeqNotAfter: 'the batch was counted before',
  WrongCumulative: 'it is not what was before and the reward',
  WrongDevice: 'the slot belongs to another device',
  WrongEntry: 'no path leads from it to the root and the total that were posted',
  WrongLeaf: 'this is not what the trace has there',
  WrongNodes: 'they do not lead to the root and the total that were posted',
  WrongValue: 'the trace ends in another value',
}
