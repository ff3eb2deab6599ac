import {
  createTheme,
  defaultVariantColorsResolver,
  type CSSVariablesResolver,
  type MantineColorsTuple,
  type VariantColorsResolver,
} from '@mantine/core';

/** Shades 0 to 4 serve the dark scheme, 5 to 9 the light one; only the ends are seen. */
function ends(dark: string, light: string): MantineColorsTuple {
  return [dark, dark, dark, dark, dark, light, light, light, light, light];
}

/** Mantine takes the text of a filled button from one scheme for both; ours is named per scheme in styles.css. */
const variantColorResolver: VariantColorsResolver = (input) => {
  const colors = defaultVariantColorsResolver(input);
  if (input.variant !== 'filled') return colors;
  const name = input.color === 'danger' ? 'danger' : 'ink';
  return { ...colors, color: `var(--fs-on-${name})`, hover: `var(--fs-${name}-hover)` };
};

export const theme = createTheme({
  colors: { ink: ends('#f1f5f3', '#16201c'), danger: ends('#ff8f85', '#b3261e') },
  primaryColor: 'ink',
  primaryShade: { light: 9, dark: 0 },
  variantColorResolver,
  defaultRadius: 8,
  respectReducedMotion: true,
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif',
  fontFamilyMonospace: 'ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace',
  fontSizes: { xs: '0.8125rem', sm: '0.875rem', md: '1rem', lg: '1.25rem', xl: '1.75rem' },
  components: {
    Checkbox: { defaultProps: { iconColor: 'var(--fs-on-ink)' } },
    Radio: { defaultProps: { iconColor: 'var(--fs-on-ink)' } },
    Modal: { defaultProps: { centered: true, padding: 'lg', overlayProps: { backgroundOpacity: 0.5 } } },
  },
});

/** The tokens of Mantine whose contrast is below 4.5 to 1. */
export const cssVariablesResolver: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    '--mantine-color-body': '#f7f9f8',
    '--mantine-color-text': '#16201c',
    '--mantine-color-dimmed': '#55605a',
    '--mantine-color-placeholder': '#66716b',
    '--mantine-color-error': '#b3261e',
    '--mantine-color-anchor': '#1d4ed8',
    '--mantine-color-default-border': '#cdd5d1',
  },
  dark: {
    '--mantine-color-body': '#101513',
    '--mantine-color-text': '#e8edea',
    '--mantine-color-dimmed': '#a3ada7',
    '--mantine-color-placeholder': '#96a19b',
    '--mantine-color-error': '#ff8f85',
    '--mantine-color-anchor': '#8fb4ff',
    '--mantine-color-default': '#1b2320',
    '--mantine-color-default-hover': '#26302c',
    '--mantine-color-default-border': '#3a4641',
  },
});
