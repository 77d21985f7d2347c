"""hpbench look"""

from __future__ import annotations

from pathlib import Path

import click

from .common import remark

__all__ = ["look"]

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("source", metavar="IMAGE|FOLDER|VIDEO|CAMERA")
@click.option("-m", "--model", required=True, help="As of hpbench run.")
@click.option("-o", "--out", type=_PATH, metavar="PATH", help="What to write. Default: SOURCE.look.png (or .mp4) in the current folder.")
@click.option("--detector", default="", metavar="NAME", help="Finds the faces. Default: the first that is ready.")
@click.option(
    "--box", "boxes", multiple=True, metavar="X0,Y0,X1,Y1",
    help="Instead of a detector: a face, as tight as its landmarks, in pixels; repeats.",
)  # fmt: skip
@click.option("--frames", type=int, metavar="N", help="Of a video or camera: at most N frames.")
@click.option("--weights", type=_PATH, metavar="PATH", help="The model's weights: a file, or a folder with them.")
@click.option("--model-arg", multiple=True, metavar="K=V", help="Argument for the model; repeats.")
@click.option("--device", default="auto", show_default=True, help="Device for models that choose: auto, cpu, cuda.")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON a face; pictures are then written only with -o.")
def look(
    source: str, model: str, out: Path | None, detector: str, boxes: tuple[str, ...], frames: int | None, weights: Path | None,
    model_arg: tuple[str, ...], device: str, as_json: bool,
) -> None:  # fmt: skip
    """A model on your own pictures: box, landmarks, head axes and angles drawn on every face.

    \b
    hpbench look photo.jpg -m mnn
    hpbench look holiday/ -m fsanet --weights WEIGHTS -o drawn/
    hpbench look clip.mp4 -m mnn -o clip.avi
    hpbench look 0 -m mnn -o me.mp4

    Arrows: orange to the subject's left, green down, blue out of the face. Points are discs, occluded ones rings. Angles are
    in the convention 300w-lp, coordinates those of the picture as it is shown. A number is a camera, written until Ctrl-C. What was
    written is printed; nothing is overwritten.
    """
    from ..detectors.cards import detector_card, first_ready
    from ..errors import InputError
    from ..look import Looker, SeenFace, default_output, is_image, json_line, look_at_images
    from ..look_video import look_at_video
    from ..models.resolve import create_model, read_model_arguments

    path = _path(source)
    if detector and boxes:
        raise InputError("--detector and --box: say either who finds the faces or where they are.")
    if frames is not None and path is not None and (path.is_dir() or is_image(path)):
        raise InputError(f"--frames is for videos and cameras, and {path} is neither.")
    given = [_box(text) for text in boxes]
    target = out if out is not None or as_json else default_output(path)
    card = None if given else detector_card(detector) if detector else first_ready()
    if card is not None and not detector:
        remark(f"faces are found by {card.id} (--detector names another)")
    made = create_model(model, weights=weights, device=device, arguments=read_model_arguments(model_arg))
    looker = Looker(made, card, given)

    def emit(face: SeenFace) -> None:
        if as_json:
            click.echo(json_line(face))

    if path is not None and (path.is_dir() or is_image(path)):
        written = look_at_images(path, looker, target, tell=remark, emit=emit)
    else:
        written = look_at_video(int(source) if path is None else path, looker, target, frames=frames, tell=remark, emit=emit)
    for file in written:
        click.echo(file, err=as_json)


def _path(source: str) -> Path | None:
    """The file or folder; None for a camera."""
    from ..errors import InputError

    path = Path(source)
    if path.exists():
        return path
    if source.isascii() and source.isdigit() and len(source) < 4:
        return None
    raise InputError(f"{source}: there is no such file or folder (a number is a camera).")


def _box(text: str) -> tuple[float, ...]:
    import math

    from ..errors import InputError

    try:
        box = tuple(float(part) for part in text.split(","))
    except ValueError:
        box = ()
    if len(box) != 4 or not all(map(math.isfinite, box)) or box[2] <= box[0] or box[3] <= box[1]:
        raise InputError(f"--box {text!r}: four numbers x0,y0,x1,y1 in pixels, left and top before right and bottom.")
    return box
