import { BaseError } from '@machinefi/core'

/** `pkcs11js` is not installed, or not compiled. */
export class Pkcs11MissingError extends BaseError {
  override readonly name = 'Pkcs11MissingError'
  constructor(cause: unknown) {
    super('The package pkcs11js, which talks to tokens, cannot be loaded.', {
      kind: 'input',
      cause,
      metaMessages: [
        'Install it: npm install pkcs11js',
        'It is compiled then: that takes a C++ compiler, make and python3, and install scripts must be allowed.',
      ],
    })
  }
}

/** The PKCS#11 module is no shared library, or does not start. */
export class ModuleError extends BaseError {
  override readonly name = 'ModuleError'
  constructor(module: string, cause: unknown) {
    super(`The PKCS#11 module cannot be loaded: ${module}`, {
      kind: 'input',
      cause,
      metaMessages: [
        'It is a shared library of the maker of the token, such as /usr/lib/softhsm/libsofthsm2.so.',
      ],
    })
  }
}

/** The module has no token of this label, or several. */
export class TokenNotFoundError extends BaseError {
  override readonly name = 'TokenNotFoundError'
  constructor(token: string, labels: readonly string[]) {
    const count = labels.filter((label) => label === token).length
    super(count === 0 ? `There is no token ${token}.` : `${count} tokens are called ${token}.`, {
      kind: 'input',
      metaMessages: [
        labels.length === 0 ? 'There is none at all.' : `There are: ${labels.join(', ')}`,
      ],
    })
  }
}

/** A token that was there does not answer: unplugged, or its service is down. It is asked again with the next signature. */
export class TokenRemovedError extends BaseError {
  override readonly name = 'TokenRemovedError'
  constructor(token: string, cause: unknown) {
    super(`The token ${token} does not answer.`, { kind: 'transport', cause })
  }
}

/** The token failed at something; `code` is PKCS#11's name for it. */
export class TokenFailedError extends BaseError {
  override readonly name = 'TokenFailedError'
  /** Such as `CKR_DEVICE_MEMORY`. */
  readonly code: string
  constructor(token: string, code: string, cause: unknown) {
    super(`The token ${token} failed: ${code}.`, {
      kind: 'transport',
      cause,
      metaMessages:
        code === 'CKR_GENERAL_ERROR'
          ? [
              'A TPM may be full of what killed processes left: tpm2_flushcontext --transient-object. Through /dev/tpmrm0 nothing is left.',
            ]
          : [],
    })
    this.code = code
  }
}

/** The token refused the PIN. This signer does not try it again: a few tries lock a token. */
export class PinIncorrectError extends BaseError {
  override readonly name = 'PinIncorrectError'
  constructor(token: string, cause: unknown) {
    super(`The token ${token} refuses the PIN.`, {
      kind: 'input',
      cause,
      metaMessages: ['It is not tried again by itself: a few tries lock a token.'],
    })
  }
}

/** The token takes no PIN, not even the right one. */
export class PinLockedError extends BaseError {
  override readonly name = 'PinLockedError'
  constructor(token: string, cause: unknown) {
    super(`The PIN of the token ${token} is locked.`, {
      kind: 'input',
      cause,
      metaMessages: [
        'A TPM unlocks with time, or with tpm2_dictionarylockout --clear-lockout. Unclean stops count as wrong PINs there.',
        'Other tokens unlock with the PIN of their security officer.',
      ],
    })
  }
}

/** The token has no such key for signing, or several. */
export class KeyNotFoundError extends BaseError {
  override readonly name = 'KeyNotFoundError'
  constructor(token: string, key: string, count: number) {
    super(
      count === 0
        ? `The token ${token} has no key ${key}.`
        : `The token ${token} has ${count} keys called ${key}.`,
      { kind: 'input', metaMessages: ['A pair is needed: private and public key of one label.'] },
    )
  }
}

/** A key of this label is in the token already; keys are never replaced. */
export class KeyExistsError extends BaseError {
  override readonly name = 'KeyExistsError'
  constructor(token: string, key: string) {
    super(`The token ${token} has a key ${key} already, and keys are never replaced.`, {
      kind: 'input',
    })
  }
}

/** What the token has under this label is not the key it should be. */
export class KeyMismatchError extends BaseError {
  override readonly name = 'KeyMismatchError'
  constructor(token: string, key: string, reason: string) {
    super(`The key ${key} of the token ${token} ${reason}.`, { kind: 'integrity' })
  }
}
