/** Most gas of a transaction on chains with EIP-7825. */
const most = 2n ** 24n

/** The estimate and a quarter, but not more than a transaction may have, if the estimate is not. */
export function gasLimit(estimate: bigint): bigint {
  const limit = estimate + estimate / 4n
  return estimate <= most && limit > most ? most : limit
}
