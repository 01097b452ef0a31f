import { formatPrometheus } from '../http/formatPrometheus.js'
import { type TransportState, toTransportMetrics } from '../http/toTransportMetrics.js'
import type { Intake } from './createIntake.js'

/** The gateway's counters in Prometheus' text format. No device is named: there may be many. */
export function formatGatewayMetrics(options: formatGatewayMetrics.Options): string {
  const { stats, transports } = options
  const one = (value: number) => [[{}, value]] as const
  return formatPrometheus([
    {
      name: 'gateway_messages_authentic_total',
      type: 'counter',
      help: 'Messages with a right code, refused ones included.',
      samples: one(stats.authentic),
    },
    {
      name: 'gateway_messages_refused_total',
      type: 'counter',
      help: 'Messages refused, by reason.',
      samples: Object.entries(stats.reasons).map(([reason, count]) => [{ reason }, count]),
    },
    {
      name: 'gateway_readings_total',
      type: 'counter',
      help: 'Readings stored.',
      samples: one(stats.readings),
    },
    {
      name: 'gateway_devices',
      type: 'gauge',
      help: 'Devices whose outbox is open.',
      samples: one(stats.devices),
    },
    {
      name: 'gateway_outbox_rows',
      type: 'gauge',
      help: 'Readings that are in no batch yet.',
      samples: one(stats.rows),
    },
    {
      name: 'gateway_outbox_batches',
      type: 'gauge',
      help: 'Batches that are not delivered yet.',
      samples: one(stats.batches),
    },
    {
      name: 'gateway_outbox_bytes',
      type: 'gauge',
      help: 'Bytes of what waits in the outboxes.',
      samples: one(stats.bytes),
    },
    {
      name: 'gateway_batches_delivered_total',
      type: 'counter',
      help: 'Batches with a verified receipt.',
      samples: one(stats.delivered),
    },
    {
      name: 'gateway_batches_kept',
      type: 'gauge',
      help: 'Batches that the node will not take.',
      samples: one(stats.kept),
    },
    ...toTransportMetrics(transports),
  ])
}

export declare namespace formatGatewayMetrics {
  type Options = { stats: Intake.Stats; transports: readonly TransportState[] }
}
