import { Command } from 'commander';

const add = () =>
  new Command('add')
    .description('Take packages, with what they depend on, into the cache.')
    .argument('<names...>', 'as Python knows them: numpy, sympy')
    .option(
      '--from <source>',
      "a folder of wheels, or the address of a mirror of Pyodide's release (default: the release)",
    )
    .action(async (names: string[], options: { from?: string }) => {
      const { addPackages } = await import('../tools/packages/add.ts');
      const taken = await addPackages(names, { ...options, onFile: file => console.error(`Reading ${file} …`) });
      for (const { name, version } of taken) console.log(`${name} ${version}`);
    });

const list = () =>
  new Command('list').description('Show what is there.').action(async () => {
    const { keptPackages, packagesFolder } = await import('../tools/packages/store.ts');
    const packages = keptPackages();
    for (const { name, version, file } of packages) console.log(`${name} ${version}  ${file}`);
    if (packages.length === 0) console.log('No packages: sod packages add numpy sympy');
    else console.log(`in ${packagesFolder()}`);
  });

export const packagesCommand = () =>
  new Command('packages')
    .description('The Python packages that code in the sandbox can import, beside the standard library.')
    .addCommand(list(), { isDefault: true })
    .addCommand(add())
    .addHelpText(
      'after',
      `
Examples:
  sod packages add numpy sympy                  from Pyodide's release
  sod packages add sympy --from wheels/         from a folder
  sod packages                                  what is there

A code tool has those that its profile names (packages: [numpy, sympy]). Files that Pyodide's lock file names must have its hash;
of a folder, pure-Python wheels of other packages and versions are taken as they are. They are kept in sod/packages in
$XDG_CACHE_HOME (default ~/.cache).`,
    );
