"""A wrong setting stops the start with a sentence that names it."""

import pytest

from adapters.scanner_address import ScannerAddress
from adapters.settings import Settings, SettingsError
from domain.media_type import MEBIBYTE

VALID = {
    "MEDIA_ENVIRONMENT": "production",
    "MEDIA_DATABASE_URL": "postgresql://media@db/media",
    "MEDIA_REDIS_URL": "redis://redis/0",
    "MEDIA_GATEWAY_KEYS": "a" * 32,
    "MEDIA_CURSOR_KEYS": "b" * 32,
    "MEDIA_PUBLIC_BASE_URL": "https://media.logicspike.com",
    "MEDIA_DELIVERY_BASE_URL": "https://api.logicspike.com/media",
    "MEDIA_CLOUDFLARE_ZONE_ID": "023e105f4ecef8ad9ca31a8372d0c353",
    "MEDIA_CLOUDFLARE_API_TOKEN": "c" * 40,
    "MEDIA_S3_ENDPOINT": "https://account.r2.cloudflarestorage.com",
    "MEDIA_S3_ACCESS_KEY": "id",
    "MEDIA_S3_SECRET_KEY": "secret",
}


def test_a_full_production_environment_is_accepted():
    settings = Settings.from_environment(VALID)
    assert settings.environment == "production"
    assert settings.port == 8789
    assert settings.upload_rules.services["blog"].max_bytes["image"] == 10 * MEBIBYTE


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"MEDIA_DATABASE_URL": ""}, "MEDIA_DATABASE_URL"),
        ({"MEDIA_PUBLIC_BASE_URL": ""}, "MEDIA_PUBLIC_BASE_URL"),
        ({"MEDIA_PUBLIC_BASE_URL": "http://media.example"}, "MEDIA_PUBLIC_BASE_URL"),
        ({"MEDIA_PUBLIC_BASE_URL": "https://media.example/"}, "MEDIA_PUBLIC_BASE_URL"),
        ({"MEDIA_DELIVERY_BASE_URL": ""}, "MEDIA_DELIVERY_BASE_URL"),
        ({"MEDIA_DELIVERY_BASE_URL": "http://api.example"}, "MEDIA_DELIVERY_BASE_URL"),
        ({"MEDIA_DELIVERY_BASE_URL": "https://api.example/"}, "MEDIA_DELIVERY_BASE_URL"),
        ({"MEDIA_CLOUDFLARE_ZONE_ID": "", "MEDIA_CLOUDFLARE_API_TOKEN": ""}, "MEDIA_CDN=none"),
        ({"MEDIA_CLOUDFLARE_ZONE_ID": ""}, "set both"),
        ({"MEDIA_CLOUDFLARE_API_TOKEN": ""}, "set both"),
        ({"MEDIA_CLOUDFLARE_ZONE_ID": "../zones"}, "MEDIA_CLOUDFLARE_ZONE_ID"),
        ({"MEDIA_CLOUDFLARE_API_URL": "http://api.example"}, "MEDIA_CLOUDFLARE_API_URL"),
        ({"MEDIA_CLOUDFLARE_PURGE_URLS": "0"}, "MEDIA_CLOUDFLARE_PURGE_URLS"),
        ({"MEDIA_CLOUDFLARE_PURGE_URLS": "501"}, "MEDIA_CLOUDFLARE_PURGE_URLS"),
        ({"MEDIA_CLOUDFLARE_URLS_PER_SECOND": "0"}, "MEDIA_CLOUDFLARE_URLS_PER_SECOND"),
        ({"MEDIA_CDN": "fastly"}, "MEDIA_CDN"),
        ({"MEDIA_GATEWAY_KEYS": ""}, "MEDIA_GATEWAY_KEYS"),
        ({"MEDIA_GATEWAY_KEYS": "short"}, "keys"),
        ({"MEDIA_CURSOR_KEYS": ""}, "MEDIA_CURSOR_KEYS"),
        ({"MEDIA_PORT": "many"}, "MEDIA_PORT"),
        ({"MEDIA_ENVIRONMENT": "prod"}, "MEDIA_ENVIRONMENT"),
        ({"MEDIA_OWNER_BYPASS": "none"}, "MEDIA_OWNER_BYPASS"),
        ({"MEDIA_PENDING_LIFETIME_SECONDS": "0"}, "MEDIA_PENDING_LIFETIME_SECONDS"),
        *(
            ({"MEDIA_CORS_ORIGINS": f"https://app.example,{origin}"}, "MEDIA_CORS_ORIGINS")
            for origin in (
                "*",
                "null",
                "app.example",
                "http://app.example",
                "https://app.example/",
                "https://*.example",
                "https://App.example",
                "ftp://app.example",
                "https://",
                "https://user@app.example",
                "https://app.example:port",
                "http://localhost:3000",
                "https://localhost",
                "http://127.0.0.1:3000",
                "http://127.1.2.3",
                "http://[::1]:3000",
                "http://app.localhost:3000",
                "http://0.0.0.0:3000",
            )
        ),
        ({"MEDIA_LIMIT_PRESIGN": "-1"}, "MEDIA_LIMIT_PRESIGN"),
        ({"MEDIA_LIMIT_LIST": "1000000"}, "MEDIA_LIMIT_LIST"),
        ({"MEDIA_PERMITTED_SOURCES": "127.0.0.1:8000"}, "MEDIA_PERMITTED_SOURCES"),
        ({"MEDIA_PERMITTED_RECEIVERS": "127.0.0.1:8000"}, "MEDIA_PERMITTED_RECEIVERS"),
        ({"MEDIA_INGEST_WAIT_SECONDS": "26"}, "MEDIA_INGEST_WAIT_SECONDS"),
        ({"MEDIA_INGEST_WAIT_SECONDS": "-1"}, "MEDIA_INGEST_WAIT_SECONDS"),
        *(
            ({"MEDIA_SCANNER": scanner}, "MEDIA_SCANNER.*clamd://host:port")
            for scanner in (
                "clamav:3310",
                "clamd://clamav",
                "clamd://clamav:0",
                "clamd://clamav:65536",
                "clamd://clamav:3310/",
                "clamd://user@clamav:3310",
                "clamd://:3310",
                "http://clamav:3310",
                "/run/clamd.sock",
            )
        ),
        ({"MEDIA_SCAN_THREADS": "0"}, "MEDIA_SCAN_THREADS"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ({"OTEL_TRACES_SAMPLER_ARG": "2"}, "OTEL_TRACES_SAMPLER_ARG"),
        ({"MEDIA_SERVICES": "blog"}, "MEDIA_SERVICES"),
        ({"MEDIA_SERVICES": '{"blog": {"types": ["text/html"]}}'}, "MEDIA_SERVICES"),
        ({"MEDIA_SERVICES": '{"blog": {"mimes": []}}'}, "MEDIA_SERVICES"),
        ({"MEDIA_SERVICES": '{"blog": {"max_bytes": {"image": 5}}}'}, "MEDIA_SERVICES"),
        ({"MEDIA_SERVICES": '{"a/b": {}}'}, "MEDIA_SERVICES"),
        ({"MEDIA_SERVICES": "{}"}, "MEDIA_SERVICES"),
        ({"MEDIA_GATEWAY_KEYS": ","}, "MEDIA_GATEWAY_KEYS"),
        ({"MEDIA_CURSOR_KEYS": " , "}, "MEDIA_CURSOR_KEYS"),
        ({"MEDIA_DATABASE_URL": "mysql://media@db/media"}, "MEDIA_DATABASE_URL"),
        ({"MEDIA_REDIS_URL": "http://redis/0"}, "MEDIA_REDIS_URL"),
        ({"MEDIA_REDIS_URL": "redis:6379"}, "MEDIA_REDIS_URL"),
        ({"MEDIA_S3_ENDPOINT": "http://s3.example"}, "MEDIA_S3_UPLOAD_ENDPOINT"),
        ({"MEDIA_S3_UPLOAD_ENDPOINT": "http://s3.example"}, "MEDIA_S3_UPLOAD_ENDPOINT"),
        ({"MEDIA_S3_PUBLIC_BUCKET": "incoming"}, "three buckets"),
        ({"MEDIA_PORT": "99999"}, "MEDIA_PORT"),
        ({"MEDIA_PORT": "0"}, "MEDIA_PORT"),
        ({"MEDIA_INTERNAL_PORT": "-1"}, "MEDIA_INTERNAL_PORT"),
        ({"MEDIA_METRICS_PORT": "70000"}, "MEDIA_METRICS_PORT"),
        ({"MEDIA_DATABASE_POOL_SIZE": "0"}, "MEDIA_DATABASE_POOL_SIZE"),
        ({"MEDIA_WEBHOOK_THREADS": "0"}, "MEDIA_WEBHOOK_THREADS"),
        ({"MEDIA_LIVE_STREAMS": "-5"}, "MEDIA_LIVE_STREAMS"),
        ({"MEDIA_REDRIVE_AFTER_SECONDS": "-1"}, "MEDIA_REDRIVE_AFTER_SECONDS"),
        ({"MEDIA_WEBHOOK_RETRY_SECONDS": "5,-5"}, "MEDIA_WEBHOOK_RETRY_SECONDS"),
    ],
)
def test_a_wrong_setting_is_refused_with_a_sentence_that_names_it(changes, named):
    with pytest.raises(SettingsError, match=named):
        Settings.from_environment(VALID | changes)


