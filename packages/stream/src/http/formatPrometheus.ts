/** A family of Prometheus' text format; `machinefi_` is put before its name. */
export type Metric = {
  readonly name: string
  readonly type: 'counter' | 'gauge'
  readonly help: string
  readonly samples: readonly (readonly [labels: Record<string, string>, value: number])[]
}

/** Metrics in Prometheus' text format, version 0.0.4. Labels are ours: nothing is escaped. */
export function formatPrometheus(metrics: readonly Metric[]): string {
  const lines = metrics.flatMap(({ help, name, samples, type }) => [
    `# HELP machinefi_${name} ${help}`,
    `# TYPE machinefi_${name} ${type}`,
    ...samples.map(([labels, value]) => {
      const pairs = Object.entries(labels).map(([label, text]) => `${label}="${text}"`)
      return `machinefi_${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${value}`
    }),
  ])
  return `${lines.join('\n')}\n`
}
