"""The vendor's client does to the simulator what it would do to a server: `check-with-vendor-client.sh` starts both.

The client's calls are lenient about what an answer lacks, so each shape is held against the vendor's models besides.
"""

import json
import sys

import pydantic
from label_studio_sdk import (
    BillingInfoResponse,
    LabelStudio,
    LseOrganization,
    LseOrganizationMemberList,
    OrganizationId,
    OrganizationInvite,
    OrganizationMember,
    PaginatedLseOrganizationMemberListList,
    VersionResponse,
    WhoAmIUser,
)
from label_studio_sdk.core.api_error import ApiError

ORGANIZATION = 1


def expect(what, got, wanted):
    if got != wanted:
        sys.exit(f"{what}: {got!r} instead of {wanted!r}")


def refused(what, status, call):
    try:
        call()
    except ApiError as error:
        expect(what, error.status_code, status)
    else:
        sys.exit(f"{what}: accepted instead of {status}")


def everybody(client, **query):
    """Page by page to `count`. Walking the client's own pager to its end would ask for one page too many, a 404."""
    members, number = [], 1
    while True:
        page = client.organizations.members.list(ORGANIZATION, page=number, page_size=10, **query)
        members += page.items
        if page.response.next is None:
            expect("count", page.response.count, len(members))
            return {member.user.email: member for member in members}
        number += 1


def shaped(client, model, path, pick=lambda answer: answer):
    answer = client._client_wrapper.httpx_client.request(path, method="GET").json()
    try:
        model.model_validate(pick(answer))
    except pydantic.ValidationError as error:
        sys.exit(f"GET /{path} is no {model.__name__}: {error}")


def enterprise(client, tag):
    members_path = f"api/organizations/{ORGANIZATION}/memberships"
    shaped(client, WhoAmIUser, "api/current-user/whoami")
    shaped(client, VersionResponse, "api/version/")
    shaped(client, OrganizationId, "api/organizations/", lambda answer: answer[0])
    shaped(client, LseOrganization, f"api/organizations/{ORGANIZATION}")
    shaped(client, PaginatedLseOrganizationMemberListList, members_path)
    shaped(client, OrganizationMember, f"{members_path}/1/")
    shaped(client, OrganizationInvite, "api/invite")
    shaped(client, BillingInfoResponse, "api/billing/info")

    me = client.users.whoami()
    expect("whoami", me.email, "operator@example.com")
    expect("own role", me.organization_membership.role, "AD")
    expect("organization", me.active_organization, ORGANIZATION)
    expect("edition", client.versions.get().edition, "Enterprise")
    expect("organizations", [o.id for o in client.organizations.list()], [ORGANIZATION])
    expect("owner's role", everybody(client)["owner@example.com"].role, "OW")

    members = everybody(client, role="AN")
    expect("annotators", len(members), 30)
    somebody = members["person00007@example.com"].user.id
    changed = client.organizations.members.update(ORGANIZATION, user_id=somebody, role="RE")
    expect("changed role", (changed.user.id, changed.role), (somebody, "RE"))
    expect("listed role", everybody(client)["person00007@example.com"].role, "RE")
    client.organizations.members.update(ORGANIZATION, user_id=somebody, role="AN")
    detail = client.organizations.members.get(ORGANIZATION, somebody)
    expect("detail", detail.user, somebody)

    invited = f"{tag}@example.com"
    client.organizations.invites.send_email(emails=[invited], role="AN")
    row = everybody(client)[invited]
    shaped(client, LseOrganizationMemberList, f"{members_path}?search={invited}", lambda answer: answer["results"][0])
    expect("open invitation", (row.role, row.user.lse_fields.invite_activated), ("NO", False))
    client.organizations.invites.revoke_invite(email=invited)
    expect("revoked invitation", invited in everybody(client), False)
    refused("bad address", 400, lambda: client.organizations.invites.send_email(emails=["nobody"], role="AN"))

    expect("invite link", bool(client.organizations.invites.get_invite_link().token), True)
    client.organizations.update(ORGANIZATION, title=f"Titled by {tag}")
    expect("title", client.organizations.get(ORGANIZATION).title, f"Titled by {tag}")
    expect("role management", client.organizations.get(ORGANIZATION).billing.manual_role_management, True)
    default = client.organizations.update_default_role(ORGANIZATION, default_role="AN")
    expect("default role", default.default_role, "AN")
    expect("seats", client.billing.info().billing_checks.users.count, 31)


def community(client, tag):
    me = client.users.whoami()
    expect("whoami", me.email, "operator@example.com")
    expect("edition", client.versions.get().edition, "Community")
    members = everybody(client)
    expect("members", len(members), 32)
    expect("role", members["owner@example.com"].role, None)
    client.organizations.update(ORGANIZATION, title=f"Titled by {tag}")
    expect("title", client.organizations.get(ORGANIZATION).title, f"Titled by {tag}")
    somebody = members["person00007@example.com"].user.id
    refused("role change", 405, lambda: client.organizations.members.update(ORGANIZATION, user_id=somebody, role="RE"))
    refused("invitation", 404, lambda: client.organizations.invites.send_email(emails=["a@example.com"], role="AN"))
    refused("removal by a plain member", 403, lambda: client.organizations.members.delete(ORGANIZATION, somebody))
    expect("invite link", bool(client.organizations.invites.get_invite_link().token), True)


def main():
    edition, file = sys.argv[1:]
    with open(file, encoding="utf-8") as text:
        known = json.load(text)
    checks = {"enterprise": enterprise, "community": community}[edition]
    for kind, key in [("legacy", known["legacy_token"]), ("personal", known["personal_access_token"])]:
        checks(LabelStudio(base_url=known["url"], api_key=key), kind)
        print(f"{edition}, {kind} token: the vendor's client is content")


main()
