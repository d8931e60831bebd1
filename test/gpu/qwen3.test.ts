// The reference vectors, asked of the GPU with the CPU's tolerances.
import './onGpu.ts';
import '../model/qwen3.test.ts';
