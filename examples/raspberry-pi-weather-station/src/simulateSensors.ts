import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Puts a BME280 into a folder like `/sys/bus`, with the weather of a time: warmest in the
 * afternoon, moist at night.
 */
export async function simulateSensors(bus: string, time: number): Promise<void> {
  const folder = join(bus, 'iio/devices/iio:device0')
  await mkdir(folder, { recursive: true })
  const day = Math.cos((2 * Math.PI * (time / 3_600_000 - 15)) / 24)
  const gust = Math.sin(time / 7_000)
  const files = {
    name: 'bme280',
    in_temp_input: Math.round(12_000 + 5_000 * day + 300 * gust),
    in_humidityrelative_input: Math.round(70_000 - 15_000 * day - 800 * gust),
    in_pressure_input: (101.3 + 0.02 * gust).toFixed(9),
  }
  for (const [name, value] of Object.entries(files)) {
    // A reader sees the old value or the new one, as it does a driver's.
    await writeFile(join(folder, `.${name}`), `${value}\n`)
    await rename(join(folder, `.${name}`), join(folder, name))
  }
}
