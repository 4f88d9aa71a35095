"""Starts the engine: ``python -m sluice_ext.main``.

Sets LocalStack's variables (see `sluice_ext.settings`) and calls LocalStack's own entry point, which stops cleanly on
SIGTERM and SIGINT.
"""

import atexit
import logging
import os
import sys

from sluice_ext import memory, settings


def main() -> None:
    """Run the engine in this process until a signal stops it."""
    # Neither the engine nor its functions may use the AWS identity and endpoints of the user.
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        del os.environ[name]
    # Parts of LocalStack make clients of botocore without credentials, which it would look for in the user's files and
    # then on the network, as on an EC2 instance.
    os.environ.update(settings.NO_IDENTITY)
    settings.apply_engine_defaults()
    # LocalStack warns about TMPDIR and PROVIDER_OVERRIDE_LAMBDA, which older versions read differently.
    logging.getLogger("localstack.deprecations").setLevel(logging.ERROR)
    memory.install()
    from localstack.runtime.main import main as localstack_main

    try:
        localstack_main()
        status = 0
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 1
    # Everything has stopped by now. The interpreter's own clean-up would take seconds, and waiting for threads that
    # still serve a request would take more.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