def test_development_may_use_the_development_defaults():
    settings = Settings.from_environment(
        VALID
        | {"MEDIA_ENVIRONMENT": "development", "MEDIA_GATEWAY_KEYS": "", "MEDIA_CURSOR_KEYS": ""}
    )
    assert settings.gateway_keys == ("development-gateway-key",)


def test_localhost_is_an_origin_in_development_only():
    assert "http://localhost:3000" not in Settings.from_environment(VALID).allowed_origins
    development = Settings.from_environment(
        VALID | {"MEDIA_ENVIRONMENT": "development", "MEDIA_CORS_ORIGINS": "http://127.0.0.1:5173"}
    )
    assert development.allowed_origins == ("http://127.0.0.1:5173", "http://localhost:3000")


@pytest.mark.parametrize("address", ["clamd://clamav:3310", "clamd://10.0.0.7:3310"])
def test_a_scanner_is_a_host_and_a_port(address):
    assert Settings.from_environment(VALID | {"MEDIA_SCANNER": address}).scanner == address
    six = ScannerAddress.parse("clamd://[fd00::7]:3310")
    assert (six.host, six.port) == ("fd00::7", 3310)


def test_gateway_keys_are_a_list_for_rotation():
    keys = f"{'a' * 32}, {'c' * 32}"
    assert Settings.from_environment(VALID | {"MEDIA_GATEWAY_KEYS": keys}).gateway_keys == (
        "a" * 32,
        "c" * 32,
    )


