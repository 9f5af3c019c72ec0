"""The chart: what it renders is what Kubernetes and KEDA take, and what a release needs."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from looksee.models.registry import REGISTRY
from looksee.settings import Settings, unknown_names
from looksee.settings.runners import RunnerSettings
from tests.deploy import helm, schemas
from tests.deploy.conftest import Objects


def one(objects: Objects, kind: str, name: str) -> dict[str, Any]:
    (found,) = [each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def pods(objects: Objects) -> dict[str, dict[str, Any]]:
    """The pods' specs by their Deployments' names."""
    return {
        each["metadata"]["name"]: each["spec"]["template"]["spec"] for each in objects if each["kind"] == "Deployment"
    }


def environment(container: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container["env"] if "value" in each}


def secrets(container: dict[str, Any]) -> set[str]:
    """The variables that come from the Secret `keys`, if it has them."""
    found = {each["name"]: each["valueFrom"]["secretKeyRef"] for each in container["env"] if "valueFrom" in each}
    assert all(where == {"name": "keys", "key": name, "optional": True} for name, where in found.items())
    return set(found)


@pytest.mark.parametrize("kubernetes", [schemas.OLDEST, schemas.NEWEST])
def test_what_is_rendered_is_what_its_schemas_say(kubernetes: str, plain: Objects, whole: Objects) -> None:
    kinds = {each["kind"] for each in whole}
    assert kinds == {
        *("Deployment", "Service", "Ingress", "PodDisruptionBudget", "NetworkPolicy", "PersistentVolumeClaim"),
        *("ScaledObject", "ServiceMonitor"),
    }
    for each in [*plain, *whole]:
        assert schemas.complaints(each, kubernetes) == []


def test_the_schemas_find_what_is_wrong(whole: Objects) -> None:
    scaled, watched = (
        one(whole, "ScaledObject", "looksee-gemma"),
        one(whole, "ServiceMonitor", "looksee"),
    )
    scaled = {**scaled, "spec": {**scaled["spec"], "minReplicas": 0}}
    assert schemas.complaints(scaled)
    assert schemas.complaints({**watched, "spec": {**watched["spec"], "endpoints": [{"ports": "http"}]}})
    gateway = one(whole, "Deployment", "looksee-gateway")
    assert schemas.complaints({**gateway, "spec": {**gateway["spec"], "replica": 2}})


def test_helm_finds_nothing_wrong_with_the_chart() -> None:
    done = helm.run("lint", "--strict", str(helm.CHART))
    assert done.returncode == 0, done.stdout


def test_each_enabled_model_has_a_deployment_that_the_gateway_knows(plain: Objects, whole: Objects) -> None:
    assert pods(plain).keys() == {"looksee-gateway", "looksee-redis", "looksee-moondream"}
    found = pods(whole)
    (gateway,) = found["looksee-gateway"]["containers"]
    variables = environment(gateway)
    assert set(variables["LOOKSEE_MODELS"].split(",")) == set(REGISTRY)
    for name, spec in REGISTRY.items():
        host = f"looksee-{name.replace('_', '-')}"
        assert variables[f"LOOKSEE_{name.upper()}_URL"] == f"http://{host}:3001"
        (runner,) = found[host]["containers"]
        assert runner["args"] == ["bentoml", "serve", f"service:{spec.service_name}", "--port", "3001"]
        assert environment(runner)["LOOKSEE_PRELOAD"] == name
        service, deployment = one(whole, "Service", host), one(whole, "Deployment", host)
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert service["spec"]["selector"].items() <= labels.items()
        assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]


def test_every_variable_is_a_setting(whole: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that nobody knows, and a value that does not fit the others, would stop the start."""
    for pod in pods(whole).values():
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            if "env" in container:
                variables = {**environment(container), **dict.fromkeys(secrets(container), "x")}
                assert unknown_names.complaints(variables) == {}
                with monkeypatch.context() as start:
                    for name, value in variables.items():
                        start.setenv(name, value)
                    assert Settings().drain_seconds == 110


