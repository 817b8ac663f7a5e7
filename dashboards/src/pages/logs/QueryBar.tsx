import { IconSearch, IconX } from '@tabler/icons-react'
import { useEffect, useState, type FormEvent } from 'react'
import { useRange, useUrlState } from '../../app/state'
import css from './logs.module.css'

export function QueryBar() {
  const [search, patch] = useUrlState()
  const { refresh } = useRange()
  const [draft, setDraft] = useState(search.q ?? '')
  useEffect(() => setDraft(search.q ?? ''), [search.q])

  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (draft.trim() === (search.q ?? '')) refresh()
    else patch({ q: draft.trim() || undefined, row: undefined })
  }

  return (
    <form className={css.queryBar} onSubmit={submit} role="search">
      <div className={css.queryBox} data-query-box>
        <IconSearch size={16} className={css.queryIcon} aria-hidden />
        <input
          className="field" aria-label="Log query" spellCheck={false} autoComplete="off" autoCapitalize="off" value={draft}
          placeholder={'Text to find, or LogQL such as {service_name="checkout"} |= "timeout"'}
          onChange={(e) => setDraft(e.target.value)}
          onKeyDown={(e) => e.key === 'Escape' && e.currentTarget.blur()}
        />
        {draft !== '' && (
          <button type="button" className={css.clear} aria-label="Clear the query" onClick={() => { setDraft(''); patch({ q: undefined, row: undefined }) }}>
            <IconX size={14} />
          </button>
        )}
      </div>
      <button type="submit" className="btn btn-primary">Search</button>
    </form>
  )
}