@pytest.mark.parametrize("pairs", ["127.0.0.1", "http://127.0.0.1:80", "*:80", "LOCALHOST:80"])
def test_a_permitted_source_is_one_host_and_port(pairs):
    development = VALID | {"MEDIA_ENVIRONMENT": "development"}
    with pytest.raises(SettingsError, match="MEDIA_PERMITTED_SOURCES"):
        Settings.from_environment(development | {"MEDIA_PERMITTED_SOURCES": pairs})


def test_development_may_permit_sources_on_this_machine():
    development = VALID | {"MEDIA_ENVIRONMENT": "development"}
    pairs = {"MEDIA_PERMITTED_SOURCES": "127.0.0.1:8000, localhost:9000"}
    settings = Settings.from_environment(development | pairs)
    assert settings.permitted_sources == ("127.0.0.1:8000", "localhost:9000")


def test_production_without_a_cdn_says_so() -> None:
    without = VALID | {"MEDIA_CLOUDFLARE_ZONE_ID": "", "MEDIA_CLOUDFLARE_API_TOKEN": ""}
    assert Settings.from_environment(without | {"MEDIA_CDN": "none"}).cdn == "none"


def test_in_development_delivery_is_the_app_itself() -> None:
    local = VALID | {"MEDIA_ENVIRONMENT": "development", "MEDIA_DELIVERY_BASE_URL": ""}
    assert Settings.from_environment(local).delivery_url == "http://localhost:8789"
