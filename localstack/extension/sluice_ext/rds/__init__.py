"""RDS: moto keeps what the API says, the engine's own PostgreSQL holds the roles and databases that it speaks of."""
