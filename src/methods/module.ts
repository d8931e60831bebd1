import { UserError } from '../errors.ts';
import { importDefault } from '../importModule.ts';
import type { GroupAdvantages, Method, Teacher } from './method.ts';
import { methods } from './registry.ts';

/** The path of a module that exports a method, in place of a method's name: names have no dots. */
export type MethodModule = `${string}.${string}`;

export function isMethodModule(method: string): method is MethodModule {
  return method.includes('.');
}

const teachers: (Teacher | undefined)[] = ['model', 'self-with-answer', 'self-with-hint', undefined];

/**
 * The method that a module exports as default.
 * @throws UserError if it cannot be loaded, or exports something else; `advantages` does if what it gives does not fit.
 */
export async function importMethod(path: MethodModule): Promise<Method> {
  const exported = await importDefault(path, 'method', `one of sft, ${Object.keys(methods).join(', ')}`);
  if (typeof exported === 'function' && 'options' in exported) {
    throw new UserError(
      `${path}: its default export makes methods: export what it gives when it is called with its options`,
    );
  }
  const method = exported as Partial<Method> | null | undefined;
  if (typeof method?.name !== 'string' || typeof method.advantages !== 'function') {
    throw new UserError(`${path}: a method's module exports a method, with name and advantages, as default`);
  }
  if (!teachers.includes(method.teacher)) {
    throw new UserError(
      `${path}: teacher is ${method.teacher}; allowed are ${teachers.slice(0, -1).join(', ')}, or none`,
    );
  }
  return checked(method as Method, path);
}

/** The same method, whose advantages are known to fit the trajectories that they are for. */
function checked(method: Method, path: string): Method {
  return {
    ...method,
    advantages(group, teacherLogprobs) {
      const given: Partial<GroupAdvantages> | undefined = method.advantages(group, teacherLogprobs);
      const refuse = (what: string) => new UserError(`${path}: its advantages must give ${what}`);
      for (const [i, { tokens }] of group.entries()) {
        const advantages = given?.advantages?.[i];
        if (!(advantages instanceof Float32Array) || advantages.length !== tokens.length) {
          throw refuse('advantages, a Float32Array for each trajectory, as long as its tokens');
        }
        if (!advantages.every(Number.isFinite)) throw refuse('numbers: one is not finite');
        if (method.teacher && !given?.steps?.[i]) {
          throw refuse('steps, the divergence and weight of every step of each trajectory, as distill does');
        }
      }
      return given as GroupAdvantages;
    },
  };
}
