import { describe, expect, it } from 'vitest'
import { addFilter, buildLogQL, countQuery, escapeRegex, queryKind, quote, searchTerms } from '../src/lib/logql'

describe('queryKind', () => {
  it.each([['', 'empty'], ['time out', 'text'], ['| json', 'pipeline'], ['|= "x"', 'pipeline'], ['!= "x"', 'pipeline'], ['{a="b"}', 'selector'], ['sum by (level) (rate({a="b"}[5m]))', 'metric'], ['computeTotal(cart)', 'text']])('%j is %s', (input, kind) => expect(queryKind(input)).toBe(kind))
})

describe('buildLogQL', () => {
  it('never sends an empty selector', () => expect(buildLogQL('', {})).toBe('{service_name=~".+"}'))
  it('turns text into a line filter', () => expect(buildLogQL('say "hi" \\o/', { env: 'production' })).toBe('{deployment_environment_name="production"} |= "say \\"hi\\" \\\\o/"'))
  it('joins facets', () => expect(buildLogQL('| json', { services: ['a', 'b.c'], levels: ['error'] })).toBe('{service_name=~"a|b\\\\.c", level="error"} | json'))
  it('adds facets to a typed selector', () => expect(buildLogQL('{host_name="n}1"} |= "x"', { levels: ['warn'] })).toBe('{host_name="n}1", level="warn"} |= "x"'))
  it('adds facets inside a metric query', () => expect(buildLogQL('sum(rate({a="b"}[5m]))', { env: 'dev' })).toBe('sum(rate({a="b", deployment_environment_name="dev"}[5m]))'))
  it('leaves a typed selector alone without facets', () => expect(buildLogQL('{a="b"} | json', {})).toBe('{a="b"} | json'))
  it('counts by level and service', () => expect(countQuery('{a="b"} |= "x"', 30)).toBe('sum by (level, service_name) (count_over_time({a="b"} |= "x" [30s]))'))
})

describe('addFilter', () => {
  it('puts a stream label into the selector', () => {
    expect(addFilter('', 'service_name', 'a')).toBe('{service_name="a"}')
    expect(addFilter('{a="b"} |= "x"', 'level', 'info', true)).toBe('{a="b", level!="info"} |= "x"')
    expect(addFilter('boom', 'level', 'error')).toBe('{level="error"} |= "boom"')
  })
  it('puts anything else into the pipeline', () => {
    expect(addFilter('', 'trace_id', 'abc')).toBe('| trace_id="abc"')
    expect(addFilter('boom', 'user', 'a"b', true)).toBe('|= "boom" | user!="a\\"b"')
  })
  it('cannot be broken out of', () => expect(buildLogQL(addFilter('', 'k', '"} or {x="'), {})).toBe('{service_name=~".+"} | k="\\"} or {x=\\""'))
})

describe('helpers', () => {
  it('quotes line breaks', () => expect(quote('a\nb\tc')).toBe('"a\\nb\\tc"'))
  it('escapes regular expressions', () => expect(escapeRegex('a.b-c(d)')).toBe('a\\.b-c\\(d\\)'))
  it('finds what to highlight', () => {
    expect(searchTerms('time out')).toEqual(['time out'])
    expect(searchTerms('{a="b"} |= "x\\"y" != "no" |= `z`')).toEqual(['x"y', 'z'])
  })
})
