"""What a night brings, in short: kills, full disks, damaged parts, models that fail; ``make faults`` is the long form."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("resource", reason="the faults are made by forks and signals: POSIX")

from faults.campaign import FACES, KINDS, Scene, by_kind, differences, kill_at_steps, kind_of, real_process, write_results
from faults.zygote import Zygote

from hpbench.parts import FOLDER
from hpbench.predictions import read_predictions

PART = f"{FOLDER}/part-00000{{}}.h5"
LONG_S = 60.0


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("faults")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HPBENCH_CACHE", str(folder / "cache"))
        with Zygote(folder) as zygote:
            yield Scene(folder, zygote)


@pytest.fixture(scope="module")
def steps(scene: Scene) -> list[str]:
    return scene.steps(scene.whole)


def third_part(steps: list[str]) -> int:
    """The step at which the third part gets its name."""
    return next(n for n, step in enumerate(steps) if step.startswith("os.rename") and "/.part-000003" in step)


def half_done(scene: Scene, steps: list[str], name: str) -> Path:
    """The folder of a run that was killed when some of its parts were written."""
    out = scene.out(name)
    assert scene.zygote.run(scene.command(out), watched=out, kill_at=third_part(steps)).code == -signal.SIGKILL
    assert 2 <= len(list((out / FOLDER).glob("part-*.h5"))) < 6 and (out / ".lock").exists()
    return out


def sentence(told: str) -> str:
    """The one thing that went wrong, as the user is told."""
    assert "Traceback" not in told and "Error" not in told.replace("KeyError", ""), told
    (line,) = [line for line in told.splitlines() if line.startswith("hpbench: ")]
    return line


def goes_on(scene: Scene, out: Path, *told: str) -> None:
    """The same command again comes to the same end as an undisturbed run."""
    done = scene.zygote.run(scene.command(out))
    assert done.code == 0, done.told
    assert differences(out, scene.reference) == []
    for text in told:
        assert text in done.told


def test_every_step_has_a_kind(steps: list[str]) -> None:
    kinds = by_kind(steps)
    assert kinds.keys() == KINDS.keys() - {"shares removed"}, kinds
    assert kind_of("os.rename /predictions.parts/.part-000001.h5.31886.tmp") == "part written"
    assert len(kinds["part written"]) >= 6 * 3 and len(kinds["parts removed"]) >= 8


@pytest.mark.parametrize("where", ["last", pytest.param("middle", marks=pytest.mark.long)])
@pytest.mark.parametrize("kind", [k for k in KINDS if k != "shares removed"])
def test_killed_before_a_step_and_begun_again(scene: Scene, steps: list[str], kind: str, where: str) -> None:
    numbers = by_kind(steps)[kind]
    chosen = numbers[-1] if where == "last" else numbers[len(numbers) // 2]
    result, faults = kill_at_steps(scene, kind, [chosen], scene.whole)
    assert faults == [] and result.identical == result.rounds == 1


@pytest.mark.long
def test_killed_twice(scene: Scene, steps: list[str]) -> None:
    rng = np.random.default_rng(1)
    _, faults = kill_at_steps(scene, "twice", rng.integers(len(steps), size=2), scene.whole, again=rng)
    assert faults == []


def test_a_merge_that_is_killed(scene: Scene) -> None:
    numbers = by_kind(scene.steps(scene.merging))
    chosen = [numbers[kind][-1] for kind in ("part written", "record written")]
    _, faults = kill_at_steps(scene, "merge", chosen, scene.merging)
    assert faults == []


def test_a_difference_would_be_seen(scene: Scene, steps: list[str]) -> None:
    """The campaign's own eyes: another model's files, a file too many, a record that says something else."""
    out = scene.out("other")
    assert scene.zygote.run(scene.command(out, "Steady", "--limit", "21")).code == 0
    assert "predictions.h5" in differences(out, scene.reference) and "aflw2000.pose-1969@1.json" in differences(out, scene.reference)
    goes_on(scene, scene.out("same"))
    (scene.folder / "same" / ".predictions.h5.1.tmp").write_bytes(b"")
    assert differences(scene.folder / "same", scene.reference) == [".predictions.h5.1.tmp"]


@pytest.mark.parametrize("what", ["part", "joined", "errors"])
def test_a_full_disk(scene: Scene, what: str) -> None:
    """A sentence and exit code 2, wherever it is full; what was written is kept, and a run with room goes on."""
    sizes = {
        "part": 1000,
        "joined": (scene.reference / "predictions.h5").stat().st_size - 1,
        "errors": max(p.stat().st_size for p in scene.reference.glob("*.errors.npz")) - 1,
    }
    out = scene.out("full")
    done = scene.zygote.run(scene.command(out), file_bytes=sizes[what])
    assert done.code == 2
    assert "cannot be written (File too large)" in sentence(done.told)
    assert not list(out.rglob("*.tmp"))
    kept = list((out / FOLDER).glob("part-*.h5"))
    assert len(kept) == (0 if what == "part" else 6)
    goes_on(scene, out, *([] if what == "part" else [f"{FACES} of {FACES} faces are done"]))


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "foreign"])
def test_a_damaged_part_is_computed_again(scene: Scene, steps: list[str], damage: str) -> None:
    out = half_done(scene, steps, "damaged")
    part = out / PART.format(1)
    content = part.read_bytes()
    at = content.rindex(np.float64(read_predictions(part).faces.euler_deg[2, 1]).tobytes())  # type: ignore[index]
    part.write_bytes({
        "cut": content[:-500], "flip": content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :], "empty": b"",
        "foreign": (out / PART.format(0)).read_bytes(),
    }[damage])  # fmt: skip
    goes_on(scene, out, "part-000001.h5 is damaged", "continuing the unfinished run")


def test_damaged_settings_are_refused(scene: Scene, steps: list[str]) -> None:
    out = half_done(scene, steps, "settings")
    (out / FOLDER / "run.json").write_bytes(b"{")
    done = scene.zygote.run(scene.command(out))
    assert done.code == 2 and "run.json is damaged: continue that one, choose another -o, or delete the folder" in sentence(done.told)


def test_a_clock_that_is_wrong(scene: Scene, steps: list[str]) -> None:
    """Set back by ten years in the middle of a run, which then finds files from the future."""
    out = half_done(scene, steps, "clock")
    for path in out.rglob("*"):
        os.utime(path, (time.time() + 4e8,) * 2)
    done = scene.zygote.run(scene.command(out), clock_shift_s=-3e8)
    assert done.code == 0 and differences(out, scene.reference) == []


def test_parts_on_another_file_system(scene: Scene, steps: list[str]) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or not os.access(other, os.W_OK) or other.stat().st_dev == scene.folder.stat().st_dev:
        pytest.skip("there is no second file system to write to")
    import tempfile

    with tempfile.TemporaryDirectory(dir=other) as name:
        out = scene.out("linked")
        out.mkdir()
        (out / FOLDER).symlink_to(name)
        assert scene.zygote.run(scene.command(out), watched=out, kill_at=third_part(steps)).code == -signal.SIGKILL
        assert scene.zygote.run(scene.command(out)).code == 0
        assert differences(out, scene.reference) == [FOLDER] and os.listdir(name) == []


def test_a_folder_that_cannot_be_written_to(scene: Scene) -> None:
    """/proc is nobody's, not even root's."""
    if not Path("/proc/self").exists():
        pytest.skip("there is no /proc")
    done = scene.zygote.run(scene.command(Path("/proc/nowhere")))
    assert done.code == 2 and "/proc/nowhere: cannot be used for output" in sentence(done.told)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write and read everything")
def test_folders_without_permission(scene: Scene) -> None:
    out = scene.out("locked")
    out.mkdir(mode=0o500)
    done = scene.zygote.run(scene.command(out))
    assert done.code == 2 and "Permission denied" in sentence(done.told)
    closed = scene.out("closed")
    closed.mkdir(mode=0o000)
    done = scene.zygote.run([*scene.command(scene.out("o"))[:5], "--data", str(closed), "-o", str(scene.out("o"))])
    closed.chmod(0o700)
    assert done.code in (2, 3) and str(closed) in sentence(done.told)


def test_the_data_are_only_read(scene: Scene) -> None:
    faces = scene.folder / "faces"

    def state() -> list[tuple[str, int, int]]:
        return sorted((p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in (faces, *faces.iterdir()))

    before = state()
    done = scene.zygote.run(scene.command(scene.out("reading")), watched=faces)
    ours = [step for step in done.steps if " /" in step]  # the rest are parts that are removed, somewhere else
    assert done.code == 0 and ours == [] and state() == before


@pytest.mark.parametrize("what", ["remove", "truncate"])
def test_an_image_that_goes_while_the_run_goes_on(scene: Scene, what: str) -> None:
    victim = sorted((scene.folder / "faces").glob("*.jpg"))[-1]
    content, stamp = victim.read_bytes(), victim.stat().st_mtime_ns
    out = scene.out("gone")
    arguments = [f"what={what}", f"marker={scene.folder / what}", f"victim={victim}"]
    try:
        done = scene.zygote.run(scene.command(out, "Once", *(x for a in arguments for x in ("--model-arg", a)), "--workers", "1"))
    finally:
        victim.write_bytes(content)
        os.utime(victim, ns=(stamp, stamp))
    assert done.code == 0, done.told
    faces = read_predictions(out / "predictions.h5").faces
    assert [i for i, r in enumerate(faces.failure) if r] == [FACES - 1]  # type: ignore[arg-type]
    assert faces.failure[-1].startswith("unreadable image: ") and victim.name in faces.failure[-1]  # type: ignore[index]
    record = json.loads((out / "aflw2000.pose-1969@1.json").read_text())
    assert record["partial"] and any("could not be read" in note for note in record["notes"])


def test_a_model_that_crashes_the_process(scene: Scene) -> None:
    out, whole = scene.out("crashed"), scene.out("whole")
    arguments = ["--model-arg", "what=segfault", "--model-arg", f"marker={scene.folder / 'segfault'}"]
    codes = [scene.zygote.run(scene.command(out, "Once", *arguments)).code for _ in range(2)]
    assert codes == [-signal.SIGSEGV, 0]
    assert scene.zygote.run(scene.command(whole, "Once", *arguments)).code == 0
    assert differences(out, whole) == []


def test_memory_that_is_short_once(scene: Scene) -> None:
    out = scene.out("short")
    done = scene.zygote.run(scene.command(out, "Once", "--model-arg", "what=memory", "--model-arg", f"marker={scene.folder / 'memory'}"))
    assert done.code == 0 and "out of memory with 4 faces a call: going on with 2" in done.told
    assert differences(out, scene.reference) == [n for n in differences(out, scene.reference) if n.endswith(".json")]  # its arguments


def test_two_runs_into_one_folder(scene: Scene) -> None:
    out = scene.out("two")
    with real_process(scene.command(out, "Hangs"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
        wait_for_parts(out, first)
        second = scene.zygote.run(scene.command(out))
        first.kill()
    assert second.code == 2
    assert f"{out}: a run is under way there: wait for its end, or choose another folder with -o" in sentence(second.told)


def wait_for_parts(out: Path, process: subprocess.Popen[str], least: int = 1) -> None:
    deadline = time.monotonic() + LONG_S
    while len(list((out / FOLDER).glob("part-*.h5"))) < least and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.01)


def test_a_model_that_hangs(scene: Scene) -> None:
    out = scene.out("hanging")
    with real_process(scene.command(out, "Hangs", "--timeout", "1"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        told = process.communicate(timeout=LONG_S)[1]
    assert process.returncode == 2
    assert "model steady has not answered for 1 s (--timeout): finished parts are kept" in sentence(told)
    assert len(list((out / FOLDER).glob("part-*.h5"))) == 2


@pytest.mark.parametrize(("signals", "codes"), [
    ([signal.SIGINT], {130}),
    pytest.param([signal.SIGINT] * 3, {130, -signal.SIGINT}, marks=pytest.mark.long),
    pytest.param([signal.SIGTERM], {-signal.SIGTERM}, marks=pytest.mark.long),
])  # fmt: skip
def test_told_to_stop(scene: Scene, signals: list[int], codes: set[int]) -> None:
    """Ctrl-C ends in order, more of it at once, SIGTERM at once: what is finished is kept, and nobody sees a traceback."""
    out = scene.out("told")
    with real_process(
        scene.command(out, "Steady", "--model-arg", "delay=0.2"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:  # fmt: skip
        wait_for_parts(out, process)
        for sign in signals:
            process.send_signal(sign)
            time.sleep(0.002)
        told = process.communicate(timeout=LONG_S)[1]
    assert process.returncode in codes
    assert "Traceback" not in told
    assert "interrupted. A run keeps its finished parts" in told or process.returncode < 0
    kept = len(list((out / FOLDER).glob("part-*.h5")))
    assert kept >= 1
    done = scene.zygote.run(scene.command(out, "Steady", "--model-arg", "delay=0.2"))
    assert done.code == 0 and "continuing the unfinished run" in done.told
    assert (out / "predictions.h5").read_bytes() == (scene.reference / "predictions.h5").read_bytes()


def test_the_table_of_a_campaign(scene: Scene, steps: list[str], tmp_path: Path) -> None:
    result, _ = kill_at_steps(scene, "parts joined", by_kind(steps)["parts joined"][:1], scene.whole)
    write_results(tmp_path / "faults.csv", [result])
    head, line = (tmp_path / "faults.csv").read_text().splitlines()
    assert head == "kind,rounds,identical,seconds" and line.startswith("parts joined,1,1,")
