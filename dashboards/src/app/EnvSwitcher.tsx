import { Menu } from '@mantine/core'
import { IconCheck, IconChevronDown } from '@tabler/icons-react'
import { ENVIRONMENT_COLOR, environmentKind, useEnvironments } from './environments'
import { useUrlState } from './state'
import shell from './Shell.module.css'

export function EnvSwitcher() {
  const [search, patch] = useUrlState()
  const names = useEnvironments()
  const current = search.env
  const choices = current && !names.includes(current) ? [current, ...names] : names
  return (
    <Menu position="bottom-end" width={210}>
      <Menu.Target>
        <button type="button" className={`btn ${shell.env}`} data-kind={current ? environmentKind(current) : undefined} aria-label={`Environment: ${current ?? 'All environments'}`}>
          {current && environmentKind(current) !== 'production' && <Dot name={current} />}
          <span>{current ?? 'All environments'}</span>
          <IconChevronDown size={13} aria-hidden />
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item rightSection={!current && <IconCheck size={14} />} onClick={() => patch({ env: undefined })}>All environments</Menu.Item>
        {choices.map((name) => (
          <Menu.Item
            key={name} leftSection={<Dot name={name} />} rightSection={current === name && <IconCheck size={14} />}
            onClick={() => patch({ env: name, row: undefined })}
          >
            {name}
          </Menu.Item>
        ))}
        {choices.length === 0 && <Menu.Label>None seen yet. Set deployment.environment.name on your services.</Menu.Label>}
      </Menu.Dropdown>
    </Menu>
  )
}

function Dot({ name }: { name: string }) {
  return <span className={shell.envDot} style={{ background: ENVIRONMENT_COLOR[environmentKind(name)] }} aria-hidden />
}
