/** How the code tool looks to the model, and how and where it runs what it is given. */
import { z } from 'zod';
import { readYaml } from '../documents.ts';
import { UserError } from '../errors.ts';
import { firstIssue, nearestName, section } from '../schema.ts';
import { serverUrlSchema } from '../serverUrl.ts';

const count = z.int().positive();

const options = {
  name: z.string().regex(/^[A-Za-z_]\w*$/, 'must be letters, digits and _'),
  description: z.string().min(1),
  /** Of its one argument, which is the code. */
  argument: z.string().regex(/^[A-Za-z_]\w*$/, 'must be letters, digits and _'),
  /** Whether variables last from call to call, or each call has an interpreter of its own. */
  state: z.enum(['kept', 'fresh']),
  /** Whether the value of a final expression is shown, or only what is printed. */
  results: z.enum(['value', 'printed']),
  /** Where an observation that is too long is cut. */
  cut: z.enum(['middle', 'start', 'end']),
  /** Stands where it was cut. Default: how many characters are missing. */
  cutMark: z.string().optional(),
  /** Characters of an observation, beside the mark of its cut. Default: what the run allows. */
  outputChars: count.optional(),
  /** Most time of one call. Default: what the run allows. */
  timeoutMs: count.optional(),
  /** Most memory of an interpreter. Default: 256. */
  memoryMiB: count.min(64).max(4096).optional(),
  /** What the code can import beside the standard library: packages that `sod packages add` took. Default: none. */
  packages: z.array(z.string().regex(/^[A-Za-z0-9][\w.-]*$/, 'must be the name of a package')).optional(),
};

/** A server of SandboxFusion runs 34 programs at the same time, where nobody has told it otherwise. */
export const defaultConcurrency = 32;

/** Where code runs. */
const place = {
  /** In the sandbox here, or by a server of SandboxFusion. Default: here. */
  kind: z.enum(['local', 'sandbox-fusion']).optional(),
  /** Of the server. */
  url: serverUrlSchema(8080).optional(),
  /** Calls that are under way there at the same time. Default 32. */
  concurrency: count.max(4096).optional(),
};

const profile = section({ ...options, ...place });
export type ToolProfile = z.output<typeof profile>;

export const toolPresets = {
  python: {
    name: 'python',
    description:
      'Runs Python code and returns what it prints and the value of its final expression. ' +
      'Variables are kept between calls. Only the standard library; no files of the host, no network.',
    argument: 'code',
    state: 'kept',
    results: 'value',
    cut: 'middle',
  },
  /** The tool that the paper's data, students and teacher know. */
  paper: {
    name: 'code_interpreter',
    description: 'A tool for executing code.',
    argument: 'code',
    state: 'fresh',
    results: 'value',
    cut: 'middle',
    cutMark: '...(truncated)...',
    outputChars: 256,
    timeoutMs: 60_000,
    memoryMiB: 2048,
  },
} satisfies Record<string, ToolProfile>;

/** What is other than in the preset `python` where every call is a process of its own, with the packages of a server. */
const served = {
  state: 'fresh',
  description:
    'Runs Python code and returns what it prints and the value of its final expression. ' +
    'Every call is a program of its own: nothing is kept between calls.',
} satisfies Partial<ToolProfile>;

export type ToolPreset = keyof typeof toolPresets;
const presetNames = Object.keys(toolPresets) as ToolPreset[];

/** What a recipe says of its tool: a preset, or what is other than in one. */
export const toolSchema = z
  .union([
    z.enum(presetNames).transform(preset => ({ preset })),
    section({ preset: z.enum(presetNames).default('python'), ...profile.partial().shape }),
  ])
  .transform(({ preset, ...own }: { preset: ToolPreset } & Partial<ToolProfile>): ToolProfile => {
    const isServed = own.kind === 'sandbox-fusion' && preset === 'python';
    return { ...toolPresets[preset], ...(isServed && served), ...own };
  })
  .superRefine((tool, context) => {
    const problem = misplaced(tool);
    if (problem) context.addIssue({ code: 'custom', ...problem });
  });

/** What does not go with where the code runs. */
function misplaced(tool: ToolProfile): { path: string[]; message: string } | undefined {
  if (tool.kind !== 'sandbox-fusion') {
    const key = (['url', 'concurrency'] as const).find(key => tool[key] !== undefined);
    return key && { path: [key], message: 'is for kind: sandbox-fusion' };
  }
  if (!tool.url) return { path: ['url'], message: 'is required, such as http://127.0.0.1:8080' };
  if (tool.state === 'kept') {
    return { path: ['state'], message: 'must be fresh: SandboxFusion keeps nothing between calls' };
  }
  return tool.packages && { path: ['packages'], message: 'is for kind: local; a server has packages of its own' };
}

/** What tells samples from others: the same server may be at another address. */
export function withoutAddress({ url: _, concurrency: __, ...profile }: ToolProfile): ToolProfile {
  return profile;
}

/** What a model remembers: where code runs is for those to say who run it. */
export function withoutPlace({ kind: _, ...profile }: ToolProfile): ToolProfile {
  return withoutAddress(profile);
}

/**
 * A profile by the name of a preset, or from a YAML file that says what a recipe's `tool` would.
 * @throws UserError if it is neither.
 */
export function readToolProfile(nameOrFile: string): ToolProfile {
  if (Object.hasOwn(toolPresets, nameOrFile)) return toolPresets[nameOrFile as ToolPreset];
  if (!/[./]/.test(nameOrFile)) {
    const nearest = nearestName(nameOrFile, presetNames);
    throw new UserError(
      `no tool profile '${nameOrFile}'${nearest ? `, did you mean '${nearest}'?` : '.'} There are ${presetNames.join(', ')}; or give a YAML file`,
    );
  }
  return parseToolProfile(readYaml(nameOrFile), nameOrFile);
}

/** @throws UserError that names the key which is wrong. */
export function parseToolProfile(value: unknown, source: string): ToolProfile {
  const result = toolSchema.safeParse(value);
  if (result.success) return result.data;
  throw new UserError(`${source}: ${firstIssue(result.error)}`);
}

/** A profile in a line, as plans tell it. */
export function formatToolProfile(tool: ToolProfile): string {
  const { name, argument, state, results, cut, outputChars, timeoutMs, memoryMiB, packages = [] } = tool;
  const parts = [
    `${name}(${argument})`,
    tool.kind === 'sandbox-fusion'
      ? `run by SandboxFusion at ${tool.url}, as tests of programs are, ${tool.concurrency ?? defaultConcurrency} at once`
      : undefined,
    state === 'fresh' ? 'a fresh interpreter a call' : 'variables kept between calls',
    results === 'value' ? 'final values shown' : 'only what is printed',
    outputChars === undefined ? undefined : `observations of ${outputChars} characters, cut at the ${cut}`,
    timeoutMs === undefined ? undefined : `${timeoutMs / 1000} s`,
    memoryMiB === undefined ? undefined : `${memoryMiB} MiB`,
    packages.length === 0 ? undefined : `with ${packages.join(', ')}`,
  ];
  return parts.filter(part => part !== undefined).join(', ');
}
