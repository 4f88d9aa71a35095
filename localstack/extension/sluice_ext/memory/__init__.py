"""Memory of the engine's process: what it would load several times is shared, what is free goes back to the system."""


def install() -> None:
    """Before LocalStack and moto are imported: share service models, leave what is not needed, trim the heap."""
    from sluice_ext.memory import models, offerings, trimming, validation

    models.install()
    offerings.install()
    validation.install()
    trimming.start()
