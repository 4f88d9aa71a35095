"""migrate: brings the warehouse's schema up to date."""
