import type { SettledEpoch } from '@machinefi/stream'
import { createCrowd, slots } from './createFleet.js'
import { dayMs, hourMs, type Scene, SceneError, times } from './openScene.js'

/**
 * Two days of the fleet: walks are delivered as they end; the node posts the first day by itself,
 * and that becomes final. Ends when the second day may be posted.
 *
 * @param options.onHour called now and then, for whoever watches.
 * @param options.url where the fleet delivers.
 */
export async function playDays(scene: Scene, options: playDays.Options): Promise<SettledEpoch> {
  const { crowd = 0, onDay, onHour, url } = options
  const { fleet, network, node } = scene
  const start = network.firstWindow * dayMs
  const goTo = async (hour: number) => {
    await scene.setTime(start + hour * hourMs)
    await scene.deliverUntil(url, scene.clock())
    await onHour?.()
  }
  await scene.join(fleet.slice(0, slots.dora))
  await goTo(11)
  // The first day does not pay dora, the second does not pay emil.
  await scene.join([...fleet.slice(slots.dora), ...createCrowd(crowd)])
  await goTo(19)
  // Chloe's walk over midnight arrives in time for both days.
  await scene.setTime(start + 24 * hourMs + (times.grace - 60) * 1000)
  await scene.deliverUntil(url, start + 24.2 * hourMs)
  await scene.setTime(start + 24 * hourMs + times.grace * 1000)
  const [epoch] = await node.settle()
  if (epoch === undefined) throw new SceneError('The first day was not posted.')
  await onHour?.()
  await onDay?.(epoch)
  await goTo(34)
  await scene.suspend(fleet[slots.emil]!)
  await goTo(39)
  await goTo(47)
  await scene.setTime(start + 48 * hourMs + times.grace * 1000)
  return epoch
}

export declare namespace playDays {
  type Options = {
    /** Members beside the fleet, who do not walk. @default 0 */
    crowd?: number | undefined
    /** Called when the first day is posted. */
    onDay?: ((epoch: SettledEpoch) => Promise<void>) | undefined
    onHour?: (() => Promise<void>) | undefined
    url: string
  }
}
