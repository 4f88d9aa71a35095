"""HTTP server of the engine (GATEWAY_SERVER=sluice)."""
