import { dialects, unsupported } from '../engine/tinker/dialect.ts';
import type { TinkerEngine } from '../engine/tinker/engine.ts';
import { UserError } from '../errors.ts';
import { wishesOf } from './engineWishes.ts';
import type { Recipe } from './recipe.ts';

type TinkerSettings = Extract<Recipe['engine'], { kind: 'tinker' }>;

/** An engine on a server. @throws UserError where the server would not do what the recipe asks for */
export async function startTinkerEngine(
  settings: TinkerSettings,
  recipe: Partial<Recipe>,
  onNotice?: (notice: string) => void,
): Promise<TinkerEngine> {
  const { TinkerEngine } = await import('../engine/tinker/engine.ts');
  const { kind: _, prices: __, ...options } = settings;
  const engine = await TinkerEngine.start({
    ...options,
    apiKey: process.env.TINKER_API_KEY,
    seed: recipe.seed,
    onNotice,
  });
  const wishes = wishesOf(recipe);
  const refusals = wishes ? unsupported(engine.dialect, wishes) : [];
  if (refusals.length === 0) {
    if (!dialects[engine.dialect].takesAdam) {
      onNotice?.(
        `${settings.url}: betas, epsilon and weight decay are what the server was started with, not the recipe's`,
      );
    }
    return engine;
  }
  await engine.close();
  throw new UserError(`${settings.url} (${engine.dialect}) has ${refusals.join('; ')}`);
}
