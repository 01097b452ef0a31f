import type { Metric } from './formatPrometheus.js'

/** What node and gateway count of the ways in beside HTTP. */
export function toTransportMetrics(transports: readonly TransportState[]): Metric[] {
  const stat = (...names: readonly string[]) =>
    names.flatMap((name) =>
      transports.flatMap(({ name: transport, stats }) =>
        name in stats ? [[{ transport }, stats[name]!] as const] : [],
      ),
    )
  return [
    {
      name: 'transport_connections',
      type: 'gauge',
      help: 'Open connections; to a broker 1 or 0.',
      samples: stat('connections'),
    },
    {
      name: 'transport_messages_total',
      type: 'counter',
      help: 'Messages and requests received.',
      samples: stat('messages', 'requests'),
    },
    {
      name: 'transport_pending',
      type: 'gauge',
      help: 'Messages and requests that are not answered yet.',
      samples: stat('pending'),
    },
    {
      name: 'transport_unacknowledged_total',
      type: 'counter',
      help: 'MQTT messages left to be sent again: no room, or no disk.',
      samples: stat('unacknowledged'),
    },
    {
      name: 'transport_failing',
      type: 'gauge',
      help: '1 while a broker cannot be used.',
      samples: transports.map(({ failure, name }) => [{ transport: name }, failure ? 1 : 0]),
    },
  ]
}

export type TransportState = {
  readonly name: string
  readonly failure?: unknown
  readonly stats: Readonly<Record<string, number>>
}
