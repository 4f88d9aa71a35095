"""Taxi: the monthly load of yellow taxi trips into Redshift (docs/taxi.md)."""
