"""Settings of the cache."""

from __future__ import annotations

from pydantic import BaseModel, Field, NonNegativeInt, PositiveInt


class CacheSettings(BaseModel):
    """Which Redis, and how long answers stay in it."""

    redis_url: str = Field("", validation_alias="REDIS_URL", description="Redis as a URL; wins over REDIS_HOST")
    redis_host: str = Field("", validation_alias="REDIS_HOST", description="Redis host; empty: no cache")
    redis_port: PositiveInt = Field(6379, validation_alias="REDIS_PORT", description="Redis port")
    redis_db: NonNegativeInt = Field(0, validation_alias="REDIS_DB", description="Redis database number")
    cache_ttl_seconds: PositiveInt = Field(
        86400, validation_alias="CACHE_TTL_SECONDS", description="seconds an answer stays in the cache"
    )
    cache_timeout_ms: PositiveInt = Field(100, description="milliseconds Redis may take before it is passed over")

    def redis(self) -> str:
        """The Redis to use as a URL; empty when none is configured."""
        if self.redis_url or not self.redis_host:
            return self.redis_url
        return f"redis://{self.redis_host}:{self.redis_port}/{self.redis_db}"
