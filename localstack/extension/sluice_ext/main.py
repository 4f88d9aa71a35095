"""Start the engine: ``python -m sluice_ext.main``.

Sets LocalStack's variables (see `sluice_ext.settings`) and hands over to LocalStack's own entry point, which stops
cleanly on SIGTERM and SIGINT.
"""

import atexit
import logging
import os
import sys

from sluice_ext import settings


def main() -> None:
    """Run the engine in this process until it is told to stop."""
    # The caller's AWS identity and endpoints are not the engine's business, nor that of the functions it runs.
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        del os.environ[name]
    settings.apply_engine_defaults()
    # It warns of TMPDIR and PROVIDER_OVERRIDE_LAMBDA, which older versions read in another way.
    logging.getLogger("localstack.deprecations").setLevel(logging.ERROR)
    from localstack.runtime.main import main as localstack_main

    try:
        localstack_main()
        status = 0
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 1
    # Everything is stopped by now. Taking the interpreter apart object by object would only cost seconds, and waiting
    # for threads that still serve a request would cost more.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