def test_pods_get_the_keys_that_they_need(plain: Objects, whole: Objects) -> None:
    found = pods(whole)
    assert found["looksee-gateway"]["containers"][0]["envFrom"] == [{"secretRef": {"name": "keys"}}]
    (pull,), (runner,) = found["looksee-gemma"]["initContainers"], found["looksee-gemma"]["containers"]
    assert secrets(pull) == {"HF_TOKEN"}
    assert secrets(runner) == {"LOOKSEE_RUNNER_KEY", "LOOKSEE_METRICS_KEY"}
    assert "envFrom" not in runner
    assert "secret" not in str(pods(plain)).lower().replace("looksee", "")


def test_gpus_are_asked_for(whole: Objects) -> None:
    found = pods(whole)
    (on_gpu,) = found["looksee-gemma"]["containers"]
    assert on_gpu["resources"]["limits"] == {"nvidia.com/gpu": 1}
    assert environment(on_gpu)["LOOKSEE_DEVICE"] == "cuda"
    (on_cpu,) = found["looksee-blip"]["containers"]
    assert on_cpu["resources"]["limits"] == {"memory": "4Gi"}
    assert environment(on_cpu) | {"LOOKSEE_DEVICE": "cpu", "LOOKSEE_BLIP_DTYPE": "int8"} == environment(on_cpu)
    assert "resources" in found["looksee-gateway"]["containers"][0]
    assert "nvidia.com/gpu" not in str(found["looksee-gateway"])
    assert found["looksee-moondream"]["nodeSelector"] == {"gpu": "large"}
    assert found["looksee-gemma"]["nodeSelector"] == {"gpu": "yes"}


