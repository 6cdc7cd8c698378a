"""Who may do what (spec 6.2, 6.3)."""

import pytest

from domain.access import Access, Caller, Permission
from domain.errors import Forbidden
from domain.owner import parse, tenant, user, valid_tenant_id, valid_user_id


def caller(user_id="u1", tenant_id="t1", permissions=()):
    return Caller(user_id, tenant_id, frozenset(permissions))


def test_a_permission_is_needed_and_system_owner_holds_all():
    caller(permissions=["media:files.read"]).require(Permission.FILES_READ)
    caller(permissions=["system:owner"]).require(Permission.FILES_WRITE)
    with pytest.raises(Forbidden):
        caller(permissions=["media:files.read"]).require(Permission.FILES_WRITE)


@pytest.mark.parametrize(
    ("who", "owner", "uploaded_by", "access"),
    [
        (caller(), tenant("t1"), "other", Access.WORKSPACE),
        (caller(), tenant("t2"), "u1", Access.UPLOADER),
        (caller(), user("u1"), "u1", Access.UPLOADER),
        (caller(), tenant("t2"), "other", None),
        (caller(tenant_id=None), user("other"), "other", None),
        (caller(tenant_id="u1"), user("u1"), "other", None),
        (caller(permissions=["system:owner"]), tenant("t2"), "other", Access.OWNER_BYPASS),
    ],
)
def test_a_file_may_be_changed_by_its_workspace_its_uploader_and_the_system_owner(
    who, owner, uploaded_by, access
):
    assert who.access_to(owner=owner, uploaded_by=uploaded_by, bypass="all") == access


def test_the_system_owner_can_be_held_to_the_own_workspace():
    owner = caller(permissions=["system:owner"])
    assert owner.access_to(owner=tenant("t2"), uploaded_by="x", bypass="tenant") is None
    assert owner.access_to(owner=tenant("t1"), uploaded_by="x", bypass="tenant") is not None


def test_owners_are_stored_as_kind_and_id():
    assert str(tenant("ls_1")) == "t:ls_1"
    assert parse("u:user_7") == user("user_7")
    assert parse("u:user_7").tenant_id is None


@pytest.mark.parametrize("bad", ["", "users", "a/b", "..", "a" * 65, "ä", "a\n", "a b"])
def test_an_id_that_could_leave_its_namespace_is_refused(bad):
    assert not valid_tenant_id(bad)
    if bad != "users":
        assert not valid_user_id(bad)
