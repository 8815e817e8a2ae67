"""`policy`: who may do what in the bucket."""

from __future__ import annotations

from typing import Annotated

import typer

from dataknobs_data.cli.exits import Exit
from dataknobs_data.cli.options import Config, Debug, DryRun, JsonDocument, Target
from dataknobs_data.cli.plans import print_json, show_plan
from dataknobs_data.cli.targets import open_s3
from dataknobs_data.exceptions import ConfigurationError

Grant = Annotated[
    str | None,
    typer.Option(
        metavar="PRINCIPAL",
        help="Let an account (12 digits), the ARN of a user or role, or service:NAME.amazonaws.com use this database.",
    ),
]
Access = Annotated[
    str | None,
    typer.Option(
        metavar="read|write|admin",
        help="How much, with --grant (default: read) or --identity (default: write; admin only there).",
    ),
]
Versions = Annotated[bool, typer.Option("--versions", help="With --grant or --identity: older versions, too.")]
Name = Annotated[
    str | None, typer.Option(metavar="NAME", help="What a grant is called (default: its principal), to --remove it by.")
]
Source = Annotated[str | None, typer.Option(metavar="ACCOUNT|ARN", help="For a service: on whose behalf it must come.")]
Identity = Annotated[
    bool,
    typer.Option("--identity", help="Print the IAM policy for an identity that uses this database. Changes nothing."),
]
RequireTls = Annotated[bool, typer.Option("--require-tls", help="Deny requests to the bucket without TLS.")]
RequireEncryption = Annotated[
    bool, typer.Option("--require-encryption", help="Deny writing here but with the encryption of this configuration.")
]
BlockPublic = Annotated[bool, typer.Option("--block-public-access", help="Let nobody in without credentials.")]
Remove = Annotated[
    bool, typer.Option("--remove", help="Remove this database's statements, with --name those of one name.")
]


def policy(
    database: Target,
    grant: Grant = None,
    access: Access = None,
    versions: Versions = False,
    name: Name = None,
    source: Source = None,
    identity: Identity = False,
    require_tls: RequireTls = False,
    require_encryption: RequireEncryption = False,
    block_public_access: BlockPublic = False,
    remove: Remove = False,
    dry_run: DryRun = False,
    json: JsonDocument = False,
    config: Config = None,
    debug: Debug = False,
) -> int:
    """Show or change who may do what in the bucket."""
    wishes = {"--grant": grant is not None, "--identity": identity, "--require-tls": require_tls, "--remove": remove}
    wishes |= {"--require-encryption": require_encryption, "--block-public-access": block_public_access}
    _check([option for option, wish in wishes.items() if wish], access, versions, name, source, dry_run)
    with open_s3(database, config, dry_run=dry_run or identity) as db:
        if grant is not None:
            plan = db.policy.grant(
                grant, access or "read", name=name, versions=versions, source=source, dry_run=dry_run
            )
        elif require_tls:
            plan = db.policy.require_tls(dry_run=dry_run)
        elif require_encryption:
            plan = db.policy.require_encryption(dry_run=dry_run)
        elif block_public_access:
            plan = db.public_access.block(dry_run=dry_run)
        elif remove:
            plan = db.policy.remove(name, dry_run=dry_run)
        else:
            print_json(db.policy.identity(access or "write", versions=versions) if identity else db.policy.get())
            return Exit.OK
    return show_plan(plan, json)


def _check(
    wishes: list[str], access: str | None, versions: bool, name: str | None, source: str | None, dry_run: bool
) -> None:
    if len(wishes) > 1:
        raise ConfigurationError(f"{' and '.join(wishes)} exclude each other")
    goes_with = {
        "--access": (access, ("--grant", "--identity")),
        "--versions": (versions, ("--grant", "--identity")),
        "--name": (name, ("--grant", "--remove")),
        "--source": (source, ("--grant",)),
        "--dry-run": (
            dry_run,
            ("--grant", "--require-tls", "--require-encryption", "--block-public-access", "--remove"),
        ),
    }
    for option, (value, others) in goes_with.items():
        if value and not set(others) & set(wishes):
            raise ConfigurationError(f"{option} goes with {' or '.join(others)}")
