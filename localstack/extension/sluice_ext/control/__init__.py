"""Routes under /_sluice: health, fault control, the call record, the record of roles, saved states."""


def install() -> None:
    """Add the routes."""
    from sluice_ext.control import routes

    routes.install()


def restore() -> None:
    """Restore the saved state that the engine was given, if any."""
    from sluice_ext import settings

    if settings.STATE_FOLDER:
        from sluice_ext.control import state

        state.restore()
