import type { ConnectionOptions } from '../engine/openai/connection.ts';
import type { Engine, Scorer } from '../engine/types.ts';
import { isServerUrl } from '../serverUrl.ts';
import { refuseOtherTokens } from '../text/sameTokens.ts';
import type { TeacherOf } from './learner.ts';
import type { Recipe } from './recipe.ts';
import { requiredTeacher, teachersOf } from './teachers.ts';

export interface OpenTeachers {
  of: TeacherOf;
  /** Ends those that are not the engine's. */
  close(): Promise<void>;
}

interface OpenScorer {
  scorer: Scorer;
  close?(): Promise<void>;
}

/**
 * The recipe's teachers, each model once; or the student's own first checkpoint as its teacher.
 * @param recipe whose models are named by where they are
 * @throws UserError if one reads other tokens than the student writes.
 */
export async function openTeachers(
  recipe: Recipe,
  student: string,
  engine: Engine,
  control: ConnectionOptions,
): Promise<OpenTeachers> {
  const places = teachersOf(recipe).map(({ place }) => place);
  const opened = new Map<string, OpenScorer>();
  const close = async () => void (await Promise.all([...opened.values()].map(({ close }) => close?.())));
  try {
    if (places.length === 0) {
      const own = await engine.scorer(student);
      return { of: () => own, close };
    }
    for (const place of new Set(places)) opened.set(place, await openScorer(place, student, engine, control));
  } catch (error) {
    await close();
    throw error;
  }
  const choice = requiredTeacher(recipe);
  return { of: task => opened.get(places[choice(task)])!.scorer, close };
}

async function openScorer(
  place: string,
  student: string,
  engine: Engine,
  control: ConnectionOptions,
): Promise<OpenScorer> {
  if (!isServerUrl(place)) {
    refuseOtherTokens(student, place);
    return { scorer: await engine.scorer(place) };
  }
  const { OpenAIEngine } = await import('../engine/openai/engine.ts');
  const server = await OpenAIEngine.open(place, control);
  try {
    return { scorer: await server.scorer(student), close: () => server.close() };
  } catch (error) {
    await server.close();
    throw error;
  }
}
