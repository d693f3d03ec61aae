"""`python -m marketplace.embedded start|stop|status|url`"""

import argparse
import sys

from marketplace import embedded
from marketplace.embedded import postgres, valkey


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m marketplace.embedded", description=embedded.__doc__)
    parser.add_argument("action", choices=["start", "stop", "status", "url"])
    action = parser.parse_args().action
    try:
        if action == "start":
            started = embedded.ensure_running()
            print(f"Started: {', '.join(started)}." if started else "PostgreSQL and Valkey run already.")
        elif action == "stop":
            stopped = embedded.stop()
            print(f"Stopped: {', '.join(stopped)}." if stopped else "Nothing was running.")
        elif action == "status":
            for name, running in embedded.status().items():
                print(f"{name}: {'running' if running else 'stopped'}")
        else:
            print(f"DATABASE_URL={postgres.url(embedded.here())}\nBROKER_URL={valkey.url(embedded.here())}")
    except embedded.EmbeddedError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
