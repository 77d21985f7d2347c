"""From a name to a model: the five ways, and what is said when there is none."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import numpy as np
import pytest

from hpbench.errors import InputError
from hpbench.models.resolve import create_model, read_model_arguments

GOOD = """
import numpy as np
from hpbench import Faces, Model

class Good(Model):
    def __init__(self, gain: float = 1.0, weights=None, device="auto"):
        self.gain, self.weights, self.device = gain, weights, device

    def predict(self, images, boxes_xyxy_px):
        return Faces(rotation=np.tile(np.eye(3), (len(images), 1, 1)))

def function(images, boxes_xyxy_px):
    return Faces(rotation=np.tile(np.eye(3), (len(images), 1, 1)))

class Duck:
    def predict(self, images, boxes_xyxy_px):
        return function(images, boxes_xyxy_px)

class Empty:
    pass

class Broken(Model):
    def __init__(self):
        raise RuntimeError("out of paper")
    def predict(self, images, boxes_xyxy_px): ...

NUMBER = 3
"""


@pytest.fixture
def good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "my_models.py"
    path.write_text(GOOD)
    monkeypatch.syspath_prepend(str(tmp_path))
    return path


def works(model: object) -> bool:
    faces = model.predict([np.zeros((4, 4, 3), np.uint8)], np.zeros((1, 4)))  # type: ignore[attr-defined]
    return bool(np.array_equal(faces.rotation, np.eye(3)[None]))


@pytest.mark.parametrize("attribute", ["Good", "function", "Duck"])
@pytest.mark.parametrize("way", ["file", "module"])
def test_a_class_a_function_or_anything_with_predict(good: Path, attribute: str, way: str) -> None:
    model = create_model(f"{good}:{attribute}" if way == "file" else f"my_models:{attribute}")
    assert works(model)
    assert model.name == ("my_models.function" if attribute == "function" else attribute)


def test_a_card_of_the_catalog() -> None:
    model = create_model("frontal")
    assert works(model) and model.name == "frontal" and model.version == "1"


def test_an_entry_point(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hpbench.models.resolve as resolve

    points = {"theirs": importlib.metadata.EntryPoint("theirs", "my_models:Good", resolve.ENTRY_POINTS)}
    points["broken"] = importlib.metadata.EntryPoint("broken", "not_there:Good", resolve.ENTRY_POINTS)
    monkeypatch.setattr(resolve, "entry_points", lambda: points)
    assert works(create_model("theirs"))
    with pytest.raises(InputError, match="entry point not_there:Good cannot be loaded"):
        create_model("broken")
    assert works(create_model("frontal")), "a broken plug-in must not take the others with it"
    with pytest.raises(InputError, match="did you mean 'theirs'"):
        create_model("their")


def test_arguments_reach_the_model(good: Path) -> None:
    model = create_model(f"{good}:Good", weights=Path("w.bin"), device="cuda", arguments={"gain": 2.5})
    assert (model.gain, model.weights, model.device) == (2.5, Path("w.bin"), "cuda")  # type: ignore[attr-defined]


def test_an_edited_file_is_another_model(good: Path) -> None:
    before = create_model(f"{good}:Good").version
    good.write_text(GOOD + "\n# edited\n")
    assert before.startswith("sha256:") and create_model(f"{good}:Good").version != before


def test_a_model_may_import_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_mine.py").write_text("VALUE = 1\n")
    (tmp_path / "uses.py").write_text("import neighbour_of_mine\n" + GOOD)
    assert works(create_model(f"{tmp_path / 'uses.py'}:Good"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("frontl", "did you mean 'frontal'"),
        ("nothing.toml", "there is no such model card"),
        ("nothing.py:X", "there is no such file"),
        ("not_a_package.mod:X", "no module 'not_a_package'"),
        ("json:Decoder", "did you mean"),
        ("network.onnx", "needs a card.toml"),
        ("{file}", "say which class"),
        ("{file}:god", "did you mean 'Good'"),
        ("{file}:NUMBER", "neither a class nor a function"),
        ("{file}:Empty", "no method predict"),
        ("{file}:Broken", "RuntimeError: out of paper"),
    ],
)
def test_wrong_names_are_one_sentence(good: Path, name: str, message: str) -> None:
    name = name.replace("json:Decoder", f"{good}:Goood")
    with pytest.raises(InputError, match=message) as caught:
        create_model(name.format(file=good))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("x = (", "line 1 is no Python"),
        ("\n1 / 0", "line 2 fails on import .ZeroDivisionError"),
        ("import not_there_at_all", "not_there_at_all"),
    ],
)
def test_a_file_that_cannot_be_imported(tmp_path: Path, code: str, message: str) -> None:
    path = tmp_path / "bad.py"
    path.write_text(code)
    with pytest.raises(InputError, match=message):
        create_model(f"{path}:Model")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"arguments": {"gian": 1}}, "did you mean 'gain'"),
        ({"arguments": {"weights": "x"}}, "use --weights"),
        ({"arguments": {"device": "x"}}, "use --device"),
    ],
)
def test_arguments_a_model_does_not_take(good: Path, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        create_model(f"{good}:Good", **arguments)  # type: ignore[arg-type]


def test_weights_and_device_for_a_model_without() -> None:
    with pytest.raises(InputError, match="takes no --weights"):
        create_model("frontal", weights=Path("w"))
    with pytest.raises(InputError, match="takes no --device"):
        create_model("frontal", device="cuda")


def test_model_arguments_are_read_as_json_or_text() -> None:
    assert read_model_arguments(["a=1", "b=0.5", "c=true", "d=hog", "e=x=y", 'f="1"']) == {
        "a": 1, "b": 0.5, "c": True, "d": "hog", "e": "x=y", "f": "1",
    }  # fmt: skip
    for bad, message in ((["a"], "key=value"), (["1=2"], "key=value"), (["a=1", "a=2"], "twice")):
        with pytest.raises(InputError, match=message):
            read_model_arguments(bad)
