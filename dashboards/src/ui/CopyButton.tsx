import { IconCheck, IconCopy } from '@tabler/icons-react'
import { useEffect, useState } from 'react'

export function CopyButton({ text, label, children }: { text: string; label: string; children?: string }) {
  const [copied, setCopied] = useState(false)
  useEffect(() => {
    if (!copied) return
    const timer = setTimeout(() => setCopied(false), 1400)
    return () => clearTimeout(timer)
  }, [copied])
  const Icon = copied ? IconCheck : IconCopy
  return (
    <button
      type="button" className={`btn btn-ghost btn-small ${children ? '' : 'btn-icon'}`} aria-label={copied ? 'Copied' : label} title={label}
      onClick={() => void copyText(text).then(setCopied)}
    >
      <Icon size={14} stroke={1.7} className={copied ? 'good' : undefined} />{children}
    </button>
  )
}

/** The clipboard API needs a secure origin; a plain-http intranet page falls back to a selection. */
async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    const area = document.createElement('textarea')
    area.value = text
    area.style.position = 'fixed'
    area.style.opacity = '0'
    document.body.append(area)
    area.select()
    const done = document.execCommand('copy')
    area.remove()
    return done
  }
}
