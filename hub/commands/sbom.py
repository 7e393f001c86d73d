"""`zhian sbom`: what is installed with Zhian, as a bill of materials for those who look for holes in it."""

import sys

import click

from hub.sbom import written


@click.command("sbom")
def sbom_command() -> None:
    """Print the bill of materials (CycloneDX JSON): distributions, vendored browser code, programs, with licences."""
    sys.stdout.write(written().decode())