def test_pods_may_do_little(whole: Objects) -> None:
    """What the strictest of Kubernetes' pod security standards asks for, and a root that cannot be written."""
    for name, pod in pods(whole).items():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
        writable = {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"] if not mount.get("readOnly")}
        assert writable == {"/data"} if name == "looksee-redis" else {"/tmp"}


def test_a_runner_that_loads_for_long_is_not_ended(plain: Objects) -> None:
    """The supervisor in the container tells a slow load from a process that hangs; a probe cannot."""
    (runner,) = pods(plain)["looksee-moondream"]["containers"]
    probe = runner["livenessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] > 2 * RunnerSettings().stall_seconds


def test_a_pod_leaves_its_service_first_and_has_time_to_answer(plain: Objects) -> None:
    for name in ("looksee-gateway", "looksee-moondream"):
        pod = pods(plain)[name]
        (container,) = pod["containers"]
        assert container["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "10"]
        drain = float(environment(container)["LOOKSEE_DRAIN_SECONDS"])
        assert pod["terminationGracePeriodSeconds"] >= drain + 10 + 10
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert container[probe]["httpGet"]["port"] == "http"
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_weights_are_fetched_into_the_volume_that_the_runner_reads(plain: Objects, whole: Objects) -> None:
    pod = pods(whole)["looksee-intern-vlm"]
    (pull,), (runner,) = pod["initContainers"], pod["containers"]
    assert pull["args"] == ["python", "-m", "looksee", "pull", "intern_vlm"]
    home = environment(pull)["HF_HOME"]
    assert home == environment(runner)["HF_HOME"]
    assert {"name": "weights", "mountPath": home} in pull["volumeMounts"]
    assert {"name": "weights", "mountPath": home, "readOnly": True} in runner["volumeMounts"]
    assert environment(runner)["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in environment(pull)
    assert {"name": "weights", "persistentVolumeClaim": {"claimName": "looksee-weights"}} in pod["volumes"]
    assert {"name": "weights", "emptyDir": {}} in pods(plain)["looksee-moondream"]["volumes"]
    size = one(whole, "PersistentVolumeClaim", "looksee-weights")["spec"]["resources"]["requests"]["storage"]
    assert sum(spec.hub_bytes for spec in REGISTRY.values()) < int(size.removesuffix("Gi")) * 2**30


@pytest.mark.parametrize("where", ["baked", "sample"])
def test_weights_that_are_in_the_image_are_not_fetched(where: str) -> None:
    objects = helm.rendered(weights__from=f'"{where}"')
    pod = pods(objects)["looksee-moondream"]
    assert "initContainers" not in pod
    assert [volume["name"] for volume in pod["volumes"]] == ["tmp"]
    variables = environment(pod["containers"][0])
    assert variables["LOOKSEE_WEIGHTS"] == ("sample" if where == "sample" else "hub")
    policy = one(objects, "NetworkPolicy", "looksee-moondream")
    assert [rule["ports"][0]["port"] for rule in policy["spec"]["egress"]] == [53]


def test_only_gateways_reach_runners_and_redis(plain: Objects, whole: Objects) -> None:
    gateway = one(plain, "Deployment", "looksee-gateway")["spec"]["selector"]["matchLabels"]
    for name, port in (("looksee-moondream", 3001), ("looksee-redis", 6379)):
        policy = one(plain, "NetworkPolicy", name)["spec"]
        assert policy["podSelector"] == one(plain, "Deployment", name)["spec"]["selector"]
        assert policy["ingress"] == [
            {"ports": [{"protocol": "TCP", "port": port}], "from": [{"podSelector": {"matchLabels": gateway}}]}
        ]
    assert one(plain, "NetworkPolicy", "looksee-gateway")["spec"]["ingress"] == [
        {"ports": [{"protocol": "TCP", "port": 3000}]}
    ]
    watching = {"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}
    assert watching in one(whole, "NetworkPolicy", "looksee-gemma")["spec"]["ingress"][0]["from"]
    assert one(whole, "NetworkPolicy", "looksee-gateway")["spec"]["ingress"][1]["from"] == [watching]


def test_gateways_reach_what_they_need_and_nothing_else(plain: Objects, whole: Objects) -> None:
    def reached(objects: Objects) -> set[tuple[str, int]]:
        rules = one(objects, "NetworkPolicy", "looksee-gateway")["spec"]["egress"]
        found = set()
        for rule in rules:
            names = [
                peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for peer in rule.get("to", [])
            ] or ["anywhere"]
            found |= {(name, port["port"]) for name in names for port in rule["ports"]}
        return found

    assert reached(plain) == {("anywhere", 53), ("moondream", 3001), ("redis", 6379)}
    models = {(name.replace("_", "-"), 3001) for name in REGISTRY}
    assert reached(whole) == {("anywhere", 53), ("anywhere", 443), ("redis", 6379), *models}


def test_one_pod_at_a_time_is_taken_away(whole: Objects) -> None:
    budgets = [each["spec"] for each in whole if each["kind"] == "PodDisruptionBudget"]
    assert len(budgets) == len(REGISTRY) + 1
    assert all(budget["maxUnavailable"] == 1 for budget in budgets)
    selectors = [budget["selector"]["matchLabels"]["app.kubernetes.io/component"] for budget in budgets]
    assert set(selectors) == {"gateway", *(name.replace("_", "-") for name in REGISTRY)}


def test_a_redis_of_ones_own_is_bounded_and_keeps_nothing(plain: Objects) -> None:
    (redis,) = pods(plain)["looksee-redis"]["containers"]
    line = " ".join(redis["args"])
    assert "--maxmemory 512mb --maxmemory-policy allkeys-lru" in line
    assert redis["resources"]["limits"]["memory"] == "768Mi"
    assert environment(pods(plain)["looksee-gateway"]["containers"][0])["REDIS_URL"] == "redis://looksee-redis:6379/0"
    another = helm.rendered(redis='{"enabled": false, "url": "redis://elsewhere:6379/1"}')
    assert "looksee-redis" not in pods(another)
    assert environment(pods(another)["looksee-gateway"]["containers"][0])["REDIS_URL"] == "redis://elsewhere:6379/1"


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("models.blpi.enabled=true", "'/models/blpi': missing propert"),
        ("weights.from=hugs", "'/weights/from': value must be one of 'hub', 'baked', 'sample'"),
        ("gateway.replica=2", "additional properties 'replica' not allowed"),
        ("models.moondream.enabled=false", "No model is enabled: set models.<name>.enabled"),
        ("autoscaling.enabled=true", "autoscaling.prometheus: the address of Prometheus"),
        ("gateway.ingress.enabled=true", "gateway.ingress.host: the name that clients ask for"),
    ],
)
def test_values_that_cannot_be_meant_are_refused(flag: str, said: str) -> None:
    assert said in helm.refusal("--set", flag)


def test_names_are_never_too_long() -> None:
    done = helm.run("template", "a-release-with-a-name-of-fifty-three-characters-in-it", str(helm.CHART))
    assert done.returncode == 0, done.stderr
    names = [each["metadata"]["name"] for each in yaml.safe_load_all(done.stdout) if each]
    assert max(map(len, names)) <= 63
    assert len({*names}) == len({each["metadata"]["name"] for each in helm.rendered()})
