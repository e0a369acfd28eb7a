import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Output } from '../../src/cli/output.js'

describe('what the command says on the side', () => {
  let said: string[]
  const outputOf = (json: boolean) => {
    said = []
    const stream = { write: (text: string) => said.push(text) }
    return new Output({ stdout: stream, stderr: stream }, json)
  }
  beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }))
  afterEach(() => void vi.useRealTimers())

  it('is how far it is, once it takes longer than a second, and then once a second', () => {
    const progress = outputOf(false).progress()
    for (let at = 100; at <= 3_500; at += 100) {
      vi.advanceTimersByTime(100)
      progress(() => `at ${at}`)
    }
    expect(said).toEqual(['at 1000\n', 'at 2000\n', 'at 3000\n'])
  })

  it('is nothing with --json, whose readers wait for one document', () => {
    const output = outputOf(true)
    const progress = output.progress()
    vi.advanceTimersByTime(5_000)
    progress(() => 'far')
    output.note('something')
    expect(said).toEqual([])
    output.result({ done: 1 }, ['done'])
    expect(said).toEqual(['{"done":1}\n'])
  })
})
