/** Light or dark: as the system has it, or as the reader chose, which the browser keeps. */
import { useEffect, useState } from 'preact/hooks';
import { cssVariables, type Theme } from '../../report/palette.ts';
import { shadeStyle } from './tokenShade.ts';

export type ThemeChoice = Theme | 'system';

const key = 'sod-theme';
const prefersDark = matchMedia('(prefers-color-scheme: dark)');

/** Gives the page its colours. */
export function applyPalette(): void {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(
    (['light', 'dark'] as const)
      .map(theme => `:root[data-theme=${theme}] { color-scheme: ${theme}; ${cssVariables(theme)} }`)
      .concat(shadeStyle)
      .join('\n'),
  );
  document.adoptedStyleSheets = [sheet];
  document.documentElement.dataset.theme = themeOf(storedChoice());
}

export function useTheme(): { theme: Theme; choice: ThemeChoice; choose: (choice: ThemeChoice) => void } {
  const [choice, setChoice] = useState(storedChoice);
  const [theme, setTheme] = useState(() => themeOf(choice));
  useEffect(() => {
    const follow = () => setTheme(themeOf(choice));
    follow();
    prefersDark.addEventListener('change', follow);
    return () => prefersDark.removeEventListener('change', follow);
  }, [choice]);
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
  }, [theme]);
  const choose = (next: ThemeChoice) => {
    store(next);
    setChoice(next);
  };
  return { theme, choice, choose };
}

function themeOf(choice: ThemeChoice): Theme {
  if (choice !== 'system') return choice;
  return prefersDark.matches ? 'dark' : 'light';
}

/** A browser may refuse to keep anything. */
function storedChoice(): ThemeChoice {
  try {
    const stored = localStorage.getItem(key);
    return stored === 'light' || stored === 'dark' ? stored : 'system';
  } catch {
    return 'system';
  }
}

function store(choice: ThemeChoice): void {
  try {
    localStorage.setItem(key, choice);
  } catch {
    // It holds until the page is closed.
  }
}
