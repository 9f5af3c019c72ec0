"""Admin routes, and who may use them."""

from __future__ import annotations

import hmac
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query

import errors
from gateway.desk import Desk
from settings import Settings


def router(desk: Desk, settings: Settings) -> APIRouter:
    """The routes, bound to a desk and guarded by `API_KEY`."""

    def guard(x_api_key: Annotated[str | None, Header(description="the API_KEY of the service")] = None) -> None:
        if settings.debug:
            return
        if not settings.api_key:
            raise errors.AdminClosed("Admin routes are closed: set API_KEY (or DEBUG=true) and start again.")
        if x_api_key is None:
            raise errors.MissingKey("Send the service's API key in the header X-API-Key.", param="X-API-Key")
        if not hmac.compare_digest(x_api_key.encode(), settings.api_key.encode()):
            raise errors.WrongKey("The key in X-API-Key is not the service's.", param="X-API-Key")

    routes = APIRouter(prefix="/api/admin", tags=["admin"], dependencies=[Depends(guard)])

    @routes.post("/reset-cache", summary="Forget every cached answer")
    async def reset_cache(
        scope: Annotated[
            Literal["service", "database"], Query(description="this service's entries, or the whole Redis database")
        ] = "service",
    ) -> dict[str, Any]:
        deleted = await desk.cache.clear(whole_database=scope == "database")
        if deleted is None:
            raise errors.CacheUnavailable("Redis does not answer, so the cache could not be cleared.", retry_after=5)
        return {"message": "Redis cache cleared", "deleted": deleted}

    return routes
