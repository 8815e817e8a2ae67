"""Real servers from pip packages, started on loopback and gone with their parent: SeaweedFS (S3) and PostgreSQL."""

from __future__ import annotations

from dataknobs_data.embedded.postgres import PostgresServer
from dataknobs_data.embedded.seaweedfs import SeaweedServer

__all__ = ["PostgresServer", "SeaweedServer"]
