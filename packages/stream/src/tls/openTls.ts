import { readFileSync, unwatchFile, watchFile } from 'node:fs'
import { createSecureContext, type SecureContext, type TlsOptions } from 'node:tls'
import { NodeConfigurationError } from '../errors.js'

/**
 * Reads certificate and key from PEM files, and again when one of them changes:
 * a renewed certificate needs no restart. Where the new files do not fit each
 * other, the old ones stay in use, and `onError` is told.
 *
 * @throws {NodeConfigurationError} a file that is missing or no PEM, or a key of another certificate.
 */
export function openTls(files: TlsFiles, onError: (error: unknown) => void): Tls {
  const paths = Object.values(files).filter((path) => path !== undefined)
  const listeners: ((context: TlsOptions) => void)[] = []

  function read(): TlsOptions {
    try {
      const options = {
        cert: readFileSync(files.certFile),
        key: readFileSync(files.keyFile),
        ...(files.clientCaFile !== undefined && { ca: readFileSync(files.clientCaFile) }),
      }
      // Throws where key and certificate do not fit; a server would take them.
      createSecureContext(options) satisfies SecureContext
      return options
    } catch (error) {
      throw new NodeConfigurationError('The TLS certificate cannot be used.', {
        metaMessages: [...paths, (error as Error).message],
      })
    }
  }

  const options: TlsOptions = {
    ...read(),
    minVersion: 'TLSv1.2',
    ...(files.clientCaFile !== undefined && { rejectUnauthorized: true, requestCert: true }),
  }

  function reload() {
    try {
      const context = { ...options, ...read() }
      for (const listener of listeners) listener(context)
    } catch (error) {
      onError(error)
    }
  }

  // By polling: certificates are replaced by renaming, and live on any file system.
  for (const path of paths) watchFile(path, { interval: pollMs, persistent: false }, reload)

  return {
    options,
    onChange(listener) {
      listeners.push(listener)
    },
    reload,
    close() {
      for (const path of paths) unwatchFile(path, reload)
    },
  }
}

export type TlsFiles = {
  /** The certificate, followed by those between it and the root, PEM. */
  certFile: string
  keyFile: string
  /** Only clients with a certificate of this authority are let in. @default anyone */
  clientCaFile?: string | undefined
}

export type Tls = {
  readonly options: TlsOptions
  /** Called with new options when the files have changed. */
  onChange(listener: (options: TlsOptions) => void): void
  /** Reads the files now. */
  reload(): void
  close(): void
}

const pollMs = 5000
