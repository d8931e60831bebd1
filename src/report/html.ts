import { createHash } from 'node:crypto';
import { readPageFile } from '../watch/pageFiles.ts';
import type { Report } from './report.ts';

/**
 * A report as one file that needs no other: the page's own components, and what they draw. Its policy lets nothing be loaded, and
 * no script run but that one; what models and tools said is data.
 * @throws UserError where the page was not built.
 */
export function reportHtml(report: Report): string {
  const [script, style, licenses] = ['report.js', 'page.css', 'licenses.txt'].map(readPageFile);
  const policy = [
    "default-src 'none'",
    `script-src ${hashOf(script)}`,
    `style-src ${hashOf(style)}`,
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy.join('; ')}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>sod</title>
<link rel="icon" href="data:,">
<style>${style}</style>
<script type="application/json" id="report">${JSON.stringify(report).replaceAll('<', '\\u003c')}</script>
<script type="module">${script}</script>
<!--
${licenses}-->
</head>
<body><noscript>The curves and tables of this file are drawn by its script, which needs no network.</noscript></body>
</html>
`;
}

/** As a policy names an inline script or style. */
function hashOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}
