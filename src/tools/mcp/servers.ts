/** Which MCP servers offer tools: what a recipe, a world or a file says of them. Only `open.ts` loads the protocol's package. */
import { z } from 'zod';
import { readYaml } from '../../documents.ts';
import { UserError } from '../../errors.ts';
import { isObject } from '../../json.ts';
import { firstIssue, section } from '../../schema.ts';

const texts = z.record(z.string(), z.string());

const serverSchema = section({
  /** Stands before a tool's name where another tool has the same one. */
  name: z.string().regex(/^[A-Za-z]\w*$/, 'must be letters, digits and _'),
  /** A program that speaks over its standard input and output … */
  command: z.string().min(1).optional(),
  args: z.array(z.string()).optional(),
  /** Of the program's environment, which has little beside: what holds a secret is `${NAME}`, taken from ours. */
  env: texts.optional(),
  /** … or the address of one that speaks over HTTP. */
  url: z
    .url({ protocol: /^https?$/, error: 'must be an address, such as http://127.0.0.1:3000/mcp', abort: true })
    .optional(),
  headers: texts.optional(),
  /** Only these of its tools. Default: all. */
  tools: z.array(z.string().min(1)).min(1).optional(),
  /** Most time of one call. Default: what the run allows. */
  timeoutMs: z.int().positive().optional(),
  /** It keeps something between calls: every trajectory has a connection, and of a command a process, of its own. */
  perTrajectory: z.boolean().optional(),
  /** Of those, how many trajectories may have one at the same time. Default 16. */
  atOnce: z.int().positive().max(1024).optional(),
}).superRefine((server, context) => {
  const problem = problemOf(server);
  if (problem) context.addIssue({ code: 'custom', ...problem });
});

export type McpServer = z.output<typeof serverSchema>;

/** Names tell the servers apart. */
export const serversSchema = z.array(serverSchema).superRefine((servers, context) => {
  const twice = servers.findIndex(({ name }, i) => servers.findIndex(other => other.name === name) < i);
  if (twice >= 0) {
    context.addIssue({
      code: 'custom',
      path: [twice, 'name'],
      message: `two servers are named ${servers[twice].name}`,
    });
  }
});

/** Where a secret may stand, and how. */
const remedy = `give it in env or headers as \${NAME}, the variable of the environment that holds it`;

function problemOf(server: McpServer): { path: string[]; message: string } | undefined {
  const { command, url } = server;
  if (!command === !url) return { path: [], message: 'give either command, a program to start, or url, an address' };
  const other = (command ? (['headers'] as const) : (['args', 'env'] as const)).find(key => server[key]);
  if (other) return { path: [other], message: `is for a server with ${command ? 'url' : 'command'}` };
  if (url && hasSecret(new URL(url))) return { path: ['url'], message: `a secret does not stand here: ${remedy}` };
  if (server.atOnce && !server.perTrajectory)
    return { path: ['atOnce'], message: 'is for a server with perTrajectory' };
  for (const key of ['env', 'headers'] as const) {
    const secret = Object.entries(server[key] ?? {}).find(([name, value]) => isSecret(name) && !value.includes('${'));
    if (secret) {
      return { path: [key, secret[0]], message: `a secret does not stand here: ${remedy}` };
    }
  }
  return undefined;
}

/** Queries may also say which tools a server is to have. */
function hasSecret({ username, password, searchParams }: URL): boolean {
  return username !== '' || password !== '' || [...searchParams.keys()].some(isSecret);
}

function isSecret(name: string): boolean {
  return /authorization|token$|secret|passw|credential|cookie|api_?-?key|access_?-?key|private_?-?key/i.test(name);
}

/**
 * The servers that command-line values say: `name=command arg …`, `name=http://…`, or a YAML file with a list of them, perhaps
 * under `mcp`.
 * @throws UserError that names the value, or the key, which is wrong.
 */
export function parseServers(values: readonly string[]): McpServer[] {
  const servers = values.flatMap((value): unknown[] => {
    const [, name, what] = /^([A-Za-z]\w*)=(.+)$/s.exec(value) ?? [];
    if (!name) return serversOfFile(value);
    if (/^https?:\/\//.test(what)) return [{ name, url: what }];
    const [command, ...args] = what.trim().split(/\s+/);
    return [{ name, command, args }];
  });
  return checkedServers(servers, '--mcp');
}

/** @throws UserError */
export function checkedServers(servers: unknown, source: string): McpServer[] {
  const { data, error } = serversSchema.safeParse(servers);
  if (error) throw new UserError(`${source}: ${firstIssue(error)}`);
  return data;
}

function serversOfFile(file: string): unknown[] {
  if (!/[./]/.test(file)) {
    throw new UserError(`--mcp ${file}: give name=command, name=http://… or a YAML file with a list of servers`);
  }
  const content = readYaml(file);
  const list = isObject(content) ? content.mcp : content;
  if (!Array.isArray(list))
    throw new UserError(`${file}: it must hold a list of MCP servers, each with name and command or url`);
  return list;
}

/** A server in a line, as plans tell it: what would be run here, or asked. Secrets are told by their names. */
export function formatServer(server: McpServer): string {
  const { name, command, args = [], env = {}, url, headers = {}, tools, perTrajectory, atOnce = mostAtOnce } = server;
  const given = Object.entries(command ? env : headers).map(([key, value]) => `${key}=${value}`);
  const parts = [
    `${name}: ${command ? `runs ${[command, ...args].map(quoted).join(' ')}` : `asks ${url}`}`,
    given.length > 0 ? `with ${given.join(', ')}` : undefined,
    tools ? `only its ${tools.join(', ')}` : undefined,
    perTrajectory ? `one for each trajectory, at most ${atOnce} at once` : undefined,
  ];
  return parts.filter(part => part !== undefined).join(', ');
}

export const mostAtOnce = 16;

const quoted = (word: string) => (/^[\w./:@%+=,-]+$/.test(word) ? word : JSON.stringify(word));
