import { z } from 'zod';
import { defineTool } from '../../src/index.ts';
import { weather, weatherTool } from '../serve/weatherModel.ts';

const { name, description } = weatherTool.function;

/** For `--tools`: the weather of a dialogue; in Rome a call never ends, and the one for Cairo is the last. */
export default () => {
  let isOver = false;
  const execute = ({ city }: { city: string }) => {
    isOver = city === 'Cairo';
    return city === 'Rome' ? new Promise<string>(() => {}) : weather(city);
  };
  const parameters = z.object({ city: z.string() });
  return [defineTool({ name, description, parameters, execute, endsTrajectory: () => isOver })];
};
