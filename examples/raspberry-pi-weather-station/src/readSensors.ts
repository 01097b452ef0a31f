import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** What a station measures, as exact decimal text; null where nothing measures it. */
export type Weather = {
  /** °C, two digits after the point. */
  temperature: string | null
  /** % relative, one digit. */
  humidity: string | null
  /** hPa, one digit. */
  pressure: string | null
}

/**
 * Reads the sensors that the kernel has drivers for: BME280, BMP280, SHT3x, DHT22 and others below
 * `iio/devices`, DS18B20 below `w1/devices`. A sensor that does not answer counts as absent.
 *
 * @param bus `/sys/bus`, or a folder like it.
 */
export async function readSensors(bus: string): Promise<Weather> {
  const iio = await listDevices(join(bus, 'iio/devices'), /^iio:device/)
  const wires = await listDevices(join(bus, 'w1/devices'), /^28-/)
  const read = async (folders: readonly string[], file: string) => {
    for (const folder of folders) {
      const value = await readNumber(join(folder, file))
      if (value !== null) return value
    }
    return null
  }
  // Thousandths of a degree and of a percent, and kilopascals: Documentation/ABI/testing/sysfs-bus-iio.
  const air = (await read(iio, 'in_temp_input')) ?? (await read(wires, 'temperature'))
  const humidity = await read(iio, 'in_humidityrelative_input')
  const pressure = await read(iio, 'in_pressure_input')
  return {
    temperature: air === null ? null : (air / 1000).toFixed(2),
    humidity: humidity === null ? null : (humidity / 1000).toFixed(1),
    pressure: pressure === null ? null : (pressure * 10).toFixed(1),
  }
}

async function listDevices(folder: string, name: RegExp): Promise<string[]> {
  const names = await readdir(folder).catch(() => [])
  return names
    .filter((device) => name.test(device))
    .sort()
    .map((device) => join(folder, device))
}

/** A driver answers with an error, not with text, when its sensor does not. */
async function readNumber(file: string): Promise<number | null> {
  const text = await readFile(file, 'utf8').catch(() => '')
  const value = Number(text)
  return text.trim() === '' || !Number.isFinite(value) ? null : value
}
