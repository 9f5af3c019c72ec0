"""What operators watch: spans of requests for OpenTelemetry, and the gateway's figures of requests."""
