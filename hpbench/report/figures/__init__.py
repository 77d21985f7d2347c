"""Figures: of landmark schemes and labels, of errors, boards and published results."""

from .against_yaw import error_against_yaw_figure
from .agreement import bland_altman_figure, error_histogram_figure, signed_angle_errors_deg
from .boards import SpeedPoint, accuracy_against_speed_figure, hardware_of, rank_interval_figure
from .curves import ced_figure, decisions_of_errors, precision_recall_figure
from .faces import contact_sheet, draw_comparison, draw_labels
from .measured import Measured, measured
from .picture import Picture, save_figure
from .records import figures_of_records, published_curve_figures, published_figures
from .scheme import landmark_error_figure, scheme_figure, scheme_layout
from .years import best_over_years_figure, years_of

__all__ = [
    "Measured", "Picture", "SpeedPoint", "accuracy_against_speed_figure", "best_over_years_figure", "bland_altman_figure", "ced_figure",
    "contact_sheet", "decisions_of_errors", "draw_comparison", "draw_labels", "error_against_yaw_figure", "error_histogram_figure",
    "figures_of_records", "hardware_of", "landmark_error_figure", "measured", "precision_recall_figure", "published_curve_figures",
    "published_figures", "rank_interval_figure", "save_figure", "scheme_figure", "scheme_layout", "signed_angle_errors_deg", "years_of",
]  # fmt: skip
