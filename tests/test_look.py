"""hpbench look: what is drawn where, what is written and what is not, and what is said of bad pictures and videos."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_detector import FixedDetector, know_rfb, save_rfb

from hpbench.cli import main
from hpbench.geometry.rotations import rotation_from_euler

cv2 = pytest.importorskip("cv2")

BOX = (40.0, 30.0, 100.0, 110.0)
MODEL = '''
import numpy as np
import hpbench


class Toy(hpbench.Model):
    """Yaw 20, pitch -10, roll 5; four of its 68 points on the box's corners, one hidden; no answer for pictures that begin black."""

    def predict(self, images, boxes):
        n = len(images)
        black = np.array([not image[0, 0].any() for image in images])
        points = np.full((n, 68, 2), np.nan)
        points[:, 0], points[:, 1] = boxes[:, :2], boxes[:, 2:]
        points[:, 2], points[:, 3] = boxes[:, [0, 3]], boxes[:, [2, 1]]
        visibility = np.where(np.arange(68) == 1, 0.1, 0.9) * np.ones((n, 1))
        angles = np.tile([20.0, -10.0, 5.0], (n, 1))
        angles[black], points[black], visibility[black] = np.nan, np.nan, np.nan
        return hpbench.Faces(
            euler_deg=angles, convention="yxz", landmarks=points, scheme="ibug68-fixed", visibility=visibility,
            failure=["too dark" if b else "" for b in black],
        )
