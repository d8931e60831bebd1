/** Reports' look; nothing is loaded from elsewhere. */
import { colors, cssVariables } from './palette.ts';
import { shadeStyle } from './tokenShade.ts';

export const style = `
:root { color-scheme: light dark; ${cssVariables('light')} }
@media (prefers-color-scheme: dark) { :root { ${cssVariables('dark')} } }
body { margin:0; background:var(--page); color:var(--ink); font:16px/1.55 system-ui, sans-serif; }
main { max-width:980px; margin:0 auto; padding:48px 24px 80px; }
h1 { font-size:30px; line-height:1.2; margin:0 0 8px; } h2 { font-size:20px; margin:48px 0 6px; }
p { max-width:68ch; margin:6px 0 14px; } p.soft, .soft { color:var(--soft); }
.card, figure { background:var(--card); border:1px solid var(--rule); border-radius:10px; padding:18px; margin:0; }
.grid { display:grid; grid-template-columns:repeat(auto-fit, minmax(380px, 1fr)); gap:16px; }
figcaption { font-size:13px; color:var(--soft); padding-left:14px; } figcaption span { display:inline-block; white-space:nowrap; margin-right:14px; }
figcaption i { display:inline-block; width:14px; height:3px; margin-right:6px; vertical-align:middle; }
svg { width:100%; height:auto; display:block; } svg text { fill:var(--ink); font:12px system-ui, sans-serif; }
svg .title { font-size:14px; font-weight:600; } svg .tick, svg .value { fill:var(--soft); font-variant-numeric:tabular-nums; }
svg .name, svg .value { font-size:14px; } svg .rule { stroke:var(--rule); } svg .track { fill:var(--track); }
svg .error { stroke:var(--ink); stroke-width:2; opacity:.65; }
.line { fill:none; stroke-width:2; stroke-linejoin:round; } .line.faint { opacity:.25; stroke-width:1; } .band { opacity:.15; stroke:none; }
${Object.keys(colors)
  .map(
    name =>
      `.line.${name} { stroke:var(--${name}); } .dot.${name}, .band.${name}, .bar.${name} { fill:var(--${name}); } i.${name} { background:var(--${name}); }`,
  )
  .join('\n')}
table { border-collapse:collapse; width:100%; font-variant-numeric:tabular-nums; }
th, td { text-align:right; padding:7px 10px; border-bottom:1px solid var(--rule); } th:first-child, td:first-child { text-align:left; }
th { font-weight:600; color:var(--soft); font-size:13px; } tr:last-child td { border-bottom:0; } tr.best td { font-weight:600; }
ol.steps { list-style:none; margin:0; padding:0; } ol.steps > li { display:grid; grid-template-columns:120px 1fr; gap:16px; padding:12px 0; border-top:1px solid var(--rule); }
ol.steps .numbers { font-size:13px; color:var(--soft); font-variant-numeric:tabular-nums; } ol.steps .weight { height:6px; border-radius:3px; background:var(--sod); margin:5px 0; }
pre { margin:0 0 6px; white-space:pre-wrap; overflow-wrap:anywhere; font:13px/1.5 ui-monospace, monospace; }
${shadeStyle}
pre.observation { color:var(--soft); border-left:3px solid var(--rule); padding-left:10px; } pre.observation.error { border-color:var(--sod); }
`;
