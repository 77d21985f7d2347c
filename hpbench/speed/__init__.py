"""How fast models are: measured by one command, kept in strict JSON beside the model, compared on one hardware only."""

from .bench import Bench, Pipeline, bench, bench_pipeline, default_threads
from .files import check_target, collect_speeds, read_speed, speeds_beside, write_speed
from .record import STAGES, EndToEnd, PrecisionDifference, Run, SpeedRecord, Timed, hardware_text, times_faster

__all__ = [
    "STAGES", "Bench", "EndToEnd", "Pipeline", "PrecisionDifference", "Run", "SpeedRecord", "Timed", "bench", "bench_pipeline",
    "check_target", "collect_speeds", "default_threads", "hardware_text", "read_speed", "speeds_beside", "times_faster", "write_speed",
]  # fmt: skip
