import { render } from 'preact';
import { App } from './app.tsx';
import { applyPalette } from './theme.ts';

applyPalette();
render(<App />, document.body);
