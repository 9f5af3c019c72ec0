"""Everything beside captioning: native API, admin, health, documents, and the error shape on every route."""

from __future__ import annotations

import base64
from typing import Any

import bentoml
import httpx
import pytest

from looksee.models.registry import REGISTRY
from tests.service.routes.test_captioning import error, post
from tests.support import pictures
from tests.support.serving import API_KEY, Service


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def caption(service: Service, **body: Any) -> httpx.Response:
    return service.client.post("/caption", json=body)


def test_the_native_caption_takes_base64_and_data_uris(service: Service) -> None:
    data, text = pictures.scene("native", count=2)
    bare = caption(service, image=encoded(data), model="blip")
    assert bare.status_code == 200
    assert bare.json() == {
        "status": "success",
        "caption": text,
        "finish_reason": "stop",
        "cache": False,
        "model": "blip",
        "revision": bare.json()["revision"],
        "weights": "sample",
    }
    again = caption(service, image=f"data:image/png;base64,{encoded(data)}", model="blip")
    assert (again.json()["caption"], again.json()["cache"]) == (text, True)


def test_both_doors_share_the_cache(service: Service) -> None:
    data, _ = pictures.scene("shared-cache")
    assert post(service, ("a.png", data)).json()["results"][0]["cache"] is False
    assert caption(service, image=encoded(data), model="blip").json()["cache"] is True


def test_bentomls_own_client_calls_caption_by_name(service: Service) -> None:
    data, text = pictures.scene("client")
    with bentoml.SyncHTTPClient(service.url) as client:
        answer = client.caption(image=encoded(data), model="blip")
    assert (answer["status"], answer["caption"]) == ("success", text)


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({}, 422, "invalid_value", "image"),
        ({"image": 7}, 422, "invalid_value", "image"),
        ({"image": "not base64!"}, 400, "invalid_request", "image"),
        ({"image": ""}, 400, "empty_file", "image"),
        ({"image": "https://example.com/a.png"}, 400, "image_url_not_allowed", "image"),
        ({"image": "file:///etc/passwd"}, 400, "image_url_not_allowed", "image"),
        ({"image": encoded(pictures.TEXT)}, 415, "unsupported_image_type", "image"),
        ({"image": encoded(pictures.bomb())}, 413, "image_too_large", "image"),
        ({"image": encoded(pictures.truncated()), "model": "blip"}, 400, "corrupt_image", None),
        ({"image": encoded(pictures.tiny()), "model": "gpt"}, 422, "unknown_model", "model"),
        ({"image": encoded(pictures.tiny()), "length": "epic"}, 422, "invalid_value", "length"),
        ({"image": encoded(pictures.tiny()), "prompt": "x" * 5000}, 422, "prompt_too_long", "prompt"),
    ],
)
def test_native_errors_have_the_shape(
    service: Service, body: dict[str, Any], status: int, code: str, param: str | None
) -> None:
    response = caption(service, **body)
    assert error(response) == (status, code)
    assert response.json()["error"]["param"] == param


def test_bodies_that_are_no_json(service: Service) -> None:
    headers = {"content-type": "application/json"}
    assert error(service.client.post("/caption", content=b"{", headers=headers)) == (400, "invalid_request")
    assert error(service.client.post("/caption", content=b"[]", headers=headers))[0] in (400, 422)
    assert error(service.client.post("/caption", content=b"\xff\xfe", headers=headers))[0] in (400, 422)
    pickle = {"content-type": "application/vnd.bentoml+pickle"}
    assert error(service.client.post("/caption", content=b"cos\nsystem\n", headers=pickle)) == (
        415,
        "unsupported_media_type",
    )


