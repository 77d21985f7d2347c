"""The catalog: dataset cards, protocols and model cards, found by path, read and checked."""

from .datasets import BoxSet, DatasetCard, dataset_card, dataset_card_from, dataset_cards, split_ids
from .models import ModelCard, model_card_from, model_cards
from .overlaps import Overlap, overlaps, seen_test_images
from .protocols import Exclude, Protocol, Subset, eye_norm_refusal, protocol_from, protocol_named, protocols_of
from .published import PublishedCurve, PublishedRow, Work, published_curves, published_rows, published_works
from .published_check import Problem, check_curves, check_published
from .roots import catalog_root, catalog_roots

__all__ = [
    "BoxSet", "DatasetCard", "Exclude", "ModelCard", "Overlap", "Problem", "Protocol", "PublishedCurve", "PublishedRow", "Subset", "Work",
    "catalog_root", "catalog_roots", "check_curves", "check_published", "dataset_card", "dataset_card_from", "dataset_cards",
    "eye_norm_refusal", "model_card_from", "model_cards", "overlaps", "protocol_from", "protocol_named", "protocols_of",
    "published_curves", "published_rows", "published_works", "seen_test_images", "split_ids",
]  # fmt: skip
