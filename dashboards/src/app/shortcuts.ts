// Keyboard shortcuts. They rest while the reader types, and leave every combination with Ctrl, Alt or Meta alone.
import { useNavigate } from '@tanstack/react-router'
import { useEffect, useRef } from 'react'
import { shiftRange, zoomOut } from '../lib/time'
import { useLinkSearch, useRange } from './state'

export const SHORTCUTS: { keys: string; does: string }[] = [
  { keys: '?', does: 'Show or hide this list' },
  { keys: '/', does: 'Go to the query box' },
  { keys: 'g o', does: 'Overview' },
  { keys: 'g l', does: 'Logs' },
  { keys: 'g m', does: 'Metrics' },
  { keys: 'g t', does: 'Traces' },
  { keys: 'g e', does: 'Errors' },
  { keys: 'g a', does: 'Alerts' },
  { keys: 't', does: 'Choose a time range' },
  { keys: '[', does: 'Earlier by half the range' },
  { keys: ']', does: 'Later by half the range' },
  { keys: 'z', does: 'Zoom out' },
  { keys: 'r', does: 'Refresh' },
  { keys: 'Esc', does: 'Close the panel, or leave the box' },
]

const GOTO: Record<string, string> = { o: '/', l: '/logs', m: '/metrics', t: '/traces', e: '/errors', a: '/alerts' }
const SEQUENCE_MS = 1200

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
}

export function useShortcuts(onHelp: () => void) {
  const navigate = useNavigate()
  const linkSearch = useLinkSearch()
  const range = useRange()
  const pendingG = useRef(0)
  const latest = useRef<(key: string) => boolean>(() => false)

  latest.current = (key: string) => {
    if (Date.now() - pendingG.current < SEQUENCE_MS) {
      pendingG.current = 0
      const to = GOTO[key]
      if (to) void navigate({ to, search: linkSearch() } as never)
      return to !== undefined
    }
    switch (key) {
      case 'g':
        pendingG.current = Date.now()
        return true
      case '?':
        onHelp()
        return true
      case '/':
        return focusFirst('[data-query-box] [contenteditable="true"], [data-query-box] input, input[data-query-box]')
      case 't': {
        const button = document.querySelector<HTMLElement>('[data-time-button]')
        button?.click()
        return button !== null
      }
      case 'r':
        range.refresh()
        return true
      case '[':
      case ']': {
        const next = shiftRange(range, key === '[' ? -1 : 1)
        range.zoomTo(next.startMs, next.endMs)
        return true
      }
      case 'z': {
        const next = zoomOut(range, Date.now())
        range.zoomTo(next.startMs, next.endMs)
        return true
      }
      default:
        return false
    }
  }

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isTyping(event.target)) return
      if (latest.current(event.key)) event.preventDefault()
    }
    window.addEventListener('keydown', onKey)
    return () => window.removeEventListener('keydown', onKey)
  }, [])
}

function focusFirst(selector: string): boolean {
  const element = document.querySelector<HTMLElement>(selector)
  element?.focus()
  return element !== null
}
