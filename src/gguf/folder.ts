import { join } from 'node:path';
import { writeFileWhole } from '../files.ts';
import { type Checkpoint, writeCheckpoint } from '../model/checkpoint.ts';
import type { Dtype } from '../model/dtype.ts';
import { isGguf } from './header.ts';
import { readGgufTokenizer } from './tokenizer.ts';

/**
 * Writes a checkpoint as a folder in Hugging Face's layout, its matrices in one type, without what only training needs.
 * @throws UserError where the folder holds other files.
 */
export async function writeFolder(folder: string, checkpoint: Checkpoint, type: 'f32' | 'f16' | 'bf16'): Promise<void> {
  const dtype = type.toUpperCase() as Dtype;
  const tensors = checkpoint.tensors.map(tensor => ({ ...tensor, dtype }));
  const fromGguf = isGguf(checkpoint.dir);
  await writeCheckpoint(folder, checkpoint.config, tensors, {
    from: fromGguf ? undefined : checkpoint.dir,
    extra: path => {
      if (fromGguf) writeTokenizer(path, checkpoint.dir);
    },
  });
}

function writeTokenizer(folder: string, ggufFile: string): void {
  const { tokenizer, config } = readGgufTokenizer(ggufFile);
  const files = {
    'tokenizer.json': tokenizer,
    'tokenizer_config.json': config,
  };
  for (const [name, content] of Object.entries(files)) {
    writeFileWhole(join(folder, name), `${JSON.stringify(content, null, 2)}\n`);
  }
}
