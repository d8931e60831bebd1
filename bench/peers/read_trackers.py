"""Says, as JSON, what TensorBoard's own loader finds in a folder and MLflow's own client on a server."""

import json
import sys

import mlflow
import tensorboard
from mlflow.tracking import MlflowClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

asked = json.load(sys.stdin)

accumulator = EventAccumulator(asked["folder"], size_guidance={"scalars": 0, "tensors": 0, "histograms": 0})
accumulator.Reload()
tags = accumulator.Tags()
tensors = {tag: accumulator.Tensors(tag) for tag in tags["tensors"]}
plugins = {tag: accumulator.SummaryMetadata(tag).plugin_data.plugin_name for tag in tensors}

client = MlflowClient(asked["url"])
experiment = client.get_experiment_by_name(asked["experiment"])
runs = client.search_runs([experiment.experiment_id])

json.dump(
    {
        "tensorboard": {
            "version": tensorboard.__version__,
            "points": [
                [tag, event.step, event.value] for tag in tags["scalars"] for event in accumulator.Scalars(tag)
            ]
            + [
                [tag, event.step, event.tensor_proto.float_val[0]]
                for tag, events in tensors.items()
                if plugins[tag] == "scalars"
                for event in events
            ],
            "histograms": sum(len(accumulator.Histograms(tag)) for tag in tags["histograms"])
            + sum(len(events) for tag, events in tensors.items() if plugins[tag] == "histograms"),
            "texts": sum(len(events) for tag, events in tensors.items() if plugins[tag] == "text"),
        },
        "mlflow": {
            "version": mlflow.__version__,
            "points": [
                [name, metric.step, metric.value]
                for run in runs
                for name in run.data.metrics
                for metric in client.get_metric_history(run.info.run_id, name)
            ],
            "runs": [f"{run.info.run_name} {run.info.status}" for run in runs],
        },
    },
    sys.stdout,
)
