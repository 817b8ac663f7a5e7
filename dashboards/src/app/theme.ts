import { createTheme, type CSSVariablesResolver, type MantineColorsTuple } from '@mantine/core'

const teal: MantineColorsTuple = [
  '#e6f5f3', '#cde9e6', '#9fd5cf', '#6dbfb7', '#45aba2', '#239a90', '#0e857c', '#0b6f6a', '#095b57', '#064743',
]

export const theme = createTheme({
  primaryColor: 'teal',
  primaryShade: { light: 7, dark: 5 },
  colors: { teal },
  fontFamily: 'var(--sans)',
  fontFamilyMonospace: 'var(--mono)',
  fontSizes: { xs: '11.5px', sm: '12.5px', md: '13px', lg: '15px', xl: '18px' },
  defaultRadius: 6,
  cursorType: 'pointer',
  components: {
    Tooltip: { classNames: { tooltip: 'tooltip' }, defaultProps: { openDelay: 350, withArrow: false, offset: 6 } },
    Popover: { defaultProps: { shadow: 'md', radius: 8, offset: 6 }, classNames: { dropdown: 'floating' } },
    Menu: { defaultProps: { shadow: 'md', radius: 8, offset: 6 }, classNames: { dropdown: 'floating', item: 'floating-item' } },
    Modal: { classNames: { content: 'floating', header: 'floating', title: 'floating-title' } },
  },
})

const shared = {
  '--mantine-color-body': 'var(--bg)',
  '--mantine-color-text': 'var(--text)',
  '--mantine-color-dimmed': 'var(--text-3)',
  '--mantine-color-placeholder': 'var(--text-3)',
  '--mantine-color-default': 'var(--raised)',
  '--mantine-color-default-hover': 'var(--hover)',
  '--mantine-color-default-color': 'var(--text)',
  '--mantine-color-default-border': 'var(--border)',
  '--mantine-color-error': 'var(--bad-text)',
  '--mantine-shadow-md': 'var(--shadow)',
  '--mantine-line-height': '1.45',
}

export const cssVariables: CSSVariablesResolver = () => ({ variables: {}, light: shared, dark: shared })
