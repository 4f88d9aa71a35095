"""Secrets Manager: LocalStack's own provider, with AWS's rotation."""


def install() -> None:
    """Replace the rotation."""
    from sluice_ext.secretsmanager import rotation

    rotation.install()
