import type { AdamState, Linear, Vector } from '../tensor/ops.ts';
import { PackedWeight, Tensor } from '../tensor/tensor.ts';
import { elements } from './safetensors.ts';

/**
 * Parameters that are trained, in flat fp32 storage: one run of memory each for parameters, gradients and moments, in the order of
 * their names. Neighbours can be one matrix.
 */
export class TrainedParameters implements AdamState {
  readonly parameters: Tensor;
  readonly gradients: Tensor;
  readonly firstMoments: Tensor;
  readonly secondMoments: Tensor;
  /** Where a parameter is in each of them. */
  readonly ranges = new Map<string, { offset: number; shape: number[] }>();
  readonly #views: Tensor[] = [];
  readonly #matrices: { weight: Tensor; linear: Linear & { backward: PackedWeight } }[] = [];

  /** All are zero at first. */
  constructor(shapes: ReadonlyMap<string, number[]>) {
    let total = 0;
    for (const [name, shape] of shapes) {
      this.ranges.set(name, { offset: total, shape });
      total += elements(shape);
    }
    const zeros = () => Tensor.zeros('f32', [total]);
    this.parameters = zeros();
    this.gradients = zeros();
    this.firstMoments = zeros();
    this.secondMoments = zeros();
  }

  set(name: string, values: Float32Array): void {
    const { offset, shape } = this.ranges.get(name)!;
    const part = this.parameters.view(offset, shape);
    part.write(values);
    part.free();
  }

  /** Neighbouring matrices, one below another, as one linear map. */
  linear(names: string[], dtype: 'f32' | 'bf16', chunkRows?: number): Linear {
    const weight = this.#view(this.parameters, names);
    const forward = PackedWeight.of(weight, dtype, 'forward', chunkRows);
    const backward = PackedWeight.of(weight, dtype, 'backward', chunkRows);
    const linear = { forward, backward, grad: this.#view(this.gradients, names), blank: true };
    this.#matrices.push({ weight, linear });
    return linear;
  }

  vector(names: string[]): Required<Vector> {
    return { weight: this.#view(this.parameters, names), grad: this.#view(this.gradients, names) };
  }

  /** To be called when the parameters have changed and the gradients are zero: brings the packed matrices up to date. */
  renew(): void {
    for (const { weight, linear } of this.#matrices) {
      PackedWeight.repack(weight, linear.forward, linear.backward);
      linear.blank = true;
    }
  }

  free(): void {
    for (const { linear } of this.#matrices) for (const packed of [linear.forward, linear.backward]) packed.free();
    const whole = [this.parameters, this.gradients, this.firstMoments, this.secondMoments];
    for (const tensor of [...this.#views, ...whole]) tensor.free();
  }

  #view(flat: Tensor, names: string[]): Tensor {
    const first = this.ranges.get(names[0])!;
    const rows = names.reduce((sum, name) => sum + this.ranges.get(name)!.shape[0], 0);
    const view = flat.view(first.offset, [rows, ...first.shape.slice(1)]);
    this.#views.push(view);
    return view;
  }
}
