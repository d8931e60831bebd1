/** What a trajectory was asked. */
import type { JSX } from 'preact';
import { LongText } from './text.tsx';

export function Asked({ prompt }: { prompt: string }): JSX.Element {
  return (
    <section aria-label="Task">
      <LongText text={question(prompt)} className="card" />
      <details>
        <summary>The whole prompt</summary>
        <LongText text={prompt} className="card" />
      </details>
    </section>
  );
}

/** The last user message of a prompt in the ChatML format, or the whole prompt in another. */
export function question(prompt: string): string {
  return prompt.split('<|im_start|>user\n').at(-1)!.split('<|im_end|>')[0].trim();
}
