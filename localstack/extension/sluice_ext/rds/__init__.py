"""RDS: moto stores the API's state; roles and databases are created on the engine's own PostgreSQL."""
