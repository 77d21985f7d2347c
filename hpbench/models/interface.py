"""What a model is: one method.

A model gets whole images with one face box each and returns `Faces` in the same order; how much margin it crops, how it
resizes, and which colours it likes is its own affair.  It never sees a label.

>>> import numpy as np, hpbench
>>> class Frontal(hpbench.Model):
...     def predict(self, images, boxes_xyxy_px):
...         return hpbench.Faces(rotation=np.tile(np.eye(3), (len(images), 1, 1)))
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import numpy.typing as npt

from ..faces import Faces

__all__ = ["Model"]

Array = npt.NDArray[Any]


class Model(abc.ABC):
    """Base class of every model.

    A subclass may take in its constructor, by keyword, ``weights`` (a `pathlib.Path` to a file or folder, from
    ``--weights``), ``device`` (from ``--device``) and whatever ``--model-arg key=value`` shall set; only what it
    names is passed, and an argument it does not name is an error for the user, not silence.

    Attributes
    ----------
    name : str
        What records and boards call it; the class name where it is left empty.
    version : str
        Of the code or the weights: part of a record.
    weights_sha256 : str or None
        Set by models that have weights.
    trained_on : tuple of str
        Datasets (``300w-lp``) or splits of them (``cofw:train``): boards mark who has seen the test images.  The card's where there is one.
    device : str
        Where it runs, as records state it: ``cpu``, ``cuda:1``; "" where it does not know.
    batch_size : int
        Faces per call unless the user asks for another number.
    input_px : int
        Side of what the network sees of a face, in pixels; 0 = not known.
    """

    name: str = ""
    version: str = "0"
    weights_sha256: str | None = None
    trained_on: tuple[str, ...] = ()
    device: str = ""
    batch_size: ClassVar[int] = 16
    input_px: int = 0

    @abc.abstractmethod
    def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
        """Predict one face per image.

        Parameters
        ----------
        images : list of B (H, W, 3) uint8 RGB arrays, sizes may differ
        boxes_xyxy_px : (B, 4) float64 array
            Edges of the face box, unrounded, (0, 0) = centre of the top-left pixel; it may reach outside the image.

        Returns
        -------
        Faces
            B rows in the order of `images`, `sample_id` left out; any of ``rotation`` (head -> camera), ``euler_deg``
            with its ``convention``, ``landmarks`` with their ``scheme``, ``visibility``.  A face that cannot be
            predicted is a row of NaN, its reason in ``failure``.
        """

    def prepare(self, image: Array, box_xyxy_px: Array) -> Any:
        """What can be done to one face before its batch: cutting it out, say.  Runs in threads, ahead of the network.

        A model that overrides this overrides `predict_prepared` as well; `predict` then does both.  It must change nothing
        of the model.

        Parameters
        ----------
        image : (H, W, 3) uint8 array, RGB
        box_xyxy_px : (4,) float64 array

        Returns
        -------
        Anything; it stays in memory until the batch is there.  An exception costs the face.
        """
        return image

    def predict_prepared(self, prepared: list[Any], boxes_xyxy_px: Array) -> Faces:
        """`predict`, of faces as `prepare` returned them, which it must not change."""
        return self.predict(prepared, boxes_xyxy_px)

    def network_call(self, batch_size: int) -> Callable[[], object] | None:
        """For `hpbench bench`, and not required: a call that runs the bare network, to its end, on an input of `batch_size` faces.

        The input is prepared beforehand, of arbitrary pixels: neither cropping nor copying nor decoding is in the call.  None where the
        model has no network, or nothing that can be run apart from its cropping.
        """
        return None
