"""Log-likelihoods of a task of lm-eval's, by one of its backends: reads {model, arguments, task} and prints [[value, greedy], ...]."""

import json
import sys

import lm_eval

wanted = json.load(sys.stdin)
output, sys.stdout = sys.stdout, sys.stderr
results = lm_eval.simple_evaluate(
    model=wanted["model"], model_args=wanted["arguments"], tasks=[wanted["task"]], bootstrap_iters=0, log_samples=True
)
(samples,) = results["samples"].values()
samples.sort(key=lambda sample: sample["doc_id"])
json.dump([answer for sample in samples for answer in sample["filtered_resps"]], output)
