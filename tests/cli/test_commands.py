"""The `looksee` command, run as a program against a real hub of our own (`tests/support/hub.py`)."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from looksee.models.registry import REGISTRY
from looksee.models.weights.source import SAMPLES
from looksee.version import VERSION
from tests.support.hub import Hub, Repository, serving
from tests.support.serving import ROOT, free_port

BLIP = REGISTRY["blip"]
SMALL = {"config.json": b'{"model_type": "blip"}', "vocab.txt": b"a\nred\n"}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def sample() -> dict[str, bytes]:
    """The files of BLIP's sample weights; the checkpoint is some megabytes."""
    return Repository.of(SAMPLES / "blip", BLIP.revision).files


@pytest.fixture
def hub(sample: dict[str, bytes]) -> Iterator[Hub]:
    with serving({BLIP.hub_id: Repository(dict(sample), BLIP.revision)}) as running:
        yield running


class Program:
    """`looksee` with a hub and a cache of its own."""

    def __init__(self, hub: str, home: Path) -> None:
        ours = {"HF_ENDPOINT": hub, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "PYTHONPATH": str(ROOT)}
        self.env = {
            name: value for name, value in os.environ.items() if not name.startswith(("HF_", "LOOKSEE_"))
        } | ours
        self.home = home
        self.work = home / "work"  # without an .env
        self.work.mkdir(parents=True)

    def start(self, *words: str, **env: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "looksee", *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.work, env=self.env | env, stdout=pipe, stderr=pipe, text=True)

    def __call__(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*words, **env)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def partial(self) -> int:
        """Bytes of a large file that is not here as a whole."""
        return sum(file.stat().st_size for file in self.home.rglob("*.incomplete"))


@pytest.fixture
def looksee(hub: Hub, tmp_path: Path) -> Program:
    return Program(hub.url, tmp_path / "home")


def directory_of(out: str) -> Path:
    found = re.search(r"in (/\S+)$", out, re.M)
    assert found, out
    return Path(found[1])


def whole(directory: Path, files: dict[str, bytes]) -> bool:
    """Whether the checkpoint is there as it was published; its card need not be."""
    wanted = {name: content for name, content in files.items() if not name.endswith(".md")}
    return {file.name: file.read_bytes() for file in directory.iterdir()} == wanted


# --- pull ------------------------------------------------------------------------------------------------------------


def test_what_was_pulled_is_loaded_without_the_hub(hub: Hub, looksee: Program, sample: dict[str, bytes]) -> None:
    done = looksee("pull", "blip")
    assert (done.returncode, done.stderr) == (0, "")
    first, last = done.stdout.splitlines()
    assert first == f"blip: {BLIP.hub_id} at {BLIP.revision[:12]}"
    size = sum(len(content) for name, content in sample.items() if not name.endswith(".md"))
    assert last.startswith(f"blip: {size / 1e6:.2f} MB in {looksee.home}")
    assert whole(directory_of(done.stdout), sample)
    hub.close()
    code = """
from looksee.models.loading import load
from looksee.models.weights.source import resolve
source = resolve("blip", "hub", "")
print(source.identity())
print(type(load("blip", source.directory(), device="cpu", dtype="float32")).__name__)
"""
    env = looksee.env | {"HF_HUB_OFFLINE": "1"}
    loaded = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert loaded.returncode == 0, loaded.stderr
    assert loaded.stdout.splitlines()[-1] == "Blip"
    assert f"{BLIP.hub_id}@{BLIP.revision}" in loaded.stdout


def test_a_commit_that_is_here_asks_nobody(hub: Hub, looksee: Program) -> None:
    looksee("pull", "blip")
    asked = len(hub.requests)
    again = looksee("pull", "blip")
    assert again.returncode == 0
    assert "MB in /" in again.stdout
    assert len(hub.requests) == asked


