"""The command `dataknobs-data`."""

from __future__ import annotations

from dataknobs_data.cli.app import main

__all__ = ["main"]
