import { HubApiError } from '@huggingface/hub';
import { UserError } from '../errors.ts';

/** What was to be pushed, where to, and by whose leave. */
export interface FailedPush {
  folder: string;
  name: string;
  revision: string;
  endpoint: string;
  token: string;
}

/** What goes wrong in a push, and what to do; a defect of the program stays what it is. No message has the token in it. */
export function inWords(push: FailedPush, error: Error): Error {
  if (error instanceof UserError) return error;
  if (error instanceof HubApiError) return refusal(push, error);
  const { syscall, code } = error as NodeJS.ErrnoException;
  const cause = error.cause as NodeJS.ErrnoException | undefined;
  if (error instanceof TypeError && cause) {
    return new UserError(
      `${new URL(push.endpoint).host}, or the storage it names, cannot be reached (${cause.code ?? cause.message}): check the network and HF_ENDPOINT, and ${again}`,
    );
  }
  if (syscall) return new UserError(`a file of ${push.folder} cannot be read (${code}); nothing was published`);
  if (error instanceof SyntaxError) {
    return new UserError(
      `${push.endpoint} does not answer as the Hub does: check HF_ENDPOINT, and whether the network wants a login`,
    );
  }
  return error;
}

const again = 'run again: large files that have arrived are not sent again';

function refusal(push: FailedPush, error: HubApiError): UserError {
  const { name, endpoint, token, revision } = push;
  const { statusCode: status } = error;
  const said = saidBy(error).replaceAll(token, '…');
  const answered = `${hostOf(error) ?? new URL(endpoint).host} answered ${status}${said ? ` (${said})` : ''}`;
  const organization = name.split('/')[0];
  const tokens = `${endpoint}/settings/tokens`;
  switch (status) {
    case 401:
      return new UserError(
        `${answered}: the Hub does not know the token in HF_TOKEN; it may have expired: make another at ${tokens}`,
      );
    case 403:
      return new UserError(
        `${answered}: the token in HF_TOKEN may not write to ${name}: give it the permission to write at ${tokens}, ` +
          `and check that ${organization} is your user name or an organization you can write to`,
      );
    case 404:
      return new UserError(
        `${answered}: there is no ${name} with a branch ${revision} for this token: check the names, and that it may write to ${organization}`,
      );
    case 409:
    case 412:
      return new UserError(`${answered}: somebody else wrote to ${name} at the same time: ${again}`);
    case 413:
      return new UserError(`${answered}: the Hub does not take so much: see ${endpoint}/settings/billing`);
  }
  if (status === 429 || status >= 500) return new UserError(`${answered}: it may pass; wait, then ${again}`);
  return new UserError(`${answered}; nothing was published. If it is about README.md, mend its front matter`);
}

/** The Hub's own words, on one line; what storage says instead may be a page of XML. */
function saidBy({ data }: HubApiError): string {
  const said = (data as { error?: unknown } | undefined)?.error;
  return typeof said === 'string' ? said.replace(/\s+/g, ' ').trim().slice(0, 300) : '';
}

/** Addresses of storage carry signatures, which are nobody's business: the host is enough. */
function hostOf({ url }: HubApiError): string | undefined {
  return URL.canParse(url) ? new URL(url).host : undefined;
}
