import { Menu, Popover, Tooltip } from '@mantine/core'
import { IconChevronDown, IconClock, IconRefresh } from '@tabler/icons-react'
import { useIsFetching } from '@tanstack/react-query'
import { useState, type FormEvent } from 'react'
import { formatInstant, zoneOffset } from '../lib/format'
import { isRelative, parseTime, PRESETS } from '../lib/time'
import { useSettings, useZone } from './settings'
import { REFRESH_CHOICES, useRange, useUrlState } from './state'
import css from './TimePicker.module.css'
import shell from './Shell.module.css'

export function TimePicker() {
  const [open, setOpen] = useState(false)
  const range = useRange()
  const zone = useZone()
  return (
    <Popover opened={open} onChange={setOpen} position="bottom-end" trapFocus returnFocus>
      <Popover.Target>
        <button type="button" className="btn" data-time-button aria-label={`Time range: ${rangeLabel(range, zone)}`} onClick={() => setOpen((o) => !o)}>
          <IconClock size={15} stroke={1.7} aria-hidden />
          <span className={css.range}>{rangeLabel(range, zone)}</span>
          <IconChevronDown size={13} aria-hidden />
        </button>
      </Popover.Target>
      <Popover.Dropdown className={css.panel} aria-label="Time range">
        <div className={css.presets} role="group" aria-label="Quick ranges">
          {PRESETS.map(({ label, from }) => (
            <button
              key={from} type="button" className={css.preset} aria-pressed={range.from === from && range.to === 'now'}
              onClick={() => { range.setRange(from, 'now'); setOpen(false) }}
            >
              {label}
            </button>
          ))}
        </div>
        <CustomRange onDone={() => setOpen(false)} />
      </Popover.Dropdown>
    </Popover>
  )
}

function rangeLabel(range: { from: string; to: string; startMs: number; endMs: number }, zone: 'utc' | 'local'): string {
  const preset = PRESETS.find((p) => p.from === range.from && range.to === 'now')
  if (preset) return preset.label
  if (isRelative(range.from) && isRelative(range.to)) return `${range.from} to ${range.to}`
  const start = formatInstant(range.startMs, zone)
  const end = formatInstant(range.endMs, zone)
  return `${start} to ${start.slice(0, 10) === end.slice(0, 10) ? end.slice(11) : end} ${zoneOffset(range.startMs, zone)}`
}

function CustomRange({ onDone }: { onDone: () => void }) {
  const range = useRange()
  const { zone, setZone } = useSettings()
  const [from, setFrom] = useState(range.from)
  const [to, setTo] = useState(range.to)
  const startMs = parseTime(from, Date.now())
  const endMs = parseTime(to, Date.now(), true)
  const problem = startMs === undefined ? 'The start is not a time.'
    : endMs === undefined ? 'The end is not a time.'
      : startMs >= endMs ? 'The start must be before the end.' : undefined

  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (problem) return
    range.setRange(from.trim(), to.trim())
    onDone()
  }

  return (
    <form className={css.custom} onSubmit={submit}>
      <label className="label" htmlFor="range-from">From</label>
      <input id="range-from" className="field mono" value={from} onChange={(e) => setFrom(e.target.value)} spellCheck={false} />
      <label className="label" htmlFor="range-to">To</label>
      <input id="range-to" className="field mono" value={to} onChange={(e) => setTo(e.target.value)} spellCheck={false} />
      <p className={problem ? css.problem : css.hint} role="status">
        {problem ?? `${formatInstant(startMs ?? 0, zone)} to ${formatInstant(endMs ?? 0, zone)} ${zoneOffset(startMs ?? 0, zone)}`}
      </p>
      <p className={css.hint}>Such as <span className="mono">now-90m</span>, <span className="mono">now-1d/d</span>, <span className="mono">2026-05-01 14:30</span> (UTC).</p>
      <div className="row" style={{ marginTop: 6, justifyContent: 'space-between' }}>
        <span className="seg" role="group" aria-label="Zone of times">
          <button type="button" aria-pressed={zone === 'utc'} onClick={() => setZone('utc')}>UTC</button>
          <button type="button" aria-pressed={zone === 'local'} onClick={() => setZone('local')}>Local</button>
        </span>
        <button type="submit" className="btn btn-primary" disabled={problem !== undefined}>Apply</button>
      </div>
    </form>
  )
}

export function RefreshButton() {
  const range = useRange()
  const [search, patch] = useUrlState()
  const busy = useIsFetching() > 0
  return (
    <div className={shell.joined}>
      <Tooltip label="Refresh (r)">
        <button type="button" className={`btn btn-icon ${shell.btnLeft}`} aria-label="Refresh" onClick={range.refresh}>
          <IconRefresh size={15} stroke={1.7} className={busy ? css.spin : undefined} />
        </button>
      </Tooltip>
      <Menu position="bottom-end">
        <Menu.Target>
          <button type="button" className={`btn ${shell.btnRight}`} aria-label={`Refresh automatically: ${search.refresh ?? 'off'}`}>
            {search.refresh && <span>{search.refresh}</span>}
            <IconChevronDown size={13} aria-hidden />
          </button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>Refresh automatically</Menu.Label>
          <Menu.Item onClick={() => patch({ refresh: undefined }, true)} aria-current={!search.refresh}>Off</Menu.Item>
          {REFRESH_CHOICES.map((choice) => (
            <Menu.Item key={choice} onClick={() => patch({ refresh: choice }, true)} aria-current={search.refresh === choice}>Every {choice}</Menu.Item>
          ))}
        </Menu.Dropdown>
      </Menu>
    </div>
  )
}
