"""Routes under /_sluice: health, fault control, call record."""


def install() -> None:
    """Add the routes."""
    from sluice_ext.control import routes

    routes.install()