@pytest.mark.parametrize(("how", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_an_interrupted_pull_goes_on_where_it_ended(
    how: signal.Signals, code: int, hub: Hub, looksee: Program, sample: dict[str, bytes]
) -> None:
    hub.pause = 0.02
    process = looksee.start("pull", "blip")
    end = time.monotonic() + 30
    while looksee.partial() < 2**20 and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(how)
    _, err = process.communicate(timeout=30)
    assert process.returncode == code
    if how == signal.SIGINT:
        assert "blip: interrupted; the same command goes on from here." in err
    assert "Traceback" not in err
    here = looksee.partial()
    assert 2**20 <= here < len(sample["model.safetensors"])
    assert looksee("models").stdout.splitlines()[1].endswith(" -"), "a part is not the whole"
    hub.pause, hub.requests = 0, []
    again = looksee("pull", "blip")
    assert again.returncode == 0, again.stderr
    (download,) = hub.downloads()
    assert download.range == f"bytes={here}-"
    assert download.sent == len(sample["model.safetensors"]) - here
    assert whole(directory_of(again.stdout), sample)


def test_a_connection_that_breaks_is_taken_up_again(hub: Hub, looksee: Program, sample: dict[str, bytes]) -> None:
    hub.cut_after = [2**20, 2**20]
    done = looksee("pull", "blip")
    assert done.returncode == 0, done.stderr
    ranges = [one.range for one in hub.downloads()]
    assert ranges == ["bytes=0-", f"bytes={2**20}-", f"bytes={2**21}-"]
    assert whole(directory_of(done.stdout), sample)


def test_a_server_without_ranges_sends_it_all_again(hub: Hub, looksee: Program, sample: dict[str, bytes]) -> None:
    hub.ignore_ranges, hub.cut_after = True, [2**20]
    done = looksee("pull", "blip")
    assert done.returncode == 0, done.stderr
    assert whole(directory_of(done.stdout), sample)


_NO_WAITS = """
import time

def sleep(seconds):
    with open("waits", "a") as waits:
        print(seconds, file=waits)

time.sleep = sleep
"""


def test_a_hub_that_sends_nothing_is_given_up(hub: Hub, looksee: Program) -> None:
    hub.cut_after = [0] * 9
    (looksee.home / "sitecustomize.py").write_text(_NO_WAITS)  # imported by each start of Python
    done = looksee("pull", "blip", PYTHONPATH=f"{looksee.home}{os.pathsep}{ROOT}")
    assert (looksee.work / "waits").read_text().split() == ["1", "2", "3", "4"]
    assert done.returncode == 1
    assert done.stderr == f"blip: The hub ({hub.url}) cannot be reached; check the network.\n"
    assert len(hub.downloads()) == 5


def test_damage_is_noticed_and_thrown_away(hub: Hub, looksee: Program, sample: dict[str, bytes]) -> None:
    digest = hashlib.sha256(sample["model.safetensors"]).hexdigest()
    blobs = looksee.home / "hub" / f"models--{BLIP.hub_id.replace('/', '--')}" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{digest}.incomplete").write_bytes(b"\0" * 1000)
    done = looksee("pull", "blip")
    assert done.returncode == 1
    assert done.stderr.startswith(f"blip: model.safetensors of {BLIP.hub_id} arrived damaged")
    assert looksee("pull", "blip").returncode == 0


def test_two_pulls_at_once_fetch_a_file_once(hub: Hub, looksee: Program, sample: dict[str, bytes]) -> None:
    hub.pause = 0.01
    both = [looksee.start("pull", "blip") for _ in range(2)]
    results = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], results
    assert sum(one.sent for one in hub.downloads()) == len(sample["model.safetensors"])


def test_a_gated_model_names_the_page_and_the_token(hub: Hub, looksee: Program) -> None:
    hub.repositories[BLIP.hub_id].opened_by = "hf_right"
    for env in ({}, {"HF_TOKEN": "hf_wrong"}):
        done = looksee("pull", "blip", **env)
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1] == (
            f"blip: {BLIP.hub_id} is gated: accept its licence at {hub.url}/{BLIP.hub_id} and set HF_TOKEN to a token "
            "of that account."
        )
        assert "hf_wrong" not in done.stderr
    assert looksee("pull", "blip", HF_TOKEN="hf_right").returncode == 0
    assert not any(one.token for one in hub.downloads()), "the token went to another host"


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("owner/name", "There is no owner/name on the hub, or HF_TOKEN does not open it."),
        (f"{BLIP.hub_id}@v9", f"{BLIP.hub_id} has no revision 'v9'."),
        ("owner/na--me", "'owner/na--me' is no id of the hub."),
        ("empty/empty", "empty/empty has no weights that can be loaded here."),
        ("huge/huge", "The disk has no room for huge/huge: 9007199.3 GB are missing and"),
    ],
)
def test_what_cannot_be_fetched_is_told_in_a_sentence(setting: str, sentence: str, hub: Hub, looksee: Program) -> None:
    hub.repositories["empty/empty"] = Repository(dict(SMALL), COMMIT)
    weights = SMALL | {"model.safetensors": b"x"}
    hub.repositories["huge/huge"] = Repository(weights, COMMIT, claimed={"model.safetensors": 2**53})
    done = looksee("pull", "blip", LOOKSEE_BLIP_WEIGHTS=setting)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"blip: {sentence}")


