import { SystemRefusal } from '../systemErrors.ts';

/** An engine elsewhere has lost the model that it trained: it was restarted, or heard nothing for too long. */
export class ModelLost extends SystemRefusal {
  override name = 'ModelLost';
  /** In the engine's words. */
  readonly reason: string;

  constructor(reason: string) {
    super(`${reason}; go on from what was saved last by --resume`);
    this.reason = reason;
  }
}
