/** One budget, measured: `ratio` is `value` against `baseline`, both of this run. */
export type Result = {
  name: string
  value: number
  /** Of `value` and `baseline`. */
  unit: string
  /** What the same work costs by the means named in `against`. */
  baseline: number
  against: string
  /** `value / baseline` where less is better, `baseline / value` ("times faster") for speeds. */
  ratio: number
  /** What `budgetOf` may be at the most, or for speeds must be at the least. */
  budget: number
  budgetOf: 'ratio' | 'value'
  ok: boolean
}

export type Benchmark = {
  /** File and `--only` name. */
  name: string
  run(): Promise<Result[]>
}

type Measured = Pick<Result, 'against' | 'baseline' | 'budget' | 'name' | 'unit' | 'value'>

/** At most `budget` of `unit`. */
export function limit(measured: Measured): Result {
  const { baseline, budget, value } = measured
  return toResult(measured, value / baseline, 'value', value <= budget)
}

/** At most `budget` times the baseline. */
export function limitRatio(measured: Measured): Result {
  const ratio = measured.value / measured.baseline
  return toResult(measured, ratio, 'ratio', ratio <= measured.budget)
}

/** At least `budget` times as fast as the baseline. */
export function speedup(measured: Measured): Result {
  const ratio = measured.baseline / measured.value
  return toResult(measured, ratio, 'ratio', ratio >= measured.budget)
}

function toResult(
  measured: Measured,
  ratio: number,
  budgetOf: Result['budgetOf'],
  ok: boolean,
): Result {
  const { against, baseline, budget, name, unit, value } = measured
  return {
    name,
    value: round(value),
    unit,
    baseline: round(baseline),
    against,
    ratio: round(ratio),
    budget,
    budgetOf,
    ok,
  }
}

/** Four digits are more than any measurement here is worth. */
function round(value: number): number {
  return Number(value.toPrecision(value >= 1000 ? Math.ceil(Math.log10(value)) : 4))
}
