"""The table tier in rehearsals: packs whose columns are not read."""
