"""Submissions: somebody's predictions, records and model card as one archive, unpacked with suspicion and scored again."""

from .checking import RecordCheck, SubmissionCheck, check_submission
from .manifest import LEVELS, Level, Manifest, level_of
from .packing import pack

__all__ = ["LEVELS", "Level", "Manifest", "RecordCheck", "SubmissionCheck", "check_submission", "level_of", "pack"]
