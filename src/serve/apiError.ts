/** An error may quote what the client sent, which may be a megabyte; its beginning says which it was, its end what is wrong. */
const mostCharacters = 2000;

function shortened(message: string): string {
  if (message.length <= mostCharacters) return message;
  return `${message.slice(0, mostCharacters / 2)} … ${message.slice(-mostCharacters / 2)}`;
}

/** What a client did wrong or has to wait for, in the shape of OpenAI's errors. */
export class ApiError extends Error {
  override name = 'ApiError';
  readonly status: number;
  readonly type: string;
  readonly code: string | null;
  /** The request's field that is at fault. */
  readonly param: string | null;

  constructor(status: number, message: string, details: { type?: string; code?: string; param?: string } = {}) {
    super(shortened(message));
    this.status = status;
    this.type = details.type ?? (status < 500 ? 'invalid_request_error' : 'server_error');
    this.code = details.code ?? null;
    this.param = details.param ?? null;
  }

  get body() {
    return { error: { message: this.message, type: this.type, param: this.param, code: this.code } };
  }
}

export function badRequest(message: string, param?: string): ApiError {
  return new ApiError(400, message, { param });
}
