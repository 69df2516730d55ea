"""What the newest watch saw, as series for Prometheus (docs/metrics.md lists them)."""
