/** Which trajectories are wanted, and in which order: in the address, so that a link leads to the same list. */
import type { JSX } from 'preact';
import { choose, type Route } from './route.ts';

type Choice = readonly [value: string, name: string];

const choices: readonly { name: string; label: string; options: readonly Choice[] }[] = [
  {
    name: 'correct',
    label: 'Answer',
    options: [
      ['', 'any'],
      ['true', 'right'],
      ['false', 'wrong'],
    ],
  },
  {
    name: 'pattern',
    label: 'Pattern',
    options: [
      ['', 'any'],
      ['stable', 'stable'],
      ['recovery', 'recovery'],
      ['erroneous', 'erroneous'],
    ],
  },
  {
    name: 'error',
    label: 'Tool errors',
    options: [
      ['', 'any'],
      ['true', 'some'],
      ['false', 'none'],
    ],
  },
  {
    name: 'order',
    label: 'Order',
    options: [
      ['', 'newest first'],
      ['oldest', 'oldest first'],
      ['reward', 'highest reward'],
      ['divergence', 'largest d'],
    ],
  },
];

const ranges = [
  { label: 'Iteration', from: 'from', to: 'to', step: 1, min: 0 },
  { label: 'Reward', from: 'leastReward', to: 'mostReward', step: 'any' },
] as const;

const texts = [
  ['task', 'Task'],
  ['source', 'Source'],
] as const;

const names = [
  ...choices.map(({ name }) => name),
  ...ranges.flatMap(({ from, to }) => [from, to]),
  ...texts.map(([name]) => name),
];

/** What of the address the server is asked for. */
export function queryOf(params: URLSearchParams): string {
  return new URLSearchParams([...params].filter(([name]) => names.includes(name))).toString();
}

export function Filters({ route }: { route: Route }): JSX.Element {
  const { params } = route;
  const isFiltered = [...names, 'text'].some(name => params.has(name));
  const given = (name: string) => ({ value: params.get(name) ?? '', onInput: setter(route, name) });
  return (
    <form class="filters" aria-label="Which trajectories" onSubmit={event => event.preventDefault()}>
      <label class="search">
        Search in prompts, answers and tool results
        <input type="search" {...given('text')} maxLength={1000} />
      </label>
      {choices
        .filter(({ name }) => name !== 'order' || !params.has('text'))
        .map(({ name, label, options }) => (
          <label key={name}>
            {label}
            <select {...given(name)}>
              {options.map(([value, text]) => (
                <option key={value} value={value}>
                  {text}
                </option>
              ))}
            </select>
          </label>
        ))}
      {ranges.map(({ label, from, to, ...input }) => (
        <fieldset key={label}>
          <legend>{label}</legend>
          <input type="number" aria-label={`${label} from`} placeholder="from" {...input} {...given(from)} />
          <input type="number" aria-label={`${label} to`} placeholder="to" {...input} {...given(to)} />
        </fieldset>
      ))}
      {texts.map(([name, label]) => (
        <label key={name}>
          {label}
          <input type="text" placeholder="its whole name" {...given(name)} />
        </label>
      ))}
      {isFiltered && (
        <button type="button" class="quiet" onClick={() => choose(route, cleared)}>
          Show all
        </button>
      )}
    </form>
  );
}

const cleared = Object.fromEntries([...names, 'text'].map(name => [name, undefined]));

function setter(route: Route, name: string) {
  return ({ currentTarget }: { currentTarget: HTMLInputElement | HTMLSelectElement }) =>
    choose(route, { [name]: currentTarget.value });
}
