"""Every figure that records and what lies beside them can give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...catalog import (
    Protocol,
    PublishedCurve,
    PublishedRow,
    dataset_card,
    dataset_cards,
    protocol_named,
    protocols_of,
    published_curves,
    published_rows,
)
from ...errors import HpbenchError
from ...metrics import parse_metric
from ...metrics.pose import ANGLES, angles_deg
from .against_yaw import error_against_yaw_figure
from .agreement import bland_altman_figure, error_histogram_figure, signed_angle_errors_deg
from .boards import SpeedPoint, accuracy_against_speed_figure, hardware_of
from .curves import ced_figure, decisions_of_errors, precision_recall_figure
from .measured import Measured
from .picture import Picture
from .scheme import landmark_error_figure
from .years import best_over_years_figure, years_of

__all__ = ["figures_of_records", "published_curve_figures", "published_figures"]

_MODELS = 7  # to a figure: as many as there are colours
_FACES = 4  # of landmark errors, to a figure


def figures_of_records(
    runs: Sequence[Measured],
    *,
    curves: Sequence[PublishedCurve] | None = None,
    rows: Sequence[PublishedRow] | None = None,
) -> tuple[list[Picture], list[str]]:
    """The figures of some records, protocol by protocol.

    Parameters
    ----------
    runs : sequence of Measured
        Best first; models keep their colour in all figures of a protocol.
    curves, rows : sequence, optional
        What is published; the catalog's if left out, () for none.

    Returns
    -------
    pictures : list of Picture
        Names begin with the protocol's: ``heads.pose.error-against-yaw``.
    skipped : list of str
        What is not drawn, and why.
    """
    curves = published_curves() if curves is None else curves
    rows = published_rows() if rows is None else rows
    by_protocol: dict[str, list[Measured]] = {}
    for run in runs:
        by_protocol.setdefault(run.record.protocol.reference, []).append(run)
    pictures: list[Picture] = []
    skipped: list[str] = []
    for reference, of in sorted(by_protocol.items()):
        protocol = protocol_named(reference)
        drawing = _Drawing(protocol, pictures, skipped)
        drawing.speed(of)
        if len(of) > _MODELS:
            skipped.append(f"{reference}: the first {_MODELS} of {len(of)} models are drawn.")
        same = []
        for run in of[:_MODELS]:
            if list(run.errors["sample_id"]) == list(of[0].errors["sample_id"]):
                same.append(run)
            else:
                skipped.append(f"{reference}: {run.name} is not drawn: scored on other faces than {of[0].name}.")
        named = _named(same)
        drawing.landmarks(named, [c for c in curves if c.protocol_id == protocol.id])
        drawing.visibility(named, [r for r in rows if r.protocol_id == protocol.id and r.canonical and r.comparable != "no"])
        drawing.pose(named)
    return pictures, skipped


def published_figures(rows: Sequence[PublishedRow] | None = None, *, mains_only: bool = True) -> list[Picture]:
    """The best published value over the years, a figure a dataset and metric.

    Parameters
    ----------
    rows : sequence of PublishedRow, optional
        The catalog's if left out.
    mains_only : bool
        Only the whole of a data set; by a protocol's main metric where there is one.
    """
    pictures = []
    mains = {protocol.id: protocol.main for card in dataset_cards().values() for protocol in protocols_of(card)}
    for (dataset, protocol, subset, metric), found in years_of(published_rows() if rows is None else rows).items():
        if mains_only and (subset != "all" or (protocol and mains.get(protocol) != metric)):
            continue
        if mains_only and not protocol and not metric.startswith(("mae(convention", "nme(")):
            continue
        name = "-".join(filter(None, (protocol.replace("/", ".") or dataset, "" if subset == "all" else subset, metric)))
        pictures.append(best_over_years_figure(found, name=f"years.{_file_name(name)}"))
    return pictures


def published_curve_figures(curves: Sequence[PublishedCurve]) -> list[Picture]:
    """Published cumulative error curves, a figure a protocol, norm and end."""
    groups: dict[tuple[str, str, float], list[PublishedCurve]] = {}
    for curve in curves:
        groups.setdefault((curve.protocol_id, curve.norm, curve.below), []).append(curve)
    pictures = []
    for (protocol, norm, below), found in sorted(groups.items()):
        name = f"published.{protocol.replace('/', '.')}.ced-{norm.replace('_', '-')}"
        pictures.append(ced_figure({}, norm=norm, below=below, published=found, title=f"{protocol}: published curves", name=name))
    return pictures


def _file_name(text: str) -> str:
    return "".join(c if c.isalnum() or c in ".-" else "-" for c in text).strip("-").replace("--", "-")


def _named(runs: Sequence[Measured]) -> dict[str, Measured]:
    """By name; of two of one name the second is called so."""
    named: dict[str, Measured] = {}
    for run in runs:
        name, number = run.name, 2
        while name in named:
            name, number = f"{run.name} ({number})", number + 1
        named[name] = run
    return named


@dataclass(frozen=True)
class _Drawing:
    """The figures of one protocol, put into `pictures`; what cannot be drawn, into `skipped`."""

    protocol: Protocol
    pictures: list[Picture]
    skipped: list[str]

    def _name(self, kind: str) -> str:
        return f"{self.protocol.id.replace('/', '.')}.{kind}"

    def _title(self, what: str) -> str:
        return f"{self.protocol.id}: {what}"

    def _skip(self, kind: str, why: str) -> None:
        self.skipped.append(f"{self._name(kind)}: {why}.")

    def speed(self, runs: Sequence[Measured]) -> None:
        by_hardware: dict[str, list[SpeedPoint]] = {}
        for name, run in _named(runs).items():
            value, speed, hardware = run.record.main.value, run.speed, hardware_of(run.speed)
            if speed is not None and value is not None:
                by_hardware.setdefault(hardware, []).append(SpeedPoint(name, value, speed.images_per_s, hardware))
        for number, (_, points) in enumerate(sorted(by_hardware.items()), 1):
            if len(points) > 1:
                kind = "accuracy-against-speed" + (f"-{number}" if len(by_hardware) > 1 else "")
                metric, title = self.protocol.main, self._title("accuracy against speed")
                self.pictures.append(accuracy_against_speed_figure(points, metric=metric, title=title, name=self._name(kind)))

    def landmarks(self, runs: Mapping[str, Measured], curves: Sequence[PublishedCurve]) -> None:
        for norm, below in self._ends(runs, curves).items():
            found = {name: values for name, run in runs.items() if (values := _nme(run, norm)) is not None}
            theirs = [c for c in curves if (c.norm, c.below) == (norm, below)]
            name, title = self._name(f"ced-{norm.replace('_', '-')}"), self._title("cumulative errors")
            if found:
                self.pictures.append(ced_figure(found, norm=norm, below=below, published=theirs, title=title, name=name))
        known = {name: run.record.landmark_errors for name, run in runs.items() if run.record.landmark_errors is not None}
        if known:
            shown = dict(list(known.items())[:_FACES])
            if len(known) > len(shown):
                self._skip("landmark-errors", f"the first {_FACES} of {len(known)} models are drawn")
            try:
                of_labels = next((run.truth.scheme for run in runs.values() if run.truth is not None), None)
                scheme = of_labels or dataset_card(self.protocol.dataset).scheme
                name, title = self._name("landmark-errors"), self._title("error of each landmark")
                self.pictures.append(landmark_error_figure(shown, scheme, title=title, name=name))
            except HpbenchError as error:
                self._skip("landmark-errors", str(error).rstrip("."))
        first = next((t for t in self.protocol.metrics if parse_metric(t).family.name == "nme"), None)
        if first:
            norm = str(parse_metric(first).parameters["norm"])
            by_model = {name: values for name, run in runs.items() if (values := _nme(run, norm)) is not None}
            self._against_yaw(runs, {"NME": by_model}, f"% ({norm})", self._convention())

    def _convention(self) -> str:
        """Of the angles by which the data set's poses are scored first: not every one has a yaw beyond 90 degrees."""
        metrics = (parse_metric(t) for p in protocols_of(dataset_card(self.protocol.dataset)) for t in (p.main, *p.metrics))
        return next((str(m.parameters["convention"]) for m in metrics if m.family.name == "mae"), "yxz")

    def _ends(self, runs: Mapping[str, Measured], curves: Sequence[PublishedCurve]) -> dict[str, float]:
        """Where the curve of each norm ends: where published ones do, else at the protocol's first AUC."""
        ends: dict[str, float] = {}
        for text in (score.metric for run in runs.values() for score in run.record.scores):
            metric = parse_metric(text)
            if metric.family.name == "auc" and metric.parameters["formula"] == "exact":
                ends.setdefault(str(metric.parameters["norm"]), float(metric.parameters["below"]))
        return ends | {c.norm: c.below for c in curves}

    def visibility(self, runs: Mapping[str, Measured], rows: Sequence[PublishedRow]) -> None:
        decisions = {name: decisions_of_errors(run.errors) for name, run in runs.items() if "decision_face" in run.errors}
        decisions = {name: found for name, found in decisions.items() if found.positive.any()}
        if decisions:
            published = [r for r in rows if r.metric == "recall(precision=80)" and r.subset == "all"]
            name, title = self._name("precision-recall"), self._title("occluded points of every kind")
            self.pictures.append(precision_recall_figure(decisions, published=published, title=title, name=name))

    def pose(self, runs: Mapping[str, Measured]) -> None:
        texts = {angle: t for t in self.protocol.metrics for angle in ANGLES if parse_metric(t).parameters.get("angle") == angle}
        first = next((t for t in self.protocol.metrics if parse_metric(t).family.name == "mae"), None)
        if first is None:
            return
        convention = str(parse_metric(first).parameters["convention"])
        panels = {a: {name: _column(run, t) for name, run in runs.items() if t in run.errors} for a, t in sorted(texts.items(), key=_place)}
        geodesic = {name: _column(run, "geodesic") for name, run in runs.items() if "geodesic" in run.errors}
        self._against_yaw(runs, panels or {"geodesic": geodesic}, "deg", convention)
        signed: dict[str, npt.NDArray[np.float64]] = {}
        if self.protocol.align_by:
            self._skip("error-histograms", "the errors of an aligned protocol are not those of the predictions")
            return
        for name, run in runs.items():
            if run.truth is None or run.prediction is None:
                self._skip("error-histograms", f"{name}: the {'labels' if run.truth is None else 'predictions'} are not here")
                continue
            signed[name] = signed_angle_errors_deg(run.truth, run.prediction, convention)
        signed = {name: values for name, values in signed.items() if np.isfinite(values).any()}
        if signed:
            failed = {name: runs[name].record.main.n_failed for name in signed}
            name, title = self._name("error-histograms"), self._title("errors of yaw, pitch and roll")
            self.pictures.append(error_histogram_figure(signed, failed=failed, title=title, name=name))
        for model, values in signed.items():
            truth = runs[model].truth
            assert truth is not None
            kind = "bland-altman" + (f"-{_file_name(model)}" if len(signed) > 1 else "")
            if np.isfinite(values).all(axis=1).sum() > 1:
                true_deg, _ = angles_deg(truth, convention)
                title = f"{self.protocol.id}: {model} against the labels"
                self.pictures.append(bland_altman_figure(true_deg, values, title=title, name=self._name(kind)))

    def _against_yaw(
        self, runs: Mapping[str, Measured], panels: Mapping[str, Mapping[str, npt.NDArray[np.float64]]], unit: str, convention: str
    ) -> None:
        truth = next((run.truth for run in runs.values() if run.truth is not None), None)
        if truth is None:
            return self._skip("error-against-yaw", "the labels are not here, so the yaw of the faces is not known")
        if truth.rotation is None:
            return self._skip("error-against-yaw", "the labels have no rotation")
        yaw = angles_deg(truth, convention)[0][:, 0]
        clusters = next(iter(runs.values())).errors["cluster"] if self.protocol.cluster_by else None
        shown = {panel: by_model for panel, by_model in panels.items() if by_model}
        if not shown or not np.isfinite(yaw).any():
            return self._skip("error-against-yaw", "there is no face with an error and a yaw")
        name, title = self._name("error-against-yaw"), self._title("error against yaw")
        facts = {"unit": unit, "convention": convention, "title": title, "name": name}
        self.pictures.append(error_against_yaw_figure(shown, yaw, clusters=clusters, **facts))
        return None


def _place(item: tuple[str, str]) -> int:
    return ANGLES.index(item[0])


def _column(run: Measured, metric: str) -> npt.NDArray[np.float64]:
    return np.asarray(run.errors[metric], dtype=np.float64)


def _nme(run: Measured, norm: str) -> npt.NDArray[np.float64] | None:
    """The NME of each face: the same under every mean."""
    for text in run.errors:
        if text.startswith("nme(") and parse_metric(text).parameters["norm"] == norm:
            return _column(run, text)
    return None
