import { UserError } from './errors.ts';

/** What a system refuses that the person can mend: what is wrong, and what to do. */
const refusals: Record<string, string> = {
  ENOENT: 'no such file or folder; check the path',
  ENOTDIR: 'a part of the path is a file, not a folder; check the path',
  EISDIR: 'it is a folder, where a file is wanted; name a file',
  EEXIST: 'it is there already; remove it, or choose another path',
  ENOTEMPTY: 'the folder is not empty; empty it, or choose another path',
  ENAMETOOLONG: 'the path is too long; choose a shorter one',
  ELOOP: 'its links lead round in a circle; remove one of them',
  EACCES: 'no permission; change its owner or mode, or choose another path',
  EPERM: 'the system does not permit it; change its owner or mode, or choose another path',
  EROFS: 'its disk can only be read; choose a path on another',
  ENOSPC: 'the disk is full; make room, or choose a path on another',
  EDQUOT: 'your share of the disk is used up; make room, or choose a path on another',
  EFBIG:
    'the file would be larger than its disk or the limit of this shell (ulimit -f) takes; raise it, or choose another',
  EMFILE: 'too many files are open in this process; raise the limit (ulimit -n)',
  ENFILE: 'too many files are open on this machine; close other programs',
  ENOMEM: 'the system has no memory left; close other programs',
  EAGAIN:
    'the system gives no more processes, threads or memory; close other programs, or raise the limits (ulimit -a)',
  EBUSY: 'another program uses it; end that one, or choose another path',
  ETXTBSY: 'a running program is in it; end that one, or choose another path',
  EXDEV: 'it lies on two disks; choose a path on one',
  EIO: 'its disk does not work (input/output error); check the disk, or choose a path on another',
  ENXIO: 'it is no file that can be read or written; check the path',
  ENODEV: 'it is no file that can be read or written; check the path',
  ENOTSUP: 'its disk cannot do this; choose a path on another',
  ERR_FS_FILE_TOO_LARGE: 'the file is too large to be read as a whole; check the path',
};

/** Of these, what says that a path is not what it should be: the others say what the system cannot do at present. */
const ofThePath = new Set(
  'ENOENT ENOTDIR EISDIR ENAMETOOLONG ELOOP EIO ENXIO ENODEV ERR_FS_FILE_TOO_LARGE ERR_INVALID_ARG_VALUE'.split(' '),
);

/** What the system or a server cannot do at present: a full disk, no permission, a limit. What is on the disk may be whole. */
export class SystemRefusal extends UserError {
  override name = 'SystemRefusal';
}

/** What is wrong and what to do, where the system refused something that the person can mend. */
export function refusalText(error: unknown): string | undefined {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ERR_INVALID_ARG_VALUE' && /null bytes/.test(message)) return 'a path has no null bytes; check the path';
  return code !== undefined && Object.hasOwn(refusals, code) ? refusals[code] : undefined;
}

/**
 * What the system refused as a UserError that names the path; every other error as it is.
 * @param path what was worked on, for calls of the system that name no path, or that of a temporary file beside it
 */
export function explained(error: unknown, path?: string): unknown {
  const refusal = refusalText(error);
  if (refusal === undefined || error instanceof UserError) return error;
  const named = (error as NodeJS.ErrnoException).path;
  const where = path !== undefined && (named === undefined || named.startsWith(path)) ? path : named;
  const Kind = ofThePath.has((error as NodeJS.ErrnoException).code!) ? UserError : SystemRefusal;
  return new Kind(where ? `${where}: ${refusal}` : refusal, { cause: error });
}

/** Does `work` on a file or folder. @throws UserError that says what the system refused, and what to do. */
export function onPath<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw explained(error, path);
  }
}
