from application.integration_events import ANNOUNCED
from domain.integration_types import INTEGRATION_TYPES


def test_webhooks_can_be_told_of_what_other_services_are_told_of() -> None:
    assert {event: told.TYPE for event, told in ANNOUNCED.items()} == INTEGRATION_TYPES
