import cliProgress from 'cli-progress';
import { percentText } from '../report/numbers.ts';
import type { Metrics } from '../train/runDirectory.ts';
import type { TrainEvent } from '../train/trainEvent.ts';
import { showDownload } from './showDownload.ts';
import { sparklineWidth, summary, vitalsLine } from './vitals.ts';

/** A run's progress: in a terminal a live line, and one below it of what matters; elsewhere a plain line an iteration. */
export class Progress {
  readonly #lines?: LiveLines;
  readonly #prefix: string;
  #lastLine = 0;

  constructor(name = '') {
    this.#prefix = name && `${name}  `;
    if (process.stderr.isTTY) this.#lines = new LiveLines(this.#prefix);
  }

  show(event: TrainEvent): void {
    if (event.kind === 'phase') this.#phase(event);
    else if (event.kind === 'iteration') this.#iteration(event);
    else if (event.kind === 'evaluation') this.#evaluation(event);
    else if (event.kind === 'download') showDownload(event.file, event.doneBytes, event.totalBytes);
    else this.#say(event.notice);
  }

  close(): void {
    this.#lines?.close();
  }

  #phase({ iteration, iterations, phase, done, total }: Extract<TrainEvent, { kind: 'phase' }>): void {
    if (this.#lines) this.#lines.phase(iteration, iterations, `${phase} ${done}/${total}`);
    else this.#line(`${iteration}/${iterations}  ${phase} ${done}/${total}`, 5000);
  }

  #iteration({ iterations, metrics }: Extract<TrainEvent, { kind: 'iteration' }>): void {
    const { iteration } = metrics;
    if (this.#lines) this.#lines.iteration(metrics, iterations);
    else this.#line(`${iteration}/${iterations}  ${summary(metrics)}`, iteration === iterations ? 0 : 1000);
  }

  #evaluation({ iteration, iterations, evaluation, isBest }: Extract<TrainEvent, { kind: 'evaluation' }>): void {
    const sets = Object.entries(evaluation.sets).map(([name, { average }]) => `${name} ${percentText(average, 1)} %`);
    const each = sets.length > 1 ? ` (${sets.join(', ')})` : '';
    const average = `average@${evaluation.samples} ${percentText(evaluation.average, 1)} %${each}`;
    this.#say(`${iteration}/${iterations}  evaluation: ${average}${isBest ? ', the best so far' : ''}`);
  }

  /** A plain line, unless the last one is newer than `silenceMs`. */
  #line(text: string, silenceMs: number): void {
    if (performance.now() - this.#lastLine < silenceMs) return;
    this.#lastLine = performance.now();
    this.#say(text);
  }

  #say(text: string): void {
    if (this.#lines) this.#lines.say(this.#prefix + text);
    else console.error(this.#prefix + text);
  }
}

/** Two lines at the foot of a terminal, written anew as the run goes on. */
class LiveLines {
  readonly #bars = new cliProgress.MultiBar({
    barsize: 24,
    hideCursor: true,
    gracefulExit: false,
    etaBuffer: 20,
    clearOnComplete: false,
  });
  readonly #prefix: string;
  #progress?: cliProgress.SingleBar;
  #vitals?: cliProgress.SingleBar;
  #recent: Metrics[] = [];
  #iterationEnded = performance.now();

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  phase(iteration: number, iterations: number, phase: string): void {
    this.#begin(iterations, iteration);
    this.#progress!.update(iteration, { phase });
  }

  iteration(metrics: Metrics, iterations: number): void {
    this.#begin(iterations, metrics.iteration);
    this.#recent = [...this.#recent, metrics].slice(-sparklineWidth);
    this.#progress!.update(metrics.iteration, { phase: '' });
    this.#vitals!.update(metrics.iteration, { vitals: `${vitalsLine(this.#recent)}  ${this.#pace(metrics)}` });
  }

  say(text: string): void {
    if (this.#progress) this.#bars.log(`${text}\n`);
    else console.error(text);
  }

  close(): void {
    if (!this.#progress) return;
    this.#bars.update();
    this.#bars.stop();
  }

  /** Nothing is drawn before there is something to tell. */
  #begin(iterations: number, iteration: number): void {
    if (this.#progress) return;
    const format = `${this.#prefix}{bar} {value}/{total}  {phase}  {eta_formatted} left`;
    this.#progress = this.#bars.create(iterations, iteration, { phase: '' }, { format });
    this.#vitals = this.#bars.create(iterations, iteration, { vitals: '' }, { format: '{vitals}' });
  }

  #pace({ rolloutTokens, tokens }: Metrics): string {
    const now = performance.now();
    const seconds = (now - this.#iterationEnded) / 1000;
    this.#iterationEnded = now;
    return `${Math.round(Number(rolloutTokens ?? tokens) / seconds)} tokens/s`;
  }
}
