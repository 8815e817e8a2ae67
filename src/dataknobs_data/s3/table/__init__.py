"""The archive table: records in Parquet packs, catalogued by a Delta Lake log. The only modules here that import pyarrow.

A record is a row. `shape` says which columns the table has, `shredding` and `joining` turn documents into columns and
back, `packs` writes packs, `reading` reads few rows or columns of one over ranged requests. The format of the log:
https://github.com/delta-io/delta/blob/master/PROTOCOL.md
"""
