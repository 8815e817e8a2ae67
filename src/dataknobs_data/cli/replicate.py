"""`replicate`: copies of every write in another bucket."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dataknobs_data.cli import output
from dataknobs_data.cli.exits import Exit
from dataknobs_data.cli.options import Config, Debug, DryRun, JsonDocument, Target
from dataknobs_data.cli.plans import print_json, show_plan
from dataknobs_data.cli.targets import open_s3
from dataknobs_data.exceptions import ConfigurationError

if TYPE_CHECKING:
    from dataknobs_data.backends.s3 import S3Database

To = Annotated[str | None, typer.Option(metavar="BUCKET", help="Copy to this bucket: its name or ARN.")]
Role = Annotated[str | None, typer.Option(metavar="ARN", help="The IAM role that S3 copies with.")]
Name = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Of the rule (default: replica; with --remove: all of this database)."),
]
Account = Annotated[
    str | None, typer.Option(metavar="ID", help="The account of the other bucket; copies then belong to it.")
]
StorageClass = Annotated[str | None, typer.Option(metavar="CLASS", help="Of the copies (default: as the original).")]
KmsKey = Annotated[
    str | None,
    typer.Option(metavar="ARN", help="Copy records encrypted with KMS, too; encrypt the copies with this key there."),
]
KeepDeleted = Annotated[bool, typer.Option("--keep-deleted", help="A record that is deleted here lives on there.")]
TimeControl = Annotated[
    bool, typer.Option("--time-control", help="Within 15 minutes, for a price (S3 Replication Time Control).")
]
EnableVersioning = Annotated[
    bool, typer.Option("--enable-versioning", help="Switch versioning on in this database's bucket, where it is off.")
]
Remove = Annotated[bool, typer.Option("--remove", help="Copy no longer; copies that there are stay.")]
Documents = Annotated[
    bool, typer.Option("--documents", help="With --to: print what the IAM role must be allowed, and how it is made.")
]


def replicate(
    database: Target,
    to: To = None,
    role: Role = None,
    name: Name = None,
    account: Account = None,
    storage_class: StorageClass = None,
    kms_key: KmsKey = None,
    keep_deleted: KeepDeleted = False,
    time_control: TimeControl = False,
    enable_versioning: EnableVersioning = False,
    remove: Remove = False,
    documents: Documents = False,
    dry_run: DryRun = False,
    json: JsonDocument = False,
    config: Config = None,
    debug: Debug = False,
) -> int:
    """Show or change which bucket every write is copied to."""
    given: dict[str, object] = {
        "--role": role,
        "--account": account,
        "--storage-class": storage_class,
        "--kms-key": kms_key,
    }
    given |= {"--keep-deleted": keep_deleted, "--time-control": time_control, "--enable-versioning": enable_versioning}
    _check(to, role, remove, documents, [option for option, value in given.items() if value], dry_run or bool(name))
    with open_s3(database, config, dry_run=dry_run or documents) as db:
        if remove:
            return show_plan(db.replication.remove(name, dry_run=dry_run), json)
        if to and documents:
            return _show_documents(db, json, to_bucket=to, account=account, kms_key=kms_key, role=role)
        if to and role:
            options = {"account": account, "storage_class": storage_class, "kms_key": kms_key}
            plan = db.replication.add(
                to,
                role=role,
                name=name or "replica",
                **options,
                delete_markers=not keep_deleted,
                time_control=time_control,
                enable_versioning=enable_versioning,
                dry_run=dry_run,
            )
            return show_plan(plan, json)
        print_json(db.replication.rules())
    return Exit.OK


def _check(to: str | None, role: str | None, remove: bool, documents: bool, given: list[str], others: bool) -> None:
    if remove and (to or documents or given):
        raise ConfigurationError(f"--remove goes without {', '.join(['--to', '--documents', *given])}")
    if not to and not remove and (documents or given or others):
        raise ConfigurationError("say which bucket to copy to: --to BUCKET")
    if to and not role and not documents:
        raise ConfigurationError("say which IAM role S3 copies with: --role ARN; --documents shows how to make one")


def _show_documents(db: S3Database, json: bool, **options: Any) -> int:
    documents = db.replication.role_documents(**options)
    if json:
        print_json(asdict(documents))
        return Exit.OK
    for line in documents.commands():
        print(line)
    if documents.target_policy:
        output.say("the other account adds these statements to its bucket's policy:")
        print_json(documents.target_policy)
    return Exit.OK
