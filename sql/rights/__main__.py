"""Print a script: `python -m sql.rights output_writer --role nightcast_writer --database forecasts`."""

from __future__ import annotations

import argparse

from sql.rights.script import SCRIPTS, script


def main() -> None:
    """Print the script that the arguments ask for."""
    what = "Print the SQL that gives a role of PostgreSQL the rights it needs, and no more."
    parser = argparse.ArgumentParser(prog="python -m sql.rights", description=what)
    parser.add_argument("script", choices=SCRIPTS)
    parser.add_argument("--role", required=True, help="The role that gets the rights; it is made where there is none.")
    parser.add_argument("--database", required=True)
    parser.add_argument("--schema", help="Of the source, public by default, or of the output's tables, nightcast.")
    parser.add_argument("--table", default="observations", help="For source_reader, the table of the source.")
    parser.add_argument("--writer", default="nightcast_writer", help="For forecast_reader, the role that runs nights.")
    chosen = vars(parser.parse_args())
    print(script(chosen.pop("script"), **chosen), end="")


if __name__ == "__main__":
    main()
