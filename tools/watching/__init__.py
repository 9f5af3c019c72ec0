"""A picture of the dashboard, drawn of what a Prometheus has."""
