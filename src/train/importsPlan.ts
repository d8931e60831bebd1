/** What the code in demonstrations imports, and would not find. */
import { lockedPackage, packageWith } from '../tools/packages/release.ts';
import { missingPackages, noPackages, packagesOf } from '../tools/packages/store.ts';
import type { ToolProfile } from '../tools/profile.ts';
import { PythonPool } from '../tools/python/pool.ts';
import type { Demonstrations } from './demonstrations.ts';

/** In a line what is missing and what to do; nothing where all is there. */
export async function missingImports(demonstrations: Demonstrations, tool: ToolProfile): Promise<string[]> {
  // What a server has is not known without asking it.
  if (tool.kind === 'sandbox-fusion') return [];
  const counts = await importCounts(demonstrations, tool);
  const absent = await notFound([...counts.keys()], tool.packages ?? []);
  if (absent.length === 0) return [];
  const listed = absent.map(module => `${module} (in ${counts.get(module)})`).join(', ');
  return [`their code imports what the tool has not: ${listed}; ${remedy(absent)}`];
}

/** Modules with the number of demonstrations whose calls of the tool import them. */
async function importCounts(
  demonstrations: Demonstrations,
  { name, argument }: ToolProfile,
): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (let index = 0; index < demonstrations.size!; index++) {
    const { solution } = await demonstrations.get(index);
    const calls = solution.flatMap(message => (message.role === 'assistant' && message.toolCalls) || []);
    const sources = calls.flatMap(call => (call.name === name ? String(call.arguments[argument] ?? '') : []));
    for (const module of new Set(sources.flatMap(importsOf))) counts.set(module, (counts.get(module) ?? 0) + 1);
  }
  return counts;
}

/** The modules, without their submodules, that statements of a program import. */
export function importsOf(source: string): string[] {
  const statements = source.matchAll(/^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import\b|import[ \t]+([^#;\n]+))/gm);
  return [...statements].flatMap(([, from, list]) => {
    const modules = from ? [from] : list.split(',').map(item => item.trim().split(/\s/, 1)[0]);
    return modules.map(module => module.split('.', 1)[0]).filter(module => /^[A-Za-z_]\w*$/.test(module));
  });
}

const search = `
import importlib.util, sys
for name in sys.stdin.read().split():
    try:
        found = importlib.util.find_spec(name)
    except Exception:
        found = None
    if not found:
        print(name)
`;

/** Which of the modules an interpreter with these packages does not find. Of packages that are missing all is taken to be there. */
async function notFound(modules: string[], packages: string[]): Promise<string[]> {
  if (modules.length === 0) return [];
  const missing = missingPackages(packages);
  const pool = new PythonPool({
    packages: missing.length > 0 ? noPackages : packagesOf(packages),
    memoryBytes: 2 ** 31,
  });
  try {
    const { output } = await pool.runProgram(search, modules.join('\n'));
    const promised = missing.flatMap(name => lockedPackage(name)?.imports ?? []);
    return output.split('\n').filter(module => module && !promised.includes(module));
  } finally {
    await pool.close();
  }
}

function remedy(modules: string[]): string {
  const packages = modules.flatMap(module => packageWith(module) ?? []);
  const others = modules.filter(module => !packageWith(module));
  const added = `sod packages add ${packages.join(' ')}, and name them in tool.packages`;
  const unknown = `Pyodide has no package for ${others.join(', ')}: a pure-Python wheel can be added with sod packages add --from <folder>`;
  return [...(packages.length > 0 ? [added] : []), ...(others.length > 0 ? [unknown] : [])].join('; ');
}
