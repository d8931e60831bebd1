import type { JSX } from 'preact';
import type { ThemeChoice } from './theme.ts';

/** Light or dark, or as the system has it. */
export function ThemeSwitch({
  choice,
  choose,
}: {
  choice: ThemeChoice;
  choose: (choice: ThemeChoice) => void;
}): JSX.Element {
  return (
    <select
      aria-label="Colours"
      value={choice}
      onChange={event => choose(event.currentTarget.value as ThemeChoice)}
      class="quiet"
    >
      <option value="system">System</option>
      <option value="light">Light</option>
      <option value="dark">Dark</option>
    </select>
  );
}
