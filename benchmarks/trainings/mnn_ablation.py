"""The paper's ablation (Table 1 of Valle et al., TPAMI 2020), repeated on rendered heads: does learning several tasks help pose?

    hpbench render heads --count 24000 --seed 7 --size 160 -o heads -j 2
    python benchmarks/trainings/mnn_ablation.py heads OUT [--faces 100000] [--seeds 1] [--only NAME]

Every strategy sees the same number of faces, with the same network (64 px, a quarter of the paper's widths), batches, augmentation and
rate, and is scored on heads/test by hpbench's own protocols.  Pretraining counts: who pretrains sees fewer faces afterwards.  Goes on
where it was interrupted.  Prints the table and writes OUT/ablation.csv; reports/mnn.md shows the one in benchmarks/results/.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import tabulate

import hpbench
from hpbench.heads.stream import PackedHeads
from hpbench.mnn.config import LossConfig, NetworkConfig, TrainConfig
from hpbench.mnn.data import HeadShards
from hpbench.mnn.losses import TASKS
from hpbench.mnn.train import train

EPOCHS, PRETRAINING = 20, 6
ALL = LossConfig(pose=0.1, projection=0.1, heatmap=1.0, visibility=5.0)  # of the weights that come with hpbench
POSE_ONLY = LossConfig(pose=1.0, projection=0.0, heatmap=0.0, visibility=0.0)
LANDMARKS_ONLY = LossConfig(pose=0.0, projection=0.0, heatmap=1.0, visibility=0.0)
PROJECTION_ONLY = LossConfig(pose=0.0, projection=1.0, heatmap=0.0, visibility=0.0)
VISIBILITY_ONLY = LossConfig(pose=0.0, projection=0.0, heatmap=0.0, visibility=1.0)

# name, losses of the last stage, epochs of heat-map pretraining; the first four are the paper's rows, the tasks alone give the weights
# by which the paper balances its losses
STRATEGIES = (
    ("pose only", POSE_ONLY, 0),
    ("all tasks from scratch", ALL, 0),
    ("landmark pretraining, then all tasks", ALL, PRETRAINING),
    ("landmark pretraining, then pose only", POSE_ONLY, PRETRAINING),
    ("projection only", PROJECTION_ONLY, 0),
    ("landmarks only", LANDMARKS_ONLY, 0),
    ("visibility only", VISIBILITY_ONLY, 0),
)
# what each strategy has learnt is scored, and nothing else
SCORES = {
    "geodesic_deg": ("heads/pose", "geodesic", "pose"),
    "mae_yaw_below_75_deg": ("heads/pose-yaw-75", "mae(convention=300w-lp)", "pose"),
    "nme_percent": ("heads/landmarks", "nme(norm=sqrt_wh)", "heatmap"),
    "recall_80_external_percent": ("heads/visibility", "recall(precision=80,view=external)", "visibility"),
}


@click.command(help=__doc__)
@click.argument("shards", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--faces", default=100_000, show_default=True, help="That each training sees.")
@click.option("--seeds", default=1, show_default=True, help="Trainings of each strategy.")
@click.option("--only", multiple=True, type=click.Choice([name for name, *_ in STRATEGIES]), help="Strategies; all without.")
@click.option("--threads", default=0, help="Of the network.")
def main(shards: Path, out: Path, faces: int, seeds: int, only: tuple[str, ...], threads: int) -> None:
    network = NetworkConfig(input_px=64, widths=(16, 32, 64, 128))
    heads = HeadShards(PackedHeads([shards]), network.scheme)
    rows = []
    for seed in range(seeds):
        for name, loss, pretraining in STRATEGIES:
            if only and name not in only:
                continue
            config = TrainConfig(
                network=network if loss != POSE_ONLY or pretraining else replace(network, dense=False),
                loss=loss,
                epochs=EPOCHS,
                pretrain_epochs=pretraining,
                steps_per_epoch=faces // (EPOCHS * 32),
                patience_epochs=3,
                validation_share=0.05,
                validation_faces=512,
                precision="bf16",
                threads=threads,
                seed=seed,
            )
            folder = out / f"{name.replace(',', '').replace(' ', '-')}-{seed}"
            history = train(config, [heads], folder)["history"]
            best = min((row for row in history if row["stage"] == "all"), key=lambda row: row["validation_loss"])
            losses = {f"validation_{task}": best[f"validation_{task}"] if getattr(loss, task) else "" for task in TASKS}
            rows.append({"strategy": name, "seed": seed, "faces": faces} | scores(folder, config) | losses)
            with (out / "ablation.csv").open("w", encoding="utf-8", newline="") as file:
                table = csv.DictWriter(file, rows[0], lineterminator="\n")
                table.writeheader()
                table.writerows(rows)
    click.echo(tabulate.tabulate(rows, headers="keys", tablefmt="github", floatfmt=".2f"))


def scores(folder: Path, config: TrainConfig) -> dict[str, Any]:
    """The scores of a training's best weights on heads/test; empty where the strategy has not learnt the task."""
    learnt = {name: (p, metric) for name, (p, metric, task) in SCORES.items() if getattr(config.loss, task) > 0}
    records = hpbench.run(
        "mnn" if config.network.dense else "mnn-encoder",
        "heads",
        protocol=sorted({p for p, _ in learnt.values()}),
        weights=folder / "best.safetensors",
        out=folder / "run",
    )
    values = {(r.protocol.id, s.metric): s.value for r in records for s in r.scores}
    return {name: values[learnt[name]] if name in learnt else "" for name in SCORES}


if __name__ == "__main__":
    main()
