import { adapterBase, isAdapter, readFactors } from '../checkpoint/adapter.ts';
import type { LocalEngine } from '../engine/local/engine.ts';
import { UserError } from '../errors.ts';
import { currentFolder, realPlace } from '../files.ts';
import { type ModelConfig, tensorShapes } from '../model/config.ts';
import { takesAdapter } from '../model/lora.ts';
import { ServedModel } from './servedModel.ts';

/** An adapter that clients ask for by a name of its own. */
export interface NamedAdapter {
  name: string;
  /** Its folder, as PEFT writes it. */
  path: string;
}

/** What adapters are served over. */
interface Base {
  name: string;
  checkpoint: string;
  config: ModelConfig;
}

/** @throws UserError where two models would have one name, or an adapter cannot be computed beside the weights of `base` */
export function refuseAdapters(base: Base, adapters: readonly NamedAdapter[]): void {
  const names = new Set([base.name]);
  for (const { name, path } of adapters) {
    if (names.has(name)) {
      throw new UserError(
        `${path} cannot be served as ${JSON.stringify(name)}, as another is called so: name it otherwise`,
      );
    }
    names.add(name);
    refuseOther(base, currentFolder(path));
  }
}

/** The models that adapters make of one whose sampler shares its weights. @throws UserError where there is no memory for one */
export async function openAdapters(
  engine: LocalEngine,
  base: ServedModel,
  adapters: readonly NamedAdapter[],
): Promise<ServedModel[]> {
  const models: ServedModel[] = [];
  for (const { name, path } of adapters) {
    const sampler = await engine.sampler(path);
    models.push(new ServedModel({ ...base, name, root: path, parent: base.name, sampler }));
  }
  return models;
}

function refuseOther({ checkpoint, config }: Base, folder: string): void {
  if (!isAdapter(folder)) throw new UserError(`${folder} holds no adapter: there is no adapter_config.json`);
  const itsBase = adapterBase(folder)!;
  if (realPlace(itsBase) !== realPlace(checkpoint)) {
    throw new UserError(
      `${folder} is an adapter of ${itsBase}, and ${checkpoint} is served: serve it over its own base`,
    );
  }
  const shapes = tensorShapes(config);
  const merged = `serve it merged, alone: sod serve ${folder}`;
  for (const [module, { a }] of readFactors(folder, shapes)) {
    if (!takesAdapter(module)) {
      throw new UserError(`${folder} changes ${module}, which takes no adapter beside others: ${merged}`);
    }
    const [rows, columns] = shapes.get(`${module}.weight`)!;
    const [rank] = a.shape;
    if (rank * (rows + columns) >= rows * columns) {
      throw new UserError(
        `${folder} has rank ${rank} at ${module}: its factors take no less than the ${rows} × ${columns} weights; ${merged}`,
      );
    }
  }
}
