import cliProgress from 'cli-progress';
import { asPercent, percentText } from '../report/numbers.ts';
import type { Metrics } from '../train/runDirectory.ts';
import type { TrainEvent } from '../train/trainEvent.ts';
import { showDownload } from './showDownload.ts';

/** A run's progress: one live line in a terminal, or else a plain line an iteration. */
export class Progress {
  readonly #bar?: cliProgress.SingleBar;
  readonly #prefix: string;
  #status = '';
  #lastLine = 0;

  constructor(name = '') {
    this.#prefix = name && `${name}  `;
    if (!process.stderr.isTTY) return;
    this.#bar = new cliProgress.SingleBar({
      format: `${this.#prefix}{bar} {value}/{total}  {phase}  {status}  {eta_formatted} left`,
      barsize: 24,
      hideCursor: true,
      gracefulExit: false,
      etaBuffer: 20,
      clearOnComplete: false,
    });
  }

  show(event: TrainEvent): void {
    if (event.kind === 'phase') this.#phase(event);
    else if (event.kind === 'iteration') this.#iteration(event);
    else if (event.kind === 'evaluation') this.#evaluation(event);
    else if (event.kind === 'download') showDownload(event.file, event.doneBytes, event.totalBytes);
    else console.error(this.#prefix + event.notice);
  }

  close(): void {
    this.#bar?.stop();
  }

  #phase({ iteration, iterations, phase, done, total }: Extract<TrainEvent, { kind: 'phase' }>): void {
    if (!this.#bar) {
      this.#line(`${iteration}/${iterations}  ${phase} ${done}/${total}`, 5000);
      return;
    }
    this.#begin(iterations, iteration);
    this.#bar.update(iteration, { phase: `${phase} ${done}/${total}`, status: this.#status });
  }

  #iteration({ iterations, metrics }: Extract<TrainEvent, { kind: 'iteration' }>): void {
    this.#status = summary(metrics);
    if (this.#bar) {
      this.#begin(iterations, metrics.iteration);
      this.#bar.update(metrics.iteration, { phase: '', status: this.#status });
    } else {
      this.#line(`${metrics.iteration}/${iterations}  ${this.#status}`, metrics.iteration === iterations ? 0 : 1000);
    }
  }

  #evaluation({ iteration, iterations, evaluation, isBest }: Extract<TrainEvent, { kind: 'evaluation' }>): void {
    const sets = Object.entries(evaluation.sets).map(([name, { average }]) => `${name} ${percentText(average, 1)} %`);
    const each = sets.length > 1 ? ` (${sets.join(', ')})` : '';
    const average = `average@${evaluation.samples} ${percentText(evaluation.average, 1)} %${each}`;
    console.error(
      `${this.#prefix}${iteration}/${iterations}  evaluation: ${average}${isBest ? ', the best so far' : ''}`,
    );
  }

  /** A plain line, unless the last one is newer than `silenceMs`. */
  #line(text: string, silenceMs: number): void {
    if (performance.now() - this.#lastLine < silenceMs) return;
    this.#lastLine = performance.now();
    console.error(this.#prefix + text);
  }

  #begin(iterations: number, iteration: number): void {
    if (!this.#bar?.isActive) this.#bar?.start(iterations, iteration, { phase: '', status: '' });
  }
}

/** The numbers to watch while a run goes on. */
function summary({ loss, reward, accuracy, reverseKl, toolSuccessRate }: Metrics): string {
  const parts = [
    accuracy === undefined && `loss ${number(loss)}`,
    accuracy !== undefined && `correct ${asPercent(accuracy as number)}`,
    reward !== undefined && `reward ${number(reward)}`,
    toolSuccessRate !== undefined && `tools ok ${asPercent(toolSuccessRate as number)}`,
    reverseKl !== undefined && `KL ${number(reverseKl)}`,
  ];
  return parts.filter(Boolean).join('  ');
}

function number(value: unknown): string {
  return (value as number).toFixed(3);
}
