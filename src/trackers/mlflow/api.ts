import type { Agent } from 'node:http';
import { z } from 'zod';
import { UserError } from '../../errors.ts';
import { agentFor, exchange } from '../../http/exchange.ts';
import { wordsOf } from '../../http/patience.ts';
import { jsonIn } from '../../json.ts';
import { isServerUrl, mayHoldSecret } from '../../serverUrl.ts';

/** MLflow's REST API, version 2.0: https://mlflow.org/docs/latest/api_reference/rest-api.html */

/** What a server refuses, by the API's name of the error, such as RESOURCE_DOES_NOT_EXIST. */
export class MlflowRefusal extends Error {
  readonly code: string | undefined;

  constructor(message: string, code?: string) {
    super(message);
    this.code = code;
  }
}

/** Longest silence of a server before it counts as gone. */
const silenceMs = 30_000;

const refusal = z.object({ error_code: z.string() });

export class MlflowApi {
  readonly #url: string;
  readonly #agent: Agent;
  readonly #authorization: string | undefined;

  /** @param url of the server @param authorization header of that name */
  constructor(url: string, authorization: string | undefined) {
    this.#url = `${url.replace(/\/+$/, '')}/api/2.0/mlflow/`;
    this.#agent = agentFor(url, 1);
    this.#authorization = authorization;
  }

  get<T>(path: string, query: Record<string, string>, answer: z.ZodType<T>, signal: AbortSignal): Promise<T> {
    return this.#ask(`${path}?${new URLSearchParams(query)}`, undefined, answer, signal);
  }

  post<T>(path: string, body: object, answer: z.ZodType<T>, signal: AbortSignal): Promise<T> {
    return this.#ask(path, JSON.stringify(body), answer, signal);
  }

  /** @throws MlflowRefusal in the server's words; Error where it is not there, or no such server */
  async #ask<T>(path: string, body: string | undefined, answer: z.ZodType<T>, signal: AbortSignal): Promise<T> {
    const headers = {
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(this.#authorization && { authorization: this.#authorization }),
    };
    const request = { url: this.#url + path, agent: this.#agent, headers, body, signal, silenceMs };
    const { status, body: bytes } = await exchange(request).catch(({ code, message }: NodeJS.ErrnoException) => {
      throw new Error(`it cannot be reached (${code ?? message})`);
    });
    const text = bytes.toString();
    if (status !== 200) throw this.#refusal(status, text);
    const { data, success } = answer.safeParse(jsonIn(text));
    if (success) return data;
    throw new Error(`its answer to ${path.split('?')[0]} is not as MLflow's API has it`);
  }

  #refusal(status: number, text: string): MlflowRefusal {
    const words = wordsOf(text.replaceAll(this.#authorization?.split(' ')[1] ?? '\0', '…'));
    const said = `it answered ${status}${words && ` (${words})`}`;
    const remedy = 'set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD';
    const message = status === 401 || status === 403 ? `${said}: ${remedy}` : said;
    return new MlflowRefusal(message, refusal.safeParse(jsonIn(text)).data?.error_code);
  }
}

/** The server that the environment names. @throws UserError where it names none, or with a secret in its address */
export function serverOfEnvironment(): string {
  const { MLFLOW_TRACKING_URI: named } = process.env;
  if (named && isServerUrl(named) && URL.canParse(named)) {
    if (!mayHoldSecret(named)) return named;
    throw new UserError(
      'MLFLOW_TRACKING_URI has a user, a password or a query in it: give it in MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD',
    );
  }
  // An address of a database may hold its password.
  const instead = named?.replace(/\/\/.*@/s, '//…@');
  const remedy = instead ? `for MLFLOW_TRACKING_URI, ${instead}, is none` : 'or set MLFLOW_TRACKING_URI';
  throw new UserError(`track: mlflow has no address: give { kind: mlflow, url: http://… }, ${remedy}`);
}

/**
 * What the environment says for a server, as MLflow's own clients take it. Where it names a server as well, what it says is for that
 * one alone: a recipe may come from anywhere.
 */
export function authorizationFor(url: string): string | undefined {
  const {
    MLFLOW_TRACKING_URI: named,
    MLFLOW_TRACKING_TOKEN: token,
    MLFLOW_TRACKING_USERNAME: user,
    MLFLOW_TRACKING_PASSWORD: password,
  } = process.env;
  if (named && URL.canParse(named) && new URL(named).origin !== new URL(url).origin) return undefined;
  if (user && password) return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  return token ? `Bearer ${token}` : undefined;
}