def test_without_a_network(tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    looksee = Program(nowhere, tmp_path / "home")
    done = looksee("pull", "blip")
    assert (done.returncode, done.stderr) == (1, f"blip: The hub ({nowhere}) cannot be reached; check the network.\n")
    done = looksee("pull", "blip", HF_HUB_OFFLINE="1")
    sentence = f"blip: {BLIP.hub_id} is not here as a whole, and HF_HUB_OFFLINE forbids to fetch it.\n"
    assert (done.returncode, done.stderr) == (1, sentence)


def test_a_setting_with_a_branch_follows_it(hub: Hub, looksee: Program) -> None:
    env = {"LOOKSEE_BLIP_WEIGHTS": "owner/name@next"}
    files = SMALL | {"model.safetensors": b"first"}
    hub.repositories["owner/name"] = Repository(files, COMMIT, {"next"})
    assert whole(directory_of(looksee("pull", "blip", **env).stdout), files)
    moved = SMALL | {"model.safetensors": b"second"}
    hub.repositories["owner/name"] = Repository(moved, COMMIT[::-1], {"next"})
    assert whole(directory_of(looksee("pull", "blip", **env).stdout), moved)
    hub.status = 500  # what was fetched before must do
    assert whole(directory_of(looksee("pull", "blip", **env).stdout), moved)
    assert looksee("models", **env).stdout.splitlines()[1].endswith(" 0.00 MB of owner/name")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"pytorch_model.bin", "tf_model.h5"}, {"pytorch_model.bin"}),
        ({"pytorch_model.bin", "model.safetensors"}, {"model.safetensors"}),
    ],
)
def test_pickles_are_fetched_where_there_is_nothing_else(
    names: set[str], expected: set[str], hub: Hub, looksee: Program
) -> None:
    hub.repositories["owner/name"] = Repository(SMALL | {name: name.encode() for name in names}, COMMIT)
    done = looksee("pull", "blip", LOOKSEE_BLIP_WEIGHTS="owner/name")
    assert {file.name for file in directory_of(done.stdout).iterdir()} == set(SMALL) | expected


