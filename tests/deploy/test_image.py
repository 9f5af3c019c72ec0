"""What is in the images, as the builder is told it: BentoML's Containerfile for our definition, completed."""

from __future__ import annotations

import re
import subprocess
import warnings
from pathlib import Path

import pytest
import yaml
from bentoml._internal.bento.build_config import BentoEnvSchema

import service
from deploy.image import definition
from deploy.image.__main__ import default_tag, main
from deploy.image.building import prepare
from deploy.image.containerfile import completed
from looksee.models.registry import REGISTRY
from tests.support.serving import ROOT

ENTRYPOINT = ROOT / "deploy" / "image" / "entrypoint.sh"


def rendered(torch: str, folder: Path) -> tuple[str, str]:
    """BentoML's Containerfile and the requirements, as it writes them into a bento."""
    envs = yaml.safe_load((ROOT / "bentofile.yaml").read_text())["envs"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of BentoML's way to its own files
        info = definition.definition(torch).freeze(folder, [BentoEnvSchema(**one) for one in envs])
    return (folder / "env" / "docker" / "Dockerfile").read_text(), info.python_requirements


@pytest.fixture(scope="module")
def cpu(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    return rendered("cpu", tmp_path_factory.mktemp("cpu"))


@pytest.fixture(scope="module")
def gpu(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    return rendered("pypi", tmp_path_factory.mktemp("gpu"))


def names(requirements: str) -> set[str]:
    return {line.partition("==")[0] for line in requirements.splitlines() if re.match(r"[a-z0-9]", line)}


def test_base_and_installer_are_pinned_and_nothing_of_debian_is_installed(cpu: tuple[str, str]) -> None:
    text = cpu[0]
    assert re.search(r"^FROM docker\.io/library/python:3\.11\.\d+-slim-bookworm ", text, re.MULTILINE)
    assert re.search(r"^RUN pip install .* uv==[\d.]+$", text, re.MULTILINE)
    assert "apt-get" not in text


def test_the_installer_of_the_images_is_the_one_that_wrote_the_lock() -> None:
    assert f'"{definition.UV}"' in (ROOT / "pyproject.toml").read_text()


def test_the_gpu_image_has_all_that_is_locked_with_hashes(gpu: tuple[str, str]) -> None:
    locked = (ROOT / "requirements.txt").read_text()
    assert names(gpu[1]) == names(locked)
    assert set(re.findall(r"sha256:\w+", gpu[1])) == set(re.findall(r"sha256:\w+", locked))
    assert "torch-backend" not in gpu[0]


@pytest.mark.parametrize("torch", ["cpu", "cu126"])
def test_other_builds_of_torch_come_from_their_index_without_the_packages_of_cuda(torch: str, tmp_path: Path) -> None:
    text, requirements = rendered(torch, tmp_path)
    assert f'torch-backend = "{torch}"' in text
    left = names((ROOT / "requirements.txt").read_text()) - names(requirements)
    assert left == set(definition.cuda_packages())
    assert {"triton", "cuda-toolkit", "nvidia-cublas"} <= left
    assert "nvidia-ml-py" not in left  # which BentoML needs on every machine


def test_only_torch_has_no_hash_in_the_cpu_image(cpu: tuple[str, str]) -> None:
    entries = definition.requirements((ROOT / "requirements.txt").read_text(), "cpu")
    assert [entry for entry in entries if "--hash=" not in entry] == ["torch==2.13.0"]


def test_a_build_of_torch_that_is_unknown_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no build of torch named 'rocm'\. Choose from: pypi, cpu, cu126"):
        definition.definition("rocm")


def test_the_folder_for_weights_is_the_users_and_the_one_of_hf_home(cpu: tuple[str, str]) -> None:
    assert re.search(rf"^RUN install -d -o bentoml -g bentoml .*{definition.WEIGHTS}$", cpu[0], re.MULTILINE)
    assert f"ARG HF_HOME={definition.WEIGHTS}\n" in cpu[0]


def test_the_service_is_built_with_this_image_and_the_bentofile_has_no_other() -> None:
    image = service.services()["Looksee"].image
    assert image is not None
    assert image.base_image == definition.BASE
    assert not {"docker", "python"} & yaml.safe_load((ROOT / "bentofile.yaml").read_text()).keys()


def test_it_writes_under_tmp_alone_and_has_a_health_probe(cpu: tuple[str, str]) -> None:
    lines = completed(cpu[0]).splitlines()
    assert [line for line in lines if line.startswith("ENV BENTOML_HOME")] == ["ENV BENTOML_HOME=/tmp/looksee"]
    assert [line for line in lines if line.startswith("EXPOSE")] == ["EXPOSE 3000"]
    assert lines[-2].startswith("HEALTHCHECK")
    assert lines[-2].endswith("CMD python -m looksee ready")


def test_bars_of_progress_are_off_and_the_log_is_json(cpu: tuple[str, str]) -> None:
    for line in ("ARG TQDM_DISABLE=1", "ARG HF_HUB_DISABLE_PROGRESS_BARS=1", "ARG LOOKSEE_LOG_FORMAT=json"):
        assert line in cpu[0].splitlines()


def test_weights_are_baked_in_as_the_images_user_and_the_token_stays_out(cpu: tuple[str, str]) -> None:
    lines = completed(cpu[0], bake=["blip", "moondream"], secret=True).splitlines()
    pull = lines[lines.index("USER bentoml") + 1]
    assert pull.startswith("RUN --mount=type=secret,id=hf_token")
    assert pull.endswith("python -m looksee pull blip moondream")
    assert not [line for line in lines if re.match("(ENV|ARG) HF_TOKEN", line)]


def test_a_containerfile_that_is_written_otherwise_is_refused(cpu: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="has 0 lines that begin with 'ENV BENTOML_HOME='"):
        completed(cpu[0].replace("ENV BENTOML_HOME", "ENV HOME"))


@pytest.mark.parametrize(("torch", "tag"), [("pypi", "looksee:latest"), ("cpu", "looksee:cpu")])
def test_each_build_of_torch_has_a_name_of_its_own(torch: str, tag: str) -> None:
    assert default_tag(torch) == tag


def test_only_models_that_there_are_can_be_baked_in(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--bake", "blip,llava"])
    assert f"there is no model 'llava'. Choose from: {', '.join(REGISTRY)}." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "run"),
    [
        ((), "bentoml serve /bento"),
        (("serve", "--host", "::"), "bentoml serve --host :: /bento"),
        (("--host", "::"), "bentoml serve --host :: /bento"),
        (("echo", "a b"), "a b"),
    ],
)
def test_the_entry_point_serves_or_runs_what_it_is_given_and_says_nothing(
    given: tuple[str, ...], run: str, tmp_path: Path
) -> None:
    stand_in = tmp_path / "bentoml"
    stand_in.write_text('#!/bin/sh\necho bentoml "$@"\n')
    stand_in.chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "BENTO_PATH": "/bento", "PORT": "3123"}
    done = subprocess.run([ENTRYPOINT, *given], capture_output=True, text=True, env=env, check=True)
    assert (done.stdout, done.stderr) == (f"{run}\n", "")


def test_the_folder_for_the_builder_is_complete(tmp_path: Path) -> None:
    folder = tmp_path / "context"
    prepare(folder, "cpu")
    assert "HEALTHCHECK" in (folder / "env" / "docker" / "Dockerfile").read_text()
    assert (folder / "env" / "docker" / "entrypoint.sh").read_bytes() == ENTRYPOINT.read_bytes()
    assert (folder / "src" / "service.py").is_file()
    assert not (folder / "src" / "deploy").exists()
