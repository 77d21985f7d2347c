"""The protocol of workers, spoken by programs written from docs/add-a-model.md alone: rightly, in Python and JavaScript, and wrongly."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from workers import MODEL, answered, written

from hpbench.errors import InputError
from hpbench.models import worker_pipe, worker_side
from hpbench.models.interface import Model
from hpbench.models.resolve import create_model

# No numpy, nothing of hpbench. sys.argv[1] says what it does wrong, and when: at "hello" or at "predict".
SPEAKER = r"""
import json, os, struct, sys, time

fault, _, when = sys.argv[1].partition("@")

def read():
    prefix = sys.stdin.buffer.read(16)
    if not prefix:
        sys.exit(0)
    magic, h, a = prefix[:4], *struct.unpack("<IQ", prefix[4:])
    assert magic == bytes([0x93, 0x48, 0x50, 0x42])
    return json.loads(sys.stdin.buffer.read(h)), sys.stdin.buffer.read(a)

def write(data, parts=False):
    for piece in ([data[i:i + 1] for i in range(len(data))] if parts else [data]):
        sys.stdout.buffer.write(piece)
        sys.stdout.flush()
        if parts:
            time.sleep(0.002)

def frame(header, arrays=b"", magic=b"\x93HPB", claim=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return magic + struct.pack("<IQ", len(text), len(arrays) if claim is None else claim) + text + arrays

def answer(header, arrays):
    if header["call"] == "hello":
        return {"id": header["id"], "protocol": 1, "name": "speaker"}, b""
    b, *_ = header["arrays"][0]["shape"]
    given = struct.unpack(f"<{4 * b}d", arrays[:32 * b])
    offset, yaw = 32 * b, []
    for i, image in enumerate(header["arrays"][1:]):
        h, w, c = image["shape"]
        pixels = arrays[offset:offset + h * w * c]
        offset += h * w * c
        yaw += [sum(pixels) / len(pixels) + given[4 * i], given[4 * i + 3], pixels[-1]]
    assert offset == len(arrays)
    told = {"id": header["id"], "convention": "300w-lp", "arrays": [{"name": "euler_deg", "dtype": "<f8", "shape": [b, 3]}]}
    return told, struct.pack(f"<{3 * b}d", *yaw)

while True:
    header, arrays = read()
    told, out = answer(header, arrays)
    wrong = fault if when == header["call"] else ""
    if wrong == "text":
        write(b"Loading the model ...\n")
        time.sleep(60)
    elif wrong == "magic":
        write(frame(told, out, magic=b"\x93XYZ"))
    elif wrong == "huge-header":
        write(b"\x93HPB" + struct.pack("<IQ", 2**31, 0))
        time.sleep(60)
    elif wrong == "huge-arrays":
        write(frame(told, out, claim=2**40))
        time.sleep(60)
    elif wrong == "no-json":
        write(frame(b"{'id': 1}"))
    elif wrong == "deep-json":
        write(frame(b"[" * 100000))
    elif wrong == "list":
        write(frame([1]))
    elif wrong == "cut":
        write(frame(told, out)[:-3] if out else frame(told)[:20])
        sys.exit(0)
    elif wrong == "closed":
        os.close(1)
        time.sleep(60)
    elif wrong == "slow":
        write(frame(told, out), parts=True)
    elif wrong == "twice":
        write(frame(told, out) * 2)
    elif wrong == "id":
        write(frame({**told, "id": "1"}, out))
    elif wrong == "error":
        write(frame({"id": header["id"], "error": "there is no light."}))
    elif wrong:
        write(frame({**told, **json.loads(wrong)}, out))
    else:
        write(frame(told, out))
"""

NODE = r"""
let held = Buffer.alloc(0);
process.stdin.on("data", chunk => { held = Buffer.concat([held, chunk]); while (step()); });
function step() {
  if (held.length < 16) return false;
  const h = held.readUInt32LE(4), a = Number(held.readBigUInt64LE(8));
  if (held.length < 16 + h + a) return false;
  const header = JSON.parse(held.subarray(16, 16 + h).toString()), arrays = held.subarray(16 + h, 16 + h + a);
  held = held.subarray(16 + h + a);
  if (header.call === "hello") { send({id: header.id, protocol: 1, name: "speaker", batch_size: 4}, Buffer.alloc(0)); return true; }
  const b = header.arrays[0].shape[0], out = Buffer.alloc(24 * b);
  let offset = 32 * b;
  for (let i = 0; i < b; i++) {
    const [rows, columns] = header.arrays[i + 1].shape, pixels = arrays.subarray(offset, offset += rows * columns * 3);
    const sum = pixels.reduce((s, v) => s + v, 0);
    [sum / pixels.length + arrays.readDoubleLE(32 * i), arrays.readDoubleLE(32 * i + 24), pixels[pixels.length - 1]]
      .forEach((v, k) => out.writeDoubleLE(v, 24 * i + 8 * k));
  }
  send({id: header.id, convention: "300w-lp", arrays: [{name: "euler_deg", dtype: "<f8", shape: [b, 3]}]}, out);
  return true;
}
function send(header, arrays) {
  const text = Buffer.from(JSON.stringify(header)), prefix = Buffer.alloc(16);
  prefix.write("\x93HPB", "latin1"); prefix.writeUInt32LE(text.length, 4); prefix.writeBigUInt64LE(BigInt(arrays.length), 8);
  process.stdout.write(Buffer.concat([prefix, text, arrays]));
}
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    written(folder, SPEAKER, "speaker.py")
    written(folder, NODE, "speaker.js")
    return folder


def speaker(programs: Path, fault: str = "@", options: str = "timeout_s=10 start_timeout_s=10") -> Model:
    return create_model(f"worker:{options} '{sys.executable}' -S '{programs / 'speaker.py'}' '{fault}'")


def expected(model: Model) -> None:
    """What the two speakers answer: mean + x0, y1 and the last blue, computed here from the same faces."""
    from workers import faces

    predicted, reasons = answered(model, 9, 200, 30)
    assert reasons == ["", "", ""]
    rows = [[image.mean() + s.box_xyxy_px[0], s.box_xyxy_px[3], image[-1, -1, 2]] for s, image in faces(9, 200, 30)]  # type: ignore[union-attr]
    np.testing.assert_allclose(predicted.euler_deg, rows, rtol=1e-14)  # type: ignore[arg-type]


def test_a_program_without_numpy(programs: Path) -> None:
    model = speaker(programs)
    expected(model)
    assert (model.name, model.version, model.batch_size, model.weights_sha256, model.trained_on) == ("speaker", "0", 16, None, ())


def test_a_program_in_javascript(programs: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    model = create_model(f"worker:node '{programs / 'speaker.js'}'")
    expected(model)
    assert model.batch_size == 4


def test_an_answer_in_parts(programs: Path) -> None:
    expected(speaker(programs, "slow@predict"))


# ---------------------------------------------------------------------------------------------- wrong answers

WRONG = [
    ("text", "wrote 'Loading the model ...' where a frame begins: print to stderr instead?"),
    ("magic", r"a frame that begins with b'\\x93XYZ'"),
    ("huge-header", "a header of 2147483648"),
    ("huge-arrays", "arrays of 1099511627776 bytes"),
    ("no-json", "a header that is no JSON"),
    ("deep-json", "a header that is no JSON"),
    ("list", "no JSON object"),
    ("cut", "ended with exit code 0 without an answer"),
    ("closed", "closed its stdout without an answer"),
    ("id", "answered request '1' when asked request"),
    ("error", "there is no light"),
]


@pytest.mark.parametrize(("fault", "message"), WRONG)
@pytest.mark.parametrize("when", ["hello", "predict"])
def test_wrong_answers_are_one_sentence(programs: Path, fault: str, message: str, when: str) -> None:
    started = time.monotonic()
    with pytest.raises(InputError, match=message) as caught:
        speaker(programs, f"{fault}@{when}").predict([np.zeros((4, 4, 3), np.uint8)], np.zeros((1, 4)))
    assert "\n" not in str(caught.value) and time.monotonic() - started < 9, "it was waited for"


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ('{"protocol": 2}', "the worker speaks protocol 2, this hpbench protocol 1"),
        ('{"protocol": null}', "speaks protocol None"),
        ('{"name": ""}', "its hello gives no name"),
        ('{"name": 3}', "name must be printable text"),
        ('{"name": "a\\nb"}', "name must be printable text"),
        ('{"batch_size": 0}', "batch_size must be a whole number"),
        ('{"batch_size": "many"}', "batch_size must be a whole number"),
        ('{"trained_on": "aflw"}', "trained_on must be a tuple"),
        ('{"trained_on": [1]}', "trained_on must be a tuple"),
        ('{"weights_sha256": 5}', "weights_sha256 must be text"),
        ('{"error": "no GPU\\nat line 3", "type": "OSError"}', "OSError: no GPU$"),
    ],
)
def test_a_hello_that_is_none(programs: Path, told: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        speaker(programs, f"{told}@hello")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ('{"convention": 3}', "a convention that is no text"),
        ('{"convention": "yzx"}', "yzx"),
        ('{"failure": "all"}', "a failure that is no text"),
        ('{"failure": [""]}', "failure has 1 entries for 2 faces"),
        ('{"arrays": 3}', "arrays that are no list"),
        ('{"arrays": [{"name": "euler_deg", "dtype": "<i8", "shape": [2, 3]}]}', "arrays that are no list"),
        ('{"arrays": [{"name": "euler_deg", "dtype": "<f8", "shape": [-2, 3]}]}', "arrays that are no list"),
        ('{"arrays": [{"name": "euler_deg", "dtype": "<f8", "shape": [2, 4]}]}', "arrays of 64 bytes by their shapes and 48"),
        ('{"arrays": [{"name": "pose", "dtype": "<f8", "shape": [2, 3]}]}', "an array 'pose', which is none of rotation"),
        ('{"arrays": [{"name": "euler_deg", "dtype": "<f8", "shape": [3, 2]}]}', "euler_deg must have shape"),
        ('{"arrays": [{"name": "a", "dtype": "<f8", "shape": [3]}, {"name": "a", "dtype": "<f8", "shape": [3]}]}', "one array twice"),
        ('{"type": "Not a name", "error": "e"}', "^e$"),
    ],
)  # fmt: skip
def test_an_answer_that_is_none(programs: Path, told: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        speaker(programs, f"{told}@predict").predict([np.zeros((4, 4, 3), np.uint8)] * 2, np.zeros((2, 4)))
    assert "\n" not in str(caught.value)


def test_an_answer_too_many_is_not_taken_for_the_next(programs: Path) -> None:
    model = speaker(programs, "twice@predict")
    model.predict([np.zeros((4, 4, 3), np.uint8)], np.zeros((1, 4)))
    with pytest.raises(InputError, match="answered request 2 when asked request 3"):
        model.predict([np.full((4, 4, 3), 50, np.uint8)], np.zeros((1, 4)))


def test_a_request_that_is_too_large_is_not_sent(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = speaker(programs)
    monkeypatch.setattr(worker_side, "MAX_REQUEST_BYTES", 1000)
    with pytest.raises(InputError, match="cannot be asked: .* too much for one frame"):
        model.predict([np.zeros((40, 40, 3), np.uint8)], np.zeros((1, 4)))
    monkeypatch.undo()
    expected(model)  # the worker never knew


# ---------------------------------------------------------------------------------------------- worker_side.py as another parent sees it


def framed(header: dict[str, object], arrays: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return bytes([0x93, 0x48, 0x50, 0x42]) + struct.pack("<IQ", len(text), len(arrays)) + text + arrays


def unframed(data: bytes) -> list[tuple[dict[str, object], bytes]]:
    out = []
    while data:
        h, a = struct.unpack("<IQ", data[4:16])
        out.append((json.loads(data[16 : 16 + h]), data[16 + h : 16 + h + a]))
        data = data[16 + h + a :]
    return out


def spoken_to(tmp_path: Path, requests: bytes) -> subprocess.CompletedProcess[bytes]:
    target = f"{written(tmp_path, MODEL)}:Toy"
    return subprocess.run([sys.executable, worker_side.__file__, target], input=requests, capture_output=True, timeout=60)


HELLO = {"call": "hello", "id": 1, "protocol": 1, "weights": None, "device": "auto", "arguments": {"gain": 3}}


def test_our_side_keeps_to_the_document(tmp_path: Path) -> None:
    image = np.full((2, 3, 3), 30, np.uint8)
    described = [{"name": "boxes_xyxy_px", "dtype": "<f8", "shape": [1, 4]}, {"name": "image", "dtype": "|u1", "shape": [2, 3, 3]}]
    predict = framed({"call": "predict", "id": 2, "arrays": described}, struct.pack("<4d", 7, 0, 1, 1) + image.tobytes())
    done = spoken_to(tmp_path, framed(HELLO) + predict)
    (hello, nothing), (answer, arrays) = unframed(done.stdout)
    assert done.returncode == 0 and nothing == b""
    assert {k: hello[k] for k in ("id", "protocol", "version", "trained_on", "batch_size")} == {
        "id": 1, "protocol": 1, "version": "7", "trained_on": ["300w-lp"], "batch_size": 3,
    }  # fmt: skip
    assert (answer["id"], answer["convention"], answer["failure"]) == (2, "300w-lp", [""])
    assert answer["arrays"] == [{"name": "euler_deg", "dtype": "<f8", "shape": [1, 3]}]
    assert struct.unpack("<3d", arrays) == (30.0, 1.0, -30 / 9)


def test_our_side_refuses_another_protocol(tmp_path: Path) -> None:
    ((answer, _),) = unframed(spoken_to(tmp_path, framed({**HELLO, "protocol": 2})).stdout)
    assert answer["error"] == "hpbench speaks protocol 2, worker_side.py 1." and answer["id"] == 1


@pytest.mark.parametrize(
    ("requests", "message"),
    [
        (b"GET / HTTP/1.1\r\n", "'GET / HTTP/1.1' where a frame begins"),
        (b"\x93HPB" + struct.pack("<IQ", 2**30, 0), "a header of 1073741824"),
        (framed(HELLO)[:-2], "the stream ends within a frame"),
    ],
)
def test_our_side_ends_when_it_is_spoken_to_wrongly(tmp_path: Path, requests: bytes, message: str) -> None:
    done = spoken_to(tmp_path, requests)
    assert (done.returncode, done.stdout) == (1, b"") and message in done.stderr.decode() and b"Traceback" not in done.stderr


def test_the_document_states_the_limits_and_options() -> None:
    text = (Path(__file__).resolve().parents[1] / "docs/add-a-model.md").read_text(encoding="utf-8")
    if "## 5. A worker" not in text:
        pytest.skip("docs/add-a-model.md does not describe workers yet")
    for limit, words in (
        (worker_side.MAX_HEADER_BYTES, "16 MiB"),
        (worker_side.MAX_REQUEST_BYTES, "4 GiB"),
        (worker_side.MAX_ANSWER_BYTES, "256 MiB"),
    ):
        assert words in text and limit == int(words.split()[0]) << (30 if "GiB" in words else 20)
    for name, default in worker_module_defaults().items():
        assert f"| `{name}` | {default} |" in text


def worker_module_defaults() -> dict[str, str]:
    from hpbench.models.worker import WorkerSpec

    spec = WorkerSpec(("x",))
    return {"timeout_s": f"{spec.timeout_s:g}", "start_timeout_s": f"{spec.start_timeout_s:g}", "memory_mib": "none"}


def test_no_thread_is_needed_to_say_goodbye(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.12 starts no thread while it ends, which is when most workers are closed."""
    process = worker_pipe.WorkerProcess([sys.executable, "-S", str(programs / "speaker.py"), "@"])
    process.call({"call": "hello"}, [], 10)
    monkeypatch.setattr("threading.Thread.start", lambda self: pytest.fail("a thread"))
    process.close()
