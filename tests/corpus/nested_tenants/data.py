"""Organizations have workspaces, these have projects; beside them companies have customers. The organization is the tenant."""

from __future__ import annotations

from tests.corpus.generate import Fill, Row


def rows(f: Fill) -> None:
    f.rows("User", 160, lambda _: {"mail": f.email(), "pwd": f.hash()})
    tops = f.rows("Organization", 9, lambda _: {"parentId": None})
    for one in tops[3:6]:
        one["parentId"] = tops[0]["id"]
    f.connection.cursor().executemany(
        'update "Organization" set "parentId" = %(parentId)s where id = %(id)s', tops[3:6]
    )
    f.rows("OrganizationMember", 260)
    f.rows("Workspace", 30, lambda _: {"timezone": f.one("Europe/Vienna", "Europe/Lisbon", "UTC")})
    f.rows("WorkspaceMember", 300, lambda _: member_of_workspace(f))
    f.rows("Company", 25, lambda _: {"vatId": f"ATU{f.digits(8)}", "registryNo": f.number(1, 400)})
    f.rows("Customer", 120, lambda _: {"crmId": f.uuid() if f.chance(0.6) else None})
    f.rows("Contact", 300)
    f.rows("Project", 150, lambda _: project(f))
    f.rows("TimeEntry", 1500, lambda _: entry(f))
    f.rows("Subscription", 14, lambda _: {"plan": f.one("basic", "team"), "externalRef": f.prefixed("sub_")})
    f.rows("Permission", 400, lambda _: permission(f))
    f.rows("Report", 90, lambda _: report(f))


def member_of_workspace(f: Fill) -> Row | None:
    space = f.pick("Workspace")
    found = f.maybe("OrganizationMember", organizationId=space["organizationId"])
    return {"workspaceId": space["id"], "userId": found["userId"]} if found else None


def project(f: Fill) -> Row:
    space = f.pick("Workspace")
    companies = [one["id"] for one in f.all("Company", organizationId=space["organizationId"])]
    customers = [one["id"] for one in f.table["Customer"] if one["companyId"] in companies]
    customer = f.random.choice(customers) if customers and f.chance(0.8) else None
    return {"workspaceId": space["id"], "customerId": customer, "startsOn": f.day() if f.chance(0.7) else None}


def entry(f: Fill) -> Row | None:
    found = f.pick("Project")
    user = f.maybe("WorkspaceMember", workspaceId=found["workspaceId"])
    if not user:
        return None
    person = f.ref("User", dead=1.0) if f.chance(0.1) else user["userId"]
    return {"projectId": found["id"], "userId": person, "billable": f.one("Y", "N")}


def permission(f: Fill) -> Row:
    scope = f.one("organization", "workspace", "project")
    return {"scope": scope, "scopeId": f.ref(scope.capitalize(), dead=0.04), "subjectId": f.ref("User", dead=0.05)}


def report(f: Fill) -> Row:
    space = f.pick("Workspace")
    columns = [{"project": one, "width": f.number(40, 400)} for one in f.refs("Project", 1, 3, workspaceId=space["id"])]
    return {
        "owner": f.ref("User", dead=0.03),
        "layout": [{"workspace": space["id"], "columns": columns}],
        "members": f.refs("User", 0, 4, dead=0.05),
    }
