/** A static report: what came out, the curves behind it, and trajectories to read. */
import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import type { Pattern } from '../../methods/diagnostics.ts';
import type { Theme } from '../../report/palette.ts';
import type { Report, ReportSection } from '../../report/report.ts';
import type { KeptTrajectory } from '../../train/trajectoryFile.ts';
import { Asked } from './asked.tsx';
import { ChartHint, Charts, smoothing } from './charts.tsx';
import { ResultTable } from './resultTable.tsx';
import { Steps, TokenLegend } from './steps.tsx';
import { shownText } from './text.tsx';
import { useTheme } from './theme.ts';
import { ThemeSwitch } from './themeSwitch.tsx';

/** How each pattern is introduced. */
const patternTitles: Record<Pattern, string> = {
  recovery: 'Drifted away and came back',
  erroneous: 'Drifted away and stayed there',
  stable: 'Never far from the start',
};

export function ReportPage({ report }: { report: Report }): JSX.Element {
  const { theme, choice, choose } = useTheme();
  const title = shownText(report.title);
  useEffect(() => {
    document.title = title;
  }, [title]);
  return (
    <>
      <header class="top">
        <span class="brand">{title}</span>
        <ThemeSwitch choice={choice} choose={choose} />
      </header>
      <main class="report">
        <h1>{shownText(report.headline)}</h1>
        <p>{shownText(report.about)}</p>
        <p class="soft">{shownText(report.settings)}</p>
        {report.warning && <p class="problem">{shownText(report.warning)}</p>}
        <ResultTable table={report.table} />
        <ChartHint />
        {report.sections.map(section => (
          <Section key={section.title} section={section} theme={theme} />
        ))}
      </main>
    </>
  );
}

function Section({ section, theme }: { section: ReportSection; theme: Theme }): JSX.Element {
  const { title, text, charts, trajectories } = section;
  return (
    <section>
      <h2>{shownText(title)}</h2>
      {text && <p>{shownText(text)}</p>}
      {charts && <Charts charts={charts} smooth={smoothing(charts)} group={title} theme={theme} />}
      {trajectories && <TokenLegend />}
      {trajectories?.map((trajectory, i) => (
        <Trajectory key={i} trajectory={trajectory} name={`trajectory-${i + 1}`} />
      ))}
    </section>
  );
}

function Trajectory({ trajectory, name }: { trajectory: KeptTrajectory; name: string }): JSX.Element {
  const { pattern, task, correct, prompt } = trajectory;
  return (
    <article>
      {pattern && <h3>{patternTitles[pattern]}</h3>}
      <p class="soft">
        <bdi>{shownText(task)}</bdi>; the answer was {correct ? 'right' : 'wrong'}.
      </p>
      <Asked prompt={prompt} />
      <Steps trajectory={trajectory} name={name} />
    </article>
  );
}
