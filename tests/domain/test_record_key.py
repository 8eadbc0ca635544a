from __future__ import annotations

import pytest

from workmesh_flows.domain.record_key import RecordKey


@pytest.mark.parametrize("record", ["4711", "0484ff7d-6a1c", "2026/03/1", "a/", "/", ""])
def test_a_record_key_is_parsed_back_from_its_subject(record: str) -> None:
    key = RecordKey("micro.emails.timeline", "delivery", record)
    assert key.subject == f"micro.emails.timeline/delivery/{record}"
    assert RecordKey.from_subject(key.subject) == key


@pytest.mark.parametrize("subject", ["", "s", "s/p", "s//7", "/p/7"])
def test_a_text_that_names_no_record_is_rejected(subject: str) -> None:
    with pytest.raises(ValueError, match="names no record"):
        RecordKey.from_subject(subject)
