"""What of the manifests is made from the registry: the chart's values by model, and the services of BentoCloud.

python -m deploy.manifests        # prints the values; `make docs` writes both into their files
"""

from __future__ import annotations

import re
from pathlib import Path

from looksee.models.registry import REGISTRY, ModelSpec
from looksee.serving.gateway_service import NAME
from looksee.version import VERSION

FOLDER = Path(__file__).parent
CHART, VALUES, BENTOCLOUD = FOLDER / "helm/Chart.yaml", FOLDER / "helm/values.yaml", FOLDER / "bentocloud.yaml"

_MODELS = re.compile(r"(?<=^models:\n).*?(?=^# end of models$)", re.MULTILINE | re.DOTALL)
_APP_VERSION = re.compile(r"(?<=^appVersion: )\S+", re.MULTILINE)
# The share of a pod's rows that may be taken before another pod is started, and the rows that may wait for each.
_FILL_PERCENT, _WAITING_ROWS = 75, 8


def main() -> None:
    print("models:", models(), sep="\n", end="")


def models() -> str:
    """The chart's values by model. One is enabled: the one that does most."""
    first = max(REGISTRY.values(), key=lambda spec: len(spec.tasks))
    return "".join(_values(spec, enabled=spec is first) for spec in REGISTRY.values())


def values(text: str) -> str:
    """The chart's values with those by model printed anew. Raises ValueError where there is no place for them."""
    renewed, places = _MODELS.subn(lambda _: models(), text)
    if places != 1:
        raise ValueError("there must be one line `models:`, and one `# end of models` after it")
    return renewed


def chart(text: str) -> str:
    """The chart's description with the version of this code."""
    return _APP_VERSION.sub(f'"{VERSION}"', text)


def bentocloud() -> str:
    """What BentoCloud needs beside the bento: how many of each service there may be."""
    lines = [
        "# How many of each service BentoCloud runs; what each of them needs is declared with the services themselves.",
        "# Printed from the registry by `make docs`. docs/kubernetes.md#bentocloud says how it is used.",
        "name: looksee",
        "services:",
        *_scaling(NAME, 1, 2),
    ]
    for spec in REGISTRY.values():
        lines += _scaling(spec.service_name, 0, 2)
    return "\n".join(lines) + "\n"


def renew() -> None:
    CHART.write_text(chart(CHART.read_text()))
    VALUES.write_text(values(VALUES.read_text()))
    BENTOCLOUD.write_text(bentocloud())


def _scaling(service: str, fewest: int, most: int) -> list[str]:
    return [f"  {service}:", "    scaling:", f"      min_replicas: {fewest}", f"      max_replicas: {most}"]


def _values(spec: ModelSpec, *, enabled: bool) -> str:
    gated = ", gated: HF_TOKEN must be in the Secret" if spec.gated else ""
    tasks = ", ".join(sorted(task.value for task in spec.tasks))
    return f"""\
  {spec.name}: # {spec.title}, {spec.size} parameters: {tasks}. Licence: {spec.licence}{gated}
    enabled: {"true" if enabled else "false"}
    service: {spec.service_name} # what its runner is called in the bento
    replicas: 1 # where nothing scales it
    gpus: 1 # of each pod; 0: it runs on the CPU
    rows: {spec.settings().max_batch_rows} # that decode together at most
    requests: # {spec.hub_bytes / 2**30:.1f} GiB of files, {spec.bf16_bytes / 2**30:.1f} GiB on the GPU in bfloat16
      cpu: "2"
      memory: {spec.host_gib}Gi
    limits: {{}}
    scaling: {{min: 1, max: 2, waitingRows: {_WAITING_ROWS}, fillPercent: {_FILL_PERCENT}}}
    settings: {{}} # of this model's pods alone
    annotations: {{}}
    place: {{}} # nodeSelector, tolerations, affinity; over those of all models
"""


if __name__ == "__main__":
    main()
