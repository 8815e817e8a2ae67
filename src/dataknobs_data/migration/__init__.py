"""Moving records from one database to another."""

from __future__ import annotations

from dataknobs_data.migration.migrator import Migrator
from dataknobs_data.migration.progress import MigrationProgress
from dataknobs_data.migration.transformer import Transform, Transformer

__all__ = ["MigrationProgress", "Migrator", "Transform", "Transformer"]
