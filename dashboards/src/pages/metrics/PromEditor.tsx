// The PromQL box: highlighting, linting, and completion from the collector's own labels and metadata.
import { autocompletion, closeBrackets, closeBracketsKeymap, closeCompletion, completionKeymap } from '@codemirror/autocomplete'
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands'
import { bracketMatching, HighlightStyle, syntaxHighlighting } from '@codemirror/language'
import { lintKeymap } from '@codemirror/lint'
import { EditorState, Prec } from '@codemirror/state'
import { drawSelection, EditorView, keymap, placeholder } from '@codemirror/view'
import { tags } from '@lezer/highlight'
import { PromQLExtension } from '@prometheus-io/codemirror-promql'
import { useEffect, useRef } from 'react'
import { cspNonce } from '../../app/nonce'
import css from './metrics.module.css'

const highlight = HighlightStyle.define([
  { tag: tags.keyword, color: 'var(--code-keyword)' },
  { tag: tags.operator, color: 'var(--text-2)' },
  { tag: tags.modifier, color: 'var(--code-keyword)' },
  { tag: [tags.function(tags.variableName), tags.standard(tags.variableName)], color: 'var(--code-function)' },
  { tag: tags.string, color: 'var(--code-string)' },
  { tag: tags.number, color: 'var(--code-number)' },
  { tag: tags.labelName, color: 'var(--code-label)' },
  { tag: tags.comment, color: 'var(--text-3)', fontStyle: 'italic' },
  { tag: tags.invalid, color: 'var(--bad-text)' },
])

const look = EditorView.theme({
  '&': { fontSize: '12.5px', backgroundColor: 'transparent', color: 'var(--text)' },
  '&.cm-focused': { outline: 'none' },
  '.cm-content': { fontFamily: 'var(--mono)', padding: '7px 0', caretColor: 'var(--text)', lineHeight: '20px' },
  '.cm-line': { padding: '0 10px' },
  '.cm-cursor': { borderLeftColor: 'var(--text)' },
  '.cm-placeholder': { color: 'var(--text-3)' },
  '.cm-selectionBackground, &.cm-focused .cm-selectionBackground': { backgroundColor: 'color-mix(in srgb, var(--accent) 25%, transparent)' },
  '.cm-matchingBracket': { backgroundColor: 'var(--accent-soft)', outline: 'none' },
  '.cm-tooltip': { backgroundColor: 'var(--raised)', border: '1px solid var(--border)', borderRadius: '8px', boxShadow: 'var(--shadow)', overflow: 'hidden', color: 'var(--text)' },
  '.cm-tooltip-autocomplete > ul': { fontFamily: 'var(--mono)', fontSize: '12px', maxHeight: '260px' },
  '.cm-tooltip-autocomplete > ul > li': { padding: '3px 10px', lineHeight: '20px' },
  '.cm-tooltip-autocomplete > ul > li[aria-selected]': { backgroundColor: 'var(--accent-soft)', color: 'var(--text)' },
  '.cm-completionMatchedText': { textDecoration: 'none', color: 'var(--accent-text)', fontWeight: '600' },
  '.cm-completionDetail': { color: 'var(--text-3)', fontStyle: 'normal', marginLeft: '12px' },
  '.cm-completionInfo': { padding: '8px 10px', fontFamily: 'var(--sans)', maxWidth: '320px' },
  '.cm-diagnostic': { fontFamily: 'var(--sans)', fontSize: '12px' },
})

/**
 * Typing over a selection goes through the editor's state, not through the page. Left to itself, Chromium carries the
 * colour of the replaced text over as a style attribute, which the content policy rightly refuses.
 */
const typeOver = EditorView.domEventHandlers({
  beforeinput(event, view) {
    const { from, to, empty } = view.state.selection.main
    const text = event.data
    if (event.inputType !== 'insertText' || empty || view.composing || text === null) return false
    const insert = () => view.state.update(view.state.replaceSelection(text), { userEvent: 'input.type', scrollIntoView: true })
    const handled = view.state.facet(EditorView.inputHandler).some((handler) => handler(view, from, to, text, insert))
    if (!handled) view.dispatch(insert())
    return true
  },
})

interface Props {
  value: string
  onRun: (expr: string) => void
  onChange: (expr: string) => void
}

export function PromEditor({ value, onRun, onChange }: Props) {
  const host = useRef<HTMLDivElement>(null)
  const view = useRef<EditorView>(undefined)
  const handlers = useRef({ onRun, onChange })
  handlers.current = { onRun, onChange }
  const first = useRef(value)

  useEffect(() => {
    if (!host.current) return
    const promql = new PromQLExtension().activateCompletion(true).activateLinter(true)
      .setComplete({ remote: { url: '', httpMethod: 'GET', cache: { maxAge: 120_000 } }, maxMetricsMetadata: 10_000 })
    const run = (editor: EditorView) => {
      closeCompletion(editor)
      handlers.current.onRun(editor.state.doc.toString())
      return true
    }
    const leave = (editor: EditorView) => {
      editor.contentDOM.blur()
      return true
    }
    const editor = new EditorView({
      parent: host.current,
      state: EditorState.create({
        doc: first.current,
        extensions: [
          EditorView.cspNonce.of(cspNonce()),
          history(), drawSelection(), bracketMatching(), closeBrackets(), autocompletion(), syntaxHighlighting(highlight), look,
          EditorView.lineWrapping, typeOver,
          EditorView.contentAttributes.of({ 'aria-label': 'PromQL expression', spellcheck: 'false', autocapitalize: 'off' }),
          promql.asExtension(),
          placeholder('PromQL, such as rate(http_server_request_duration_seconds_count[5m])'),
          Prec.highest(keymap.of([{ key: 'Mod-Enter', run }])),
          keymap.of([...closeBracketsKeymap, ...completionKeymap, { key: 'Enter', run }, { key: 'Escape', run: leave }, ...defaultKeymap, ...historyKeymap, ...lintKeymap]),
          EditorView.updateListener.of((update) => update.docChanged && handlers.current.onChange(update.state.doc.toString())),
        ],
      }),
    })
    view.current = editor
    return () => {
      promql.destroy()
      editor.destroy()
    }
  }, [])

  useEffect(() => {
    const editor = view.current
    if (editor && editor.state.doc.toString() !== value) editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } })
  }, [value])

  return <div ref={host} className={css.editor} data-query-box />
}
