/** Talk to a model of a run, with the tools that it has there; each token of its answers is shaded by what the teacher would have said. */
import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { ChatAnswer, ChatRequest } from '../api.ts';
import { question } from './asked.tsx';
import type { PageProps } from './pageProps.ts';
import { choose } from './route.ts';
import { askModel } from './server.ts';
import { Steps, TokenLegend } from './steps.tsx';
import { LongText, shownText } from './text.tsx';

/** Something that was asked, by a person or by a task, and what came of it. */
interface Exchange {
  /** Undefined where a task asks: its answer has the question. */
  said?: string;
  answer?: ChatAnswer;
  problem?: string;
}

/** Each run has a conversation of its own. */
export function ChatPage(props: PageProps): JSX.Element {
  const id = props.route.params.get('run') ?? '';
  return <Conversation key={id} id={id} {...props} />;
}

function Conversation({ id, route, watched: { runs } }: PageProps & { id: string }): JSX.Element {
  const run = runs?.find(each => each.id === id);
  const model = route.params.get('model') ?? run?.models[0];
  const chat = useChat(id);
  const isBusy = chat.stop !== undefined;
  return (
    <>
      <div class="heading">
        <h1>
          Chat <bdi class="soft">{run && shownText(run.name)}</bdi>
        </h1>
        <label class="field">
          Model
          <select value={model} onChange={event => choose(route, { model: event.currentTarget.value })}>
            {run?.models.map(name => (
              <option key={name} value={name}>
                {shownText(name)}
              </option>
            ))}
          </select>
        </label>
      </div>
      {run && !model && <p class="soft">This run has no model yet: it has one from its first checkpoint on.</p>}
      {chat.exchanges.some(({ answer }) => answer) && <TokenLegend />}
      <ol class="exchanges">
        {chat.exchanges.map((exchange, i) => (
          <li key={i}>
            <Answered exchange={exchange} name={`answer-${i + 1}`} />
          </li>
        ))}
      </ol>
      <p class="soft" role="status">
        {isBusy ? 'Answering …' : ''}
      </p>
      {model && <Ask key={model} isBusy={isBusy} ask={request => chat.ask({ ...request, model })} />}
      {isBusy && (
        <button type="button" onClick={chat.stop}>
          Stop
        </button>
      )}
      {chat.exchanges.length > 0 && !isBusy && (
        <button type="button" class="quiet" onClick={chat.forget}>
          Start over
        </button>
      )}
    </>
  );
}

function Answered({ exchange: { said, answer, problem }, name }: { exchange: Exchange; name: string }): JSX.Element {
  const asked = said ?? (answer && question(answer.trajectory.prompt));
  return (
    <>
      {asked !== undefined && <LongText text={asked} className="card" />}
      {said === undefined && answer && (
        <p class="soft">
          Task {shownText(answer.trajectory.task)}: {answer.trajectory.correct ? 'right' : 'wrong'}, reward{' '}
          {answer.trajectory.reward.toFixed(2)}
        </p>
      )}
      {answer && <Steps trajectory={answer.trajectory} name={name} />}
      {problem && <p class="problem">{shownText(problem)}</p>}
    </>
  );
}

type Question = Pick<ChatRequest, 'task' | 'temperature'> & { said?: string };

function Ask({ isBusy, ask }: { isBusy: boolean; ask: (question: Question) => void }): JSX.Element {
  const [said, setSaid] = useState('');
  const [task, setTask] = useState('0');
  const [temperature, setTemperature] = useState('1');
  const settings = { task: Number(task), temperature: Number(temperature) };
  const send = () => {
    if (isBusy || !said.trim()) return;
    ask({ ...settings, said });
    setSaid('');
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  };
  return (
    <form
      class="ask"
      onSubmit={event => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        aria-label="Your message"
        placeholder="Ask it something; Enter sends"
        rows={2}
        value={said}
        onInput={event => setSaid(event.currentTarget.value)}
        onKeyDown={onKeyDown}
      />
      <button type="submit" disabled={isBusy}>
        Send
      </button>
      <NumberField label="Task" value={task} set={setTask} step="1" />
      <button type="button" disabled={isBusy} onClick={() => ask(settings)}>
        Let the task ask
      </button>
      <NumberField label="Temperature" value={temperature} set={setTemperature} step="0.1" />
    </form>
  );
}

function NumberField({
  label,
  value,
  set,
  step,
}: {
  label: string;
  value: string;
  set: (value: string) => void;
  step: string;
}): JSX.Element {
  return (
    <label class="field">
      {label}
      <input type="number" min="0" step={step} value={value} onInput={event => set(event.currentTarget.value)} />
    </label>
  );
}

/** The conversation with a run's models: what was said before is told to whichever is asked next. */
function useChat(run: string) {
  const [exchanges, setExchanges] = useState<readonly Exchange[]>([]);
  const [stop, setStop] = useState<(() => void) | undefined>();
  useEffect(() => stop, [stop]); // whoever leaves the page asks no longer
  const ask = async ({ said, ...request }: Question & { model: string }) => {
    const controller = new AbortController();
    setStop(() => () => controller.abort());
    setExchanges([...exchanges, { said }]);
    const before = said === undefined ? [] : (exchanges.findLast(({ answer }) => answer)?.answer?.messages ?? []);
    const messages = said === undefined ? undefined : [...before, { role: 'user' as const, content: said }];
    const end = (outcome: Partial<Exchange>) => setExchanges([...exchanges, { said, ...outcome }]);
    try {
      end({ answer: await askModel(run, { ...request, messages, seed: exchanges.length }, controller.signal) });
    } catch (error) {
      end({ problem: controller.signal.aborted ? 'Stopped.' : (error as Error).message });
    }
    setStop(undefined);
  };
  return { exchanges, stop, ask, forget: () => setExchanges([]) };
}
