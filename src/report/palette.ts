/** The project's colours: what lines and bars can be, and what they stand on; each in light and in dark. */

type Shades = readonly [light: string, dark: string];

/** What lines and bars can be. */
export const colors: Record<string, Shades> = {
  teacher: ['#5b6b8c', '#8fa2cc'],
  vanilla: ['#a9adb8', '#7a8090'],
  sft: ['#b98b2f', '#d9b15c'],
  grpo: ['#7a5aa8', '#b497e0'],
  opd: ['#2f7fb9', '#62aee6'],
  'naive-opd': ['#3aa6a0', '#6fd0c9'],
  'opsd-gt': ['#8a9a3a', '#b9c96a'],
  'opsd-hint': ['#c77fa8', '#e6a8cb'],
  sod: ['#c2412d', '#f0735e'],
  good: ['#2e7d4f', '#69c08d'],
};

/** Those that name no colour of their own take one of these in turn. */
export const spareColors = ['opd', 'good', 'sft', 'grpo', 'opsd-hint', 'naive-opd'];

/** That of a method, or of none in particular. */
export function colorOfMethod(method: string): string {
  return hasColor(method) ? method : 'vanilla';
}

export function hasColor(name: string): boolean {
  return Object.hasOwn(colors, name);
}

/** Page and cards, text and lines. */
const surfaces: Record<string, Shades> = {
  page: ['#fbfaf8', '#15171c'],
  card: ['#fff', '#1d2027'],
  ink: ['#1f2430', '#e8e9ee'],
  soft: ['#667085', '#9aa3b5'],
  rule: ['#e6e3dc', '#2e323c'],
  track: ['#f0eee9', '#272b34'],
};

export type Theme = 'light' | 'dark';

/** A colour as a theme has it. */
export function shade(name: string, theme: Theme): string {
  return (colors[name] ?? surfaces[name])[theme === 'light' ? 0 : 1];
}

/** All colours of a theme, as CSS variables. */
export function cssVariables(theme: Theme): string {
  const names = [...Object.keys(surfaces), ...Object.keys(colors)];
  return names.map(name => `--${name}:${shade(name, theme)};`).join(' ');
}
