import { resolve } from 'node:path'
import type { Context } from '../context.js'
import { formatReport } from '../demo/formatReport.js'
import { runDemo } from '../demo/runDemo.js'
import { simulateWalkers } from '../demo/simulateWalkers.js'
import { parseInteger } from '../options/parseInteger.js'
import { degreeScale, findPositions, parseMetric } from '../options/parseMetric.js'
import { toSchema } from '../options/parseSchema.js'
import { createProgress } from '../output/createProgress.js'
import { formatJson } from '../output/formatJson.js'
import { toMeasure } from '../output/toMeasure.js'
import { openReadings } from '../readings/openReadings.js'

type Options = {
  cap: string
  cheat?: string
  csv?: string
  days: string
  devices: string
  json?: boolean
  keep?: boolean
  metric?: string
  progress?: boolean
  rate: string
  seed: string
  threshold: string
}

const dayMs = 86_400_000

/** `machinefi demo`: the whole path, on a simulated fleet or on recorded readings. */
export async function demo(options: Options, context: Context): Promise<void> {
  if (options.cheat !== undefined)
    return (await import('../gallery/showCheat.js')).showCheat(options.cheat, options, context)
  const progress = createProgress(context, { force: options.progress === true })
  const positions = options.metric ? findPositions(options.metric) : []
  const readings =
    options.csv === undefined
      ? simulateWalkers({
          days: parseInteger('--days', options.days, { least: 1, most: 366 }),
          devices: parseInteger('--devices', options.devices, { least: 1, most: 1000 }),
          // The last days, so that dates look familiar; the seed alone decides the steps.
          firstTime: (Math.floor(Date.now() / dayMs) - Number(options.days)) * dayMs,
          seed: parseInteger('--seed', options.seed),
        })
      : await openReadings(resolve(context.cwd, options.csv), {
          onProgress: (share) => progress.update(`reading the file: ${Math.round(share * 100)} %`),
          scales: Object.fromEntries(positions.map((name) => [name, degreeScale])),
        })
  try {
    const units = Object.fromEntries(positions.map((name, i) => [name, i === 0 ? 'lat' : 'lon']))
    const schema = toSchema(readings.fields, readings.tickMs, units)
    const metric = parseMetric(options.metric ?? `sum(${schema.fields[0]?.name})`, schema)
    const measure = toMeasure(metric, schema)
    await runDemo({
      attacks: options.csv === undefined,
      metric,
      onProgress: ({ batches, readings, share, step, window }) =>
        progress.update(
          share === undefined
            ? `${step} …`
            : `${step} ${window}: ${readings} readings, ${batches} batches (${Math.round(share * 100)} %)`,
        ),
      onStep: (topic, text) => {
        progress.clear()
        if (!options.json) context.stderr.write(`${topic.padEnd(12)} ${text}\n`)
      },
      onReport: async (report, { anvil, network, url }) => {
        progress.clear()
        context.stdout.write(
          options.json ? `${formatJson(report)}\n` : formatReport(report, measure),
        )
        if (!options.keep) return
        context.stderr.write(
          `\nStill running until Ctrl-C:\n  node   ${url}/networks/${network.id}\n  chain  ${anvil.url}\n`,
        )
        await new Promise<void>((resolve) => {
          if (context.signal.aborted) resolve()
          else context.signal.addEventListener('abort', () => resolve(), { once: true })
        })
      },
      policy: {
        cap: BigInt(parseInteger('--cap', options.cap)),
        rate: BigInt(parseInteger('--rate', options.rate)),
        threshold: BigInt(parseInteger('--threshold', options.threshold)),
      },
      readings,
      schema,
      signal: context.signal,
      windowMs: dayMs,
    })
  } finally {
    progress.clear()
    readings.close()
  }
}
