import type { Pipeline } from '../ingest/createPipeline.js'
import type { OpenNetwork } from '../network/openNetwork.js'
import type { Relay } from '../relay/createRelay.js'
import { formatPrometheus, type Metric } from './formatPrometheus.js'
import { type TransportState, toTransportMetrics } from './toTransportMetrics.js'

/** The node's counters in Prometheus' text format. */
export function formatMetrics(options: formatMetrics.Options): string {
  const { evidence, networks, pipeline, relay, transports } = options
  const { stats } = pipeline
  const metrics: Metric[] = []
  const metric = (name: string, type: Metric['type'], help: string, samples: Metric['samples']) =>
    metrics.push({ help, name, samples, type })
  const one = (value: number) => [[{}, value]] as const
  const each = (value: (open: OpenNetwork) => number) =>
    networks.map((open) => [{ network: open.network.id }, value(open)] as const)

  metric('batches_accepted_total', 'counter', 'Batches put into a log.', one(stats.accepted))
  metric(
    'batches_duplicate_total',
    'counter',
    'Batches that were in the log already.',
    one(stats.duplicates),
  )
  metric(
    'batches_late_total',
    'counter',
    'Accepted batches older than a window already cut.',
    one(stats.late),
  )
  metric(
    'batches_refused_total',
    'counter',
    'Batches refused, by reason; a body refused whole is one.',
    [...stats.refused].map(([reason, count]) => [{ reason }, count] as const),
  )
  metric('batches_pending', 'gauge', 'Batches taken in but not answered yet.', one(stats.pending))
  metric('commits_total', 'counter', 'Durable commits.', one(stats.commits))
  metric('commit_seconds_total', 'counter', 'Time spent in commits.', one(stats.commitMs / 1000))
  metric(
    'log_size',
    'gauge',
    'Entries of the log.',
    each(({ state }) => state.size),
  )
  metric(
    'members',
    'gauge',
    'Members of the network.',
    each(({ state }) => state.members.size),
  )
  metric(
    'chain_block',
    'gauge',
    'Last block whose events are known.',
    each(({ status }) => status.block),
  )
  metric('chain_failing', 'gauge', '1 while the chain cannot be read.', each(options.chainFailing))
  metric('epochs_failing', 'gauge', '1 while an epoch cannot be settled.', each(options.failing))
  metric(
    'challenges_open',
    'gauge',
    'Open challenges to epochs of this operator.',
    each((open) => options.challenges(open).open),
  )
  metric(
    'challenges_unanswerable',
    'gauge',
    'Those of them that the node has no answer to.',
    each((open) => options.challenges(open).unanswerable),
  )
  metric(
    'challenges_answered_total',
    'counter',
    'Challenges that were answered, by this node or anyone.',
    each((open) => options.challenges(open).answered),
  )
  metric('store_failed', 'gauge', '1 once the store has failed.', one(pipeline.failure ? 1 : 0))
  metric(
    'equivocations_total',
    'counter',
    'Batches refused as a second of one seq.',
    one(evidence()),
  )
  if (relay) {
    metric('registrations_sent_total', 'counter', 'Registrations paid for.', one(relay.stats.sent))
    metric(
      'registrations_refused_total',
      'counter',
      'Registrations that were asked for and not sent.',
      one(relay.stats.refused),
    )
  }
  return formatPrometheus([...metrics, ...toTransportMetrics(transports)])
}

export declare namespace formatMetrics {
  type Options = {
    challenges: (open: OpenNetwork) => { answered: number; open: number; unanswerable: number }
    chainFailing: (open: OpenNetwork) => number
    evidence: () => number
    failing: (open: OpenNetwork) => number
    networks: readonly OpenNetwork[]
    pipeline: Pipeline
    /** Where the node pays for registrations. */
    relay: Relay | undefined
    transports: readonly TransportState[]
  }
}
