import { isObject } from '../../json.ts';

/** As every MLflow server takes them. */
const mostKeyChars = 250;
const mostValueChars = 500;

export interface Param {
  key: string;
  value: string;
}

/** A recipe as MLflow has parameters: every value by its path, `optimizer.learningRate`; lists as JSON. */
export function paramsOf(recipe: object): Param[] {
  return leaves('', recipe).map(([path, value]) => ({
    key: path.replace(/[^\w./ -]/g, '_').slice(0, mostKeyChars),
    value: (typeof value === 'string' ? value : JSON.stringify(value)).slice(0, mostValueChars),
  }));
}

function leaves(path: string, value: unknown): [path: string, value: unknown][] {
  if (value === undefined) return [];
  if (!isObject(value)) return [[path, value]];
  return Object.entries(value).flatMap(([key, inner]) => leaves(path ? `${path}.${key}` : key, inner));
}
