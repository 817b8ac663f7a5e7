import { describe, expect, it } from 'vitest'
import { contextOf, parseSearch, patchSearch, splitList, stringifySearch, toggleInList } from '../src/lib/url'

describe('the URL as state', () => {
  it('survives a round trip, hard characters included', () => {
    const search = { from: 'now-3h', env: 'production', q: '{service_name="a&b"} |= "50% + ü #1"', level: 'error,warn' }
    expect(parseSearch(stringifySearch(search))).toEqual(search)
  })
  it('gives the same view the same link', () => expect(stringifySearch({ q: 'x', from: 'now-1h' })).toBe(stringifySearch({ from: 'now-1h', q: 'x' })))
  it('keeps numbers and booleans as text', () => expect(parseSearch('?q=123&page=true')).toEqual({ q: '123', page: 'true' }))
  it('ignores unknown, empty and oversized values', () => expect(parseSearch(`?evil=1&q=&name=${'x'.repeat(9000)}&span=ab`)).toEqual({ span: 'ab' }))
  it('removes what a patch empties', () => expect(patchSearch({ q: 'a', row: 'b', env: 'c' }, { q: undefined, row: '' })).toEqual({ env: 'c' }))
  it('carries only the context to another page', () => expect(contextOf({ from: 'now-1h', env: 'x', q: 'y', refresh: '5s' })).toEqual({ from: 'now-1h', env: 'x', refresh: '5s' }))
  it('is nothing when empty', () => expect(stringifySearch({})).toBe(''))
})

describe('lists in one value', () => {
  it('splits', () => expect(splitList('a,,b')).toEqual(['a', 'b']))
  it('toggles', () => {
    expect(toggleInList(undefined, 'a')).toBe('a')
    expect(toggleInList('a,b', 'a')).toBe('b')
    expect(toggleInList('a', 'a')).toBeUndefined()
  })
})