'''


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("toy.py").write_text(MODEL)


@pytest.fixture
def found(monkeypatch):
    """A detector that finds one face, unless the last pixel is red."""
    detector = FixedDetector([BOX], blind_to=lambda image: image[-1, -1, 0] > 200)
    monkeypatch.setattr("hpbench.look.create_detector", lambda card: detector)
    return detector


def look(capsys, monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["hpbench", "look", *map(str, arguments), "-m", "toy.py:Toy"])
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return end.value.code, said.out, said.err


def picture(value=150, size=(160, 200), last=None):
    image = np.full((*size, 3), value, np.uint8)
    if last is not None:
        image[-1, -1] = last
    return image


def save(name, image, *flags):
    assert cv2.imwrite(name, image[..., ::-1] if image.ndim == 3 and image.shape[2] == 3 else image, list(flags))
    return Path(name)


def rgb(path):
    return cv2.imread(str(path))[..., ::-1].astype(int)


GIVEN = ("--box", ",".join(map(str, BOX)))


def test_box_points_and_axes_are_where_they_belong(capsys, monkeypatch):
    save("photo.png", picture())
    assert look(capsys, monkeypatch, "photo.png", *GIVEN) == (0, "photo.look.png\n", "")
    image = rgb("photo.look.png")
    assert image.shape == (160, 200, 3)
    assert (image[35:105, 40].min(axis=1) > 225).mean() > 0.8  # the box's left edge is white
    blue, orange = (86, 180, 233), (255, 190, 40)
    assert tuple(image[30, 40]) == tuple(image[110, 40]) == tuple(image[30, 100]) == blue  # discs
    ring = image[110, 100]  # the hidden one: not filled with blue, its orange around it
    assert tuple(ring) != blue and (np.abs(image[106:115, 96:105] - orange).max(axis=2) < 90).any()
    # the blue arrow out of the face: along minus the third column of the rotation
    out = -rotation_from_euler(np.array([[20.0, -10.0, 5.0]]), "yxz")[0][:2, 2]
    half = np.rint(np.array([70, 70]) + 0.5 * 0.45 * 80 * out).astype(int)
    near = image[half[1] - 1 : half[1] + 2, half[0] - 1 : half[0] + 2].reshape(-1, 3)
    assert (np.abs(near - (0, 114, 178)).max(axis=1) < 40).any()
    changed = np.argwhere((image != 150).any(axis=2))
    assert changed.min(axis=0).tolist() >= [5, 30] and (changed.max(axis=0) <= [125, 180]).all()


def test_json_lines_are_strict_and_nothing_is_written(capsys, monkeypatch):
    save("photo.png", picture())
    code, out, _ = look(capsys, monkeypatch, "photo.png", *GIVEN, "--box", "0,0,10,10", "--json")
    lines = [json.loads(line, parse_constant=lambda text: pytest.fail(text)) for line in out.splitlines()]
    assert code == 0 and [line["face"] for line in lines] == [0, 1] and not Path("photo.look.png").exists()
    first = lines[0]
    assert first["file"] == "photo.png" and first["frame"] is None and first["box_xyxy_px"] == list(BOX) and first["boxes"] == "given"
    rotation = rotation_from_euler(np.array([[20.0, -10.0, 5.0]]), "yxz")[0]
    assert np.array(first["rotation_camera_from_head"]) == pytest.approx(rotation)
    angles = [first[f"{name}_deg"] for name in ("yaw", "pitch", "roll")]
    assert first["convention"] == "300w-lp" and rotation_from_euler(np.array([angles]), "300w-lp")[0] == pytest.approx(rotation)
    assert (
        first["landmarks_px"][0] == [40.0, 30.0]
        and first["landmarks_px"][9] == [None, None]
        and first["visibility"][1] == pytest.approx(0.1)
    )
    code, out, err = look(capsys, monkeypatch, "photo.png", *GIVEN, "--json", "-o", "x.jpg")
    assert code == 0 and len(out.splitlines()) == 1 and err == "x.jpg\n" and Path("x.jpg").is_file()


def test_nothing_is_overwritten(capsys, monkeypatch, found):
    save("photo.png", picture())
    Path("photo.look.png").write_text("mine")
    code, out, err = look(capsys, monkeypatch, "photo.png", *GIVEN)
    assert (code, out) == (2, "") and "photo.look.png exists already" in err and Path("photo.look.png").read_text() == "mine"
    Path("photo.look").mkdir()


def test_a_face_without_an_answer_is_told(capsys, monkeypatch):
    save("dark.png", picture(0))
    code, out, err = look(capsys, monkeypatch, "dark.png", *GIVEN)
    assert code == 0 and out == "dark.look.png\n" and "dark.png, face 0: too dark" in err
    _, out, _ = look(capsys, monkeypatch, "dark.png", *GIVEN, "--json")
    line = json.loads(out)
    assert line["failure"] == "too dark" and line["yaw_deg"] is line["landmarks_px"] is line["visibility"] is None


@pytest.mark.parametrize("kind", ["alpha", "grey", "16 bit", "grey 16 bit"])
def test_pictures_of_any_depth(kind, capsys, monkeypatch):
    image = picture()
    image = {
        "alpha": np.dstack([image, np.zeros_like(image[..., :1])]), "grey": image[..., 0],
        "16 bit": image.astype(np.uint16) * 257, "grey 16 bit": image[..., 0].astype(np.uint16) * 257,
    }[kind]  # fmt: skip
    save("photo.png", image)
    assert look(capsys, monkeypatch, "photo.png", *GIVEN)[0] == 0
    assert rgb("photo.look.png")[-1, -1].tolist() == [150, 150, 150]


def test_an_exif_orientation_is_applied(capsys, monkeypatch):
    data = cv2.imencode(".jpg", picture(size=(160, 200)))[1].tobytes()
    tiff = b"II*\0\x08\0\0\0" + b"\x01\0" + b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0" + b"\0\0\0\0"  # orientation 6: turn to the right
    exif = b"Exif\0\0" + tiff
    Path("turned.jpg").write_bytes(data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:])
    assert look(capsys, monkeypatch, "turned.jpg", *GIVEN)[0] == 0
    assert rgb("turned.look.png").shape == (200, 160, 3)


def test_a_folder(capsys, monkeypatch, found):
    Path("in").mkdir()
    save("in/b.png", picture())
    save("in/a.jpg", picture())
    save("in/a.png", picture())
    save("in/nobody.png", picture(last=(255, 0, 0)))
    Path("in/broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    Path("in/notes.txt").write_text("no picture")
    code, out, err = look(capsys, monkeypatch, "in", "--detector", "rfb320")
    assert code == 0 and out.splitlines() == [str(Path("in.look") / n) for n in ("a.jpg.look.png", "a.png.look.png", "b.look.png")]
    assert "in/nobody.png: no face found (detector:rfb320)" in err.replace("\\", "/") and "broken.jpg" in err and "notes" not in err
    assert sorted(p.name for p in Path("in.look").iterdir()) == ["a.jpg.look.png", "a.png.look.png", "b.look.png"]
    code, out, err = look(capsys, monkeypatch, "in", "--detector", "rfb320")
    assert code == 2 and "exists already" in err and out == ""


@pytest.mark.parametrize(("arguments", "words"), [
    (["nothing.png"], "no such file or folder"), (["empty.png"], "the file is empty"),
    (["text.png"], "not an image"), (["text.mp4", *GIVEN], "neither an image"),
    (["cut.jpg"], "truncated"), (["photo.png", "-o", "x.gif"], ".png, .jpg"), (["photo.png", "--box", "1,2,3"], "four numbers"),
    (["photo.png", "--box", "9,9,1,1"], "four numbers"), (["photo.png", "--detector", "rfb"], "did you mean 'rfb320'"),
    (["photo.png", "--detector", "rfb320", *GIVEN], "either"), (["photo.png", *GIVEN, "--frames", "3"], "--frames is for videos"),
    (["nobody.png", "--detector", "rfb320"], "no face found"), (["void"], "no image in it"),
    (["clip.avi", *GIVEN, "-o", "x.png"], ".mp4, .avi"),
    (["clip.avi", *GIVEN, "--frames", "0"], "at least 1"), (["clip.avi", "--detector", "rfb320"], "no face found"),
])  # fmt: skip
def test_what_cannot_be_done_is_one_sentence(arguments, words, capsys, monkeypatch, found):
    save("photo.png", picture())
    save("nobody.png", picture(last=(255, 0, 0)))
    Path("void").mkdir()
    Path("empty.png").write_bytes(b"")
    for name in ("text.png", "text.mp4"):
        Path(name).write_text("no picture at all")
    Path("cut.jpg").write_bytes(cv2.imencode(".jpg", picture())[1].tobytes()[:300])
    a_video("clip.avi", [picture(last=None)] * 2, red=True)
    before = sorted(Path().rglob("*"))
    code, out, err = look(capsys, monkeypatch, *arguments)
    assert code == 2 and out == "" and words in err.splitlines()[-1] and err.splitlines()[-1].startswith("hpbench: ")
    assert [p for p in sorted(Path().rglob("*")) if "__pycache__" not in p.parts] == [p for p in before if "__pycache__" not in p.parts]


# ---------------------------------------------------------------------------------------------------------- videos


def a_video(name, images, fps=12.5, red=False):
    height, width = images[0].shape[:2]
    writer = cv2.VideoWriter(name, cv2.VideoWriter.fourcc(*"MJPG"), fps, (width, height))
    assert writer.isOpened()
    for image in images:
        frame = image.copy()
        if red:
            frame[-16:, -16:] = (255, 0, 0)
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()
    return Path(name)


def frames_of(path):
    capture = cv2.VideoCapture(str(path))
    out = []
    while (frame := capture.read()[1]) is not None:
        out.append(frame[..., ::-1].astype(int))
    return out, capture.get(cv2.CAP_PROP_FPS)


def test_a_video_keeps_its_size_rate_and_frames(capsys, monkeypatch):
    a_video("clip.avi", [picture(v) for v in (100, 120, 140, 160, 180)])
    assert look(capsys, monkeypatch, "clip.avi", *GIVEN) == (0, "clip.look.mp4\n", "")
    frames, fps = frames_of("clip.look.mp4")
    assert len(frames) == 5 and fps == pytest.approx(12.5) and frames[0].shape == (160, 200, 3)
    assert [f[150, 10, 0] for f in frames] == pytest.approx([100, 120, 140, 160, 180], abs=8)
    assert all(f[60:90, 40].mean() > 190 for f in frames)  # the box
    code, out, _ = look(capsys, monkeypatch, "clip.avi", *GIVEN, "--frames", "2", "--json")
    assert code == 0 and [json.loads(line)["frame"] for line in out.splitlines()] == [0, 1]
    assert sorted(p.name for p in Path().iterdir() if p.is_file()) == ["clip.avi", "clip.look.mp4", "toy.py"]


def test_a_video_that_breaks_off(capsys, monkeypatch):
    rng = np.random.default_rng(0)
    whole = a_video("whole.avi", [rng.integers(100, 255, (160, 200, 3)).astype(np.uint8) for _ in range(20)]).read_bytes()
    Path("cut.avi").write_bytes(whole[: len(whole) // 2])
    code, out, err = look(capsys, monkeypatch, "cut.avi", *GIVEN, "-o", "cut.look.avi")
    assert code == 0 and out == "cut.look.avi\n" and "breaks off after" in err and "damaged?" in err
    assert 5 <= len(frames_of("cut.look.avi")[0]) < 20


class Camera:
    """Stands in for cv2.VideoCapture: three frames, then Ctrl-C."""

    def __init__(self, number):
        self.number, self.left = number, 3

    def isOpened(self):
        return self.number == 0

    def get(self, what):
        return 0.0

    def read(self):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return True, picture()

    def release(self):
        pass


def test_a_camera_until_it_is_stopped(capsys, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(cv2, "VideoCapture", Camera)
        code, out, err = look(capsys, patched, "0", *GIVEN)
    assert code == 0 and out == "camera.look.mp4\n" and "stopped after 3 frames" in err and "taken for 25" in err
    assert len(frames_of("camera.look.mp4")[0]) == 3


def test_no_camera(capsys, monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    code, _, err = look(capsys, monkeypatch, "3", *GIVEN)
    assert code == 2 and err == "hpbench: camera 3: there is no such camera.\n"


def test_through_the_entry_point_with_a_network_of_its_own(monkeypatch, tmp_path):
    pytest.importorskip("onnxruntime")
    save_rfb(tmp_path / "net.onnx", [[0.2, 0.1, 0.5, 0.5], [0.6, 0.5, 0.9, 0.9]], [0.8, 0.9])
    know_rfb(monkeypatch, tmp_path / "net.onnx")
    save("photo.png", picture())
    from hpbench.detectors.cards import CARDS
    from hpbench.look import Looker
    from hpbench.models.resolve import create_model

    seen = Looker(create_model("toy.py:Toy"), CARDS["rfb320"]).faces_of(picture(), "photo.png")
    assert [f.score for f in seen] == pytest.approx([0.9, 0.8])
    assert seen[0].box_xyxy_px == pytest.approx([119.5, 79.5 + 16, 179.5, 143.5])
    line = [sys.executable, "-m", "hpbench", "look", "photo.png", "-m", "frontal", *GIVEN, "-o", "here/x.webp"]
    done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{Path('here/x.webp')}\n", "")
    assert (tmp_path / "here" / "x.webp").stat().st_size > 0
