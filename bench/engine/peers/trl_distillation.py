"""TRL's DistillationTrainer: on-policy distillation by the reverse KL divergence, as a Python user would run it on the same CPU."""
import tempfile
import time
import warnings

import torch
from answering import serve
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, PrinterCallback, TrainerCallback, logging
from transformers_qwen3 import create
from trl import DistillationConfig, DistillationTrainer

warnings.simplefilter("ignore")
logging.set_verbosity_error()
loaded = {}


def load(request):
    torch.set_num_threads(request["threads"])
    loaded.update(config=request["config"], dtype=request["dtype"])
    return {"version": torch.__version__}


class UpdateTimes(TrainerCallback):
    """Seconds of each update, its samples included."""

    def __init__(self):
        self.seconds = []

    def on_step_begin(self, *_, **__):
        self.start = time.perf_counter()

    def on_step_end(self, *_, **__):
        self.seconds.append(time.perf_counter() - self.start)


def distill(request):
    """Updates from `samples` completions of `steps` tokens for each of `prompts` prompts of `prompt` tokens; the first does not count."""
    times = UpdateTimes()
    with tempfile.TemporaryDirectory() as folder:
        trainer = DistillationTrainer(
            model=qwen3(),
            teacher_model=qwen3(),
            args=arguments(request, folder),
            train_dataset=Dataset.from_list(prompts(request)),
            processing_class=tokenizer(),
            callbacks=[times],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return {"seconds": times.seconds[1:]}


def arguments(request, folder):
    return DistillationConfig(
        output_dir=folder,
        per_device_train_batch_size=request["prompts"] * request["samples"],
        max_steps=1 + request["repeats"],
        max_completion_length=request["steps"],
        generation_kwargs={"min_new_tokens": request["steps"]},
        learning_rate=1e-6,
        lr_scheduler_type="constant",
        gradient_checkpointing=False,
        bf16=loaded["dtype"] == "bfloat16",
        use_cpu=True,
        dataloader_pin_memory=False,
        disable_tqdm=True,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
    )


def qwen3():
    return create(loaded["config"]).to(getattr(torch, loaded["dtype"])).model


def prompts(request):
    """For every update: each prompt as often as it is sampled."""
    words = torch.randint(2, loaded["config"]["vocabSize"], (1 + request["repeats"], request["prompts"], request["prompt"]))
    texts = [" ".join(f"w{word}" for word in prompt) for update in words.tolist() for prompt in update]
    return [{"prompt": text} for text in texts for _ in range(request["samples"])]


def tokenizer():
    """Every token is a word of its own."""
    special = {"<pad>": 0, "<end>": 1}
    vocabulary = special | {f"w{token}": token for token in range(len(special), loaded["config"]["vocabSize"])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<pad>", pad_token="<pad>", eos_token="<end>")


serve({"load": load, "distill": distill})
