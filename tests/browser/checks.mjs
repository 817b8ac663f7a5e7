// Counts and prints checks; a failing one never stops the rest.

export class Checks {
  #passed = 0
  #failed = 0

  async run(name, check) {
    try {
      await check()
      this.#passed += 1
      process.stdout.write(`ok    ${name}\n`)
    } catch (error) {
      this.#failed += 1
      process.stdout.write(`FAIL  ${name}\n      ${String(error.message).split('\n').slice(0, 4).join('\n      ')}\n`)
    }
  }

  /** Prints the sums; the exit code. */
  finish() {
    process.stdout.write(`${this.#passed} passed, ${this.#failed} failed\n`)
    return this.#failed === 0 ? 0 : 1
  }
}
