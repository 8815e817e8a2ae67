"""`encrypt`: what the bucket encrypts with when a write does not say."""

from __future__ import annotations

from typing import Annotated

import typer

from dataknobs_data.cli.exits import Exit
from dataknobs_data.cli.options import Config, Debug, DryRun, JsonDocument, Target
from dataknobs_data.cli.plans import print_json, show_plan
from dataknobs_data.cli.targets import open_s3
from dataknobs_data.exceptions import ConfigurationError

With = Annotated[
    str | None,
    typer.Option(
        "--with", metavar="SSE-S3|SSE-KMS|DSSE-KMS|KEY", help="Encrypt with this; KEY is a KMS key's id, alias or ARN."
    ),
]
NoBucketKey = Annotated[
    bool, typer.Option("--no-bucket-key", help="With SSE-KMS: ask KMS for each object anew, which costs more.")
]
Remove = Annotated[bool, typer.Option("--remove", help="Go back to what S3 does by itself (SSE-S3).")]


def encrypt(
    database: Target,
    with_: With = None,
    no_bucket_key: NoBucketKey = False,
    remove: Remove = False,
    dry_run: DryRun = False,
    json: JsonDocument = False,
    config: Config = None,
    debug: Debug = False,
) -> int:
    """Show or change how the bucket encrypts what comes without a wish."""
    if remove and with_ is not None:
        raise ConfigurationError("--with and --remove exclude each other")
    if with_ is None and (no_bucket_key or (dry_run and not remove)):
        raise ConfigurationError("say what to change: --with or --remove")
    with open_s3(database, config, dry_run=dry_run) as db:
        if with_ is not None:
            return show_plan(db.encryption.set(with_, bucket_key=not no_bucket_key, dry_run=dry_run), json)
        if remove:
            return show_plan(db.encryption.remove(dry_run=dry_run), json)
        print_json(db.encryption.get())
    return Exit.OK
