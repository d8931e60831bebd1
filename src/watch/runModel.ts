import { join } from 'node:path';
import { type RolloutLimits, rollout } from '../agent/rollout.ts';
import type { Trajectory } from '../agent/trajectory.ts';
import { localCheckpoint } from '../checkpoint/reference.ts';
import type { Task } from '../data/task.ts';
import { LocalEngine } from '../engine/local/engine.ts';
import type { Sampler, Scorer } from '../engine/types.ts';
import { UserError } from '../errors.ts';
import type { Method } from '../methods/method.ts';
import { isServerUrl } from '../serverUrl.ts';
import type { Chat } from '../text/chat.ts';
import { loadChat } from '../text/loadChat.ts';
import type { Message } from '../text/message.ts';
import { refuseOtherTokens } from '../text/sameTokens.ts';
import { readableTrajectory, tokenTexts } from '../train/keptTrajectories.ts';
import { methodOf } from '../train/method.ts';
import { datasetsOf, type Recipe } from '../train/recipe.ts';
import { rewardOf } from '../train/reward.ts';
import { rolloutLimits } from '../train/rolloutLimits.ts';
import { scoreTrajectories } from '../train/teacher.ts';
import { teacherChoice, teachersOf } from '../train/teachers.ts';
import { openTrainingData, worldIn } from '../train/trainingData.ts';
import { judge } from '../worlds/judge.ts';
import { tasksOf } from '../worlds/tasks.ts';
import type { World } from '../worlds/world.ts';
import type { ChatAnswer, ChatRequest } from './api.ts';

/** A model of a run in memory, with the tools and the teacher that it has there. */
export interface RunModel {
  /** @throws the reason of `signal` */
  answer(question: Omit<ChatRequest, 'model'>, signal: AbortSignal): Promise<ChatAnswer>;
  close(): Promise<void>;
}

/** Where a recipe says nothing of rollouts. */
const limits: RolloutLimits = { turns: 8, responseTokens: 2048 };

/**
 * @param model folder of it in that of the run
 * @throws UserError where something that the recipe names cannot be opened (any more)
 */
export async function openRunModel(run: string, recipe: Recipe, model: string, signal: AbortSignal): Promise<RunModel> {
  if (recipe.mcp?.length)
    throw new UserError('its tools are of MCP servers, which this page does not start: use sod chat');
  const learnsFromRows = recipe.method === 'sft' && datasetsOf(recipe).length > 0;
  const opened = learnsFromRows ? undefined : await openTrainingData({ ...recipe, evaluate: undefined }, { signal });
  const engine = await LocalEngine.start(recipe.engine.kind === 'tinker' ? {} : recipe.engine).catch(async error => {
    await opened?.close();
    throw error;
  });
  const close = async () => void (await Promise.all([engine.close(), opened?.close()]));
  try {
    const checkpoint = join(run, model);
    const parts = {
      recipe,
      chat: loadChat(checkpoint, { enableThinking: recipe.thinking === 'on' }),
      sampler: await engine.sampler(checkpoint),
      world: opened && worldIn(opened.data),
      teacher: await openTeacher(engine, recipe, checkpoint, signal),
    };
    return { answer: (question, signal) => answer(parts, question, signal), close };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Teacher {
  method: Method;
  /** Who scores what is said to a task, if anybody does. */
  of(task: Task): Scorer | undefined;
}

/** The teachers of a run that has some in folders; what one on a server thinks is not asked. */
async function openTeacher(
  engine: LocalEngine,
  recipe: Recipe,
  student: string,
  signal: AbortSignal,
): Promise<Teacher | undefined> {
  if (recipe.method === 'sft') return undefined;
  const places = teachersOf(recipe).map(({ place }) => place);
  const scorers = new Map<string, Scorer>();
  for (const place of new Set(places.filter(place => !isServerUrl(place)))) {
    const folder = await localCheckpoint(place, { signal });
    refuseOtherTokens(student, folder);
    scorers.set(place, await engine.scorer(folder));
  }
  const choice = teacherChoice(recipe);
  const of = (task: Task) => scorers.get(places[choice(task) ?? -1]);
  return scorers.size === 0 ? undefined : { method: await methodOf(recipe), of };
}

interface Parts {
  recipe: Recipe;
  chat: Chat;
  sampler: Sampler;
  world?: World;
  teacher?: Teacher;
}

async function answer(parts: Parts, question: Omit<ChatRequest, 'model'>, signal: AbortSignal): Promise<ChatAnswer> {
  const { recipe, chat, sampler, world, teacher } = parts;
  const task = await asked(question, world, signal);
  const trajectory = await rollout({
    task,
    tools: () => world?.tools(task) ?? [],
    chat,
    sampler,
    sampling: { temperature: question.temperature ?? 1 },
    // A person's dialogue may become longer than the prompts that the run learned from.
    limits: {
      ...('rollout' in recipe ? rolloutLimits(recipe.rollout) : limits),
      promptTokens: Number.POSITIVE_INFINITY,
    },
    seed: question.seed ?? 0,
    judge: async (trajectory, tools) => {
      if (question.messages || !world) return { reward: 0, correct: false };
      const { score, correct } = await judge(world, task, trajectory, tools);
      return { reward: recipe.method === 'sft' ? score : rewardOf(recipe, trajectory, score), correct };
    },
    signal,
  });
  if (trajectory.steps.length === 0) throw new UserError('the dialogue has become too long for this model: start over');
  const epsilon = 'report' in recipe ? recipe.report.epsilon : 0;
  const scores = await scored(teacher, task, trajectory, recipe.save.alternatives);
  const readable = readableTrajectory(trajectory, scores, epsilon, tokenTexts(chat));
  return { trajectory: { ...readable, sample: 0 }, messages: [...task.messages, ...said(trajectory, chat)] };
}

/** A held-out task of the run's world; or a person's dialogue with the rules and the tools of one. */
async function asked(
  { task: index = 0, messages }: Omit<ChatRequest, 'model'>,
  world: World | undefined,
  signal: AbortSignal,
): Promise<Task> {
  if (!world && !messages)
    throw new UserError('this run learns from dialogues alone and has no tasks: ask it yourself');
  if (index >= (world?.size ?? Number.POSITIVE_INFINITY)) throw new UserError(`there are only ${world!.size} tasks`);
  const [task] = world ? await tasksOf(world, 'test', [index], signal) : [{ id: 'chat', answer: '', messages: [] }];
  if (!messages) return task;
  const rules = messages[0].role === 'system' ? [] : task.messages.filter(({ role }) => role === 'system');
  return { ...task, messages: [...rules, ...messages] };
}

async function scored(teacher: Teacher | undefined, task: Task, trajectory: Trajectory, alternatives: number) {
  const scorer = teacher?.of(task);
  if (!teacher || !scorer) return undefined;
  const [scores] = await scoreTrajectories(scorer, [trajectory], undefined, alternatives);
  const { steps } = teacher.method.advantages([trajectory], [scores.logprobs]);
  return steps && { scores, weighting: steps[0] };
}

/** What the trajectory adds to its dialogue. */
function said({ tokens, steps }: Trajectory, chat: Chat): Message[] {
  return steps.flatMap(({ start, end, observation }): Message[] => {
    const { content, reasoning, calls } = chat.parse(tokens.slice(start, end));
    const turn: Message = {
      role: 'assistant',
      content,
      ...(reasoning && { reasoning }),
      ...(calls.length > 0 && { toolCalls: calls }),
    };
    return observation === undefined ? [turn] : [turn, { role: 'tool', content: observation }];
  });
}
