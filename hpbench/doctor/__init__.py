"""What is wrong with these predictions: the simplest mistake that explains their errors, if one does."""

from .diagnosis import Diagnosis, diagnose
from .examination import Examination, Explanation
from .hint import doctor_hint

__all__ = ["Diagnosis", "Examination", "Explanation", "diagnose", "doctor_hint"]
