import { Modal } from '@mantine/core'
import { SHORTCUTS } from './shortcuts'
import css from './HelpDialog.module.css'

export function HelpDialog({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  return (
    <Modal opened={opened} onClose={onClose} title="Keyboard shortcuts" centered size={420} lockScroll={false} closeButtonProps={{ 'aria-label': 'Close' }}>
      <dl className={css.list}>
        {SHORTCUTS.map(({ keys, does }) => (
          <div key={keys} className={css.item}>
            <dt>{does}</dt>
            <dd>{keys.split(' ').map((key) => <kbd key={key}>{key}</kbd>)}</dd>
          </div>
        ))}
      </dl>
    </Modal>
  )
}
