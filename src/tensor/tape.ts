import { scope, Tensor } from './tensor.ts';

/**
 * Reverse-mode differentiation: each operation records how the gradient of its outputs becomes that of its inputs.
 *
 * An activation has one consumer, which gives it its gradient. Two kinds of tensors differ: the residual stream, whose
 * gradient is passed on and added to, and tensors whose parts have different consumers, which write into one gradient.
 * Gradients of parameters are added up in the parameters' own storage.
 */
export class Tape {
  readonly #steps: { outputs: Tensor[]; backward: () => void }[] = [];
  readonly #gradients = new Map<Tensor, { tensor: Tensor; owned: boolean }>();
  readonly #constants = new WeakSet<Tensor>();

  /** @param outputs freed, with their gradients, once `backward` has run */
  record(outputs: Tensor[], backward: () => void): void {
    this.#steps.push({ outputs, backward });
  }

  /**
   * What `compute` makes of `inputs`, which nobody else may consume. In between nothing is kept: the backward pass computes it once
   * more, and what that records goes backwards then, so that gradients are the same, bit for bit.
   */
  recomputed(inputs: Tensor[], compute: (tape: Tape | undefined, inputs: Tensor[]) => Tensor[]): Tensor[] {
    // Of views: what `compute` frees is needed again.
    const views = () => inputs.map(input => input.view(0, input.shape));
    const outputs = scope(() => compute(undefined, views()));
    this.record(outputs, () => {
      compute(this, inputs).forEach((again, i) => {
        const entry = this.#gradients.get(outputs[i]);
        this.#gradients.delete(outputs[i]);
        if (entry) this.#gradients.set(again, entry);
      });
    });
    return outputs;
  }

  /** Says that nobody asks for the gradient of a tensor: nothing that it is made of is trained. */
  markConstant(tensor: Tensor): void {
    this.#constants.add(tensor);
  }

  isConstant(tensor: Tensor): boolean {
    return this.#constants.has(tensor);
  }

  /** Sets a tensor's gradient; a lent one is freed by someone else. */
  give(tensor: Tensor, gradient: Tensor, options: { lent?: boolean } = {}): void {
    this.#gradients.set(tensor, { tensor: gradient, owned: !options.lent });
  }

  /** The gradient that later operations gave. */
  gradient(tensor: Tensor): Tensor {
    const entry = this.#gradients.get(tensor);
    if (!entry) throw new Error(`no gradient reached a tensor of shape [${tensor.shape}]`);
    return entry.tensor;
  }

  /** The gradient of a tensor whose consumers each write a part of it: undefined contents at first. */
  sharedGradient(tensor: Tensor): Tensor {
    if (!this.#gradients.has(tensor)) this.give(tensor, Tensor.allocate(tensor.dtype, tensor.shape));
    return this.gradient(tensor);
  }

  /** The gradient so far of a residual stream, zero where nothing has reached it, taken away from `tensor` to be passed on. */
  takeResidual(tensor: Tensor): Tensor {
    const entry = this.#gradients.get(tensor);
    this.#gradients.delete(tensor);
    return entry?.tensor ?? Tensor.zeros('f32', tensor.shape);
  }

  /** Runs the recorded operations backwards; those at the end need their gradients given before. */
  backward(): void {
    for (let step = this.#steps.pop(); step; step = this.#steps.pop()) {
      step.backward();
      for (const output of step.outputs) {
        const entry = this.#gradients.get(output);
        if (entry?.owned) entry.tensor.free();
        this.#gradients.delete(output);
        output.free();
      }
    }
  }
}