def test_a_directory_needs_no_pull(looksee: Program) -> None:
    done = looksee("pull", "blip", LOOKSEE_BLIP_WEIGHTS=str(SAMPLES / "blip"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"blip: a directory is set, nothing to fetch: {SAMPLES / 'blip'}\n"
    done = looksee("pull", "blip", LOOKSEE_BLIP_WEIGHTS="/nowhere")
    assert done.returncode == 1
    assert "there is no checkpoint in it" in done.stderr


def test_samples_do_not_stand_in_for_what_is_pulled(hub: Hub, looksee: Program) -> None:
    assert looksee("pull", "blip", LOOKSEE_WEIGHTS="sample", LOOKSEE_BLIP_WEIGHTS="sample").returncode == 0
    assert hub.downloads()


def test_all_of_them_and_one_that_fails(hub: Hub, looksee: Program) -> None:
    for entry in REGISTRY.values():
        hub.repositories[entry.hub_id] = Repository(SMALL | {"model.safetensors": b"x"}, entry.revision)
        if entry.tokenizer:
            repository, commit = entry.tokenizer
            hub.repositories[repository] = Repository({"tokenizer.json": b"{}"}, commit)
    missing = REGISTRY["gemma"]
    gemma = hub.repositories.pop(missing.hub_id)
    done = looksee("pull", "--all")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"gemma: There is no {missing.hub_id} on the hub, or HF_TOKEN does not open it."
    ]
    assert done.stdout.count("MB in /") == len(REGISTRY) - 1
    hub.repositories[missing.hub_id] = gemma
    assert looksee("pull", "--all").returncode == 0


def test_a_tokenizer_of_another_repository_comes_with_its_model(hub: Hub, looksee: Program) -> None:
    entry = REGISTRY["moondream"]
    assert entry.tokenizer is not None
    repository, commit = entry.tokenizer
    hub.repositories[entry.hub_id] = Repository(SMALL | {"model.safetensors": b"x"}, entry.revision)
    code = "from looksee.models.weights.source import resolve; source = resolve('moondream', 'hub', '')"
    code += "; print(source.fetched(), source.files())"

    def here() -> str:
        command = [sys.executable, "-c", code]
        return subprocess.run(command, env=looksee.env, capture_output=True, text=True, check=True).stdout.strip()

    done = looksee("pull", "moondream")
    assert done.returncode == 1
    assert done.stderr == f"moondream: There is no {repository} on the hub, or HF_TOKEN does not open it.\n"
    assert here() == "None {}"
    tokenizer = {"tokenizer.json": b'{"version": "1.0"}', "more.json": b"{}"}
    hub.repositories[repository] = Repository(tokenizer, commit)
    done = looksee("pull", "moondream")
    assert (done.returncode, done.stderr) == (0, "")
    directory = directory_of(done.stdout)
    (file,) = looksee.home.rglob("snapshots/*/tokenizer.json")
    assert file.read_bytes() == tokenizer["tokenizer.json"]
    assert not list(looksee.home.rglob("more.json")), "one file of it is enough"
    assert here() == f"{directory} { ({'tokenizer': file}) }"
    asked = len(hub.requests)
    assert looksee("pull", "moondream").returncode == 0
    assert len(hub.requests) == asked
    file.unlink()
    assert here() == "None {}", "a checkpoint that nobody can read words with is not whole"


def test_a_pull_needs_a_model_that_there_is(looksee: Program) -> None:
    for words in (["pull"], ["pull", "gpt"]):
        done = looksee(*words)
        assert done.returncode == 2
        assert f"Choose from: {', '.join(REGISTRY)}." in done.stderr


# --- the rest --------------------------------------------------------------------------------------------------------


def test_models_that_are_not_served_are_neither_listed_nor_pulled(looksee: Program) -> None:
    listed = looksee("models", LOOKSEE_MODELS="blip,moondream")
    assert [line.split()[0] for line in listed.stdout.splitlines()[1:]] == ["blip", "moondream"]
    refused = looksee("pull", "gemma", LOOKSEE_MODELS="blip,moondream")
    assert refused.returncode == 2
    assert "there is no model 'gemma'. Choose from: blip, moondream." in refused.stderr
    wrong = looksee("models", LOOKSEE_MODELS="blip,gemini")
    assert wrong.returncode == 1
    assert "LOOKSEE_MODELS" in wrong.stderr


def test_the_catalogue_as_a_table(looksee: Program, sample: dict[str, bytes]) -> None:
    before = looksee("models")
    assert before.returncode == 0
    head, *rows = before.stdout.splitlines()
    assert re.split(r"  +", head)[0] == "name"
    for entry, row in zip(REGISTRY.values(), rows, strict=True):
        for part in (
            entry.name,
            entry.title,
            entry.hub_id,
            entry.licence,
            entry.size,
            " yes " if entry.gated else " no ",
        ):
            assert part in row
        assert row.endswith(" -")
    looksee("pull", "blip")
    blip, *others = looksee("models").stdout.splitlines()[1:]
    size = sum(len(content) for name, content in sample.items() if not name.endswith(".md"))
    assert blip.endswith(f"  {size / 1e6:.2f} MB")
    assert all(row.endswith(" -") for row in others)


def test_help_and_version_import_nothing_heavy(looksee: Program) -> None:
    assert looksee("--version").stdout == f"looksee {VERSION}\n"
    assert "pull" in looksee("-h").stdout
    code = (
        "import sys, looksee.cli.main\n"
        "assert not {'torch', 'transformers', 'huggingface_hub', 'bentoml', 'pydantic'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], env=looksee.env, check=True)


def test_a_setting_that_is_wrong_is_told(looksee: Program) -> None:
    done = looksee("models", LOOKSEE_BLIP_DTYPE="float8")
    assert done.returncode == 1
    assert "LOOKSEE_BLIP_DTYPE" in done.stderr


def test_the_command_is_installed_and_works_from_anywhere(looksee: Program) -> None:
    env = {name: value for name, value in looksee.env.items() if name != "PYTHONPATH"}
    program = Path(sys.executable).with_name("looksee")
    done = subprocess.run([program, "models"], cwd=looksee.work, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == looksee("models").stdout
