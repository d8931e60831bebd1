import { UserError } from '../../errors.ts';
import { isServerUrl, mayHoldSecret } from '../../serverUrl.ts';

const scheme = 'openenv:';

/** Whether a world is named by the address of an OpenEnv server. */
export function isOpenEnv(world: string): boolean {
  return world.startsWith(scheme);
}

/** The server's address, without a slash at its end. @throws UserError where it is none, or has a secret in it */
export function openEnvUrl(world: string): string {
  const url = world.slice(scheme.length);
  if (!isServerUrl(url) || !URL.canParse(url)) {
    throw new UserError(`${world} is no address of an OpenEnv server, such as openenv:http://127.0.0.1:8000`);
  }
  const { origin, host, pathname, hash } = new URL(url);
  if (mayHoldSecret(url) || hash) {
    throw new UserError(`world: the address of ${host} must hold no user, password, query or #`);
  }
  return origin + pathname.replace(/\/+$/, '');
}
