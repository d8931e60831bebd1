import { render } from 'preact';
import { ReportPage } from './reportPage.tsx';
import { applyPalette } from './theme.ts';

applyPalette();
const { textContent } = document.getElementById('report')!;
render(<ReportPage report={JSON.parse(textContent!)} />, document.body);
