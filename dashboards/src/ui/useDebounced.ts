import { useEffect, useRef, useState } from 'react'

/** A text box that follows `value` from the URL and reports back after a pause in typing. */
export function useDraft(value: string, commit: (next: string) => void, delayMs = 350): [string, (next: string) => void, () => void] {
  const [draft, setDraft] = useState(value)
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  const latest = useRef(commit)
  latest.current = commit
  useEffect(() => setDraft(value), [value])
  useEffect(() => () => clearTimeout(timer.current), [])
  const change = (next: string) => {
    setDraft(next)
    clearTimeout(timer.current)
    timer.current = setTimeout(() => latest.current(next), delayMs)
  }
  const flush = () => {
    clearTimeout(timer.current)
    latest.current(draft)
  }
  return [draft, change, flush]
}
