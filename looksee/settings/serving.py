"""Settings of the served process: its name, its port, its log, and the traces of requests."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, PositiveFloat, PositiveInt


class ServingSettings(BaseModel):
    """How the service runs and what it calls itself."""

    env: str = Field("production", validation_alias="ENV", description="a name for this deployment, shown by /health")
    debug: bool = Field(False, validation_alias="DEBUG", description="admin routes ask for no key")
    port: PositiveInt = Field(3000, le=65535, validation_alias="PORT", description="port to serve on")
    drain_seconds: PositiveFloat = Field(
        110, le=86400, description="seconds that accepted requests have after SIGTERM; what is left then gets 503"
    )
    log_format: Literal["text", "json"] = Field("text", description="text for people, json: one object a line")


class TraceSettings(BaseModel):
    """Whether requests are traced, and where the spans are sent. The names are OpenTelemetry's; its SDK reads more."""

    otel_exporter_otlp_endpoint: str = Field(
        "",
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="a collector (`http://host:4318`) that spans are sent to; empty: requests are not traced",
    )
    otel_exporter_otlp_traces_endpoint: str = Field(
        "",
        validation_alias="OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        description="the same as the whole address for spans (`http://host:4318/v1/traces`)",
    )
    otel_traces_exporter: Literal["", "otlp", "none"] = Field(
        "",
        validation_alias="OTEL_TRACES_EXPORTER",
        description="otlp: also to a collector on this machine without an endpoint; none: not at all, whatever else is "
        "set",
    )
    otel_sdk_disabled: bool = Field(
        False, validation_alias="OTEL_SDK_DISABLED", description="true: requests are not traced, whatever else is set"
    )
    otel_service_name: str = Field(
        "looksee", validation_alias="OTEL_SERVICE_NAME", description="the service that spans are of"
    )

    def exports_traces(self) -> bool:
        """Whether spans are made and sent."""
        if self.otel_sdk_disabled or self.otel_traces_exporter == "none":
            return False
        told = self.otel_exporter_otlp_endpoint or self.otel_exporter_otlp_traces_endpoint
        return bool(told) or self.otel_traces_exporter == "otlp"