@pytest.mark.parametrize(
    "path", ["/nope", "/api", "/api/nope", "/ui/nope.js", "/static_content/x", "/docs.json", "/infer"]
)
def test_unknown_paths_have_the_shape_and_leave_no_metric(service: Service, path: str) -> None:
    assert error(service.client.get(f"{service.url}{path}")) == (404, "not_found")
    assert error(service.client.post(f"{service.url}{path}", json={})) == (404, "not_found")
    assert service.metric("bentoml_service_request_total", endpoint=path, service_name="Looksee") == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/caption"), ("GET", "/api/caption-images"), ("POST", "/healthz"), ("PUT", "/"), ("DELETE", "/metrics")],
)
def test_wrong_methods_have_the_shape(service: Service, method: str, path: str) -> None:
    assert error(service.client.request(method, path)) == (405, "method_not_allowed")


def test_reset_cache_is_guarded_and_counts(service: Service) -> None:
    route = "/api/admin/reset-cache"
    assert error(service.client.post(route)) == (401, "missing_key")
    assert error(service.client.post(route, headers={"X-API-Key": "wrong"})) == (403, "wrong_key")
    headers = {"X-API-Key": API_KEY}
    service.client.post(route, headers=headers)
    data, _ = pictures.scene("reset")
    post(service, ("a.png", data))
    assert post(service, ("a.png", data)).json()["results"][0]["cache"] is True
    assert service.client.post(route, headers=headers).json() == {"message": "Redis cache cleared", "deleted": 1}
    assert post(service, ("a.png", data)).json()["results"][0]["cache"] is False
    assert error(service.client.post(route, headers=headers, params={"scope": "world"})) == (422, "invalid_value")
    assert service.client.post(route, headers=headers, params={"scope": "database"}).json()["deleted"] == 1


def test_health_and_probes(service: Service) -> None:
    assert service.client.get("/healthz").json() == {"status": "ok"}
    assert service.client.get("/livez").status_code == service.client.get("/readyz").status_code == 200
    health = service.client.get("/health").json()
    assert health["status"] == "healthy"
    assert health["redis"] == "up"
    assert set(health["models"]) == set(REGISTRY)
    assert health["model_loaded"] is (health["models"]["blip"] == "ready")
    assert health["version"]


def test_request_ids(service: Service) -> None:
    assert service.client.get("/healthz", headers={"X-Request-ID": "abc-1"}).headers["x-request-id"] == "abc-1"
    for hostile in ("a b", "x" * 200, "<script>"):
        assert service.client.get("/nope", headers={"X-Request-ID": hostile}).headers["x-request-id"] != hostile
    ids = {service.client.get("/healthz").headers["x-request-id"] for _ in range(5)}
    assert len(ids) == 5


def test_the_documents_are_one_and_name_every_public_route(service: Service) -> None:
    document = service.client.get("/openapi.json").json()
    assert set(document["paths"]) >= {
        "/caption",
        "/query",
        "/detect",
        "/point",
        "/upload/caption",
        "/upload/query",
        "/upload/detect",
        "/upload/point",
        "/caption_images",
        "/collective",
        "/api/caption-images",
        "/api/caption-collective-images",
        "/api/admin/reset-cache",
        "/health",
        "/healthz",
    }
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert "Error" in str(operation["responses"]["default"]), path
    for page in ("/docs", "/redoc"):
        html = service.client.get(page).text
        assert "/openapi.json" in html
        assert "http://" not in html
        assert "https://" not in html
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "redoc.standalone.js"):
        assert len(service.client.get(f"/docs/{asset}").content) > 100_000


def test_metrics_of_gateway_and_runner_are_on_one_page(service: Service) -> None:
    post(service, ("a.png", pictures.scene("metrics")[0]))
    text = service.client.get("/metrics").text
    for name in (
        "looksee_rows_waiting",
        "looksee_rows_running",
        "looksee_queue_seconds_count",
        "looksee_batch_rows_count",
        "looksee_time_to_first_token_seconds_count",
        "looksee_cache_requests_total",
        "looksee_redis_up",
        "looksee_model_load_seconds_count",
        "bentoml_service_request_total",
    ):
        assert f"\n{name}" in text
    # Of models that nobody asked, too: a cluster starts them by the increase of theirs.
    names = [one["id"] for one in service.client.get("/v1/models").json()["data"]]
    assert "blip" in names
    assert [name for name in names if f'\nlooksee_jobs_total{{model="{name}"}}' not in text] == []
