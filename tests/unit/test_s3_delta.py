"""The table's address in the words of other programs: what each of them is told, and that secrets do not show."""

from __future__ import annotations

from dataclasses import replace

import duckdb
import pytest

from dataknobs_data.s3.delta import DeltaAddress

AWS = DeltaAddress("bucket", "a b/100%/ü/_table", "eu-west-1")
GIVEN = replace(AWS, key_id="AKIA", secret="s'ecret", token="t'oken")
OWN = replace(GIVEN, endpoint="http://127.0.0.1:9000", token=None)
S3A = "spark.hadoop.fs.s3a.bucket.bucket"


def test_a_program_that_finds_its_own_credentials_is_told_none() -> None:
    assert AWS.storage_options == {"aws_region": "eu-west-1"}
    assert AWS.daft_options == {"region_name": "eu-west-1"}
    assert AWS.spark_options == {f"{S3A}.endpoint.region": "eu-west-1"}
    assert AWS.duckdb_secret() == (
        """CREATE OR REPLACE SECRET "dataknobs" (TYPE s3, PROVIDER credential_chain, REGION 'eu-west-1', """
        """SCOPE 's3://bucket/a b/100%/ü/_table')"""
    )


def test_where_it_lies() -> None:
    assert AWS.uri == "s3://bucket/a%20b/100%25/%C3%BC/_table"
    assert AWS.location == "s3://bucket/a b/100%/ü/_table"
    assert AWS.spark_path == "s3a://bucket/a b/100%/ü/_table"


def test_temporary_credentials() -> None:
    assert GIVEN.storage_options == {
        "aws_region": "eu-west-1",
        "aws_access_key_id": "AKIA",
        "aws_secret_access_key": "s'ecret",
        "aws_session_token": "t'oken",
    }
    assert GIVEN.spark_options[f"{S3A}.session.token"] == GIVEN.daft_options["session_token"] == "t'oken"
    assert "SECRET 's''ecret', SESSION_TOKEN 't''oken'" in GIVEN.duckdb_secret()


def test_a_store_of_ones_own() -> None:
    assert OWN.storage_options["aws_endpoint_url_s3"] == OWN.daft_options["endpoint_url"] == "http://127.0.0.1:9000"
    assert OWN.storage_options["aws_allow_http"] == "true"
    assert OWN.daft_options["use_ssl"] is False
    assert OWN.spark_options == {
        f"{S3A}.access.key": "AKIA",
        f"{S3A}.secret.key": "s'ecret",
        f"{S3A}.endpoint.region": "eu-west-1",
        f"{S3A}.endpoint": "http://127.0.0.1:9000",
        f"{S3A}.path.style.access": "true",
        f"{S3A}.connection.ssl.enabled": "false",
    }
    assert "ENDPOINT '127.0.0.1:9000', URL_STYLE 'path', USE_SSL false" in OWN.duckdb_secret()
    assert "aws_allow_http" not in replace(OWN, endpoint="https://store.example").storage_options


@pytest.mark.parametrize("address", [AWS, GIVEN, OWN])
def test_duckdb_takes_the_statement_for_one(address: DeltaAddress) -> None:
    (statement,) = duckdb.extract_statements(address.duckdb_secret('na"me'))
    assert "SECRET" in statement.query


def test_secrets_do_not_show() -> None:
    for one in (GIVEN, GIVEN.storage_options, GIVEN.spark_options, GIVEN.daft_options):
        assert "ecret'" not in repr(one).replace("'***'", "")
        assert "s'ecret" not in repr(one) + str(one)
        assert "t'oken" not in repr(one) + str(one)
        assert "AKIA" in repr(one)
