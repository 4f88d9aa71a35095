"""taxi-migrate: tables, view and users of the warehouse of trips."""
